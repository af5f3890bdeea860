//! The reporter: accepts pages, hands out list work, folds outcomes into exact totals.
//!
//! Order rule: folded and durable → ack. What must be sent because of a fold goes through the
//! ledger's outbox and is sent until it is confirmed.

pub mod book;
mod charge;
mod gauges;
mod handle;
mod intake;
pub mod ledger;
mod outbox;
mod parked;
pub mod serve;
mod stall;
pub mod summary;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use charge::older_state;
pub use handle::LedgerHandle;
pub use serve::{refuses_repair, refuses_retry};

use crate::board::{self, Board};
use crate::broker::{Broker, Queue};
use crate::clock::Clock;
use crate::failure::Result;
use crate::job::{JobId, JobSpec};
use crate::metrics::Metrics;
use gauges::JobMessages;
use intake::Intake;
use ledger::Counted;
use stall::{Seen, Stalls};

/// How often metrics are refreshed and an outbox that could not be sent is tried again.
const TICK: Duration = Duration::from_secs(1);
/// Outcome messages taken at a time; each holds up to a hundred outcomes.
const WINDOW: u16 = 200;

/// Everything a reporter works with.
#[derive(Debug)]
pub struct Reporter {
    /// Where reports come from and list work goes.
    pub broker: Arc<dyn Broker>,
    /// The job log as this process follows it.
    pub board: Board,
    /// The ledger.
    pub ledger: LedgerHandle,
    /// Metrics of this process.
    pub metrics: Metrics,
    /// Wall clock, for the end of jobs.
    pub clock: Clock,
    /// Take charge of a log that another ledger has written to.
    pub adopt: bool,
}

/// What has been said of jobs and need not be said again.
#[derive(Debug, Default)]
struct Told {
    stalls: Stalls,
    unbalanced: BTreeSet<JobId>,
}

/// Ends a job that nobody works on, in the ledger and in the log; one that has ended stays as it
/// is. The broker and the ledger are this process's alone.
///
/// # Errors
/// The disk.
pub async fn cancel(
    broker: &dyn Broker,
    ledger: &LedgerHandle,
    spec: Arc<JobSpec>,
    now_ms: i64,
) -> Result<()> {
    let job = spec.id.clone();
    catch_up(broker, ledger, now_ms).await?;
    ledger
        .with(move |ledger| ledger.submit(&spec, now_ms))
        .await??;
    ledger
        .with(move |ledger| ledger.cancel(&job, now_ms))
        .await??;
    outbox::flush(broker, ledger).await
}

/// Sends what an earlier process left to be sent. The broker and the ledger are this process's
/// alone.
///
/// # Errors
/// The broker, or the disk.
pub async fn send_rest(broker: &dyn Broker, ledger: &LedgerHandle) -> Result<()> {
    outbox::flush(broker, ledger).await
}

/// The same, and takes over what the job log knows of later: the ledger may have been restored from
/// an older state.
///
/// # Errors
/// The broker, or the disk.
pub async fn catch_up(broker: &dyn Broker, ledger: &LedgerHandle, now_ms: i64) -> Result<()> {
    outbox::flush(broker, ledger).await?;
    let jobs = board::read(broker).await?;
    charge::catch_up(ledger, &jobs, now_ms).await?;
    outbox::flush(broker, ledger).await
}

impl Reporter {
    /// Works until `shutdown`; what was taken is folded before it returns.
    ///
    /// # Errors
    /// Another ledger is in charge of the log, the disk, or the broker refusing for good.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<()> {
        let how = (self.adopt, self.clock.unix_ms());
        let charge = charge::take(&*self.broker, &self.board, &self.ledger, how).await?;
        self.open_accounts().await?;
        let consumer = self.broker.consume(&Queue::Outcome, WINDOW).await?;
        let mut intake = Intake::new(consumer);
        let mut told = Told::default();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                followed = self.board.changed() => {
                    if !followed { return Ok(()); }
                    charge::keep(&self.board, &charge)?;
                    self.open_accounts().await?;
                }
                batch = intake.next() => self.fold(batch?).await?,
                _ = tick.tick() => self.refresh(&mut told).await?,
            }
            outbox::flush(&*self.broker, &self.ledger).await?;
        }
    }

    /// Opens an account for every running job of the log that has none.
    async fn open_accounts(&self) -> Result<()> {
        let running: Vec<(Arc<JobSpec>, u32)> = self
            .board
            .jobs()
            .running()
            .map(|job| (job.spec.clone(), job.round))
            .collect();
        for (spec, round) in running {
            let now_ms = self.clock.unix_ms();
            let id = spec.id.clone();
            if self
                .ledger
                .with(move |ledger| ledger.book().jobs.contains_key(&id))
                .await?
            {
                continue;
            }
            self.broker.declare_job(&spec.id).await?;
            tracing::info!(job.id = %spec.id, roots = spec.roots.len(), "job accepted");
            self.ledger
                .with(move |ledger| ledger.submit_in(&spec, round, now_ms))
                .await??;
        }
        Ok(())
    }

    async fn fold(&self, batch: intake::Batch) -> Result<()> {
        let now_ms = self.clock.unix_ms();
        for outcome in batch.outcomes() {
            self.metrics.outcomes.with_label_values(&[outcome]).inc();
        }
        let (reports, deliveries) = batch.into_parts();
        self.ledger
            .with(move |ledger| ledger.fold(reports, now_ms))
            .await??;
        for delivery in deliveries {
            if let Err(failure) = delivery.ack().await {
                tracing::debug!(%failure, "outcome will be delivered again");
            }
        }
        Ok(())
    }

    async fn refresh(&self, told: &mut Told) -> Result<()> {
        let now_ms = self.clock.unix_ms();
        let glance = gauges::refresh(&*self.broker, &self.ledger, &self.metrics, now_ms).await?;
        for (job, objects) in glance.unbalanced {
            if told.unbalanced.insert(job.clone()) {
                tracing::error!(
                    job.id = %job,
                    objects,
                    "the job's totals do not add up: compare source and destination at its end"
                );
            }
        }
        let Some(waiting) = glance.waiting else {
            return Ok(());
        };
        let counts = waiting
            .iter()
            .map(|one| {
                let (messages, pages) = (one.own, one.pages);
                (one.job.clone(), Counted { messages, pages })
            })
            .collect();
        self.ledger
            .with(move |ledger| ledger.note_waiting(counts))
            .await?;
        let running: Vec<_> = waiting.iter().map(|one| one.job.clone()).collect();
        told.stalls.keep(&running);
        for JobMessages {
            job, own, common, ..
        } in waiting
        {
            if let Some(seen) = self.seen(&job, own + common).await?
                && told.stalls.look(&job, seen, now_ms)
            {
                tracing::warn!(
                    job.id = %job,
                    open = seen.open,
                    "nothing waits in the job's queues and nothing has come for ten minutes: if \
                     the broker lost its messages, blobfleet jobs repair {job} puts them back"
                );
            }
        }
        Ok(())
    }

    async fn seen(&self, job: &JobId, waiting: u64) -> Result<Option<Seen>> {
        let job = job.clone();
        let seen = self.ledger.with(move |ledger| {
            let account = ledger.book().jobs.get(&job)?;
            let totals = &account.totals;
            Some(Seen {
                waiting,
                open: account.open() + account.issued(),
                heard: totals.pages + totals.copied + totals.skipped + totals.failed,
            })
        });
        seen.await
    }
}
