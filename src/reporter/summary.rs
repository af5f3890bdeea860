//! What people and scripts read about a job.

use serde::{Deserialize, Serialize};

use super::book::JobAccount;
use crate::job::{JobEnd, JobId, JobSpec, JobStatus, Totals};

/// A job's summary; the fields of `--output-type json` and of `/api/jobs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The job.
    pub job_id: JobId,
    /// Where it stands.
    pub status: JobStatus,
    /// Source as given, without secrets.
    pub source: String,
    /// Destination as given, without its SAS.
    pub destination: String,
    /// Has every range been listed?
    pub listing_complete: bool,
    /// Objects listed.
    pub objects_listed: u64,
    /// Objects at the destination.
    pub objects_copied: u64,
    /// Objects left out on purpose.
    pub objects_skipped: u64,
    /// Objects that could not be copied.
    pub objects_failed: u64,
    /// Objects listed that have not ended.
    pub objects_open: u64,
    /// Objects listed beyond those counted otherwise; shown only where it is not 0, which is a
    /// fault of this program.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub objects_imbalance: i64,
    /// Copied objects whose content came through a copier.
    pub objects_relayed: u64,
    /// Copied objects whose blob has another name.
    pub objects_escaped: u64,
    /// Copied objects some of whose metadata or tags were left out.
    pub objects_metadata_excluded: u64,
    /// Keys left out by a filter.
    pub keys_filtered: u64,
    /// Ranges that could not be listed.
    pub ranges_failed: u64,
    /// Bytes of the objects listed.
    pub bytes_listed: u64,
    /// Bytes at the destination.
    pub bytes_copied: u64,
    /// Failed objects by reason.
    pub failed_by_reason: std::collections::BTreeMap<String, u64>,
    /// Skipped objects by reason.
    pub skipped_by_reason: std::collections::BTreeMap<String, u64>,
    /// Milliseconds since 1970 at submit.
    pub submitted_at_ms: i64,
    /// Milliseconds since 1970 at the end, once there is one.
    pub ended_at_ms: Option<i64>,
    /// Seconds from submit to the end, or to now.
    pub elapsed_seconds: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Summary {
    /// The summary of an account at a moment.
    pub fn of(account: &JobAccount, now_ms: i64) -> Self {
        let end = account.ended_at_ms;
        Self {
            listing_complete: account.listed,
            objects_imbalance: account.imbalance(),
            ..Self::new(
                &account.spec,
                account.status,
                &account.totals,
                (end, now_ms),
            )
        }
    }

    /// The summary of a job that has ended, from the job log; `listed` is whether all of it was
    /// listed, which a job that was cancelled may not have been.
    pub fn of_end(spec: &JobSpec, end: &JobEnd, listed: bool) -> Self {
        let times = (Some(end.ended_at_ms), end.ended_at_ms);
        Self {
            listing_complete: listed,
            ..Self::new(spec, end.status, &end.totals, times)
        }
    }

    fn new(
        spec: &JobSpec,
        status: JobStatus,
        totals: &Totals,
        (ended_at_ms, now_ms): (Option<i64>, i64),
    ) -> Self {
        let until = ended_at_ms.unwrap_or(now_ms);
        let elapsed_ms = u32::try_from((until - spec.submitted_at_ms).max(0));
        Self {
            job_id: spec.id.clone(),
            status,
            source: spec.source.clone(),
            destination: spec.destination.clone(),
            listing_complete: false,
            objects_listed: totals.listed,
            objects_copied: totals.copied,
            objects_skipped: totals.skipped,
            objects_failed: totals.failed,
            objects_open: totals.open(),
            objects_imbalance: 0,
            objects_relayed: totals.relayed,
            objects_escaped: totals.escaped,
            objects_metadata_excluded: totals.metadata_excluded,
            keys_filtered: totals.filtered,
            ranges_failed: totals.ranges_failed,
            bytes_listed: totals.listed_bytes,
            bytes_copied: totals.copied_bytes,
            failed_by_reason: totals.failed_by_reason.clone(),
            skipped_by_reason: totals.skipped_by_reason.clone(),
            submitted_at_ms: spec.submitted_at_ms,
            ended_at_ms,
            elapsed_seconds: f64::from(elapsed_ms.unwrap_or(u32::MAX)) / 1000.0,
        }
    }

    /// The exit code a process ends with that waited for this job.
    pub fn exit_code(&self) -> u8 {
        match self.status {
            JobStatus::Completed | JobStatus::CompletedWithSkipped => 0,
            _ => 1,
        }
    }
}
