//! The broker port: work queues and a replayable log, and what they guarantee.
//!
//! Two implementations: [`embedded`] on SQLite for one process, [`amqp`] on RabbitMQ for a fleet.
//! One contract suite (`tests/it/broker_contract.rs`) runs against both.
//!
//! Guarantees:
//! - **G1** what `publish` confirmed survives a crash.
//! - **G2** what was not settled is delivered again.
//! - **G3** a parked message is never delivered again, and can be listed with its reason.
//! - **G4** a consumer holds at most `window` unsettled deliveries.
//! - **G5** `again` is not early, and a delayed message blocks no other.
//! - **G6** a dropped [`Delivery`] is unsettled, never acknowledged; it comes back at the latest
//!   when its consumer is dropped.
//! - **G7** the log is read by everyone from the start, in the order it was appended.
//!
//! Delivery is at least once: everything downstream must bear a repetition. A consumer that is
//! dropped gives back what it handed out, so settle what is in hand before dropping it.
//!
//! The broker never changes headers or body: the attempt count is what the publisher wrote.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::failure::{Failure, Reason, Result};
use crate::job::JobId;
use crate::message::Envelope;

pub mod amqp;
pub mod embedded;

/// The longest wait that [`Delivery::again`] takes; a longer one is refused.
pub const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Refuses a wait beyond [`MAX_WAIT`].
fn check_wait(wait: Duration) -> Result<()> {
    if wait <= MAX_WAIT {
        return Ok(());
    }
    let seconds = wait.as_secs();
    let text = format!(
        "a message cannot wait {seconds} s: at most {} s",
        MAX_WAIT.as_secs()
    );
    Err(Failure::give_up(Reason::Internal, text))
}

/// A work queue. Who may publish to which is in ARCHITECTURE.md.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    /// List tasks; published by the reporter's outbox.
    List,
    /// First attempts of one job's objects; bounded; published by listers.
    Copy(JobId),
    /// Retries, continuations and give-backs of one job; unbounded; published by copiers.
    Again(JobId),
    /// Pages and outcomes, read by one reporter at a time.
    Outcome,
    /// What nobody could handle.
    Parked,
}

impl Queue {
    /// The queue's name at the broker.
    pub fn name(&self) -> String {
        match self {
            Self::List => "list".into(),
            Self::Copy(job) => format!("copy.{job}"),
            Self::Again(job) => format!("again.{job}"),
            Self::Outcome => "outcome".into(),
            Self::Parked => "parked".into(),
        }
    }

    /// Where a message of this queue goes when it is tried again.
    #[must_use]
    pub fn again(&self) -> Self {
        match self {
            Self::Copy(job) => Self::Again(job.clone()),
            other => other.clone(),
        }
    }
}

/// How full a queue is, and whether anyone takes from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages waiting to be delivered.
    pub ready: u64,
    /// Consumers at it; where only one is active, those in line may count or not.
    pub consumers: u64,
}

/// A message that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The message as it was.
    pub message: Envelope,
    /// Name of the queue it was taken from.
    pub queue: String,
    /// Why it was set aside: one line for people.
    pub reason: String,
}

/// A batch that was not confirmed whole.
#[derive(Debug, thiserror::Error)]
#[error("{failure}")]
pub struct PublishFailure {
    /// How many messages from the front of the batch are confirmed. Later ones may be there too.
    pub confirmed: usize,
    /// Why the next one is not.
    pub failure: Failure,
}

/// The port.
#[async_trait]
pub trait Broker: Send + Sync + fmt::Debug {
    /// Makes a job's queues; making them again changes nothing.
    async fn declare_job(&self, job: &JobId) -> Result<()>;

    /// Removes a job's queues with all they hold; removing them again changes nothing.
    async fn delete_job(&self, job: &JobId) -> Result<()>;

    /// Publishes all messages in order and returns when every one is confirmed (G1).
    ///
    /// A full bounded queue answers [`crate::failure::Reason::QueueFull`] for the first message
    /// that did not fit; the caller waits and publishes the rest. A queue that does not exist
    /// gives up the batch.
    async fn publish(&self, queue: &Queue, messages: Vec<Envelope>) -> Result<(), PublishFailure>;

    /// Starts to consume with at most `window` unsettled deliveries (G4).
    ///
    /// The consumer survives reconnects; [`Consumer::next`] fails only for what a reconnect
    /// cannot mend, such as a queue that was deleted.
    async fn consume(&self, queue: &Queue, window: u16) -> Result<Box<dyn Consumer>>;

    /// The oldest parked messages, at most `limit`, without removing them (G3).
    ///
    /// To put one back or to clear it away, consume [`Queue::Parked`].
    async fn parked(&self, limit: usize) -> Result<Vec<Parked>>;

    /// How full a queue is, and who takes from it; a queue that does not exist is empty. Messages
    /// that wait for their time or are in a consumer's hands do not count.
    async fn depth(&self, queue: &Queue) -> Result<Depth>;

    /// A job's messages that wait to be tried again: for their time, or at [`Queue::Again`]. Those in
    /// a consumer's hands do not count.
    async fn again(&self, job: &JobId) -> Result<u64>;

    /// Makes a job's messages that wait for their time ready now; gives how many. One that is on
    /// its way may be delivered twice.
    async fn wake(&self, job: &JobId) -> Result<u64>;

    /// Appends to the job log and returns when it is durable.
    async fn append(&self, record: Envelope) -> Result<()>;

    /// Reads the whole job log as it stands now (G7): every record whose append was confirmed
    /// before this call.
    async fn read_log(&self) -> Result<Vec<Envelope>>;

    /// Reads the job log from the start and then follows it.
    async fn follow_log(&self) -> Result<Box<dyn LogReader>>;

    /// Flushes what is settled and closes; unsettled deliveries will come back.
    async fn close(&self) -> Result<()>;
}

/// Takes deliveries from one queue.
#[async_trait]
pub trait Consumer: Send + fmt::Debug {
    /// Waits for the next delivery. Safe to cancel: a delivery is never lost by it.
    async fn next(&mut self) -> Result<Delivery>;
}

/// Reads the job log.
#[async_trait]
pub trait LogReader: Send + fmt::Debug {
    /// Waits for the next record. Safe to cancel.
    async fn next(&mut self) -> Result<Envelope>;
}

/// Settles one delivery; implemented by each broker, used through [`Delivery`].
#[async_trait]
pub trait Settle: Send + Sync + fmt::Debug {
    /// The message is done.
    async fn ack(self: Box<Self>) -> Result<()>;
    /// Publishes `message` to the queue's [`Queue::again`], to be delivered after `wait`,
    /// confirmed, then acks.
    async fn again(self: Box<Self>, message: Envelope, wait: Duration) -> Result<()>;
    /// Publishes the message to [`Queue::Parked`] with the reason, confirmed, then acks.
    async fn park(self: Box<Self>, message: Envelope, reason: &str) -> Result<()>;
}

/// One message handed to a consumer, settled by value.
///
/// An error from a settling call means that the delivery was not settled and will come back.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub message: Envelope,
    /// Where it came from and why it was set aside; only in [`Queue::Parked`].
    pub parked: Option<(String, String)>,
    settle: Box<dyn Settle>,
}

impl Delivery {
    /// Joins a message with the means to settle it.
    pub fn new(message: Envelope, settle: Box<dyn Settle>) -> Self {
        Self {
            message,
            parked: None,
            settle,
        }
    }

    /// The same delivery with the queue it was parked from and the reason.
    #[must_use]
    pub fn parked_from(mut self, parked: Option<(String, String)>) -> Self {
        self.parked = parked;
        self
    }

    /// The message is done.
    ///
    /// # Errors
    /// The broker is out of reach; the message will come back.
    pub async fn ack(self) -> Result<()> {
        self.settle.ack().await
    }

    /// Replaces the message by `message`, to be delivered after `wait` (at most [`MAX_WAIT`]).
    ///
    /// # Errors
    /// The wait is too long, or the broker is out of reach; the old message will come back, perhaps the new one too.
    pub async fn again(self, message: Envelope, wait: Duration) -> Result<()> {
        self.settle.again(message, wait).await
    }

    /// Sets the message aside for people to look at.
    ///
    /// # Errors
    /// The broker is out of reach; the message will come back.
    pub async fn park(self, reason: &str) -> Result<()> {
        self.settle.park(self.message, reason).await
    }
}
