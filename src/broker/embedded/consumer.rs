//! Handles of the embedded broker: consumer, delivery and log reader.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use super::change::{Change, Question, Reply, Then};
use super::state::Taken;
use super::writer::Shared;
use super::{LOG_BATCH, gone};
use crate::broker::{Consumer, Delivery, LogReader, Queue, Settle, check_wait};
use crate::failure::{Failure, Reason, Result};
use crate::message::Envelope;

/// Takes from one queue.
#[derive(Debug)]
pub(super) struct EmbeddedConsumer {
    shared: Arc<Shared>,
    queue: Queue,
    id: i64,
    name: String,
    number: u64,
    wake: Arc<Notify>,
    window: Arc<Semaphore>,
}

impl EmbeddedConsumer {
    pub(super) fn new(shared: Arc<Shared>, queue: Queue, number: u64, window: u16) -> Result<Self> {
        let (id, wake) = shared.state().join(&queue)?;
        Ok(Self {
            shared,
            name: queue.name(),
            queue,
            id,
            number,
            wake,
            window: Arc::new(Semaphore::new(usize::from(window.max(1)))),
        })
    }

    fn take(&self, permit: &mut Option<OwnedSemaphorePermit>) -> Result<Option<Delivery>> {
        let Taken { next, load } = {
            let mut state = self.shared.state();
            state.take(self.id, &self.name, self.number)?
        };
        if let Some(load) = load {
            self.shared.ask(Question::Load(load));
        }
        let Some((seq, row)) = next else {
            return Ok(None);
        };
        let held = Held {
            shared: Arc::clone(&self.shared),
            queue: self.queue.clone(),
            id: self.id,
            seq,
            consumer: self.number,
            _permit: permit.take(),
        };
        let delivery = Delivery::new(row.message, Box::new(held)).parked_from(row.parked);
        Ok(Some(delivery))
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn next(&mut self) -> Result<Delivery> {
        let window = Arc::clone(&self.window);
        let mut permit = window.acquire_owned().await.ok();
        let wake = Arc::clone(&self.wake);
        loop {
            let mut woken = std::pin::pin!(wake.notified());
            woken.as_mut().enable();
            if let Some(delivery) = self.take(&mut permit)? {
                return Ok(delivery);
            }
            woken.await;
        }
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        self.shared.state().leave(self.id, self.number);
    }
}

/// One delivery in hand.
#[derive(Debug)]
struct Held {
    shared: Arc<Shared>,
    queue: Queue,
    id: i64,
    seq: i64,
    consumer: u64,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    fn settle(&self, then: Then) -> Result<()> {
        {
            let mut state = self.shared.state();
            state.check()?;
            if !state.settle(self.id, self.seq, self.consumer) {
                return Err(Failure::retry(
                    Reason::BrokerUnavailable,
                    "the delivery went back to its queue when its consumer ended",
                ));
            }
        }
        self.shared.change(Change::Settle {
            queue: self.id,
            seq: self.seq,
            then,
        });
        Ok(())
    }

    async fn settle_with(&self, make: impl FnOnce(Reply<()>) -> Then) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.settle(make(reply))?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

#[async_trait]
impl Settle for Held {
    async fn ack(self: Box<Self>) -> Result<()> {
        self.settle(Then::Nothing)
    }

    async fn again(self: Box<Self>, message: Envelope, wait: Duration) -> Result<()> {
        check_wait(wait)?;
        let target = self.queue.again();
        self.settle_with(|reply| Then::Again {
            target,
            message,
            wait,
            reply,
        })
        .await
    }

    async fn park(self: Box<Self>, message: Envelope, reason: &str) -> Result<()> {
        let (origin, reason) = (self.queue.name(), reason.to_owned());
        self.settle_with(|reply| Then::Park {
            message,
            origin,
            reason,
            reply,
        })
        .await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.give_back(self.id, self.consumer, Some(self.seq));
    }
}

type Records = Vec<(i64, Envelope)>;

/// Reads the log in batches.
#[derive(Debug)]
pub(super) struct EmbeddedLogReader {
    shared: Arc<Shared>,
    after: i64,
    ready: VecDeque<Envelope>,
    /// A question under way; kept here so that a cancelled `next` loses nothing.
    asked: Option<oneshot::Receiver<Result<Records>>>,
}

impl EmbeddedLogReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            after: 0,
            ready: VecDeque::new(),
            asked: None,
        }
    }

    /// Everything up to now.
    pub(super) async fn read_all(&mut self) -> Result<Vec<Envelope>> {
        let mut all = Vec::new();
        while self.fill().await? {
            all.extend(self.ready.drain(..));
        }
        Ok(all)
    }

    /// Reads the next batch; `false` where there is none yet.
    async fn fill(&mut self) -> Result<bool> {
        if self.asked.is_none() {
            self.shared.state().check()?;
            let (reply, answer) = oneshot::channel();
            self.shared.ask(Question::Log {
                after: self.after,
                count: LOG_BATCH,
                reply,
            });
            self.asked = Some(answer);
        }
        let Some(answer) = &mut self.asked else {
            return Ok(false);
        };
        let records = answer.await.unwrap_or_else(|_| Err(gone()));
        self.asked = None;
        for (seq, record) in records? {
            self.after = seq;
            self.ready.push_back(record);
        }
        Ok(!self.ready.is_empty())
    }
}

#[async_trait]
impl LogReader for EmbeddedLogReader {
    async fn next(&mut self) -> Result<Envelope> {
        let shared = Arc::clone(&self.shared);
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(record);
            }
            let mut woken = std::pin::pin!(shared.appended.notified());
            woken.as_mut().enable();
            if !self.fill().await? {
                woken.await;
            }
        }
    }
}
