//! One run of one job in this process, whether it was begun just now or resumes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::azcopy_json::{self, Ending, LISTED};
use super::output::Output;
use super::progress::Progress;
use super::state::{self, JobFolder};
use super::wiring::Wiring;
use crate::board::{self, Board};
use crate::broker::Broker;
use crate::broker::embedded::FILE as QUEUE;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::copier::{Copier, Speed};
use crate::expiry;
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobId, JobSpec, JobStatus};
use crate::lister::Lister;
use crate::logging::{job_log_broken, open_job_log};
use crate::metrics::{Metrics, Role};
use crate::process::say;
use crate::prompt::Prompter;
use crate::reporter::book::JobAccount;
use crate::reporter::ledger::{self, EndingKind, Ledger};
use crate::reporter::summary::Summary;
use crate::reporter::{self, LedgerHandle, Reporter};
use crate::retry::RetryPolicy;
use crate::serve;

/// List tasks worked on at a time.
const LIST_CONCURRENCY: u16 = 8;
/// How long the roles may take to stop; each bounds its own work by `DRAIN`.
const STOP: Duration = Duration::from_secs(30);

/// What a run needs beside its job.
#[derive(Debug)]
pub(super) struct Means<'a> {
    pub(super) wiring: &'a Wiring,
    pub(super) folder: &'a JobFolder,
    pub(super) speed: Speed,
    pub(super) output: &'a Output,
    pub(super) metrics: Metrics,
    /// The job's log, if there is one.
    pub(super) log: Option<&'a PathBuf>,
}

/// Opens a job's log; false where nothing is to be logged.
pub(super) fn open_log(path: &Path, job: &JobId) -> Result<bool> {
    let head = format!("blobfleet {}, job {job}", env!("CARGO_PKG_VERSION"));
    open_job_log(path, &head)
}

/// The metrics of a run, served where an address is given.
pub(super) async fn metrics(
    listen: Option<SocketAddr>,
    shutdown: &CancellationToken,
) -> Result<Metrics> {
    let metrics = Metrics::new(Role::Copy)?;
    if let Some(address) = listen {
        serve::start(address, metrics.clone(), Router::new(), shutdown.clone()).await?;
    }
    Ok(metrics)
}

/// Works on a job of the log until its end or `shutdown`; prints what it came to and gives the
/// exit code.
///
/// # Errors
/// What kept the job from being worked on at all.
pub(super) async fn run(
    broker: Arc<dyn Broker>,
    spec: Arc<JobSpec>,
    means: Means<'_>,
    shutdown: CancellationToken,
) -> Result<u8> {
    let run = Run {
        broker,
        ledger: LedgerHandle::open(&means.folder.path)?,
        folder: means.folder.path.clone(),
        clients: means.wiring.clients(),
        metrics: means.metrics,
        clock: means.wiring.clock.clone(),
        speed: means.speed,
        prompter: Prompter::of(spec.options.overwrite)?,
        spec,
    };
    run.belong_together().await?;
    // A process before this one may have put work back without telling the log.
    reporter::send_rest(&*run.broker, &run.ledger).await?;
    run.go_on_by_both().await?;
    let (job, ledger) = (run.spec.id.clone(), run.ledger.clone());
    let mut progress = Progress::new(means.output.clone());
    progress.begin(&job, means.log)?;
    let (summary, failure) = run.work(&mut progress, shutdown).await?;
    let ending = match progress.lists_objects() {
        true => ledger.with(move |ledger| ending(ledger, &job)).await??,
        false => Ending::default(),
    };
    progress.finish(&summary, ending, failure.as_ref())?;
    match failure {
        Some(failure) => {
            say(&failure.message);
            Ok(1)
        }
        None => Ok(summary.exit_code()),
    }
}

/// The first of the objects that failed and of those that were left out.
fn ending(ledger: &mut Ledger, job: &JobId) -> Result<Ending> {
    let lines = |kind| ledger.endings(job, kind, LISTED);
    Ok(Ending {
        failed: azcopy_json::failed(lines(EndingKind::Failed)?),
        skipped: azcopy_json::skipped(lines(EndingKind::Skipped)?),
    })
}

struct Run {
    broker: Arc<dyn Broker>,
    ledger: LedgerHandle,
    folder: PathBuf,
    clients: Clients,
    metrics: Metrics,
    clock: Clock,
    speed: Speed,
    prompter: Prompter,
    spec: Arc<JobSpec>,
}

impl Run {
    /// Refuses a queue and a ledger of which one was lost: each would begin the job anew.
    async fn belong_together(&self) -> Result<()> {
        let in_charge = board::read(&*self.broker).await?.ledger;
        let job = self.spec.id.clone();
        let (id, begun) = self
            .ledger
            .with(move |ledger| {
                let begun = ledger.book().jobs.contains_key(&job);
                (ledger.id().to_owned(), begun)
            })
            .await?;
        let lost = match in_charge {
            Some(other) if other != id => ledger::FILE,
            None if begun => QUEUE,
            _ => return Ok(()),
        };
        let lost = self.folder.join(lost);
        Err(Failure::stop(
            Reason::LocalState,
            format!(
                "{} was lost or is another job's: restore it, or move its folder away and run \
                 again to start the job anew",
                lost.display()
            ),
        ))
    }

    /// Refuses a job that has ended by its queue and runs by its ledger: nobody would work on it.
    async fn go_on_by_both(&self) -> Result<()> {
        let jobs = board::read(&*self.broker).await?;
        let ended = jobs.get(&self.spec.id).is_some_and(|job| job.end.is_some());
        let summary = self.summary().await?;
        if !ended || summary.status != JobStatus::Running {
            return Ok(());
        }
        Err(reporter::older_state(&self.spec.id))
    }

    /// Works until the job has ended or something stops it; gives what it came to.
    async fn work(
        self,
        progress: &mut Progress,
        shutdown: CancellationToken,
    ) -> Result<(Summary, Option<Failure>)> {
        let stop_work = CancellationToken::new();
        let stop_all = CancellationToken::new();
        let (board, following) = Board::follow(self.broker.clone(), stop_all.clone()).await?;
        let mut counting = self.count(&board, &stop_all);
        let watching = expiry::watch(self.clients.clone(), self.metrics.clone());
        let _watching = AbortOnDropHandle::new(tokio::spawn(watching));
        let mut listing = tokio::spawn(self.lister(&board).run(stop_work.clone()));
        let mut copying = tokio::spawn(self.copier(&board).run(stop_work.clone()));
        let mut broken_log = None;
        let mut tick = tokio::time::interval(progress.interval());
        let mut watched = board.clone();
        let mut asked = pin!(state::cancel_asked(self.folder.clone()));
        let failure = loop {
            if board.has_ended(&self.spec.id) {
                break None;
            }
            tokio::select! {
                () = shutdown.cancelled() => break None,
                done = &mut counting => break stopped("reporter", done),
                done = &mut listing => break stopped("lister", done),
                done = &mut copying => break stopped("copier", done),
                failure = job_log_broken() => {
                    broken_log = Some(failure);
                    break None;
                }
                _ = watched.changed() => {}
                () = &mut asked => {
                    self.cancel().await?;
                    asked.set(state::cancel_asked(self.folder.clone()));
                }
                _ = tick.tick() => progress.show(&self.summary().await?)?,
            }
        };
        stop_work.cancel();
        drained([&mut listing, &mut copying]).await;
        stop_all.cancel();
        if !counting.is_finished() {
            stopped("reporter", counting.await);
        }
        stopped("job log", following.await);
        let mut summary = self.summary().await?;
        let closed = self.broker.close().await;
        if summary.status == JobStatus::Running {
            summary.status = JobStatus::Interrupted;
            return Ok((summary, failure.or(broken_log).or(closed.err())));
        }
        // The job has ended all the same: there is nothing to be resumed.
        if let Some(failure) = broken_log {
            say(&failure.message);
        }
        Ok((summary, failure))
    }

    /// Ends the job, once it has an account; the reporter tells the log, by which this run hears of it.
    async fn cancel(&self) -> Result<()> {
        let (job, now_ms) = (self.spec.id.clone(), self.clock.unix_ms());
        let ended = self
            .ledger
            .with(move |ledger| ledger.cancel(&job, now_ms))
            .await??;
        if ended {
            tracing::info!(job.id = %self.spec.id, "job cancelled");
        }
        Ok(())
    }

    async fn summary(&self) -> Result<Summary> {
        let now_ms = self.clock.unix_ms();
        match self.ledger.summary(self.spec.id.clone(), now_ms).await? {
            Some(summary) => Ok(summary),
            None => Ok(Summary::of(&JobAccount::new(self.spec.clone()), now_ms)),
        }
    }

    fn count(&self, board: &Board, stop: &CancellationToken) -> JoinHandle<Result<()>> {
        let reporter = Reporter {
            broker: self.broker.clone(),
            board: board.clone(),
            ledger: self.ledger.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
            adopt: false,
        };
        tokio::spawn(reporter.run(stop.clone()))
    }

    fn lister(&self, board: &Board) -> Lister {
        Lister {
            broker: self.broker.clone(),
            board: board.clone(),
            clients: self.clients.clone(),
            metrics: self.metrics.clone(),
            concurrency: LIST_CONCURRENCY,
            retry: RetryPolicy::default(),
        }
    }

    fn copier(&self, board: &Board) -> Copier {
        Copier {
            broker: self.broker.clone(),
            board: board.clone(),
            clients: self.clients.clone(),
            metrics: self.metrics.clone(),
            speed: self.speed.clone(),
            retry: RetryPolicy::default(),
            prompter: self.prompter.clone(),
            many_jobs: false,
        }
    }
}

/// Waits for roles that were asked to stop, but not for ever.
async fn drained(roles: [&mut JoinHandle<Result<()>>; 2]) {
    let ended = async {
        for role in roles {
            if !role.is_finished() {
                stopped("worker", role.await);
            }
        }
    };
    if tokio::time::timeout(STOP, ended).await.is_err() {
        tracing::warn!("work begun was not finished in time; it will be done again");
    }
}

/// What ended a role, if it was not asked to end.
fn stopped(
    role: &str,
    done: std::result::Result<Result<()>, tokio::task::JoinError>,
) -> Option<Failure> {
    match done {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => {
            tracing::debug!(role, %failure, "stopped");
            Some(failure)
        }
        Err(error) => Some(Failure::stop(
            Reason::Internal,
            format!("the {role} failed: {error}"),
        )),
    }
}
