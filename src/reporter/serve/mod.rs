//! The jobs API: what `blobfleet jobs --reporter` asks for, in JSON.
//!
//! - `GET /api/jobs`, `GET /api/jobs/ID`: summaries;
//! - `GET /api/jobs/ID/objects?status=failed|skipped&after=…&limit=…`: a page of objects;
//! - `GET /api/jobs/ID/ranges?after=…&limit=…`: a page of ranges that could not be listed;
//! - `POST /api/jobs/ID/cancel`: ends a running job;
//! - `POST /api/jobs/ID/retry`: puts back what failed of a job;
//! - `POST /api/jobs/ID/repair`: lists anew what is open of a job whose messages the broker lost.
//!
//! A page's `next` is the `after` of the one that follows; null after the last.

mod again;

use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;

pub use again::{Answer, refuses_repair, refuses_retry};

use super::LedgerHandle;
use super::ledger::{EndingKind, Ledger, LinePage, Place};
use super::summary::Summary;
use crate::clock::Clock;
use crate::failure::Result;
use crate::job::{JobId, JobStatus};

/// How long telling the fleet of a change may take before whoever asked for it is answered; less
/// than clients wait.
const TELL: Duration = Duration::from_secs(20);

const KINDS: &str = "status is failed or skipped";

/// Lines in a page where nothing is said, and the most there are.
const LIMIT: (u32, u32) = (1_000, 10_000);

/// The routes of the API.
pub fn router(ledger: LedgerHandle, clock: Clock) -> Router {
    Router::new()
        .route("/api/jobs", get(all))
        .route("/api/jobs/{id}", get(one))
        .route("/api/jobs/{id}/objects", get(objects))
        .route("/api/jobs/{id}/ranges", get(ranges))
        .route("/api/jobs/{id}/cancel", post(cancel))
        .route("/api/jobs/{id}/retry", post(again::retry))
        .route("/api/jobs/{id}/repair", post(again::repair))
        .with_state((ledger, clock))
}

type Shared = State<(LedgerHandle, Clock)>;

/// What a page is asked for with.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    kind: Option<EndingKind>,
    after: Place,
    limit: u32,
}

impl Wanted {
    fn read(query: Option<String>) -> std::result::Result<Self, &'static str> {
        let mut wanted = Self {
            kind: None,
            after: Place::START,
            limit: LIMIT.0,
        };
        let query = format!("http://any/?{}", query.unwrap_or_default());
        let url = reqwest::Url::parse(&query).map_err(|_| "the query cannot be read")?;
        for (name, value) in url.query_pairs() {
            match &*name {
                "status" => wanted.kind = Some(kind(&value)?),
                "after" => wanted.after = value.parse()?,
                "limit" => wanted.limit = value.parse().map_err(|_| "limit is a number")?,
                _ => return Err("a page is asked for with status, after and limit"),
            }
        }
        wanted.limit = wanted.limit.clamp(1, LIMIT.1);
        Ok(wanted)
    }
}

fn kind(text: &str) -> std::result::Result<EndingKind, &'static str> {
    let kinds = [EndingKind::Failed, EndingKind::Skipped];
    let kind = kinds.into_iter().find(|kind| kind.as_str() == text);
    kind.ok_or(KINDS)
}

async fn all(State((ledger, clock)): Shared) -> Response {
    match ledger.summaries(clock.unix_ms()).await {
        Ok(jobs) => Json(json!({ "jobs": jobs })).into_response(),
        Err(failure) => error(StatusCode::INTERNAL_SERVER_ERROR, &failure.message),
    }
}

async fn one(State((ledger, clock)): Shared, Path(id): Path<String>) -> Response {
    known(ledger.summary(JobId::new(&id), clock.unix_ms()).await)
}

fn known(summary: Result<Option<Summary>>) -> Response {
    match summary {
        Ok(Some(summary)) => Json(summary).into_response(),
        Ok(None) => unknown(),
        Err(failure) => error(StatusCode::INTERNAL_SERVER_ERROR, &failure.message),
    }
}

async fn objects(
    State((ledger, _)): Shared,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let wanted = match Wanted::read(query) {
        Ok(wanted) => wanted,
        Err(why) => return error(StatusCode::BAD_REQUEST, why),
    };
    let Some(kind) = wanted.kind else {
        return error(StatusCode::BAD_REQUEST, KINDS);
    };
    let job = JobId::new(&id);
    let lines = move |ledger: &mut Ledger| {
        let known = ledger.book().jobs.contains_key(&job);
        known.then(|| ledger.endings_after(&job, kind, wanted.after, wanted.limit))
    };
    paged("objects", ledger.with(lines).await)
}

async fn ranges(
    State((ledger, _)): Shared,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let wanted = match Wanted::read(query) {
        Ok(wanted) => wanted,
        Err(why) => return error(StatusCode::BAD_REQUEST, why),
    };
    let job = JobId::new(&id);
    let lines = move |ledger: &mut Ledger| {
        let known = ledger.book().jobs.contains_key(&job);
        known.then(|| ledger.range_failures_after(&job, wanted.after, wanted.limit))
    };
    paged("ranges", ledger.with(lines).await)
}

fn paged<T: Serialize>(name: &str, page: Result<Option<Result<LinePage<T>>>>) -> Response {
    match page.map(Option::transpose) {
        Ok(Ok(Some(page))) => {
            let next = page.next.map(|place| place.to_string());
            Json(json!({ name: page.lines, "next": next })).into_response()
        }
        Ok(Ok(None)) => unknown(),
        Ok(Err(failure)) | Err(failure) => {
            error(StatusCode::INTERNAL_SERVER_ERROR, &failure.message)
        }
    }
}

/// Ends a running job. The end is durable when this answers, and in the job log, unless the broker is
/// away. Cancelling again changes nothing.
async fn cancel(State((ledger, clock)): Shared, Path(id): Path<String>) -> Response {
    let now_ms = clock.unix_ms();
    let job = JobId::new(&id);
    let cancelled = ledger.with({
        let job = job.clone();
        move |ledger| ledger.cancel(&job, now_ms)
    });
    let ended = match cancelled.await {
        Ok(Ok(ended)) => ended,
        Ok(Err(failure)) | Err(failure) => {
            return error(StatusCode::INTERNAL_SERVER_ERROR, &failure.message);
        }
    };
    if ended {
        tracing::info!(job.id = %job, "job cancelled");
    }
    if let Err(failure) = ledger.sent(TELL).await {
        return error(StatusCode::INTERNAL_SERVER_ERROR, &failure.message);
    }
    match ledger.summary(job, now_ms).await {
        Ok(Some(summary)) if summary.status != JobStatus::Cancelled => {
            let why = format!("the job has ended already: {}", summary.status);
            error(StatusCode::CONFLICT, &why)
        }
        summary => known(summary),
    }
}

fn unknown() -> Response {
    error(StatusCode::NOT_FOUND, "no such job; /api/jobs lists them")
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}
