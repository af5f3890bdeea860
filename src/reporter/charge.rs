//! Which ledger is in charge of a job log: exactly one, named in the log itself.

use super::LedgerHandle;
use crate::board::{self, Board};
use crate::broker::Broker;
use crate::failure::{Failure, Reason, Result};
use crate::job::JobStatus;
use crate::message::JobEvent;

/// Takes charge of the log, or refuses because another ledger is.
///
/// With `adopt`, jobs of the log that this ledger does not know begin afresh, and those it thinks
/// are running although the log has never heard of them are forgotten.
pub(super) async fn take(
    broker: &dyn Broker,
    board: &Board,
    ledger: &LedgerHandle,
    adopt: bool,
) -> Result<()> {
    let (in_charge, known): (Option<String>, Vec<_>) = {
        let jobs = board.jobs();
        (
            jobs.ledger.clone(),
            jobs.iter().map(|job| job.spec.id.clone()).collect(),
        )
    };
    let id = ledger.with(|ledger| ledger.id().to_owned()).await?;
    if in_charge.as_ref() == Some(&id) {
        return Ok(());
    }
    let strays: Vec<_> = ledger
        .with(|ledger| {
            let jobs = ledger.book().jobs.iter();
            jobs.filter(|(_, account)| account.status == JobStatus::Running)
                .map(|(id, _)| id.clone())
                .collect::<Vec<_>>()
        })
        .await?;
    if !adopt {
        if let Some(other) = in_charge {
            return Err(refusal(&format!(
                "the ledger {other} is in charge of this broker's jobs"
            )));
        }
        if !strays.is_empty() {
            return Err(refusal("the broker has lost the jobs this ledger has open"));
        }
    }
    for job in strays.into_iter().filter(|job| !known.contains(job)) {
        tracing::warn!(job.id = %job, "the broker does not know this job: forgotten");
        ledger.with(move |ledger| ledger.forget(&job)).await??;
    }
    board::append(broker, None, &JobEvent::Ledger { id }).await
}

fn refusal(cause: &str) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!(
            "{cause}: start the reporter with that ledger's --state folder, or give --adopt to \
             begin its unfinished jobs afresh"
        ),
    )
}
