//! `jobs cancel`: ends a job where it stands, whether a process works on it or none does.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::list::summary;
use super::show::not_begun;
use super::{Place, told};
use crate::board;
use crate::broker::Broker;
use crate::broker::embedded::EmbeddedBroker;
use crate::clock::Clock;
use crate::command::output::Output;
use crate::command::state::{self, FoundJob, JobFolder};
use crate::config::CancelJob;
use crate::failure::{Failure, Reason, Result};
use crate::job::JobStatus;
use crate::reporter::summary::Summary;
use crate::reporter::{self, LedgerHandle};

/// How long the process at work may take to notice.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn run(command: &CancelJob, output: &Output, clock: &Clock) -> Result<u8> {
    let summary = match Place::of(&command.jobs)? {
        Place::Here(state) => here(&state::find(&state, &command.job)?, clock).await?,
        Place::Fleet(reporter) => {
            let job = reporter.find(&command.job).await?;
            refuse_ended(&job)?;
            reporter.cancel(job.job_id.as_str()).await?
        }
    };
    told(output, &summary)?;
    Ok(0)
}

/// Ends the job itself where nobody works on it, or else asks who does and waits.
async fn here(job: &FoundJob, clock: &Clock) -> Result<Summary> {
    let until = Instant::now() + PATIENCE;
    let mut asked = false;
    loop {
        if let Some(summary) = summary(job, clock)? {
            if asked && summary.status == JobStatus::Cancelled {
                return Ok(summary);
            }
            refuse_ended(&summary)?;
        }
        if let Some(folder) = JobFolder::take(job)? {
            end(&folder, clock).await?;
            drop(folder);
            return summary(job, clock)?.ok_or_else(|| not_begun(job.id.as_str()));
        }
        if !asked {
            state::ask_to_cancel(job)?;
            asked = true;
        }
        if Instant::now() >= until {
            return Err(Failure::stop(
                Reason::LocalState,
                format!(
                    "the process that works on job {} was asked to end it, and has not yet: it \
                     will when it can, or the next run of its command does",
                    job.id
                ),
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn refuse_ended(summary: &Summary) -> Result<()> {
    match summary.status {
        JobStatus::Running | JobStatus::Interrupted => Ok(()),
        status => Err(Failure::stop(
            Reason::LocalState,
            format!("job {} has ended already: {status}", summary.job_id),
        )),
    }
}

/// Ends a job that nobody works on, in the ledger and in the job log; false where it was never
/// submitted.
pub(in crate::command) async fn end(folder: &JobFolder, clock: &Clock) -> Result<bool> {
    let broker: Arc<dyn Broker> = EmbeddedBroker::open(&folder.path)?;
    let jobs = board::read(&*broker).await?;
    let Some(known) = jobs.get(&folder.id()) else {
        broker.close().await?;
        return Ok(false);
    };
    let ledger = LedgerHandle::open(&folder.path)?;
    reporter::cancel(&*broker, &ledger, known.spec.clone(), clock.unix_ms()).await?;
    broker.close().await?;
    Ok(true)
}
