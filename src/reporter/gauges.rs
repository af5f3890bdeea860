//! The metrics that come from the ledger.

use std::collections::BTreeMap;

use super::LedgerHandle;
use super::summary::Summary;
use crate::broker::{Broker, Queue};
use crate::failure::{Reason, Result};
use crate::job::{JobId, JobStatus};
use crate::metrics::Metrics;

/// Ended jobs shown in metrics; older ones stay in `/api/jobs`.
const ENDED_SHOWN: usize = 5;

/// What was seen on the way.
#[derive(Debug)]
pub(super) struct Glance {
    /// The running jobs' messages, where their number is known.
    pub(super) waiting: Option<Vec<JobMessages>>,
    /// Jobs whose totals do not add up, and by how much.
    pub(super) unbalanced: Vec<(JobId, i64)>,
}

/// How many messages wait for a job.
#[derive(Debug)]
pub(super) struct JobMessages {
    pub(super) job: JobId,
    /// In its own queues.
    pub(super) own: u64,
    /// In the queues of all jobs: some may be its own.
    pub(super) common: u64,
    /// Pages the ledger had accepted of it before that was counted.
    pub(super) pages: u64,
}

/// Brings the ledger's metrics up to date.
///
/// # Errors
/// The ledger; a broker out of reach leaves the queue depths as they were.
pub(super) async fn refresh(
    broker: &dyn Broker,
    ledger: &LedgerHandle,
    metrics: &Metrics,
    now_ms: i64,
) -> Result<Glance> {
    let summaries = ledger.summaries(now_ms).await?;
    show_jobs(metrics, &summaries);
    // A page's messages are published before it is told of: what is counted after this holds them.
    let running = ledger.with(|ledger| ledger.book().running_pages()).await?;
    let waiting = show_queues(broker, metrics, running).await;
    if let Err(failure) = &waiting {
        tracing::debug!(%failure, "queue depths are not known");
    }
    let unbalanced = summaries
        .iter()
        .filter(|summary| summary.objects_imbalance != 0)
        .map(|summary| (summary.job_id.clone(), summary.objects_imbalance));
    Ok(Glance {
        waiting: waiting.ok(),
        unbalanced: unbalanced.collect(),
    })
}

/// Values are set in place, never taken away and put back: a scrape may come at any moment.
fn show_jobs(metrics: &Metrics, summaries: &[Summary]) {
    for status in JobStatus::ALL {
        let count = summaries
            .iter()
            .filter(|summary| summary.status == status)
            .count();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        metrics
            .jobs
            .with_label_values(&[status.as_str()])
            .set(count);
    }
    let mut ended = 0;
    for summary in summaries {
        ended += usize::from(summary.status != JobStatus::Running);
        if summary.status == JobStatus::Running || ended <= ENDED_SHOWN {
            show_job(metrics, summary);
        } else {
            hide_job(metrics, summary);
        }
    }
}

fn objects(summary: &Summary) -> [(&'static str, u64); 5] {
    [
        ("listed", summary.objects_listed),
        ("copied", summary.objects_copied),
        ("skipped", summary.objects_skipped),
        ("failed", summary.objects_failed),
        ("open", summary.objects_open),
    ]
}

fn bytes(summary: &Summary) -> [(&'static str, u64); 2] {
    [
        ("listed", summary.bytes_listed),
        ("copied", summary.bytes_copied),
    ]
}

fn show_job(metrics: &Metrics, summary: &Summary) {
    let job = summary.job_id.as_str();
    metrics
        .job_imbalance_objects
        .with_label_values(&[job])
        .set(summary.objects_imbalance);
    metrics
        .job_running
        .with_label_values(&[job])
        .set(i64::from(summary.status == JobStatus::Running));
    for (state, value) in objects(summary) {
        metrics
            .job_objects
            .with_label_values(&[job, state])
            .set(signed(value));
    }
    for (state, value) in bytes(summary) {
        metrics
            .job_bytes
            .with_label_values(&[job, state])
            .set(signed(value));
    }
    for reason in Reason::ALL.map(Reason::as_str) {
        let failed = summary
            .failed_by_reason
            .get(reason)
            .copied()
            .unwrap_or_default();
        metrics
            .job_failed_objects
            .with_label_values(&[job, reason])
            .set(signed(failed));
    }
}

/// Removing what is not there is an error of no consequence.
fn hide_job(metrics: &Metrics, summary: &Summary) {
    let job = summary.job_id.as_str();
    drop(metrics.job_imbalance_objects.remove_label_values(&[job]));
    drop(metrics.job_running.remove_label_values(&[job]));
    for (state, _) in objects(summary) {
        drop(metrics.job_objects.remove_label_values(&[job, state]));
    }
    for (state, _) in bytes(summary) {
        drop(metrics.job_bytes.remove_label_values(&[job, state]));
    }
    for reason in Reason::ALL.map(Reason::as_str) {
        drop(
            metrics
                .job_failed_objects
                .remove_label_values(&[job, reason]),
        );
    }
}

async fn show_queues(
    broker: &dyn Broker,
    metrics: &Metrics,
    running: Vec<(JobId, u64)>,
) -> Result<Vec<JobMessages>> {
    let mut depths = BTreeMap::from([("copy", 0), ("again", 0), ("wait", 0)]);
    for (name, queue) in [
        ("list", Queue::List),
        ("outcome", Queue::Outcome),
        ("parked", Queue::Parked),
    ] {
        depths.insert(name, broker.depth(&queue).await?.ready);
    }
    let common = depths["list"] + depths["outcome"];
    let mut waiting = Vec::new();
    for (job, pages) in running {
        let copy = broker.depth(&Queue::Copy(job.clone())).await?.ready;
        let again = broker.depth(&Queue::Again(job.clone())).await?.ready;
        // Those that wait for their time, as of a bucket that is held, are not lost.
        let wait = broker.again(&job).await?.saturating_sub(again);
        *depths.entry("copy").or_default() += copy;
        *depths.entry("again").or_default() += again;
        *depths.entry("wait").or_default() += wait;
        waiting.push(JobMessages {
            job,
            own: copy + again + wait,
            common,
            pages,
        });
    }
    for (name, ready) in depths {
        metrics
            .queue_messages
            .with_label_values(&[name])
            .set(signed(ready));
    }
    Ok(waiting)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
