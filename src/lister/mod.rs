//! The lister: takes list tasks, lists a page each, publishes one copy task per object.
//!
//! Order rule: tasks confirmed → page confirmed → ack. A lister keeps no state between tasks, so
//! it dies without loss, and any number may share a bucket: at each delivery it draws a nonce, and
//! the ledger counts only the first listing it hears of.

mod entry;
pub(crate) mod fetch;
pub mod page;
mod publish;
mod room;
mod told;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::board::{Board, Over};
use crate::broker::{Broker, Delivery, Queue};
use crate::clients::Clients;
use crate::failure::{Failure, Reason, Result};
use crate::job::JobId;
use crate::message::{Headers, ListTask, RangeFailed, Report};
use crate::metrics::Metrics;
use crate::process::DRAIN;
use crate::retry::{Decision, RetryPolicy, Tries};
use crate::text::short;
use room::Room;
use told::Told;

/// How long a task whose job this process has not heard of yet waits for the job log.
const UNKNOWN_JOB_WAIT: Duration = Duration::from_secs(30);
/// How long it is put aside where the log has not told of it by then.
const UNKNOWN_ROUND_WAIT: Duration = Duration::from_secs(5);
/// How long one whose job has no room for more copy tasks goes back.
const NO_ROOM_WAIT: Duration = Duration::from_secs(5);

/// Everything a lister works with.
#[derive(Clone, Debug)]
pub struct Lister {
    /// Where list tasks come from and copy tasks go.
    pub broker: Arc<dyn Broker>,
    /// The job log as this process follows it.
    pub board: Board,
    /// The clouds.
    pub clients: Clients,
    /// Metrics of this process.
    pub metrics: Metrics,
    /// List tasks worked on at a time.
    pub concurrency: u16,
    /// When to try again.
    pub retry: RetryPolicy,
}

/// Why a list task was not finished.
enum Unfinished {
    /// The source, or the broker: try again, or give the range up.
    Failed(Failure),
    /// The job has no room for more copy tasks: give the task back.
    NoRoom,
}

impl Lister {
    /// Works until `shutdown`; tasks begun are finished first.
    ///
    /// # Errors
    /// The broker refusing for good, a message of a newer version, or credentials that nothing
    /// can be listed with.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let mut consumer = self.broker.consume(&Queue::List, self.concurrency).await?;
        let room = Room::new(self.broker.clone(), self.concurrency);
        let told = Told::default();
        let mut working: JoinSet<Result<()>> = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(done) = working.join_next() => finished(done)?,
                delivery = consumer.next() => {
                    let (lister, room, shutdown) = (self.clone(), room.clone(), shutdown.clone());
                    let (delivery, told) = (delivery?, told.clone());
                    working.spawn(async move {
                        lister.handle(delivery, (&room, &told), &shutdown).await
                    });
                }
            }
        }
        let drained = async {
            while let Some(done) = working.join_next().await {
                finished(done)?;
            }
            Ok(())
        };
        timeout(DRAIN, drained).await.unwrap_or(Ok(()))
    }

    async fn handle(
        mut self,
        delivery: Delivery,
        (room, told): (&Room, &Told),
        shutdown: &CancellationToken,
    ) -> Result<()> {
        let task: ListTask = match delivery.message.decode() {
            Ok(task) => task,
            Err(failure) if failure.reason == Reason::NewerVersion => return Err(failure),
            Err(failure) => return self.unreadable(delivery, failure).await,
        };
        let known = timeout(UNKNOWN_JOB_WAIT, self.board.wait_for(&task.job)).await;
        let Ok(Some(job)) = known else {
            let message = delivery.message.clone();
            return settled(delivery.again(message, UNKNOWN_ROUND_WAIT).await);
        };
        match self.board.is_over(&task.job, task.round).await {
            Over::No => {}
            Over::Yes => return settled(delivery.ack().await),
            Over::Unknown => {
                let message = delivery.message.clone();
                return settled(delivery.again(message, UNKNOWN_ROUND_WAIT).await);
            }
        }
        let alone = self.board.jobs().running().nth(1).is_none();
        let listed = match room.wait(&task.job, alone, shutdown).await {
            Ok(true) => self.list(&job.spec, &task).await,
            Ok(false) => Err(Unfinished::NoRoom),
            Err(failure) => Err(Unfinished::Failed(failure)),
        };
        match listed {
            Ok(()) => {
                self.metrics.pages.with_label_values(&["ok"]).inc();
                settled(delivery.ack().await)
            }
            Err(Unfinished::NoRoom) => {
                let message = delivery.message.clone();
                settled(delivery.again(message, NO_ROOM_WAIT).await)
            }
            Err(Unfinished::Failed(failure)) => self.failed(delivery, task, failure, told).await,
        }
    }

    async fn failed(
        self,
        delivery: Delivery,
        task: ListTask,
        failure: Failure,
        told: &Told,
    ) -> Result<()> {
        self.metrics.pages.with_label_values(&["failed"]).inc();
        self.metrics
            .attempt_failures
            .with_label_values(&[failure.reason.as_str()])
            .inc();
        if self.board.has_ended_in(&task.job, task.round) {
            return settled(delivery.ack().await);
        }
        let now_ms = self.clients.clock().unix_ms();
        let tries = Tries::of(&delivery.message.headers, now_ms);
        let attempt = tries.attempt;
        let decision = self.retry.decide(&failure, tries, rand::random());
        let given_up = decision == Decision::GiveUp;
        let about = (task.job.clone(), task.root, failure.reason, given_up);
        let news = told.is_news(about, Instant::now());
        match decision {
            Decision::Stop => Err(failure),
            Decision::Wait(wait) => {
                match news {
                    Some(more) => tracing::warn!(
                        job.id = %task.job, attempt, ?wait, more, %failure,
                        "listing is tried again"
                    ),
                    None => tracing::debug!(
                        job.id = %task.job, attempt, ?wait, %failure,
                        "listing is tried again"
                    ),
                }
                let mut message = delivery.message.clone();
                message.headers.attempt += 1;
                message.headers.since_ms = tries.since_ms(now_ms);
                settled(delivery.again(message, wait).await)
            }
            Decision::GiveUp => {
                match news {
                    Some(more) => tracing::error!(
                        job.id = %task.job, more, %failure,
                        "a range cannot be listed"
                    ),
                    None => {
                        tracing::debug!(job.id = %task.job, %failure, "a range cannot be listed")
                    }
                }
                match self.give_up((task.job, task.id), failure).await {
                    Ok(()) => settled(delivery.ack().await),
                    Err(failure) => {
                        tracing::warn!(%failure, "the task will be delivered again");
                        Ok(())
                    }
                }
            }
        }
    }

    /// A body nobody can read is a named range all the same: it fails and is parked.
    async fn unreadable(self, delivery: Delivery, failure: Failure) -> Result<()> {
        let headers = &delivery.message.headers;
        tracing::error!(
            job.id = short(&headers.job),
            list_task = headers.list_task,
            %failure,
            "a list task cannot be read and is parked"
        );
        let named = (JobId::new(&headers.job), headers.list_task);
        let why = failure.message.clone();
        match self.give_up(named, failure).await {
            Ok(()) => settled(delivery.park(&why).await),
            Err(failure) => {
                tracing::warn!(%failure, "the task will be delivered again");
                Ok(())
            }
        }
    }

    /// Reports that a range cannot be listed.
    async fn give_up(&self, (job, list_task): (JobId, u64), failure: Failure) -> Result<()> {
        let headers = Headers {
            job: job.to_string(),
            ..Headers::default()
        };
        let report = Report::RangeFailed(RangeFailed {
            job,
            list_task,
            reason: failure.reason,
            message: failure.message,
        });
        publish::report(&*self.broker, headers, &report).await
    }
}

/// A settling that failed leaves the message to be delivered again: nothing is lost by it.
fn settled(result: Result<()>) -> Result<()> {
    if let Err(failure) = result {
        tracing::debug!(%failure, "a list task will be delivered again");
    }
    Ok(())
}

fn finished(done: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    done.map_err(|error| Failure::stop(Reason::Internal, format!("a lister failed: {error}")))?
}
