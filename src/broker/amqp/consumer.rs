//! Consuming: a window of unsettled deliveries that survives the loss of its channel.
//!
//! A delivery dies with the channel it came on: settling it then fails, and RabbitMQ delivers the
//! message again. Deliveries that were dropped unsettled stay with the channel; nothing is ever
//! nacked (4.x counts that), so when they have eaten half of the window, or nothing else is in
//! hand, the channel is closed and opened anew, which makes them ready again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::message::Delivery as Arrived;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::Core;
use super::envelope::{Outgoing, envelope, parked};
use super::link::{Link, Pauses};
use super::trouble::{answer, failure};
use crate::broker::{Consumer, Delivery, Queue, Settle, check_wait};
use crate::failure::{Failure, Reason, Remedy, Result};
use crate::message::Envelope;

/// How long a channel outlives its consumer.
const LINGER: Duration = Duration::from_millis(500);

/// A consumer on a channel of its own.
#[derive(Debug)]
pub(super) struct Open {
    /// Closes when its last handle goes.
    channel: Channel,
    pub(super) arrivals: lapin::Consumer,
}

/// Opens a channel and consumes. One attempt.
pub(super) async fn open(
    link: &Link,
    queue: &str,
    window: u16,
    arguments: FieldTable,
) -> Result<Open> {
    let doing = "to consume";
    let channel = link.channel().await?;
    let qos = channel.basic_qos(window, BasicQosOptions::default());
    answer(&link.address, doing, qos).await?;
    let options = BasicConsumeOptions::default();
    let consume = channel.basic_consume(queue.into(), "".into(), options, arguments);
    let arrivals = answer(&link.address, doing, consume).await?;
    Ok(Open { channel, arrivals })
}

/// Opens again and again until it succeeds or cannot succeed.
pub(super) async fn reopen(
    core: Arc<Core>,
    queue: String,
    window: u16,
    arguments: FieldTable,
) -> Result<Open> {
    let mut pauses = Pauses::new();
    loop {
        match open(&core.consuming, &queue, window, arguments.clone()).await {
            Err(failure) if failure.remedy == Remedy::Retry => {
                tracing::debug!(%failure, queue, "consumer lost its channel, trying again");
                sleep(pauses.next()).await;
            }
            // RabbitMQ knows no queue while it starts. Declaring one that it will know is refused,
            // so what was lost or deleted is made anew and nothing else.
            Err(failure) if is_missing(&failure) && core.publisher.is_common(&queue) => {
                tracing::info!(%failure, queue, "declaring the fleet's queues again");
                declare_again(&core).await?;
                sleep(pauses.next()).await;
            }
            other => return other,
        }
    }
}

fn is_missing(failure: &Failure) -> bool {
    failure.remedy == Remedy::GiveUp && failure.reason == Reason::BrokerRejected
}

async fn declare_again(core: &Core) -> Result<()> {
    match core.topology.declare_common(&core.consuming).await {
        Err(failure) if failure.remedy == Remedy::Stop => Err(failure),
        Err(failure) => {
            tracing::debug!(%failure, "the fleet's queues cannot be declared yet");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Consumes from one queue.
#[derive(Debug)]
pub(super) struct AmqpConsumer {
    core: Arc<Core>,
    queue: Queue,
    name: String,
    window: u16,
    hands: Arc<Hands>,
    slots: Arc<Semaphore>,
    open: Option<Open>,
    /// Opening goes on in a task of its own: `next` may be cancelled at any time.
    opening: Option<JoinHandle<Result<Open>>>,
}

/// What the consumer knows of its deliveries.
#[derive(Debug, Default)]
struct Hands {
    counts: Mutex<Counts>,
    changed: Notify,
    /// Counts the channels there have been.
    channel: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    held: usize,
    /// Dropped unsettled on the present channel.
    lost: usize,
}

impl Hands {
    fn with<T>(&self, work: impl FnOnce(&mut Counts) -> T) -> T {
        work(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn must_reopen(&self, window: u16) -> bool {
        let Counts { held, lost } = self.with(|counts| *counts);
        lost > 0 && (held == 0 || lost * 2 >= usize::from(window))
    }

    fn renew(&self) {
        self.channel.fetch_add(1, Ordering::Relaxed);
        self.with(|counts| counts.lost = 0);
    }
}

impl AmqpConsumer {
    pub(super) async fn start(core: Arc<Core>, queue: Queue, window: u16) -> Result<Self> {
        let name = core.topology.name(&queue)?;
        let window = window.max(1);
        let first = open(&core.consuming, &name, window, FieldTable::default());
        let open = match first.await {
            Ok(open) => Some(open),
            Err(failure) if failure.remedy == Remedy::Retry => None,
            Err(failure) => return Err(failure),
        };
        Ok(Self {
            core,
            queue,
            name,
            window,
            hands: Arc::default(),
            slots: Arc::new(Semaphore::new(usize::from(window))),
            open,
            opening: None,
        })
    }

    async fn opened(&mut self) -> Result<&mut Open> {
        if self.open.is_none() {
            let opening = self.opening.get_or_insert_with(|| {
                let (core, name) = (Arc::clone(&self.core), self.name.clone());
                tokio::spawn(reopen(core, name, self.window, FieldTable::default()))
            });
            let opened = opening.await;
            self.opening = None;
            self.hands.renew();
            let ended = |error| Failure::stop(Reason::Internal, format!("consumer ended: {error}"));
            self.open = Some(opened.map_err(ended)??);
        }
        let closed = || Failure::stop(Reason::Internal, "consumer is not open");
        self.open.as_mut().ok_or_else(closed)
    }

    fn deliver(&self, arrived: Arrived, slot: Option<OwnedSemaphorePermit>) -> Delivery {
        let Arrived {
            properties,
            data,
            acker,
            ..
        } = arrived;
        self.hands.with(|counts| counts.held += 1);
        let held = Held {
            core: Arc::clone(&self.core),
            queue: self.queue.clone(),
            acker,
            hands: Arc::clone(&self.hands),
            channel: self.hands.channel.load(Ordering::Relaxed),
            settled: false,
            _slot: slot,
        };
        let why = (self.queue == Queue::Parked).then(|| parked(&properties));
        Delivery::new(envelope(&properties, data), Box::new(held)).parked_from(why)
    }
}

#[async_trait]
impl Consumer for AmqpConsumer {
    async fn next(&mut self) -> Result<Delivery> {
        let mut slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        let hands = Arc::clone(&self.hands);
        loop {
            if hands.must_reopen(self.window) {
                self.open = None;
            }
            let open = self.opened().await?;
            tokio::select! {
                arrived = open.arrivals.next() => match arrived {
                    Some(Ok(arrived)) if arrived.acker.usable() => {
                        return Ok(self.deliver(arrived, slot.take()));
                    }
                    // It died with its channel and will come again.
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        tracing::debug!(%error, queue = self.name, "consumer lost its channel");
                        self.open = None;
                    }
                    None => self.open = None,
                },
                () = hands.changed.notified() => {}
            }
        }
    }
}

impl Drop for AmqpConsumer {
    fn drop(&mut self) {
        if let Some(opening) = &self.opening {
            opening.abort();
        }
        if let (Some(open), Ok(runtime)) = (self.open.take(), Handle::try_current()) {
            self.core.lingering.spawn_on(linger(open), &runtime);
        }
    }
}

/// Takes no more, and closes the channel a little later: acknowledgements that RabbitMQ has not
/// passed on to a busy quorum queue are lost with their channel.
pub(super) async fn linger(open: Open) {
    let tag = open.arrivals.tag();
    let cancel = open
        .channel
        .basic_cancel(tag, BasicCancelOptions::default());
    // Where this fails the channel is dead already.
    timeout(LINGER, cancel).await.ok();
    sleep(LINGER).await;
}

/// One delivery in hand.
#[derive(Debug)]
struct Held {
    core: Arc<Core>,
    queue: Queue,
    acker: Acker,
    hands: Arc<Hands>,
    channel: u64,
    settled: bool,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Held {
    async fn acknowledge(mut self: Box<Self>) -> Result<()> {
        let address = &self.core.consuming.address;
        let call = self.acker.ack(BasicAckOptions::default());
        // After the channel's death lapin answers with "no" instead of an error.
        if answer(address, "to acknowledge", call).await? {
            self.settled = true;
            return Ok(());
        }
        Err(Failure::retry(
            Reason::BrokerUnavailable,
            format!("{address} lost the channel of this delivery: the message will come again"),
        ))
    }
}

#[async_trait]
impl Settle for Held {
    async fn ack(self: Box<Self>) -> Result<()> {
        self.acknowledge().await
    }

    async fn again(self: Box<Self>, message: Envelope, wait: Duration) -> Result<()> {
        check_wait(wait)?;
        self.core
            .publish_later(&self.queue.again(), message, wait)
            .await?;
        self.acknowledge().await
    }

    async fn park(self: Box<Self>, message: Envelope, reason: &str) -> Result<()> {
        let parked = self.core.topology.name(&Queue::Parked)?;
        let message = Outgoing::parked(message, &self.queue.name(), reason);
        self.core.publish_one(&parked, message).await?;
        self.acknowledge().await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let same = self.channel == self.hands.channel.load(Ordering::Relaxed);
        let lost = usize::from(!self.settled && same);
        self.hands.with(|counts| {
            counts.held -= 1;
            counts.lost += lost;
        });
        self.hands.changed.notify_one();
    }
}

/// Up to `limit` messages of a queue, left where they are.
pub(super) async fn peek(
    core: &Core,
    queue: &str,
    limit: usize,
) -> Result<Vec<(lapin::BasicProperties, Vec<u8>)>> {
    let link = &core.consuming;
    let channel = link.channel().await?;
    let mut found = Vec::new();
    while found.len() < limit {
        let get = channel.basic_get(queue.into(), lapin::options::BasicGetOptions::default());
        match answer(&link.address, "to look into a queue", get).await? {
            Some(message) => found.push((message.delivery.properties, message.delivery.data)),
            None => break,
        }
    }
    // Closing the channel gives them back.
    let close = channel.close(200, "OK".into());
    match timeout(link.address.deadline(), close).await {
        Ok(Err(error)) => Err(failure(&link.address, "to close a channel", &error)),
        _ => Ok(found),
    }
}
