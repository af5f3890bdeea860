//! One job at one copier: takes its tasks, retries as often as first attempts, so that neither
//! waits for the last of the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::supply::Supply;
use super::{Shared, attempt, seat};
use crate::failure::{Failure, Reason, Result};
use crate::job::JobSpec;
use crate::process::DRAIN;

/// How often a job's account is signed in to again.
const SIGN_IN_AGAIN: Duration = Duration::from_secs(60);

/// Works on a job until it ends or the copier stops; objects begun are finished, and their
/// deliveries settled, as a consumer that is dropped gives back what it handed out.
pub(super) async fn run(shared: Shared, spec: Arc<JobSpec>, stop: CancellationToken) -> Result<()> {
    if !wait_for_credential(&shared, &spec, &stop).await {
        return Ok(());
    }
    tokio::select! {
        // Not beyond the job's end: who ended it has removed its queues.
        () = stop.cancelled() => return Ok(()),
        declared = shared.copier.broker.declare_job(&spec.id) => declared?,
    }
    let mut supply = Supply::open(&shared, &spec).await?;
    let limit = shared.limits.destination(&spec.account);
    let _lines = seat::lines(&shared.limits, &spec);
    let mut working: JoinSet<Result<()>> = JoinSet::new();
    let result = loop {
        let idle = working.is_empty();
        let taken = tokio::select! {
            biased;
            () = stop.cancelled() => break Ok(()),
            Some(done) = working.join_next() => match finished(done) {
                Ok(()) => continue,
                Err(failure) => break Err(failure),
            },
            delivery = supply.next(&shared, &spec, idle) => delivery,
        };
        let delivery = match taken {
            Ok(delivery) => delivery,
            Err(failure) => break Err(failure),
        };
        let (shared, spec, stop) = (shared.clone(), spec.clone(), stop.clone());
        working.spawn(async move { attempt::handle(&shared, &spec, delivery, &stop).await });
        supply.grow(limit.now()).await;
    };
    stop.cancel();
    let drained = async {
        while let Some(done) = working.join_next().await {
            if let Err(failure) = finished(done) {
                tracing::debug!(%failure, "an object was not finished");
            }
        }
    };
    if timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(job.id = %spec.id, "objects begun are given back unfinished");
    }
    shared.unsettled.close();
    shared.unsettled.wait().await;
    shared.told.finish(&spec.id);
    result
}

/// Leaves a job to others while this process has no credential for its account: what it took it
/// would only put back. `false` where the job has ended meanwhile.
async fn wait_for_credential(shared: &Shared, spec: &JobSpec, stop: &CancellationToken) -> bool {
    let mut told = false;
    while shared.copier.many_jobs
        && let Err(failure) = shared.copier.clients.of(spec)
    {
        if !told {
            tracing::warn!(
                job.id = %spec.id,
                account = spec.account,
                %failure,
                "the job is left to other copiers: this one cannot sign in to its account"
            );
            told = true;
        }
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(SIGN_IN_AGAIN) => {}
        }
    }
    true
}

fn finished(done: std::result::Result<Result<()>, JoinError>) -> Result<()> {
    done.map_err(|error| Failure::stop(Reason::Internal, format!("a copier failed: {error}")))?
}
