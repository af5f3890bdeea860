//! `jobs resume`: goes on with a job from what is stored of it.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use super::cancel;
use super::list::summary;
use super::show::not_begun;
use crate::board;
use crate::broker::Broker;
use crate::broker::embedded::EmbeddedBroker;
use crate::clock::Clock;
use crate::command::output::Output;
use crate::command::run::{self, Means};
use crate::command::state::{self, JobFolder};
use crate::command::wiring::{AWS_HOME, Wiring};
use crate::config::{Env, ResumeJob};
use crate::destination::url::DestinationUrl;
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobSpec, JobStatus};

pub(super) async fn run(
    command: ResumeJob,
    output: &Output,
    env: Env,
    shutdown: CancellationToken,
) -> Result<u8> {
    let found = state::find(&command.jobs.state.folder()?, &command.job)?;
    let folder = JobFolder::take(&found)?.ok_or_else(state::busy)?;
    let broker: Arc<dyn Broker> = EmbeddedBroker::open(&folder.path)?;
    let known = board::read(&*broker).await?.get(&folder.id()).cloned();
    let Some(known) = known else {
        return Err(not_begun(folder.id().as_str()));
    };
    if let Some(end) = &known.end {
        return Err(ended(&known.spec, end.status));
    }
    if folder.cancel_asked() {
        broker.close().await?;
        drop(broker);
        let clock = Clock::system();
        cancel::end(&folder, &clock).await?;
        let status = summary(&found, &clock)?.map_or(JobStatus::Cancelled, |job| job.status);
        return Err(ended(&known.spec, status));
    }
    let log = command.job_log.path(env, &folder.path, &folder.id());
    let logged = run::open_log(&log, &folder.id())?;
    let wiring = wiring(&command, &known.spec, env).await?;
    let means = Means {
        wiring: &wiring,
        folder: &folder,
        speed: command.speed.speed(env)?,
        output,
        metrics: run::metrics(command.listen, &shutdown).await?,
        log: logged.then_some(&log),
    };
    tracing::info!(job.id = %known.spec.id, "resuming the job");
    run::run(broker, known.spec.clone(), means, shutdown).await
}

fn ended(spec: &JobSpec, status: JobStatus) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!(
            "job {} has ended: {status}: run its copy command again to copy {} anew",
            spec.id, spec.source
        ),
    )
}

/// The clouds as the job needs them, with the credentials of now.
async fn wiring(command: &ResumeJob, spec: &JobSpec, env: Env) -> Result<Wiring> {
    let destination = destination(spec, command.destination_sas.as_ref())?;
    let plain = spec.endpoint.is_plain_http() && destination.account_url().starts_with("http:");
    let home = spec.roots.first().map(|root| root.region.as_str());
    let home = home.filter(|region| !region.is_empty()).unwrap_or(AWS_HOME);
    let wiring = Wiring::new(&command.s3(), home, Some(&destination), plain, env)?;
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
