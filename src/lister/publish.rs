//! Publishes a page: its copy tasks within a lease, then its report.

use std::time::Duration;

use tokio::time::Instant;

use super::page::Draft;
use crate::broker::{Broker, Queue};
use crate::failure::{Reason, Remedy, Result};
use crate::message::{Headers, Page, Report};

/// How long a page may take to be published before it is cut short.
const LEASE: Duration = Duration::from_secs(60);
/// Wait before a full queue is tried again.
const FULL_WAIT: Duration = Duration::from_millis(250);

/// Publishes the copy tasks; gives the page that was confirmed, none where nothing was.
pub(super) async fn tasks(broker: &dyn Broker, draft: Draft) -> Result<Option<Page>> {
    let queue = Queue::Copy(draft.job().clone());
    let lease = Instant::now() + LEASE;
    let mut confirmed = 0;
    while confirmed < draft.tasks.len() {
        match broker.publish(&queue, draft.messages(confirmed)?).await {
            Ok(()) => return Ok(Some(draft.whole())),
            Err(partial) => {
                confirmed += partial.confirmed;
                if partial.failure.remedy != Remedy::Retry {
                    return Err(partial.failure);
                }
                if Instant::now() >= lease {
                    return match draft.cut(confirmed) {
                        Some(page) => Ok(Some(page)),
                        None if partial.failure.reason == Reason::QueueFull => Ok(None),
                        None => Err(partial.failure),
                    };
                }
                tokio::time::sleep(FULL_WAIT).await;
            }
        }
    }
    Ok(Some(draft.whole()))
}

/// Publishes a report.
pub(super) async fn report(broker: &dyn Broker, headers: Headers, report: &Report) -> Result<()> {
    let message = report.message(headers)?;
    broker
        .publish(&Queue::Outcome, vec![message])
        .await
        .map_err(|partial| partial.failure)
}
