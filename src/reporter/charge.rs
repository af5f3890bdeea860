//! Which ledger is in charge of a job log: exactly one, named in the log itself.

use super::LedgerHandle;
use super::book::{Behind, InLog};
use super::ledger::Ledger;
use crate::board::{self, Board, Jobs};
use crate::broker::Broker;
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobId, JobStatus};
use crate::message::JobEvent;

/// Takes charge of the log, or refuses because another ledger is.
///
/// What the log knows of later is taken over. With `adopt`, jobs of the log that this ledger does
/// not know begin afresh, and those it thinks are running although the log has never heard of them
/// are forgotten.
pub(super) async fn take(
    broker: &dyn Broker,
    board: &Board,
    ledger: &LedgerHandle,
    (adopt, now_ms): (bool, i64),
) -> Result<Charge> {
    let jobs = board.jobs().clone();
    let id = ledger.with(|ledger| ledger.id().to_owned()).await?;
    if jobs.ledger.as_ref() != Some(&id) {
        replace(&jobs, ledger, adopt).await?;
    }
    catch_up(ledger, &jobs, now_ms).await?;
    let starts = ledger.with(Ledger::count_start).await??;
    if jobs.ledger.as_ref() == Some(&id) && starts <= jobs.ledger_starts {
        tracing::error!(
            starts,
            last_start = jobs.ledger_starts,
            "this ledger is an older copy of itself, or another reporter works with a copy of it: \
             run blobfleet jobs repair for every running job, or its counts will not be complete"
        );
    }
    note(broker, id, starts).await
}

/// Makes sure that this ledger may take the place of the one the log names, or of none.
async fn replace(jobs: &Jobs, ledger: &LedgerHandle, adopt: bool) -> Result<()> {
    let strays: Vec<_> = ledger
        .with(|ledger| {
            let jobs = ledger.book().jobs.iter();
            jobs.filter(|(_, account)| account.status == JobStatus::Running)
                .map(|(id, _)| id.clone())
                .collect::<Vec<_>>()
        })
        .await?;
    if !adopt {
        if let Some(other) = &jobs.ledger {
            return Err(refusal(&format!(
                "the ledger {other} is in charge of this broker's jobs"
            )));
        }
        if !strays.is_empty() {
            return Err(refusal("the broker has lost the jobs this ledger has open"));
        }
    }
    for job in strays {
        if jobs.contains(&job) {
            tracing::warn!(
                job.id = %job,
                "this ledger goes on with the job as it stood here, whatever another has counted: \
                 blobfleet jobs repair {job} lists anew what is open by it"
            );
            continue;
        }
        tracing::warn!(job.id = %job, "the broker does not know this job: forgotten");
        ledger.with(move |ledger| ledger.forget(&job)).await??;
    }
    Ok(())
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

/// Takes over what the job log knows of later, and says what of this ledger is older or cannot be:
/// it was restored from a copy.
pub(super) async fn catch_up(ledger: &LedgerHandle, jobs: &Jobs, now_ms: i64) -> Result<()> {
    let log: Vec<InLog> = jobs
        .iter()
        .map(|job| InLog {
            job: job.spec.id.clone(),
            round: job.round,
            over: job.over,
            ended: job.end.is_some(),
        })
        .collect();
    let behind = ledger.with(move |ledger| ledger.catch_up(&log, now_ms));
    for (job, how) in behind.await?? {
        tell_behind(&job, how);
    }
    let contradictory = ledger.with(|ledger| ledger.book().contradictory.clone());
    for job in contradictory.await? {
        tracing::error!(
            job.id = %job,
            "the ledger contradicts itself about this job: it was put together of parts of two \
             states, such as an older file and a newer write-ahead log: restore it whole, or run \
             blobfleet jobs repair {job}, which lists it from its beginning; where it has ended, run \
             its copy command again"
        );
    }
    Ok(())
}

fn tell_behind(job: &JobId, how: Behind) {
    match how {
        Behind::Open => tracing::error!(
            job.id = %job,
            "the job has ended by the job log and runs by this ledger, which is of an older state: \
             blobfleet jobs repair {job} lists anew what is open by it, jobs cancel {job} ends it"
        ),
        Behind::Ended => tracing::error!(
            job.id = %job,
            "the job goes on by the job log and has ended by this ledger, which is of an older \
             state: it ends as it had; blobfleet jobs retry {job} puts back what had failed by then"
        ),
        Behind::Round => tracing::error!(
            job.id = %job,
            "this ledger is of an older state and knows nothing of what was put back of the job \
             since: its counts are of before; if the job runs and stands still, blobfleet jobs \
             repair {job} lists anew what is open by it"
        ),
    }
}

/// Why a job of this machine does not go on that has ended by its queue and runs by its ledger.
pub fn older_state(job: &JobId) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!(
            "job {job} has ended by its queue and runs by its ledger, which is of an older state: \
             blobfleet jobs repair {job} lists anew what is open by it, jobs cancel {job} ends it"
        ),
    )
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
