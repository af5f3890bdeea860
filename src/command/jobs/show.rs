//! `jobs show`: one job's summary, and what did not arrive, page by page.

use indicatif::BinaryBytes;
use serde::Serialize;

use super::Place;
use super::records::{From, Records};
use crate::clock::Clock;
use crate::command::azcopy_json::{self, Ending, JobSummary, JobTransfers, Transfer};
use crate::command::output::Output;
use crate::command::{report, state};
use crate::config::{OutputType, ShowJob, ShownObjects};
use crate::failure::{Failure, Reason, Result};
use crate::reporter::ledger::{EndingKind, EndingLine, RangeLine};
use crate::reporter::summary::Summary;
use crate::text::{quoted_if_odd, visible};

pub(super) async fn run(command: &ShowJob, output: &Output, clock: &Clock) -> Result<u8> {
    let (summary, records) = find(command, clock).await?;
    let shown = Shown { output, records };
    match (output.kind, command.with_status) {
        (OutputType::AzcopyJson, None) => shown.azcopys_summary(&summary).await?,
        (OutputType::AzcopyJson, Some(wanted)) => shown.azcopys_transfers(wanted).await?,
        (OutputType::Text, wanted) => {
            output.line(&report::text(&summary))?;
            let reporter = shown.records.reporter();
            let step = report::next_step(&summary, reporter.as_deref());
            step.map_or(Ok(()), |step| output.line(&step))?;
            shown.lines(wanted.unwrap_or(ShownObjects::Failed)).await?;
        }
        (OutputType::Json, wanted) => {
            output.json(&summary)?;
            shown.lines(wanted.unwrap_or(ShownObjects::Failed)).await?;
        }
    }
    Ok(0)
}

async fn find(command: &ShowJob, clock: &Clock) -> Result<(Summary, Records)> {
    let (summary, from) = match Place::of(&command.jobs)? {
        Place::Here(state) => {
            let job = state::find(&state, &command.job)?;
            match (super::list::summary(&job, clock)?, job.ledger()?) {
                (Some(summary), Some(ledger)) => (summary, From::Here(Box::new(ledger))),
                _ => return Err(not_begun(job.id.as_str())),
            }
        }
        Place::Fleet(reporter) => {
            let summary = reporter.find(&command.job).await?;
            (summary, From::Fleet(reporter))
        }
    };
    let job = summary.job_id.clone();
    Ok((summary, Records { job, from }))
}

/// A job whose folder is there, but no account.
pub(super) fn not_begun(job: &str) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!("job {job} was not submitted yet: its copy command begins it"),
    )
}

/// Which ends of objects are wanted.
fn kinds(wanted: ShownObjects) -> &'static [EndingKind] {
    match wanted {
        ShownObjects::All => &[EndingKind::Failed, EndingKind::Skipped],
        ShownObjects::Failed => &[EndingKind::Failed],
        ShownObjects::Skipped => &[EndingKind::Skipped],
    }
}

/// What is printed, and how.
struct Shown<'a> {
    output: &'a Output,
    records: Records,
}

/// An object or range as JSON: how it ended, and the rest.
#[derive(Serialize)]
struct Object<'a, T> {
    status: &'a str,
    #[serde(flatten)]
    line: &'a T,
}

impl Shown<'_> {
    /// One line for each object, and for each range that could not be listed.
    async fn lines(&self, wanted: ShownObjects) -> Result<()> {
        for kind in kinds(wanted) {
            let mut after = None;
            loop {
                let (lines, next) = self.records.objects(*kind, after.as_deref()).await?;
                for line in &lines {
                    self.line(kind.as_str(), line, object_text)?;
                }
                after = next.filter(|_| self.output.is_wanted());
                if after.is_none() {
                    break;
                }
            }
            if *kind == EndingKind::Failed {
                self.ranges().await?;
            }
        }
        Ok(())
    }

    async fn ranges(&self) -> Result<()> {
        let mut after = None;
        loop {
            let (lines, next) = self.records.ranges(after.as_deref()).await?;
            for line in &lines {
                self.line("not_listed", line, range_text)?;
            }
            after = next.filter(|_| self.output.is_wanted());
            if after.is_none() {
                return Ok(());
            }
        }
    }

    fn line<T: Serialize>(&self, status: &str, line: &T, text: fn(&T) -> String) -> Result<()> {
        match self.output.kind {
            OutputType::Text => self.output.line(&format!("{status:<10} {}", text(line))),
            OutputType::Json | OutputType::AzcopyJson => self.output.json(&Object { status, line }),
        }
    }

    /// As AzCopy shows a job when it is asked for no status.
    async fn azcopys_summary(&self, summary: &Summary) -> Result<()> {
        for message in ["GetJobSummary", "EndOfJob"] {
            let (failed, _) = self.records.objects(EndingKind::Failed, None).await?;
            let (skipped, _) = self.records.objects(EndingKind::Skipped, None).await?;
            let ending = Ending {
                failed: azcopy_json::failed(failed),
                skipped: azcopy_json::skipped(skipped),
            };
            let content = JobSummary::of(summary).with_ending(ending, None);
            self.output.azcopy(message, &content)?;
        }
        Ok(())
    }

    /// As AzCopy lists a job's objects: a message a page, and at the end the first of them again.
    async fn azcopys_transfers(&self, wanted: ShownObjects) -> Result<()> {
        let mut first = Vec::new();
        for kind in kinds(wanted) {
            let mut after = None;
            loop {
                let (lines, next) = self.records.objects(*kind, after.as_deref()).await?;
                let page = match kind {
                    EndingKind::Failed => azcopy_json::failed(lines),
                    EndingKind::Skipped => azcopy_json::skipped(lines),
                };
                if !page.is_empty() {
                    self.transfers("ListJobTransfers", &page)?;
                }
                if first.is_empty() {
                    first = page;
                }
                after = next.filter(|_| self.output.is_wanted());
                if after.is_none() {
                    break;
                }
            }
        }
        if first.is_empty() {
            self.transfers("ListJobTransfers", &first)?;
        }
        self.transfers("EndOfJob", &first)
    }

    fn transfers(&self, message: &str, details: &[Transfer]) -> Result<()> {
        let content = JobTransfers {
            error_msg: "",
            job_id: self.records.job.as_str(),
            details,
        };
        self.output.azcopy(message, &content)
    }
}

fn range_text(range: &RangeLine) -> String {
    format!("{}: {}", visible(&range.reason), visible(&range.message))
}

fn object_text(object: &EndingLine) -> String {
    let why = match object.message.as_str() {
        "" => String::new(),
        message => format!(": {}", visible(message)),
    };
    let bucket = match object.bucket.as_str() {
        "" => String::new(),
        bucket => format!("{}/", visible(bucket)),
    };
    format!(
        "{bucket}{} ({}) {}{why}",
        quoted_if_odd(&object.key),
        BinaryBytes(object.size),
        visible(&object.reason)
    )
}
