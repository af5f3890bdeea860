//! Sends what the ledger's transactions left to be sent.

use super::LedgerHandle;
use super::ledger::{Ledger, Outgoing, Parcel};
use crate::board;
use crate::broker::{Broker, Queue};
use crate::failure::{Remedy, Result};
use crate::job::{JobEnd, JobId};
use crate::message::JobEvent;

/// Sends everything in the outbox. A broker out of reach leaves the rest for the next time.
pub(super) async fn flush(broker: &dyn Broker, ledger: &LedgerHandle) -> Result<()> {
    loop {
        let parcels = ledger.with(|ledger| ledger.outgoing()).await??;
        if parcels.is_empty() {
            return Ok(());
        }
        match send(broker, ledger, parcels).await {
            Ok(seqs) => ledger.with(move |ledger| ledger.sent(&seqs)).await??,
            Err(failure) if failure.remedy == Remedy::Retry => {
                tracing::warn!(%failure, "list work could not be sent; it will be sent again");
                return Ok(());
            }
            Err(failure) => return Err(failure),
        }
    }
}

async fn send(
    broker: &dyn Broker,
    ledger: &LedgerHandle,
    parcels: Vec<Outgoing>,
) -> Result<Vec<i64>> {
    let seqs = parcels.iter().map(|parcel| parcel.seq).collect();
    let mut lists = Vec::new();
    for Outgoing { parcel, .. } in parcels {
        match parcel {
            Parcel::List(task) => lists.push(task.message()?),
            Parcel::Listed(job) => listed(broker, job, 0).await?,
            Parcel::ListedIn(job, round) => listed(broker, job, round).await?,
            Parcel::Declare(job) => broker.declare_job(&job).await?,
            Parcel::Reopened(job, round) => reopen(broker, job, round).await?,
            Parcel::Ended(end) => announce(broker, ledger, end).await?,
        }
    }
    if !lists.is_empty() {
        broker
            .publish(&Queue::List, lists)
            .await
            .map_err(|partial| partial.failure)?;
    }
    Ok(seqs)
}

async fn listed(broker: &dyn Broker, job: JobId, round: u32) -> Result<()> {
    let event = JobEvent::Listed {
        job: job.clone(),
        round,
    };
    board::append(broker, Some(&job), &event).await
}

/// The queues first: whoever hears of the round works with them.
async fn reopen(broker: &dyn Broker, job: JobId, round: u32) -> Result<()> {
    broker.declare_job(&job).await?;
    tracing::info!(job.id = %job, round, "what failed is put back");
    let event = JobEvent::Reopened {
        job: job.clone(),
        round,
    };
    board::append(broker, Some(&job), &event).await
}

/// The queues of a job that has gone on since stay: its tasks may lie there already. One that goes
/// on from now on makes them after this, from the same outbox.
async fn announce(broker: &dyn Broker, ledger: &LedgerHandle, end: JobEnd) -> Result<()> {
    tracing::info!(job.id = %end.job, status = %end.status, "job ended");
    board::append(broker, Some(&end.job), &JobEvent::Ended(end.clone())).await?;
    let job = end.job.clone();
    let latest = move |ledger: &mut Ledger| {
        let account = ledger.book().jobs.get(&job);
        account.is_none_or(|account| account.round == end.round)
    };
    if ledger.with(latest).await? {
        broker.delete_job(&end.job).await?;
    }
    Ok(())
}
