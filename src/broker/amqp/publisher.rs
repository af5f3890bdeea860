//! Publishing: persistent, mandatory, confirmed, many at a time.
//!
//! A batch has a channel to itself. Then a returned message concerns this batch for certain, and
//! after any trouble the channel can be thrown away with all that is still under way on it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use tokio::time::timeout;

use super::envelope::Outgoing;
use super::link::Link;
use super::trouble::{answer, failure, silence};
use crate::broker::PublishFailure;
use crate::failure::{Failure, Reason, Result};

/// Messages of a batch under way at once.
const UNDER_WAY: usize = 1000;
/// Channels kept for the next batch.
const IDLE: usize = 16;

type Confirming = Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send>>;

/// Publishes to queues by name.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) link: Link,
    /// Queues that are there whatever the jobs.
    common: Vec<String>,
    idle: Mutex<Vec<Channel>>,
}

/// One message on its way: perhaps its confirm is here already.
enum Sent {
    Waiting(Confirming),
    Known(Box<lapin::Result<Confirmation>>),
}

/// How a batch went so far.
struct Tally {
    confirmed: usize,
    failure: Option<Failure>,
    /// A message came back: there is no such queue.
    returned: bool,
}

impl Publisher {
    pub(super) fn new(link: Link, common: Vec<String>) -> Self {
        Self {
            link,
            common,
            idle: Mutex::default(),
        }
    }

    /// Publishes in order; returns when all are confirmed.
    pub(super) async fn publish(
        &self,
        queue: &str,
        mut messages: Vec<Outgoing>,
    ) -> Result<(), PublishFailure> {
        let too_large = messages.iter().position(Outgoing::is_too_large);
        if let Some(at) = too_large {
            messages.truncate(at);
        }
        let refuse = |failure| PublishFailure {
            confirmed: 0,
            failure,
        };
        self.link.unblocked().await.map_err(refuse)?;
        let channel = self.take_channel().await.map_err(refuse)?;
        let mut tally = self.send_all(&channel, queue, messages).await;
        if tally.failure.is_none() && too_large.is_some() {
            tally.failure = Some(too_large_for(queue));
        }
        if tally.returned {
            let absent = if self.is_common(queue) {
                not_there_yet(queue)
            } else {
                missing(queue)
            };
            return Err(refuse(absent));
        }
        match tally.failure {
            None => {
                self.keep(channel);
                Ok(())
            }
            Some(failure) => {
                if failure.reason == Reason::QueueFull || too_large == Some(tally.confirmed) {
                    self.keep(channel);
                }
                Err(PublishFailure {
                    confirmed: tally.confirmed,
                    failure,
                })
            }
        }
    }

    pub(super) fn is_common(&self, queue: &str) -> bool {
        self.common.iter().any(|common| common == queue)
    }

    async fn send_all(&self, channel: &Channel, queue: &str, messages: Vec<Outgoing>) -> Tally {
        let mut tally = Tally {
            confirmed: 0,
            failure: None,
            returned: false,
        };
        let mut sent = VecDeque::new();
        let mut messages = messages.into_iter();
        loop {
            while sent.len() < UNDER_WAY
                && tally.failure.is_none()
                && let Some(message) = messages.next()
            {
                sent.push_back(send(channel.clone(), queue.to_owned(), message).await);
            }
            let Some(oldest) = sent.pop_front() else {
                return tally;
            };
            if !self.count(&mut tally, queue, oldest).await {
                return tally;
            }
        }
    }

    /// Counts one confirm; `false` where the channel is of no use any more.
    async fn count(&self, tally: &mut Tally, queue: &str, sent: Sent) -> bool {
        let address = &self.link.address;
        let doing = "to publish";
        let known = match sent {
            Sent::Known(known) => Ok(*known),
            Sent::Waiting(confirming) => timeout(address.deadline(), confirming).await,
        };
        let trouble = match known {
            Ok(Ok(Confirmation::Ack(None))) => {
                if tally.failure.is_none() {
                    tally.confirmed += 1;
                }
                return true;
            }
            Ok(Ok(Confirmation::Nack(None))) => {
                tally.failure.get_or_insert_with(|| full(queue));
                return true;
            }
            Ok(Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)))) => {
                tally.returned = true;
                return false;
            }
            Ok(Ok(Confirmation::NotRequested)) => Failure::stop(
                Reason::Internal,
                "a channel without confirms was used to publish",
            ),
            Ok(Err(error)) => failure(address, doing, &error).perhaps(),
            Err(elapsed) => silence(address, doing, elapsed),
        };
        tally.failure.get_or_insert(trouble);
        false
    }

    async fn take_channel(&self) -> Result<Channel> {
        while let Some(channel) = self.pop() {
            if channel.status().connected() {
                return Ok(channel);
            }
        }
        let channel = self
            .link
            .channel_within(self.link.address.deadline())
            .await?;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        answer(&self.link.address, "to publish", select).await?;
        Ok(channel)
    }

    fn pop(&self) -> Option<Channel> {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    fn keep(&self, channel: Channel) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(channel);
        }
    }

    pub(super) async fn close(&self) {
        while self.pop().is_some() {}
        self.link.close().await;
    }
}

/// Hands one message to the connection. The first poll queues its frames, so messages that are
/// sent one after the other leave in that order, without waiting for each other.
async fn send(channel: Channel, queue: String, message: Outgoing) -> Sent {
    let mut confirming: Confirming = Box::pin(async move {
        let options = BasicPublishOptions {
            mandatory: true,
            immediate: false,
        };
        let Outgoing {
            properties, body, ..
        } = message;
        channel
            .basic_publish("".into(), queue.into(), options, &body, properties)
            .await?
            .await
    });
    let known = std::future::poll_fn(|context| {
        Poll::Ready(match confirming.as_mut().poll(context) {
            Poll::Ready(known) => Some(known),
            Poll::Pending => None,
        })
    })
    .await;
    match known {
        Some(known) => Sent::Known(Box::new(known)),
        None => Sent::Waiting(confirming),
    }
}

fn full(queue: &str) -> Failure {
    // RabbitMQ gives no reason with a negative acknowledgement.
    let text = format!(
        "RabbitMQ takes no message for queue {queue}: it is full and drains, or it has failed (look \
         into RabbitMQ's log and restart that node)"
    );
    Failure::retry(Reason::QueueFull, text)
}

fn too_large_for(queue: &str) -> Failure {
    let text = format!("a message for queue {queue} names a key too long for RabbitMQ's headers");
    Failure::give_up(Reason::BrokerRejected, text)
}

/// The failure for a queue of the whole fleet that is not there: those who read it declare it again.
fn not_there_yet(queue: &str) -> Failure {
    let text = format!("queue {queue} is not there: RabbitMQ is starting, or it was deleted");
    Failure::retry(Reason::BrokerUnavailable, text)
}

/// The failure for a job's queue that is not there.
pub(super) fn missing(queue: &str) -> Failure {
    Failure::give_up(
        Reason::BrokerRejected,
        format!("queue {queue} does not exist: its job has ended or was never submitted"),
    )
}
