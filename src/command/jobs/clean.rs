//! `jobs remove` and `jobs clean`: what is kept of jobs goes away.

use super::list::summary;
use crate::clock::Clock;
use crate::command::output::Output;
use crate::command::state::{self, FoundJob, JobFolder};
use crate::config::{CleanJobs, OutputType, RemoveJob};
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobId, JobStatus};
use crate::process::say;

pub(super) fn remove(command: &RemoveJob, output: &Output) -> Result<u8> {
    let job = state::find(&command.jobs.state.folder()?, &command.job)?;
    let Some(folder) = JobFolder::take(&job)? else {
        return Err(refuse(
            &job.id,
            "a process is working on it: cancel it first",
        ));
    };
    if !command.force && !has_ended(status(&job)?) {
        let remedy = "resume or cancel it, or give --force to remove it as it is";
        return Err(refuse(&job.id, &format!("it has not ended: {remedy}")));
    }
    folder.remove()?;
    removed(output, &[job.id], |job| {
        format!("Successfully removed log and job plan files for job {job}.")
    })?;
    Ok(0)
}

pub(super) fn clean(command: &CleanJobs, output: &Output) -> Result<u8> {
    let wanted = command.with_status;
    if wanted.only().is_some_and(|only| !has_ended(Some(only))) {
        return Err(Failure::stop(
            Reason::Usage,
            "jobs clean removes jobs that have ended: jobs remove --force takes one that was \
             interrupted",
        ));
    }
    let state = command.jobs.state.folder()?;
    state::sweep(&state)?;
    let mut gone = Vec::new();
    let mut code = 0;
    for job in state::all(&state)? {
        match clean_one(&job, |status| wanted.lets_pass(status)) {
            Ok(true) => gone.push(job.id),
            Ok(false) => {}
            Err(failure) => {
                say(&format!("job {}: {failure}", job.id));
                code = 1;
            }
        }
    }
    gone.sort();
    removed(output, &gone, |_| {
        "Successfully removed all jobs.".to_owned()
    })?;
    Ok(code)
}

/// Removes a job if it has ended so; says whether it did.
fn clean_one(job: &FoundJob, wanted: impl Fn(JobStatus) -> bool) -> Result<bool> {
    let ended = status(job)?.filter(|status| has_ended(Some(*status)) && wanted(*status));
    if ended.is_none() {
        return Ok(false);
    }
    // A process that works on a later run holds the lock of this one too: another time.
    let Some(folder) = JobFolder::take(job)? else {
        return Ok(false);
    };
    folder.remove()?;
    Ok(true)
}

/// Where the job stands; none where it was never begun.
fn status(job: &FoundJob) -> Result<Option<JobStatus>> {
    Ok(summary(job, &Clock::system())?.map(|summary| summary.status))
}

fn has_ended(status: Option<JobStatus>) -> bool {
    status.is_some_and(|status| !matches!(status, JobStatus::Running | JobStatus::Interrupted))
}

fn refuse(job: &JobId, why: &str) -> Failure {
    Failure::stop(Reason::LocalState, format!("job {job}: {why}"))
}

/// Says what was removed; `azcopys` is what AzCopy says.
fn removed(output: &Output, jobs: &[JobId], azcopys: fn(&str) -> String) -> Result<()> {
    let line = |job: &JobId| output.line(&format!("removed {job}"));
    let json = |job: &JobId| output.json(&serde_json::json!({ "removed": job }));
    match output.kind {
        OutputType::Text if jobs.is_empty() => output.line("no jobs to remove"),
        OutputType::Text => jobs.iter().try_for_each(line),
        OutputType::Json => jobs.iter().try_for_each(json),
        OutputType::AzcopyJson => {
            let job = jobs.first().map_or("", JobId::as_str);
            output.azcopy_text("EndOfJob", &azcopys(job))
        }
    }
}
