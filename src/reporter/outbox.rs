//! Sends what the ledger's transactions left to be sent.

use super::ledger::{Ledger, Outgoing, Parcel};
use super::{LedgerHandle, parked};
use crate::board;
use crate::broker::{Broker, Queue};
use crate::failure::{Reason, Remedy, Result};
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
                // The connection itself says that the broker is away, once.
                if failure.reason == Reason::BrokerUnavailable {
                    tracing::debug!(%failure, "list work will be sent again");
                } else {
                    tracing::warn!(%failure, "list work could not be sent; it will be sent again");
                }
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
    tracing::info!(job.id = %job, round, "what failed, is held or waits is to be tried again");
    let event = JobEvent::Reopened {
        job: job.clone(),
        round,
    };
    board::append(broker, Some(&job), &event).await?;
    if let Err(failure) = parked::clear(broker, &job, round).await {
        tracing::warn!(job.id = %job, %failure, "what was parked of it stays parked");
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::embedded::EmbeddedBroker;
    use crate::job::{JobSpec, JobStatus};
    use crate::message::{Decided, Ending, Envelope, Headers, Page, Report};

    fn spec() -> JobSpec {
        JobSpec::sample(1)
    }

    /// A page of one object that failed: the job ends with it.
    fn failed_page() -> Report {
        let ending = Ending::Failed {
            reason: Reason::SourceDenied,
            message: "no".into(),
        };
        Report::Page(Page {
            job: JobId::new("j-1"),
            list_task: 0,
            nonce: 1,
            objects: 1,
            bytes: 0,
            filtered: 0,
            decided: vec![Decided {
                index: 0,
                key: "k".into(),
                size: 0,
                ending,
            }],
            next: Vec::new(),
        })
    }

    /// The process died after it had sent all of it and before it knew: end and reopening are told
    /// once more, and what was queued since stays.
    #[tokio::test]
    async fn an_end_that_is_told_again_takes_nothing_from_the_round_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let broker = EmbeddedBroker::open(dir.path()).unwrap();
        let ledger = LedgerHandle::open(dir.path()).unwrap();
        let job = JobId::new("j-1");
        board::append(&*broker, None, &JobEvent::Submitted(Box::new(spec())))
            .await
            .unwrap();
        let parcels = ledger.with(|ledger| {
            ledger.number_anew(0);
            ledger.submit(&spec(), 1).unwrap();
            ledger.fold(vec![failed_page()], 2).unwrap();
            ledger.retry(&JobId::new("j-1"), 3).unwrap();
            ledger.outgoing().unwrap()
        });
        let parcels = parcels.await.unwrap();
        let ends = |one: &Outgoing| matches!(&one.parcel, Parcel::Ended(end) if end.round == 0);
        assert!(parcels.iter().any(ends), "{parcels:?}");

        send(&*broker, &ledger, parcels.clone()).await.unwrap();
        let copies = Queue::Copy(job.clone());
        let message = Envelope::new(Headers::default(), &"a copy task").unwrap();
        broker.publish(&copies, vec![message]).await.unwrap();
        send(&*broker, &ledger, parcels).await.unwrap();

        assert_eq!(broker.depth(&copies).await.unwrap().ready, 1);
        let jobs = board::read(&*broker).await.unwrap();
        let known = jobs.get(&job).unwrap();
        assert!(known.end.is_none() && !known.listed, "{known:?}");
        assert_eq!((known.round, known.reopened), (1, 1));

        // The next end is the round's own.
        let again = Report::Page(Page {
            list_task: 1,
            objects: 0,
            decided: Vec::new(),
            ..match failed_page() {
                Report::Page(page) => page,
                other => panic!("{other:?}"),
            }
        });
        let folded = ledger.with(|ledger| ledger.fold(vec![again], 4)).await;
        folded.unwrap().unwrap();
        flush(&*broker, &ledger).await.unwrap();
        let jobs = board::read(&*broker).await.unwrap();
        let end = jobs.get(&job).unwrap().end.clone().unwrap();
        assert_eq!((end.round, end.status), (1, JobStatus::Completed));
        let closed = Envelope::new(Headers::default(), &"late").unwrap();
        assert!(broker.publish(&copies, vec![closed]).await.is_err());
    }
}
