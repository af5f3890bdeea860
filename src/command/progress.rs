//! What is shown while a job runs and when it has ended.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{BinaryBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::azcopy_json::{Ending, Init, JobSummary};
use super::output::Output;
use super::report;
use crate::config::OutputType;
use crate::failure::{Failure, Result};
use crate::job::JobId;
use crate::reporter::summary::Summary;

/// How often the line on a terminal changes.
const LINE: Duration = Duration::from_millis(500);
/// How often a JSON progress object is printed.
const OBJECT: Duration = Duration::from_secs(2);
/// Rates are over this many samples.
const SAMPLES: usize = 20;

/// The progress of one job on this terminal.
#[derive(Debug)]
pub(super) struct Progress {
    output: Output,
    line: Option<ProgressBar>,
    samples: VecDeque<(Instant, u64, u64)>,
    log: Option<PathBuf>,
    /// Where the job's reporter is, if it is a fleet's.
    reporter: Option<&'static str>,
}

impl Progress {
    pub(super) fn new(output: Output) -> Self {
        let text = output.kind == OutputType::Text;
        let shown = text && output.is_chatty() && io::stderr().is_terminal();
        let line = shown.then(|| {
            let line = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                line.set_style(style);
            }
            line
        });
        Self {
            output,
            line,
            samples: VecDeque::new(),
            log: None,
            reporter: None,
        }
    }

    /// The same for a fleet's job. Its roles know each other by the broker alone, so where its
    /// reporter listens is left to who reads it.
    pub(super) fn of_fleet(output: Output) -> Self {
        Self {
            reporter: Some("URL"),
            ..Self::new(output)
        }
    }

    /// How often [`Progress::show`] is due.
    pub(super) fn interval(&self) -> Duration {
        match self.output.kind {
            OutputType::Text => LINE,
            OutputType::Json | OutputType::AzcopyJson => OBJECT,
        }
    }

    /// Says that a job is begun, and where its log is.
    pub(super) fn begin(&mut self, job: &JobId, log: Option<&PathBuf>) -> Result<()> {
        self.log = log.cloned();
        if self.output.kind != OutputType::AzcopyJson {
            return Ok(());
        }
        if self.output.is_chatty() {
            self.output.azcopy_text("Info", "INFO: Scanning...")?;
        }
        let init = Init {
            log: &log.map(|log| log.to_string_lossy()).unwrap_or_default(),
            job: job.as_str(),
            is_cleanup: false,
        };
        self.output.azcopy("Init", &init)
    }

    /// Shows where the job stands.
    pub(super) fn show(&mut self, summary: &Summary) -> Result<()> {
        if !self.output.is_chatty() {
            return Ok(());
        }
        let ended = summary.objects_listed - summary.objects_open;
        self.samples
            .push_back((Instant::now(), ended, summary.bytes_copied));
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
        if let Some(line) = &self.line {
            line.set_message(self.line(summary));
            line.tick();
        }
        match self.output.kind {
            OutputType::Text => Ok(()),
            OutputType::Json => self.output.json(summary),
            OutputType::AzcopyJson => self.output.azcopy("Progress", &JobSummary::of(summary)),
        }
    }

    /// Will the last message list objects?
    pub(super) fn lists_objects(&self) -> bool {
        self.output.kind == OutputType::AzcopyJson
    }

    /// Prints the summary. `ending` is what the last message lists, and `failure` what stopped the
    /// run before the job's end.
    pub(super) fn finish(
        &self,
        summary: &Summary,
        ending: Ending,
        failure: Option<&Failure>,
    ) -> Result<()> {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
        match self.output.kind {
            OutputType::Text => self.output.line(&self.text(summary)),
            OutputType::Json => self.output.json(summary),
            OutputType::AzcopyJson => {
                if self.output.is_chatty() {
                    self.output.azcopy("Progress", &JobSummary::of(summary))?;
                }
                let error = failure.map(|failure| failure.message.as_str());
                let end = JobSummary::of(summary).with_ending(ending, error);
                self.output.azcopy("EndOfJob", &end)
            }
        }
    }

    /// The summary, where the rest is told, and what to do next.
    fn text(&self, summary: &Summary) -> String {
        let mut text = report::text(summary);
        let left = summary.objects_failed + summary.objects_skipped + summary.ranges_failed;
        if let Some(log) = self.log.as_ref().filter(|_| self.output.is_chatty()) {
            if left > 0 {
                let show = format!("blobfleet jobs show {}", summary.job_id);
                text.push_str(&format!("\n  why      {show} --with-status=All"));
            }
            text.push_str(&format!("\n  log      {}", log.display()));
        }
        if let Some(step) = report::next_step(summary, self.reporter) {
            text.push_str(&format!("\n{step}"));
        }
        text
    }

    fn line(&self, summary: &Summary) -> String {
        let (objects, bytes) = self.rates();
        let mut line = format!(
            "{} listed, {} copied, {} skipped, {} failed | {} | {objects:.0} objects/s, {}/s",
            HumanCount(summary.objects_listed),
            HumanCount(summary.objects_copied),
            HumanCount(summary.objects_skipped),
            HumanCount(summary.objects_failed),
            BinaryBytes(summary.bytes_copied),
            BinaryBytes(bytes),
        );
        if !summary.listing_complete {
            line.push_str(" | listing");
        } else if objects > 0.0 {
            let open = u32::try_from(summary.objects_open).unwrap_or(u32::MAX);
            let left = Duration::from_secs_f64(f64::from(open) / objects);
            let written = write!(line, " | {} left", HumanDuration(left));
            debug_assert!(written.is_ok(), "writing to a string does not fail");
        }
        line
    }

    /// Objects and bytes a second, over the last samples.
    fn rates(&self) -> (f64, u64) {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return (0.0, 0);
        };
        let millis = (last.0 - first.0).as_millis();
        let objects = u32::try_from(last.1 - first.1).unwrap_or(u32::MAX);
        let bytes = u128::from(last.2 - first.2) * 1000;
        let seconds = (last.0 - first.0).as_secs_f64();
        if millis == 0 {
            return (0.0, 0);
        }
        (
            f64::from(objects) / seconds,
            u64::try_from(bytes / millis).unwrap_or(u64::MAX),
        )
    }
}
