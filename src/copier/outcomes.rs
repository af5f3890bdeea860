//! Publishes outcomes in batches and acknowledges their tasks once they are confirmed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::broker::{Broker, Delivery, Queue};
use crate::failure::{Failure, Reason, Remedy, Result};
use crate::message::{Envelope, Headers, Outcome, Report};

/// Most outcomes in one message.
const BATCH: usize = 100;
/// How long the first outcome of a batch waits for others.
const LINGER: Duration = Duration::from_millis(5);
/// First and longest wait between tries while the broker is out of reach.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Tries before the deliveries are let go, to come back later.
const TRIES: u32 = 20;
/// Batches being published at a time.
const IN_FLIGHT: usize = 4;

/// Hands outcomes to the publishing task.
#[derive(Clone, Debug)]
pub(super) struct Outcomes {
    sender: mpsc::Sender<Item>,
    stopped: Stopped,
}

/// Why no outcome can be published any more, and nothing should be copied.
type Stopped = Arc<OnceLock<Failure>>;

#[derive(Debug)]
struct Item {
    outcome: Outcome,
    settle: Settlement,
}

#[derive(Debug)]
enum Settlement {
    Ack(Box<Delivery>, TaskTrackerToken),
    Tell(oneshot::Sender<()>),
}

impl Outcomes {
    /// Starts the publishing task; it ends when every handle is dropped and all is published.
    pub(super) fn start(broker: Arc<dyn Broker>) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(BATCH * IN_FLIGHT);
        let stopped = Stopped::default();
        let publishing = tokio::spawn(run(broker, receiver, stopped.clone()));
        (Self { sender, stopped }, publishing)
    }

    /// Reports an outcome; its delivery is acknowledged when the report is confirmed, and
    /// `unsettled` is dropped then.
    pub(super) async fn report(
        &self,
        outcome: Outcome,
        delivery: Delivery,
        unsettled: TaskTrackerToken,
    ) -> Result<()> {
        self.send(Item {
            outcome,
            settle: Settlement::Ack(Box::new(delivery), unsettled),
        })
        .await
    }

    /// Reports an outcome and waits until that is confirmed.
    pub(super) async fn publish(&self, outcome: Outcome) -> Result<()> {
        let (confirmed, wait) = oneshot::channel();
        self.send(Item {
            outcome,
            settle: Settlement::Tell(confirmed),
        })
        .await?;
        wait.await.map_err(|_closed| {
            Failure::retry(
                Reason::BrokerUnavailable,
                "the outcome could not be published",
            )
        })
    }

    async fn send(&self, item: Item) -> Result<()> {
        self.sender.send(item).await.map_err(|_closed| {
            self.stopped.get().cloned().unwrap_or_else(|| {
                Failure::stop(Reason::Internal, "outcomes are not published any more")
            })
        })
    }
}

async fn run(broker: Arc<dyn Broker>, mut receiver: mpsc::Receiver<Item>, stopped: Stopped) {
    let mut publishing = tokio::task::JoinSet::new();
    while let Some(first) = receiver.recv().await {
        let mut batch = vec![first];
        while batch.len() < BATCH {
            match timeout(LINGER, receiver.recv()).await {
                Ok(Some(item)) => batch.push(item),
                Ok(None) | Err(_) => break,
            }
        }
        while publishing.len() >= IN_FLIGHT {
            publishing.join_next().await;
        }
        if stopped.get().is_some() {
            // What is left is dropped unsettled, and whoever comes is told.
            return;
        }
        publishing.spawn(publish(broker.clone(), batch, stopped.clone()));
    }
    while publishing.join_next().await.is_some() {}
}

/// Publishes one batch. Where the broker stays out of reach the deliveries are dropped unsettled:
/// they come back, and their objects are copied again.
async fn publish(broker: Arc<dyn Broker>, batch: Vec<Item>, stopped: Stopped) {
    let (outcomes, settlements): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|item| (item.outcome, item.settle))
        .unzip();
    let job = outcomes
        .first()
        .map(|outcome| outcome.id.job.to_string())
        .unwrap_or_default();
    let headers = Headers {
        job,
        ..Headers::default()
    };
    let message = match Envelope::new(headers, &Report::Outcomes(outcomes)) {
        Ok(message) => message,
        Err(failure) => return tracing::error!(%failure, "outcomes cannot be encoded"),
    };
    if let Err(failure) = confirmed(&*broker, message).await {
        if failure.remedy == Remedy::Stop {
            stopped.get_or_init(|| failure.clone());
        }
        return tracing::error!(%failure, "outcomes are not published; objects will come back");
    }
    for settlement in settlements {
        match settlement {
            Settlement::Ack(delivery, unsettled) => {
                if let Err(failure) = delivery.ack().await {
                    tracing::debug!(%failure, "a copy task will be delivered again");
                }
                drop(unsettled);
            }
            Settlement::Tell(sender) => {
                if sender.send(()).is_err() {
                    tracing::debug!("nobody waits for a published outcome");
                }
            }
        }
    }
}

async fn confirmed(broker: &dyn Broker, message: Envelope) -> Result<()> {
    let mut wait = BACKOFF.0;
    let mut tries = 0;
    loop {
        tries += 1;
        match broker.publish(&Queue::Outcome, vec![message.clone()]).await {
            Ok(()) => return Ok(()),
            Err(partial) if partial.failure.remedy == Remedy::Retry && tries < TRIES => {
                tracing::warn!(failure = %partial.failure, "outcomes are published again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(BACKOFF.1);
            }
            Err(partial) => return Err(partial.failure),
        }
    }
}
