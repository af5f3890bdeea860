//! Sends what the ledger's transactions left to be sent.

use super::LedgerHandle;
use super::ledger::{Outgoing, Parcel};
use crate::board;
use crate::broker::{Broker, Queue};
use crate::failure::{Remedy, Result};
use crate::job::JobEnd;
use crate::message::{Envelope, Headers, JobEvent, ListTask};

/// Sends everything in the outbox. A broker out of reach leaves the rest for the next time.
pub(super) async fn flush(broker: &dyn Broker, ledger: &LedgerHandle) -> Result<()> {
    loop {
        let parcels = ledger.with(|ledger| ledger.outgoing()).await??;
        if parcels.is_empty() {
            return Ok(());
        }
        match send(broker, parcels).await {
            Ok(seqs) => ledger.with(move |ledger| ledger.sent(&seqs)).await??,
            Err(failure) if failure.remedy == Remedy::Retry => {
                tracing::warn!(%failure, "list work could not be sent; it will be sent again");
                return Ok(());
            }
            Err(failure) => return Err(failure),
        }
    }
}

async fn send(broker: &dyn Broker, parcels: Vec<Outgoing>) -> Result<Vec<i64>> {
    let seqs = parcels.iter().map(|parcel| parcel.seq).collect();
    let mut lists = Vec::new();
    for Outgoing { parcel, .. } in parcels {
        match parcel {
            Parcel::List(task) => lists.push(list_message(&task)?),
            Parcel::Listed(job) => {
                board::append(broker, Some(&job), &JobEvent::Listed { job: job.clone() }).await?;
            }
            Parcel::Ended(end) => announce(broker, end).await?,
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

fn list_message(task: &ListTask) -> Result<Envelope> {
    let headers = Headers {
        job: task.job.to_string(),
        list_task: task.id,
        round: task.round,
        ..Headers::default()
    };
    Envelope::new(headers, task)
}

async fn announce(broker: &dyn Broker, end: JobEnd) -> Result<()> {
    tracing::info!(job.id = %end.job, status = %end.status, "job ended");
    board::append(broker, Some(&end.job), &JobEvent::Ended(end.clone())).await?;
    broker.delete_job(&end.job).await
}
