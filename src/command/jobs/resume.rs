//! `jobs resume`: goes on with a job from what is stored of it.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use super::cancel;
use super::show::not_begun;
use crate::board::{self, KnownJob};
use crate::broker::Broker;
use crate::broker::embedded::EmbeddedBroker;
use crate::clock::Clock;
use crate::command::output::Output;
use crate::command::run::{self, Means};
use crate::command::state::{self, FoundJob, JobFolder};
use crate::command::wiring::{AWS_HOME, Wiring};
use crate::config::{Env, ResumeJob};
use crate::destination::url::DestinationUrl;
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobSpec, JobStatus};
use crate::reporter::{self, LedgerHandle};

pub(super) async fn run(
    command: ResumeJob,
    output: &Output,
    env: Env,
    shutdown: CancellationToken,
) -> Result<u8> {
    let found = state::find(&command.jobs.state.folder()?, &command.job)?;
    let job = AtRest::take(&found).await?;
    if let Some(end) = &job.known.end {
        let id = job.known.spec.id.clone();
        let summary = job.ledger.summary(id.clone(), end.ended_at_ms).await?;
        let runs = summary.is_some_and(|summary| summary.status == JobStatus::Running);
        return Err(match runs {
            true => reporter::older_state(&id),
            false => ended(&job.known.spec, end.status),
        });
    }
    let ready = ready(&command, &job, env).await?;
    tracing::info!(job.id = %job.known.spec.id, "resuming the job");
    go_on(&command, job, ready, (output, env), shutdown).await
}

/// A job of this machine that nobody else works on; what was to be sent for it is sent.
pub(super) struct AtRest {
    pub(super) folder: JobFolder,
    pub(super) ledger: LedgerHandle,
    pub(super) known: KnownJob,
    broker: Arc<dyn Broker>,
}

impl AtRest {
    /// Takes a job; one whose cancelling was asked for is cancelled now.
    pub(super) async fn take(found: &FoundJob) -> Result<Self> {
        let folder = JobFolder::take(found)?.ok_or_else(|| at_work(found))?;
        let broker: Arc<dyn Broker> = EmbeddedBroker::open(&folder.path)?;
        if !board::read(&*broker).await?.contains(&folder.id()) {
            return Err(not_begun(folder.id().as_str()));
        }
        if folder.cancel_asked() {
            broker.close().await?;
            drop(broker);
            cancel::end(&folder, &Clock::system()).await?;
            return Self::with(EmbeddedBroker::open(&folder.path)?, folder).await;
        }
        Self::with(broker, folder).await
    }

    async fn with(broker: Arc<dyn Broker>, folder: JobFolder) -> Result<Self> {
        let ledger = LedgerHandle::open(&folder.path)?;
        reporter::catch_up(&*broker, &ledger, Clock::system().unix_ms()).await?;
        let known = board::read(&*broker).await?.get(&folder.id()).cloned();
        Ok(Self {
            known: known.ok_or_else(|| not_begun(folder.id().as_str()))?,
            folder,
            ledger,
            broker,
        })
    }

    /// Leaves it as it is.
    pub(super) async fn close(self) -> Result<()> {
        self.broker.close().await
    }
}

/// What a job needs to go on in this process.
pub(super) struct Ready {
    wiring: Wiring,
    log: PathBuf,
    logged: bool,
}

/// Makes sure that the job can go on.
pub(super) async fn ready(command: &ResumeJob, job: &AtRest, env: Env) -> Result<Ready> {
    let log = command
        .job_log
        .path(env, &job.folder.path, &job.folder.id());
    let logged = run::open_log(&log, &job.folder.id())?;
    Ok(Ready {
        wiring: wiring(command, &job.known.spec, env).await?,
        log,
        logged,
    })
}

/// Works on the job until its end or `shutdown`; gives the exit code.
pub(super) async fn go_on(
    command: &ResumeJob,
    job: AtRest,
    ready: Ready,
    (output, env): (&Output, Env),
    shutdown: CancellationToken,
) -> Result<u8> {
    let AtRest {
        folder,
        ledger,
        known,
        broker,
    } = job;
    // The run opens it for itself.
    drop(ledger);
    let means = Means {
        wiring: &ready.wiring,
        folder: &folder,
        speed: command.speed.speed(env)?,
        output,
        metrics: run::metrics(command.listen, &shutdown).await?,
        log: ready.logged.then_some(&ready.log),
    };
    run::run(broker, known.spec, means, shutdown).await
}

/// A job's identity is locked, so that another of its runs is in the way too.
fn at_work(found: &FoundJob) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!(
            "another process is working on this job: wait until it has ended, or interrupt it \
             (Ctrl-C; what it has done is kept); blobfleet jobs show {} tells how far it is",
            found.id
        ),
    )
}

fn ended(spec: &JobSpec, status: JobStatus) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!(
            "job {} has ended: {status}: {}run its copy command again to copy {} anew",
            spec.id,
            match status {
                JobStatus::CompletedWithErrors
                | JobStatus::CompletedWithErrorsAndSkipped
                | JobStatus::Failed => "jobs retry puts back what failed; ",
                _ => "",
            },
            spec.source
        ),
    )
}
/// The clouds as the job needs them, with the credentials of now.
async fn wiring(command: &ResumeJob, spec: &JobSpec, env: Env) -> Result<Wiring> {
    let destination = destination(spec, command.destination_sas.as_ref())?;
    let plain = spec.endpoint.is_plain_http() && destination.account_url().starts_with("http:");
    let home = spec.roots.first().map(|root| root.region.as_str());
    let home = home.filter(|region| !region.is_empty()).unwrap_or(AWS_HOME);
    let wiring = Wiring::new(&command.access(), home, Some(&destination), plain, env)?;
    wiring.check_destination(&destination).await?;
    Ok(wiring)
}

fn destination(spec: &JobSpec, sas: Option<&SecretString>) -> Result<DestinationUrl> {
    match sas.map(|sas| sas.expose_secret().trim().trim_start_matches('?')) {
        Some(sas) if !sas.is_empty() => {
            DestinationUrl::parse(&format!("{}?{sas}", spec.destination))
        }
        _ => DestinationUrl::parse(&spec.destination),
    }
}
