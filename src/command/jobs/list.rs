//! `jobs list`: every job, newest first.

use std::path::Path;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Place;
use crate::clock::Clock;
use crate::command::azcopy_json::{self, JobDetails, JobList};
use crate::command::output::Output;
use crate::command::state::{self, FoundJob};
use crate::config::{ListJobs, OutputType};
use crate::failure::Result;
use crate::job::{JobId, JobStatus};
use crate::process::say;
use crate::reporter::summary::Summary;

/// One job, as it is listed.
#[derive(Clone, Debug, Serialize)]
struct Line {
    job_id: JobId,
    /// Empty before the job is submitted.
    started_at: String,
    #[serde(skip)]
    submitted_at_ms: i64,
    status: JobStatus,
    source: String,
    destination: String,
}

pub(super) async fn run(command: &ListJobs, output: &Output, clock: &Clock) -> Result<u8> {
    let jobs = match Place::of(&command.jobs)? {
        Place::Here(state) => here(&state, clock)?,
        Place::Fleet(reporter) => reporter.jobs().await?.iter().map(Line::of).collect(),
    };
    let wanted: Vec<Line> = jobs
        .into_iter()
        .filter(|job| command.with_status.lets_pass(job.status))
        .collect();
    match output.kind {
        OutputType::Text if wanted.is_empty() => output.line("no jobs")?,
        OutputType::Text => output.line(&table(&wanted))?,
        OutputType::Json => wanted.iter().try_for_each(|job| output.json(job))?,
        OutputType::AzcopyJson => output.azcopy("EndOfJob", &azcopys(&wanted))?,
    }
    Ok(0)
}

/// The jobs of a state folder. One that cannot be read is named, and does not hide the others.
fn here(state: &Path, clock: &Clock) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for job in state::all(state)? {
        match summary(&job, clock) {
            Ok(Some(summary)) => lines.push(Line::of(&summary)),
            Ok(None) => lines.push(Line::not_begun(&job)),
            Err(failure) => say(&format!("job {}: {failure}", job.id)),
        }
    }
    lines.sort_by(|left, right| {
        let newest = right.submitted_at_ms.cmp(&left.submitted_at_ms);
        newest.then_with(|| left.job_id.cmp(&right.job_id))
    });
    Ok(lines)
}

/// Where a job of this machine stands; none before it has an account.
pub(super) fn summary(job: &FoundJob, clock: &Clock) -> Result<Option<Summary>> {
    // Before the ledger: a job that ends in between is not to be taken for interrupted.
    let held = job.is_held();
    let Some(ledger) = job.ledger()? else {
        return Ok(None);
    };
    let account = ledger.book().jobs.get(&job.id);
    Ok(account.map(|account| {
        let mut summary = Summary::of(account, clock.unix_ms());
        if summary.status == JobStatus::Running && !held {
            summary.status = JobStatus::Interrupted;
        }
        summary
    }))
}

impl Line {
    fn of(summary: &Summary) -> Self {
        Self {
            job_id: summary.job_id.clone(),
            started_at: rfc3339(summary.submitted_at_ms),
            submitted_at_ms: summary.submitted_at_ms,
            status: summary.status,
            source: summary.source.clone(),
            destination: summary.destination.clone(),
        }
    }

    /// A job whose source is still being looked at, or was when its process ended.
    fn not_begun(job: &FoundJob) -> Self {
        Self {
            job_id: job.id.clone(),
            started_at: String::new(),
            submitted_at_ms: i64::MAX,
            status: match job.is_held() {
                true => JobStatus::Running,
                false => JobStatus::Interrupted,
            },
            source: String::new(),
            destination: String::new(),
        }
    }
}

/// The list as AzCopy prints it.
fn azcopys(jobs: &[Line]) -> JobList {
    let details = |job: &Line| JobDetails {
        job_id: job.job_id.to_string(),
        command_string: format!("copy {} {}", job.source, job.destination),
        start_time: match job.started_at.as_str() {
            "" => 0,
            _ => job.submitted_at_ms.div_euclid(1000),
        },
        job_status: azcopy_json::status(job.status),
    };
    JobList {
        error_message: "",
        jobs: jobs.iter().map(details).collect(),
    }
}

fn table(jobs: &[Line]) -> String {
    let width = |of: fn(&Line) -> usize, least| jobs.iter().map(of).max().unwrap_or(0).max(least);
    let ids = width(|job| job.job_id.as_str().len(), 3);
    let statuses = width(|job| job.status.as_str().len(), 6);
    let mut rows = vec![format!(
        "{:<ids$}  {:<20}  {:<statuses$}  SOURCE -> DESTINATION",
        "JOB", "STARTED", "STATUS"
    )];
    rows.extend(jobs.iter().map(|job| {
        let places = match (job.source.as_str(), job.destination.as_str()) {
            ("", _) => "(not submitted)".to_owned(),
            (source, destination) => format!("{source} -> {destination}"),
        };
        format!(
            "{:<ids$}  {:<20}  {:<statuses$}  {places}",
            job.job_id.as_str(),
            job.started_at,
            job.status.as_str()
        )
    }));
    rows.join("\n")
}

/// A moment in whole seconds, UTC, e.g. `2026-08-19T15:04:00Z`.
pub(in crate::command) fn rfc3339(unix_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix_ms.div_euclid(1000))
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
