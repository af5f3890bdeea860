//! Which ledger is in charge of a job log: exactly one, named in the log itself.

use super::LedgerHandle;
use super::ledger::Ledger;
use crate::board::{self, Board};
use crate::broker::Broker;
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobId, JobStatus};
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
) -> Result<Charge> {
    let (in_charge, last_start, known, ended) = {
        let jobs = board.jobs();
        let known: Vec<_> = jobs.iter().map(|job| job.spec.id.clone()).collect();
        let ended = jobs.iter().filter_map(|job| {
            let end = job.end.as_ref()?;
            Some((job.spec.id.clone(), end.round))
        });
        let ended: Vec<_> = ended.collect();
        (jobs.ledger.clone(), jobs.ledger_starts, known, ended)
    };
    let id = ledger.with(|ledger| ledger.id().to_owned()).await?;
    if in_charge.as_ref() == Some(&id) {
        let starts = ledger.with(Ledger::count_start).await??;
        tell_of_older_state(ledger, (starts, last_start), ended).await?;
        return note(broker, id, starts).await;
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
    let starts = ledger.with(Ledger::count_start).await??;
    note(broker, id, starts).await
}

/// A start of a reporter, by its name in the job log.
#[derive(Debug)]
pub(super) struct Charge(u64);

async fn note(broker: &dyn Broker, id: String, starts: u64) -> Result<Charge> {
    let start = rand::random();
    let event = JobEvent::Ledger { id, starts, start };
    board::append(broker, None, &event).await?;
    Ok(Charge(start))
}

/// Is this process still in charge of the log?
///
/// # Errors
/// Another reporter has begun since, with this ledger, a copy of it or another one.
pub(super) fn keep(board: &Board, charge: &Charge) -> Result<()> {
    let jobs = board.jobs();
    let own = jobs.reporters.iter().position(|start| *start == charge.0);
    if own.is_none_or(|own| own + 1 == jobs.reporters.len()) {
        return Ok(());
    }
    Err(Failure::stop(
        Reason::LocalState,
        "another reporter has taken charge of this broker's jobs: only one may run, and only with \
         the ledger itself, not with a copy",
    ))
}

/// Says what of this ledger is older than the job log: it was restored from a copy.
async fn tell_of_older_state(
    ledger: &LedgerHandle,
    (starts, last_start): (u64, u64),
    ended: Vec<(JobId, u32)>,
) -> Result<()> {
    let ended = ledger
        .with(move |ledger| ledger.note_ended_in_log(ended))
        .await?;
    for job in ended {
        tracing::error!(
            job.id = %job,
            "the job has ended by the job log and runs by this ledger, which is of an older state: \
             blobfleet jobs repair {job} lists anew what is open by it, jobs cancel {job} ends it"
        );
    }
    for job in ledger.with(|ledger| ledger.contradictions()).await?? {
        tracing::error!(
            job.id = %job,
            "the ledger contradicts itself about this job: it was put together of parts of two \
             states, such as an older file and a newer write-ahead log; restore it whole, or compare \
             source and destination at the job's end"
        );
    }
    if starts <= last_start {
        tracing::error!(
            starts,
            last_start,
            "this ledger is an older copy of itself, or another reporter works with a copy of it: \
             run blobfleet jobs repair for every running job, or its counts will not be complete"
        );
    }
    Ok(())
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
