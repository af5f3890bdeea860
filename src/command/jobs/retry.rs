//! `jobs retry`: puts back what failed of a job, and goes on with it.

use tokio_util::sync::CancellationToken;

use super::resume::{self, AtRest};
use super::{Place, say_who_lists, told};
use crate::clock::Clock;
use crate::command::output::Output;
use crate::command::state;
use crate::config::{Env, OutputType, ResumeJob};
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobId, JobStatus};
use crate::process::say;
use crate::reporter::ledger::PutBack;
use crate::reporter::refuses_retry;

pub(super) async fn run(
    command: ResumeJob,
    output: &Output,
    env: Env,
    shutdown: CancellationToken,
) -> Result<u8> {
    match Place::of(&command.jobs)? {
        Place::Here(folder) => {
            let job = AtRest::take(&state::find(&folder, &command.job)?).await?;
            here(command, job, output, env, shutdown).await
        }
        Place::Fleet(reporter) => {
            let job = reporter.find(&command.job).await?;
            let answer = reporter.retry(job.job_id.as_str()).await?;
            say_what(&job.job_id, answer.put_back);
            if answer.put_back.woken {
                say(&format!(
                    "job {}: it runs: what is held of it, or waits to be tried again, is tried at \
                     once",
                    job.job_id
                ));
            }
            if answer.put_back.objects + answer.put_back.ranges > 0 {
                say_who_lists(&job.job_id, answer.told);
            }
            match output.kind {
                OutputType::Json => output.json(&answer)?,
                OutputType::Text | OutputType::AzcopyJson => told(output, &answer.summary)?,
            }
            Ok(0)
        }
    }
}

async fn here(
    command: ResumeJob,
    job: AtRest,
    output: &Output,
    env: Env,
    shutdown: CancellationToken,
) -> Result<u8> {
    let (id, clock) = (job.folder.id(), Clock::system());
    let now_ms = clock.unix_ms();
    let summary = job.ledger.summary(id.clone(), now_ms).await?;
    if let Some(why) = summary.and_then(|summary| refuses_retry(summary.status)) {
        let why = format!("job {id}: {why}");
        return Err(Failure::stop(Reason::LocalState, why));
    }
    // Nothing is put back that could not be gone on with.
    let ready = resume::ready(&command, &job, env).await?;
    let put_back = {
        let id = id.clone();
        let retry = job.ledger.with(move |ledger| ledger.retry(&id, now_ms));
        retry.await??
    };
    say_what(&id, put_back);
    if put_back.objects + put_back.ranges == 0 {
        return nothing(job, output, now_ms).await;
    }
    if job.folder.cancel_asked() {
        // It came too late for the end there was, and is not meant for this one.
        job.folder.forget_cancel()?;
    }
    resume::go_on(&command, job, ready, (output, env), shutdown).await
}

/// Tells where the job stands.
async fn nothing(job: AtRest, output: &Output, now_ms: i64) -> Result<u8> {
    let summary = job.ledger.summary(job.folder.id(), now_ms).await?;
    job.close().await?;
    if let Some(mut summary) = summary {
        if summary.status == JobStatus::Running {
            summary.status = JobStatus::Interrupted;
        }
        told(output, &summary)?;
    }
    Ok(0)
}

fn say_what(job: &JobId, put_back: PutBack) {
    let PutBack {
        objects,
        ranges,
        objects_left,
        ranges_left,
        woken: _,
    } = put_back;
    if objects + ranges > 0 {
        tracing::info!(job.id = %job, objects, ranges, "what failed is put back");
        say(&format!(
            "job {job}: put back {objects} objects and {ranges} ranges"
        ));
    } else if objects_left + ranges_left == 0 {
        say(&format!(
            "job {job}: nothing failed, so nothing is put back"
        ));
    }
    if objects_left > 0 {
        say(&format!(
            "job {job}: {objects_left} failed objects stay as they are: their keys or buckets were \
             never written down; copy them by a command of their own"
        ));
    }
    if ranges_left > 0 {
        say(&format!(
            "job {job}: {ranges_left} ranges that could not be listed stay as they are: an older \
             version did not write them down; run the copy command again"
        ));
    }
}
