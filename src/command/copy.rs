//! `blobfleet copy`: lister, copier and reporter in one process on the embedded queue.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::again;
use super::azcopy_json::Ending;
use super::dry_run;
use super::jobs::cancel;
use super::output::Output;
use super::progress::Progress;
use super::run::{self, Means};
use super::state::{self, JobFolder};
use super::wiring::{self, Wiring};
use crate::board;
use crate::broker::Broker;
use crate::broker::embedded::EmbeddedBroker;
use crate::clock::Clock;
use crate::config::{CopyCommand, Env};
use crate::copier::probe::{self, Writers};
use crate::failure::Result;
use crate::job::JobSpec;
use crate::message::JobEvent;
use crate::metrics::Metrics;
use crate::prompt::Prompter;
use crate::source::credentials::Credentials;
use crate::submit::Request;

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
    let output = Output::new(&command.output, Clock::system());
    let done = begin(command, credentials, (&output, env), shutdown).await;
    output.told(done)
}

async fn begin(
    mut command: CopyCommand,
    credentials: Option<Credentials>,
    (output, env): (&Output, Env),
    shutdown: CancellationToken,
) -> Result<u8> {
    command.check()?;
    command.s3.settings = wiring::read_settings(env).await?;
    let places = (command.source.as_str(), command.destination.as_str());
    let request = command.copy.request(&command.s3, places, env)?;
    // Whether there is somebody to ask is said before anything is begun.
    Prompter::of(request.options.overwrite)?;
    let plain = request.source.endpoint.is_plain_http()
        && request.destination.account_url().starts_with("http:");
    let home = request.source.home_region();
    let mut wiring = Wiring::new(
        &command.s3.access,
        home,
        Some(&request.destination),
        plain,
        env,
    )?;
    if let Some(credentials) = credentials {
        wiring.credentials = credentials;
    }
    wiring.check_destination(&request.destination).await?;
    let request = wiring.find_addressing(request, &command.s3).await?;
    if command.dry_run {
        return dry_run::run(&request, &wiring, output, &shutdown).await;
    }
    let folder = folder(&command, &request, &wiring).await?;
    if !command.copy.new
        && let Some(ended) = folder.ended.clone()
    {
        folder.discard_unless_begun();
        output.note(&again::no_run(&ended))?;
        Progress::new(output.clone()).finish(&ended, Ending::default(), None)?;
        return Ok(ended.exit_code());
    }
    let done = work(
        &command,
        &request,
        (&wiring, &folder),
        (output, env),
        shutdown,
    )
    .await;
    if done.is_err() {
        folder.discard_unless_begun();
    }
    done
}

/// The job's folder, locked. A run whose cancelling was asked for, but did not come about, is
/// cancelled now: what follows is a new one.
async fn folder(command: &CopyCommand, request: &Request, wiring: &Wiring) -> Result<JobFolder> {
    let folder = state::open(&command.state.folder()?, &request.identity())?;
    if !folder.cancel_asked() {
        return Ok(folder);
    }
    match cancel::end(&folder, &wiring.clock).await? {
        true => folder.next_run(),
        false => folder.anew(),
    }
}

/// Submits the job, or finds it submitted, and works on it.
async fn work(
    command: &CopyCommand,
    request: &Request,
    (wiring, folder): (&Wiring, &JobFolder),
    (output, env): (&Output, Env),
    shutdown: CancellationToken,
) -> Result<u8> {
    let log = command.job_log.path(env, &folder.path, &folder.id());
    let logged = run::open_log(&log, &folder.id())?;
    if let Some(ended) = &folder.ended {
        let begins = again::new_run(ended, &folder.id(), request.options.overwrite);
        tracing::info!(job.id = %folder.id(), "{begins}");
        output.note(&begins)?;
    }
    let metrics = run::metrics(command.listen, &shutdown).await?;
    let broker: Arc<dyn Broker> = EmbeddedBroker::open(&folder.path)?;
    let spec = submit(&*broker, request, (wiring, &metrics), folder).await?;
    let means = Means {
        wiring,
        folder,
        speed: command.speed.speed(env)?,
        output,
        metrics,
        log: logged.then_some(&log),
    };
    run::run(broker, spec, means, shutdown).await
}

/// Writes the job into the log, unless it stands there already: then it is resumed.
async fn submit(
    broker: &dyn Broker,
    request: &Request,
    (wiring, metrics): (&Wiring, &Metrics),
    folder: &JobFolder,
) -> Result<Arc<JobSpec>> {
    let job = request.job_id(folder.run);
    if let Some(known) = board::read(broker).await?.get(&job) {
        tracing::info!(job.id = %job, "resuming the job");
        return Ok(known.spec.clone());
    }
    let source = wiring
        .source(&request.source)
        .with_requester_pays(request.requester_pays);
    let now_ms = wiring.clock.unix_ms();
    let destination_clock = wiring.read_destination_clock(&request.destination).await;
    let spec = JobSpec {
        destination_clock,
        ..request.plan(&source, job.clone(), now_ms).await?
    };
    let clients = wiring.clients().of(&spec)?;
    probe::check(&clients, &spec, metrics, Writers::Ourselves).await?;
    tracing::info!(job.id = %job, roots = spec.roots.len(), "job submitted");
    board::append(
        broker,
        Some(&job),
        &JobEvent::Submitted(Box::new(spec.clone())),
    )
    .await?;
    Ok(Arc::new(spec))
}
