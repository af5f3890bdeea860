//! `blobfleet copy`: lister, copier and reporter in one process on the embedded queue.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::dry_run;
use super::progress::Progress;
use super::state::{self, JobFolder};
use super::wiring::Wiring;
use crate::board::{self, Board};
use crate::broker::Broker;
use crate::broker::embedded::EmbeddedBroker;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::{CopyCommand, Env};
use crate::copier::Copier;
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobSpec, JobStatus, Overwrite};
use crate::lister::Lister;
use crate::message::JobEvent;
use crate::metrics::{Metrics, Role};
use crate::pace::Pace;
use crate::process::say;
use crate::prompt::Prompter;
use crate::reporter::book::JobAccount;
use crate::reporter::summary::Summary;
use crate::reporter::{LedgerHandle, Reporter};
use crate::retry::RetryPolicy;
use crate::serve;
use crate::source::credentials::Credentials;
use crate::submit::Request;

/// List tasks worked on at a time.
const LIST_CONCURRENCY: u16 = 8;
/// Copy tasks waiting above which listing pauses.
const LOW_MARK: u64 = 20_000;
/// How long the roles may take to stop; each bounds its own work by `DRAIN`.
const STOP: Duration = Duration::from_secs(30);

/// Runs the command; gives the exit code.
///
/// # Errors
/// What kept the job from being started or finished: one line for the user.
pub async fn run(command: CopyCommand, env: Env, shutdown: CancellationToken) -> Result<u8> {
    run_as(command, None, env, shutdown).await
}

/// Runs the command with given S3 credentials, where there is no environment to find them in.
///
/// # Errors
/// See [`run`].
pub async fn run_as(
    command: CopyCommand,
    credentials: Option<Credentials>,
    env: Env,
    shutdown: CancellationToken,
) -> Result<u8> {
    command.check()?;
    let places = (command.source.as_str(), command.destination.as_str());
    let request = command.copy.request(&command.s3, places, env)?;
    let prompter = match request.options.overwrite {
        Overwrite::Prompt => Prompter::terminal()?,
        _ => Prompter::nobody(),
    };
    let plain = request.source.endpoint.is_plain_http()
        && request.destination.account_url().starts_with("http:");
    let home = request.source.home_region();
    let mut wiring = Wiring::new(&command.s3, home, Some(&request.destination), plain, env)?;
    if let Some(credentials) = credentials {
        wiring.credentials = credentials;
    }
    wiring.check_destination(&request.destination).await?;
    if command.dry_run {
        return dry_run::run(&request, &wiring, command.output.output_type, &shutdown).await;
    }
    let folder = state::open(&command.state.folder()?, &request.identity())?;
    let metrics = Metrics::new(Role::Copy)?;
    if let Some(address) = command.listen {
        serve::start(address, metrics.clone(), Router::new(), shutdown.clone()).await?;
    }
    let broker: Arc<dyn Broker> = EmbeddedBroker::open(&folder.path)?;
    let spec = submit(&*broker, &request, &wiring, &folder).await?;
    let run = Run {
        broker,
        ledger: LedgerHandle::open(&folder.path)?,
        clients: wiring.clients(),
        metrics,
        clock: wiring.clock.clone(),
        concurrency: command.copy.concurrency(env),
        pace: command.copy.bytes_per_second()?.map(Pace::new),
        prompter,
        spec,
    };
    let mut progress = Progress::new(command.output.output_type);
    let (summary, failure) = run.work(&mut progress, shutdown).await?;
    progress.finish(&summary)?;
    match failure {
        Some(failure) => {
            say(&failure.message);
            Ok(1)
        }
        None => Ok(summary.exit_code()),
    }
}

/// Writes the job into the log, unless it stands there already: then it is resumed.
async fn submit(
    broker: &dyn Broker,
    request: &Request,
    wiring: &Wiring,
    folder: &JobFolder,
) -> Result<Arc<JobSpec>> {
    let job = request.job_id(folder.run);
    if let Some(known) = board::read(broker).await?.get(&job) {
        tracing::info!(job.id = %job, "resuming the job");
        return Ok(known.spec.clone());
    }
    let source = wiring.source(&request.source);
    let planned = request
        .plan(&source, job.clone(), wiring.clock.unix_ms())
        .await;
    let spec = match planned {
        Ok(spec) => spec,
        Err(failure) => {
            broker.close().await?;
            if let Err(error) = std::fs::remove_dir_all(&folder.path) {
                tracing::debug!(%error, "an empty job folder stays behind");
            }
            return Err(failure);
        }
    };
    tracing::info!(job.id = %job, roots = spec.roots.len(), "job submitted");
    board::append(
        broker,
        Some(&job),
        &JobEvent::Submitted(Box::new(spec.clone())),
    )
    .await?;
    Ok(Arc::new(spec))
}

/// One run of one job in this process.
struct Run {
    broker: Arc<dyn Broker>,
    ledger: LedgerHandle,
    clients: Clients,
    metrics: Metrics,
    clock: Clock,
    concurrency: u16,
    pace: Option<Pace>,
    prompter: Prompter,
    spec: Arc<JobSpec>,
}

impl Run {
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
        let mut listing = tokio::spawn(self.lister(&board).run(stop_work.clone()));
        let mut copying = tokio::spawn(self.copier(&board).run(stop_work.clone()));
        let mut tick = tokio::time::interval(progress.interval());
        let mut watched = board.clone();
        let failure = loop {
            if board.has_ended(&self.spec.id) {
                break None;
            }
            tokio::select! {
                () = shutdown.cancelled() => break None,
                done = &mut counting => break stopped("reporter", done),
                done = &mut listing => break stopped("lister", done),
                done = &mut copying => break stopped("copier", done),
                _ = watched.changed() => {}
                _ = tick.tick() => progress.show(&self.summary().await?)?,
            }
        };
        stop_work.cancel();
        let drained = async {
            for role in [&mut listing, &mut copying] {
                if !role.is_finished() {
                    stopped("worker", role.await);
                }
            }
        };
        if tokio::time::timeout(STOP, drained).await.is_err() {
            tracing::warn!("work begun was not finished in time; it will be done again");
        }
        stop_all.cancel();
        if !counting.is_finished() {
            stopped("reporter", counting.await);
        }
        stopped("job log", following.await);
        let mut summary = self.summary().await?;
        if summary.status == JobStatus::Running {
            summary.status = JobStatus::Interrupted;
        }
        self.broker.close().await?;
        Ok((summary, failure))
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
            low_mark: LOW_MARK,
            retry: RetryPolicy::default(),
        }
    }

    fn copier(&self, board: &Board) -> Copier {
        Copier {
            broker: self.broker.clone(),
            board: board.clone(),
            clients: self.clients.clone(),
            metrics: self.metrics.clone(),
            concurrency: self.concurrency,
            retry: RetryPolicy::default(),
            pace: self.pace.clone(),
            prompter: self.prompter.clone(),
        }
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
