//! What is done to a job so that more of it arrives: `retry` and `repair`.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::{Shared, TELL, error, unknown};
use crate::failure::Result;
use crate::job::{JobId, JobStatus};
use crate::reporter::LedgerHandle;
use crate::reporter::ledger::Ledger;
use crate::reporter::summary::Summary;

/// Where the job stands, and what was done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer<T> {
    /// The job now.
    #[serde(flatten)]
    pub summary: Summary,
    /// What was put back, and what could not be.
    pub put_back: T,
    /// Whoever reads the job log from now on sees it there. Versions before did not say.
    #[serde(default)]
    pub told: bool,
}

/// What a job's status says against it; none where nothing does.
type Refuses = fn(JobStatus) -> Option<String>;

/// Why failed objects of a job of this status are not put back.
pub fn refuses_retry(status: JobStatus) -> Option<String> {
    (status == JobStatus::Cancelled).then(|| {
        "the job was cancelled and cannot go on: run its copy command again to copy what is left"
            .to_owned()
    })
}

/// Puts back what failed. That is durable when this answers, and in the job log, unless `told` says
/// otherwise: a lister that is started then joins the new round and does not take the end before it
/// for the job's.
pub(super) async fn retry(State((ledger, clock)): Shared, Path(id): Path<String>) -> Response {
    let (job, now_ms) = (JobId::new(&id), clock.unix_ms());
    let work = move |ledger: &mut Ledger| ledger.retry(&job, now_ms);
    answer(&ledger, (JobId::new(&id), now_ms), refuses_retry, work).await
}

/// Why a job of this status is not repaired.
pub fn refuses_repair(status: JobStatus) -> Option<String> {
    match status {
        JobStatus::Running | JobStatus::Interrupted => None,
        JobStatus::Cancelled => refuses_retry(status),
        ended => Some(format!(
            "the job has ended already: {ended}: jobs retry puts back what failed of it"
        )),
    }
}

/// Lists anew what is open of a job whose messages the broker lost. While some wait there it is
/// refused, unless the query says `force=true`.
pub(super) async fn repair(
    State((ledger, clock)): Shared,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let (job, now_ms) = (JobId::new(&id), clock.unix_ms());
    let forced = query.is_some_and(|query| query.split('&').any(|pair| pair == "force=true"));
    if !forced {
        let job = job.clone();
        let why = ledger.with(move |ledger| why_not_lost(ledger, &job)).await;
        match why {
            Ok(None) => {}
            Ok(Some(why)) => return error(StatusCode::CONFLICT, &why),
            Err(failure) => return error(StatusCode::INTERNAL_SERVER_ERROR, &failure.message),
        }
    }
    let work = move |ledger: &mut Ledger| {
        let repaired = ledger.repair(&job, now_ms);
        repaired.map(Option::unwrap_or_default)
    };
    answer(&ledger, (JobId::new(&id), now_ms), refuses_repair, work).await
}

/// Why a job's messages were not lost, or not surely; none where they were, or where it cannot be
/// repaired for another reason.
fn why_not_lost(ledger: &Ledger, job: &JobId) -> Option<String> {
    let status = ledger.book().jobs.get(job)?.status;
    if refuses_repair(status).is_some() {
        return None;
    }
    match ledger.waiting(job) {
        Some(0) => None,
        Some(waiting) => Some(format!(
            "{waiting} messages of the job wait at the broker, so that they were not lost: let them \
             be worked on; --force lists anew all the same"
        )),
        None => Some(
            "the job's messages at the broker have not been counted yet: try again in a minute; \
             --force lists anew all the same"
                .to_owned(),
        ),
    }
}

async fn answer<T: Serialize + Send + 'static>(
    ledger: &LedgerHandle,
    (job, now_ms): (JobId, i64),
    refuses: Refuses,
    work: impl FnOnce(&mut Ledger) -> Result<T> + Send + 'static,
) -> Response {
    let id = job.clone();
    let done = ledger.with(move |ledger| {
        let status = ledger.book().jobs.get(&id).map(|account| account.status);
        match status.map(refuses) {
            None => Ok(None),
            Some(Some(why)) => Err(why),
            Some(None) => Ok(Some(work(ledger))),
        }
    });
    let put_back = match done.await {
        Ok(Ok(Some(Ok(put_back)))) => put_back,
        Ok(Ok(None)) => return unknown(),
        Ok(Err(why)) => return error(StatusCode::CONFLICT, &why),
        Ok(Ok(Some(Err(failure)))) | Err(failure) => {
            return error(StatusCode::INTERNAL_SERVER_ERROR, &failure.message);
        }
    };
    let told = match ledger.sent(TELL).await {
        Ok(told) => told,
        Err(failure) => return error(StatusCode::INTERNAL_SERVER_ERROR, &failure.message),
    };
    match ledger.summary(job, now_ms).await {
        Ok(Some(summary)) => Json(Answer {
            summary,
            put_back,
            told,
        })
        .into_response(),
        Ok(None) => unknown(),
        Err(failure) => error(StatusCode::INTERNAL_SERVER_ERROR, &failure.message),
    }
}
