//! The copier: takes copy tasks, has Azure fetch the objects, reports what became of them.
//!
//! Order rule: copied → verified → outcome confirmed → ack. A copier keeps no state: killed at any
//! point, its unacknowledged tasks come back to another and are copied again.

mod attempt;
mod blocks;
mod carry;
mod containers;
mod digests;
mod etags;
mod existing;
mod hold;
mod intake;
#[cfg(test)]
mod lone;
mod object;
mod outcomes;
mod overwrite;
mod passage;
pub mod plan;
pub(crate) mod probe;
mod proof;
#[cfg(test)]
mod put_back;
mod refusals;
mod relay;
mod seat;
mod supply;
pub(crate) mod target;
mod told;
mod transfer;
mod wake;
mod whole;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::board::{Board, KnownJob};
use crate::broker::Broker;
use crate::clients::Clients;
use crate::failure::{Failure, Reason, Result};
use crate::job::JobId;
use crate::limit::Limits;
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::prompt::Prompter;
use crate::retry::RetryPolicy;
pub(crate) use containers::Containers;
use etags::OddEtags;
use hold::Holds;
use outcomes::Outcomes;
use refusals::Refusals;
use told::Told;
use wake::Woken;

/// How much a copier does at a time, and how patiently.
#[derive(Clone, Debug)]
pub struct Speed {
    /// The most requests in flight at an account; how many there are is found out.
    pub concurrency: u16,
    /// How long a bucket that denies everything is held before its objects fail.
    pub hold: Duration,
    /// The cap on bytes copied, where there is one.
    pub pace: Option<Pace>,
}

/// Everything a copier works with.
#[derive(Clone, Debug)]
pub struct Copier {
    /// Where copy tasks come from and outcomes go.
    pub broker: Arc<dyn Broker>,
    /// The job log as this process follows it.
    pub board: Board,
    /// The clouds.
    pub clients: Clients,
    /// Metrics of this process.
    pub metrics: Metrics,
    /// How much at a time.
    pub speed: Speed,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Who is asked before a blob is replaced.
    pub prompter: Prompter,
    /// It works on other jobs too: what one of them is refused for stops no other.
    pub many_jobs: bool,
}

/// What the copier's tasks share.
#[derive(Clone, Debug)]
struct Shared {
    copier: Copier,
    limits: Limits,
    holds: Holds,
    /// Containers that deny writes, where others go on beside them.
    held_containers: Holds,
    odd_etags: OddEtags,
    refusals: Refusals,
    told: Told,
    /// Blocks that large objects may have planned.
    planned: Arc<Semaphore>,
    /// Memory for relayed content, in MiB.
    relay_memory: Arc<Semaphore>,
    outcomes: Outcomes,
    /// The job has objects in several buckets.
    several: bool,
    /// One job's deliveries that are not settled yet.
    unsettled: TaskTracker,
    shutdown: CancellationToken,
}

impl Copier {
    /// Works on every running job until `shutdown`; objects begun are finished first.
    ///
    /// # Errors
    /// What no copy of any object can succeed with: credentials refused by the destination, a
    /// message of a newer version, or the broker refusing for good.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let (outcomes, publishing) = Outcomes::start(self.broker.clone());
        let shared = Shared {
            limits: Limits::new(self.speed.concurrency, self.metrics.clone()),
            holds: Holds::new(self.speed.hold, &self.metrics),
            held_containers: Holds::of_containers(self.speed.hold, &self.metrics),
            odd_etags: OddEtags::default(),
            refusals: Refusals::default(),
            told: Told::default(),
            planned: Arc::new(Semaphore::new(seat::PLANNED)),
            relay_memory: Arc::new(Semaphore::new(relay::MEMORY)),
            outcomes,
            several: false,
            unsettled: TaskTracker::new(),
            shutdown: shutdown.child_token(),
            copier: self,
        };
        let result = supervise(&shared).await;
        shared.shutdown.cancel();
        drop(shared);
        publishing
            .await
            .map_err(|error| Failure::stop(Reason::Internal, format!("copier: {error}")))?;
        result
    }
}

/// Runs one worker for each running job, until shutdown or the first failure.
async fn supervise(shared: &Shared) -> Result<()> {
    let mut board = shared.copier.board.clone();
    let mut working: JoinSet<((JobId, u32), Result<()>)> = JoinSet::new();
    let mut known: HashMap<JobId, (u32, CancellationToken)> = HashMap::new();
    let mut woken = Woken::new(&board);
    let result = loop {
        woken.follow(shared);
        for (job, stop) in news(&board, &mut known, &shared.shutdown) {
            let shared = Shared {
                several: seat::has_several(&job.spec),
                unsettled: TaskTracker::new(),
                ..shared.clone()
            };
            let life = (job.spec.id.clone(), job.reopened);
            working.spawn(async move { (life, worker::run(shared, job.spec, stop).await) });
        }
        tokio::select! {
            () = shared.shutdown.cancelled() => break Ok(()),
            followed = board.changed() => if !followed { break Ok(()) },
            Some(done) = working.join_next() => {
                if let Err(failure) = ended(&mut board, done).await {
                    break Err(failure);
                }
            }
        }
    };
    shared.shutdown.cancel();
    while let Some(done) = working.join_next().await {
        if let Err(failure) = ended(&mut board, done).await {
            tracing::debug!(%failure, "a worker stopped");
        }
    }
    result
}

/// Starts jobs that are new or go on after an end, and stops those that have ended.
fn news(
    board: &Board,
    known: &mut HashMap<JobId, (u32, CancellationToken)>,
    shutdown: &CancellationToken,
) -> Vec<(KnownJob, CancellationToken)> {
    let jobs = board.jobs();
    let mut started = Vec::new();
    for job in jobs.iter() {
        let here = known.get(&job.spec.id);
        // The queues of an earlier life are gone, whether its end was seen here or not.
        let at_work = here.is_some_and(|(life, _)| *life == job.reopened);
        if let Some((_, stop)) = here
            && !(at_work && job.end.is_none() && !job.unreadable)
        {
            stop.cancel();
        }
        if job.end.is_none() && !job.unreadable && !at_work {
            let stop = shutdown.child_token();
            known.insert(job.spec.id.clone(), (job.reopened, stop.clone()));
            started.push((job.clone(), stop));
        }
    }
    started
}

async fn ended(
    board: &mut Board,
    done: std::result::Result<((JobId, u32), Result<()>), tokio::task::JoinError>,
) -> Result<()> {
    let ((job, life), result) =
        done.map_err(|error| Failure::stop(Reason::Internal, format!("a copier failed: {error}")))?;
    match result {
        Err(failure)
            if failure.reason == Reason::BrokerRejected && board.ends_soon(&job, life).await =>
        {
            tracing::debug!(job.id = %job, %failure, "the job's queues are gone");
            Ok(())
        }
        other => other,
    }
}
