//! `jobs show`: one job's summary, and what did not arrive, page by page.

use indicatif::BinaryBytes;
use serde::Serialize;

use super::Place;
use super::remote::Remote;
use crate::clock::Clock;
use crate::command::report;
use crate::command::state;
use crate::config::{OutputType, ShowJob, ShownObjects};
use crate::failure::{Failure, Reason, Result};
use crate::process::print;
use crate::reporter::ledger::{EndingKind, EndingLine, Ledger, Place as Line, RangeLine};
use crate::reporter::summary::Summary;

/// Objects read at a time.
const PAGE: u32 = 1_000;

pub(super) async fn run(command: &ShowJob, clock: &Clock) -> Result<u8> {
    let (summary, records) = find(command, clock).await?;
    let shown = Shown {
        output: command.jobs.output.output_type,
        records,
        job: summary.job_id.to_string(),
    };
    match shown.output {
        OutputType::Text => print(&report::text(&summary))?,
        OutputType::Json | OutputType::AzcopyJson => print(&super::json(&summary)?)?,
    }
    if command.with_status != ShownObjects::Skipped {
        shown.objects(EndingKind::Failed).await?;
        shown.ranges().await?;
    }
    if command.with_status != ShownObjects::Failed {
        shown.objects(EndingKind::Skipped).await?;
    }
    Ok(0)
}

async fn find(command: &ShowJob, clock: &Clock) -> Result<(Summary, Records)> {
    match Place::of(&command.jobs)? {
        Place::Here(state) => {
            let job = state::find(&state, &command.job)?;
            let (summary, ledger) = (super::list::summary(&job, clock)?, job.ledger()?);
            match (summary, ledger) {
                (Some(summary), Some(ledger)) => Ok((summary, Records::Here(Box::new(ledger)))),
                _ => Err(not_begun(job.id.as_str())),
            }
        }
        Place::Fleet(reporter) => {
            let summary = reporter.find(&command.job).await?;
            Ok((summary, Records::Fleet(reporter)))
        }
    }
}

/// A job whose folder is there, but no account.
pub(super) fn not_begun(job: &str) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!("job {job} was not submitted yet: its copy command begins it"),
    )
}

/// Where the objects are read from.
enum Records {
    Here(Box<Ledger>),
    Fleet(Remote),
}

/// What is printed, and how.
struct Shown {
    output: OutputType,
    records: Records,
    job: String,
}

/// An object or range as JSON: how it ended, and the rest.
#[derive(Serialize)]
struct Object<'a, T> {
    status: &'a str,
    #[serde(flatten)]
    line: &'a T,
}

impl Shown {
    async fn objects(&self, kind: EndingKind) -> Result<()> {
        let mut after = None;
        loop {
            let (lines, next) = self.object_page(kind, after.as_deref()).await?;
            for line in &lines {
                self.show(kind.as_str(), line, object_text)?;
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn ranges(&self) -> Result<()> {
        let mut after = None;
        loop {
            let (lines, next) = self.range_page(after.as_deref()).await?;
            for line in &lines {
                self.show("not_listed", line, |range| {
                    format!("{}: {}", range.reason, range.message)
                })?;
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn object_page(
        &self,
        kind: EndingKind,
        after: Option<&str>,
    ) -> Result<(Vec<EndingLine>, Option<String>)> {
        match &self.records {
            Records::Here(ledger) => {
                let job = crate::job::JobId::new(&self.job);
                let page = ledger.endings_after(&job, kind, place(after)?, PAGE)?;
                Ok((page.lines, page.next.map(|place| place.to_string())))
            }
            Records::Fleet(reporter) => reporter.objects(&self.job, kind, after).await,
        }
    }

    async fn range_page(&self, after: Option<&str>) -> Result<(Vec<RangeLine>, Option<String>)> {
        match &self.records {
            Records::Here(ledger) => {
                let job = crate::job::JobId::new(&self.job);
                let page = ledger.range_failures_after(&job, place(after)?, PAGE)?;
                Ok((page.lines, page.next.map(|place| place.to_string())))
            }
            Records::Fleet(reporter) => reporter.ranges(&self.job, after).await,
        }
    }

    fn show<T: Serialize>(&self, status: &str, line: &T, text: fn(&T) -> String) -> Result<()> {
        match self.output {
            OutputType::Text => print(&format!("{status:<10} {}", text(line))),
            OutputType::Json | OutputType::AzcopyJson => {
                print(&super::json(&Object { status, line })?)
            }
        }
    }
}

fn place(after: Option<&str>) -> Result<Line> {
    let place = after.map_or(Ok(Line::START), str::parse);
    place.map_err(|why| Failure::stop(Reason::Internal, why))
}

fn object_text(object: &EndingLine) -> String {
    let why = match object.message.as_str() {
        "" => String::new(),
        message => format!(": {message}"),
    };
    let bucket = match object.bucket.as_str() {
        "" => String::new(),
        bucket => format!("{bucket}/"),
    };
    format!(
        "{bucket}{} ({}) {}{why}",
        on_one_line(&object.key),
        BinaryBytes(object.size),
        object.reason
    )
}

/// A key as it is, unless it holds what would spoil the line.
fn on_one_line(key: &str) -> String {
    match key.contains(char::is_control) {
        true => format!("{key:?}"),
        false => key.to_owned(),
    }
}
