//! `jobs repair`: lists anew what is open of a job whose messages the broker lost.

use super::resume::AtRest;
use super::{Place, say_who_lists, told};
use crate::clock::Clock;
use crate::command::output::Output;
use crate::command::state;
use crate::config::{OutputType, RepairJob};
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobId, JobStatus};
use crate::process::say;
use crate::reporter::book::Repaired;
use crate::reporter::refuses_repair;
use crate::reporter::serve::Answer;

pub(super) async fn run(command: &RepairJob, output: &Output, clock: &Clock) -> Result<u8> {
    let answer = match Place::of(&command.jobs)? {
        Place::Here(folder) => {
            let job = AtRest::take(&state::find(&folder, &command.job)?).await?;
            here(job, clock.unix_ms()).await?
        }
        Place::Fleet(reporter) => {
            let job = reporter.find(&command.job).await?;
            reporter.repair(job.job_id.as_str(), command.force).await?
        }
    };
    say_what(&answer.summary.job_id, answer.put_back);
    if command.jobs.reporter.is_some() {
        say_who_lists(&answer.summary.job_id, answer.told);
    }
    match output.kind {
        OutputType::Json => output.json(&answer)?,
        OutputType::Text | OutputType::AzcopyJson => told(output, &answer.summary)?,
    }
    Ok(0)
}

/// Repairs a job that nobody works on; whoever resumes it goes on with it.
async fn here(job: AtRest, now_ms: i64) -> Result<Answer<Repaired>> {
    let id = job.folder.id();
    let summary = job.ledger.summary(id.clone(), now_ms).await?;
    if let Some(why) = summary.and_then(|summary| refuses_repair(summary.status)) {
        let why = format!("job {id}: {why}");
        return Err(Failure::stop(Reason::LocalState, why));
    }
    let repaired = {
        let id = id.clone();
        let repair = job.ledger.with(move |ledger| ledger.repair(&id, now_ms));
        repair.await??
    };
    let summary = job.ledger.summary(id.clone(), now_ms).await?;
    // What it left in the outbox is sent by the process that goes on with the job.
    job.close().await?;
    match (repaired, summary) {
        (Some(put_back), Some(mut summary)) => {
            summary.status = JobStatus::Interrupted;
            Ok(Answer {
                summary,
                put_back,
                told: false,
            })
        }
        _ => Err(super::show::not_begun(id.as_str())),
    }
}

fn say_what(job: &JobId, repaired: Repaired) {
    let Repaired {
        pages,
        list_tasks,
        pages_left,
        begun_anew,
    } = repaired;
    if begun_anew {
        say(&format!(
            "job {job}: its ledger contradicted itself: all of it is listed from the beginning"
        ));
        return;
    }
    say(&format!(
        "job {job}: put back {pages} pages and {list_tasks} list tasks"
    ));
    if pages_left > 0 {
        say(&format!(
            "job {job}: {pages_left} pages stay as they are: an older version did not write down \
             what they had brought; cancel the job and run its copy command again"
        ));
    }
}
