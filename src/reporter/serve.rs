//! The jobs API, and the metrics that come from the ledger.

use std::collections::BTreeMap;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::LedgerHandle;
use super::summary::Summary;
use crate::broker::{Broker, Queue};
use crate::clock::Clock;
use crate::failure::Result;
use crate::job::{JobId, JobStatus};
use crate::metrics::Metrics;

/// Ended jobs shown in metrics; older ones stay in `/api/jobs`.
const ENDED_SHOWN: usize = 5;

/// `/api/jobs` and `/api/jobs/ID`.
pub fn router(ledger: LedgerHandle, clock: Clock) -> Router {
    Router::new()
        .route("/api/jobs", get(all))
        .route("/api/jobs/{id}", get(one))
        .with_state((ledger, clock))
}

type Shared = State<(LedgerHandle, Clock)>;

async fn all(State((ledger, clock)): Shared) -> Response {
    match ledger.summaries(clock.unix_ms()).await {
        Ok(jobs) => Json(json!({ "jobs": jobs })).into_response(),
        Err(failure) => error(StatusCode::INTERNAL_SERVER_ERROR, &failure.message),
    }
}

async fn one(State((ledger, clock)): Shared, Path(id): Path<String>) -> Response {
    match ledger.summary(JobId::new(&id), clock.unix_ms()).await {
        Ok(Some(summary)) => Json(summary).into_response(),
        Ok(None) => error(StatusCode::NOT_FOUND, "no such job; /api/jobs lists them"),
        Err(failure) => error(StatusCode::INTERNAL_SERVER_ERROR, &failure.message),
    }
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
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
) -> Result<()> {
    let summaries = ledger.summaries(now_ms).await?;
    show_jobs(metrics, &summaries);
    let running: Vec<JobId> = summaries
        .iter()
        .filter(|summary| summary.status == JobStatus::Running)
        .map(|summary| summary.job_id.clone())
        .collect();
    if let Err(failure) = show_queues(broker, metrics, &running).await {
        tracing::debug!(%failure, "queue depths are not known");
    }
    Ok(())
}

fn show_jobs(metrics: &Metrics, summaries: &[Summary]) {
    metrics.job_objects.reset();
    metrics.job_bytes.reset();
    metrics.job_failed_objects.reset();
    metrics.jobs.reset();
    for status in [
        JobStatus::Running,
        JobStatus::Completed,
        JobStatus::CompletedWithErrors,
    ] {
        metrics.jobs.with_label_values(&[status.as_str()]);
    }
    let mut ended = 0;
    for summary in summaries {
        metrics
            .jobs
            .with_label_values(&[summary.status.as_str()])
            .inc();
        ended += usize::from(summary.status != JobStatus::Running);
        if summary.status == JobStatus::Running || ended <= ENDED_SHOWN {
            show_job(metrics, summary);
        }
    }
}

fn show_job(metrics: &Metrics, summary: &Summary) {
    let job = summary.job_id.as_str();
    for (state, value) in [
        ("listed", summary.objects_listed),
        ("copied", summary.objects_copied),
        ("skipped", summary.objects_skipped),
        ("failed", summary.objects_failed),
        ("open", summary.objects_open),
    ] {
        metrics
            .job_objects
            .with_label_values(&[job, state])
            .set(signed(value));
    }
    for (state, value) in [
        ("listed", summary.bytes_listed),
        ("copied", summary.bytes_copied),
    ] {
        metrics
            .job_bytes
            .with_label_values(&[job, state])
            .set(signed(value));
    }
    let failed = BTreeMap::from([("source_denied".to_owned(), 0)]);
    for (reason, value) in failed.iter().chain(&summary.failed_by_reason) {
        metrics
            .job_failed_objects
            .with_label_values(&[job, reason])
            .set(signed(*value));
    }
}

async fn show_queues(broker: &dyn Broker, metrics: &Metrics, running: &[JobId]) -> Result<()> {
    let mut depths = BTreeMap::from([("copy", 0), ("again", 0)]);
    for (name, queue) in [
        ("list", Queue::List),
        ("outcome", Queue::Outcome),
        ("parked", Queue::Parked),
    ] {
        depths.insert(name, broker.depth(&queue).await?.ready);
    }
    for job in running {
        *depths.entry("copy").or_default() += broker.depth(&Queue::Copy(job.clone())).await?.ready;
        *depths.entry("again").or_default() +=
            broker.depth(&Queue::Again(job.clone())).await?.ready;
    }
    for (name, ready) in depths {
        metrics
            .queue_messages
            .with_label_values(&[name])
            .set(signed(ready));
    }
    Ok(())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
