//! What AzCopy prints with `--output-type=json`, for scripts that read it.
//!
//! One message a line. Its content is a string, and for `Init`, `Progress` and `EndOfJob` that
//! string is JSON again, with numbers as strings. Read off AzCopy 10.32; what there is nothing of
//! here (folders, links) is zero.

use std::time::SystemTime;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::job::JobStatus;
use crate::reporter::ledger::EndingLine;
use crate::reporter::summary::Summary;

/// The most objects in a list of a message; the ledger has them all.
pub(super) const LISTED: u32 = 1_000;

/// A message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message<'a> {
    time_stamp: String,
    message_type: &'a str,
    message_content: &'a str,
    prompt_details: PromptDetails,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PromptDetails {
    prompt_type: &'static str,
    response_options: Option<Vec<String>>,
    prompt_target: &'static str,
}

/// A message of a kind.
pub(super) fn message<'a>(now: SystemTime, kind: &'a str, content: &'a str) -> Message<'a> {
    let time_stamp = OffsetDateTime::from(now).format(&Rfc3339);
    Message {
        time_stamp: time_stamp.unwrap_or_default(),
        message_type: kind,
        message_content: content,
        prompt_details: PromptDetails::default(),
    }
}

/// The content of `Init`.
#[derive(Debug, Serialize)]
pub(super) struct Init<'a> {
    #[serde(rename = "LogFileLocation")]
    pub(super) log: &'a str,
    #[serde(rename = "JobID")]
    pub(super) job: &'a str,
    #[serde(rename = "IsCleanupJob")]
    pub(super) is_cleanup: bool,
}

/// The content of `Progress`, `GetJobSummary` and `EndOfJob`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct JobSummary {
    error_msg: String,
    #[serde(rename = "JobID")]
    job_id: String,
    active_connections: String,
    complete_job_ordered: bool,
    job_status: &'static str,
    total_transfers: String,
    file_transfers: String,
    folder_property_transfers: String,
    symlink_transfers: String,
    folders_completed: String,
    transfers_completed: String,
    folders_failed: String,
    transfers_failed: String,
    folders_skipped: String,
    transfers_skipped: String,
    bytes_over_wire: String,
    total_bytes_transferred: String,
    total_bytes_enumerated: String,
    total_bytes_expected: String,
    percent_complete: String,
    #[serde(rename = "AverageIOPS")]
    average_iops: String,
    #[serde(rename = "AverageE2EMilliseconds")]
    average_e2e_milliseconds: String,
    server_busy_percentage: String,
    network_error_percentage: String,
    failed_transfers: Option<Vec<Transfer>>,
    skipped_transfers: Option<Vec<Transfer>>,
    perf_constraint: u32,
    performance_advice: Vec<String>,
    is_cleanup_job: bool,
    skipped_symlink_count: String,
    hardlinks_converted_count: String,
    skipped_hardlink_count: String,
    skipped_special_file_count: String,
}

/// An object that failed or was skipped.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Transfer {
    src: String,
    dst: String,
    is_folder_properties: bool,
    is_hardlink: bool,
    transfer_status: &'static str,
    transfer_size: u64,
    error_code: String,
}

/// The content of `ListJobTransfers`, and of the `EndOfJob` after it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct JobTransfers<'a> {
    pub(super) error_msg: &'a str,
    #[serde(rename = "JobID")]
    pub(super) job_id: &'a str,
    pub(super) details: &'a [Transfer],
}

/// The content of the `EndOfJob` that `jobs list` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct JobList {
    pub(super) error_message: &'static str,
    #[serde(rename = "JobIDDetails")]
    pub(super) jobs: Vec<JobDetails>,
}

/// A job of that list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct JobDetails {
    pub(super) job_id: String,
    pub(super) command_string: String,
    /// Seconds since 1970.
    pub(super) start_time: i64,
    pub(super) job_status: &'static str,
}

impl JobSummary {
    /// Where a job stands; without lists.
    pub(super) fn of(summary: &Summary) -> Self {
        let zero = || "0".to_owned();
        Self {
            job_id: summary.job_id.to_string(),
            active_connections: zero(),
            complete_job_ordered: summary.listing_complete,
            job_status: status(summary.status),
            total_transfers: summary.objects_listed.to_string(),
            file_transfers: summary.objects_listed.to_string(),
            folder_property_transfers: zero(),
            symlink_transfers: zero(),
            folders_completed: zero(),
            transfers_completed: summary.objects_copied.to_string(),
            folders_failed: zero(),
            transfers_failed: summary.objects_failed.to_string(),
            folders_skipped: zero(),
            transfers_skipped: summary.objects_skipped.to_string(),
            bytes_over_wire: summary.bytes_copied.to_string(),
            total_bytes_transferred: summary.bytes_copied.to_string(),
            total_bytes_enumerated: summary.bytes_listed.to_string(),
            total_bytes_expected: summary.bytes_listed.to_string(),
            percent_complete: percent(summary).to_string(),
            average_iops: zero(),
            average_e2e_milliseconds: zero(),
            server_busy_percentage: zero(),
            network_error_percentage: zero(),
            skipped_symlink_count: zero(),
            hardlinks_converted_count: zero(),
            skipped_hardlink_count: zero(),
            skipped_special_file_count: zero(),
            ..Self::default()
        }
    }

    /// The same with what failed and what was skipped, and why the run stopped, if it did.
    pub(super) fn with_ending(mut self, ending: Ending, error: Option<&str>) -> Self {
        self.failed_transfers = Some(ending.failed);
        self.skipped_transfers = Some(ending.skipped);
        self.error_msg = error.unwrap_or_default().to_owned();
        self
    }
}

/// The objects that a job's last message lists.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub(super) failed: Vec<Transfer>,
    pub(super) skipped: Vec<Transfer>,
}

/// Objects that could not be copied.
pub(super) fn failed(lines: Vec<EndingLine>) -> Vec<Transfer> {
    lines
        .into_iter()
        .map(|line| transfer(line, "Failed"))
        .collect()
}

/// Objects that were left out.
pub(super) fn skipped(lines: Vec<EndingLine>) -> Vec<Transfer> {
    lines
        .into_iter()
        .map(|line| transfer(line, "SkippedEntityAlreadyExists"))
        .collect()
}

fn transfer(line: EndingLine, transfer_status: &'static str) -> Transfer {
    Transfer {
        error_code: code(&line.reason).to_owned(),
        src: line.source,
        dst: line.destination,
        is_folder_properties: false,
        is_hardlink: false,
        transfer_status,
        transfer_size: line.size,
    }
}

/// The HTTP status that a reason stands for; 0 where it stands for none.
fn code(reason: &str) -> &'static str {
    match reason {
        "source_not_found" => "404",
        "source_denied" | "source_archived" | "destination_denied" => "403",
        "source_throttled" | "destination_throttled" => "503",
        "source_changed" => "412",
        _ => "0",
    }
}

/// AzCopy's name of a status.
pub(super) fn status(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Running => "InProgress",
        JobStatus::Interrupted => "Paused",
        other => other.as_str(),
    }
}

/// Of the bytes, as AzCopy counts; a job without any is done when it has ended.
fn percent(summary: &Summary) -> f32 {
    if summary.bytes_listed > 0 {
        return summary.bytes_copied as f32 / summary.bytes_listed as f32 * 100.0;
    }
    match summary.ended_at_ms {
        Some(_) => 100.0,
        None => 0.0,
    }
}
