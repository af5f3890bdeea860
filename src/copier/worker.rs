//! One job at one copier: takes its tasks, retries before first attempts.

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Shared, attempt};
use crate::broker::{Delivery, Queue};
use crate::failure::{Failure, Reason, Result};
use crate::job::JobSpec;
use crate::process::DRAIN;

/// Works on a job until it ends or the copier stops; objects begun are finished, and their
/// deliveries settled, as a consumer that is dropped gives back what it handed out.
pub(super) async fn run(shared: Shared, spec: Arc<JobSpec>, stop: CancellationToken) -> Result<()> {
    let broker = &shared.copier.broker;
    let window = shared.copier.concurrency;
    broker.declare_job(&spec.id).await?;
    let mut again = broker
        .consume(&Queue::Again(spec.id.clone()), window)
        .await?;
    let mut first = broker
        .consume(&Queue::Copy(spec.id.clone()), window)
        .await?;
    let mut working: JoinSet<Result<()>> = JoinSet::new();
    let result = loop {
        let taken = tokio::select! {
            biased;
            () = stop.cancelled() => break Ok(()),
            Some(done) = working.join_next() => match finished(done) {
                Ok(()) => continue,
                Err(failure) => break Err(failure),
            },
            delivery = again.next() => delivery,
            delivery = first.next() => delivery,
        };
        match taken {
            Ok(delivery) => {
                working.spawn(one(shared.clone(), spec.clone(), delivery, stop.clone()));
            }
            Err(failure) => break Err(failure),
        }
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
    result
}

async fn one(
    shared: Shared,
    spec: Arc<JobSpec>,
    delivery: Delivery,
    stop: CancellationToken,
) -> Result<()> {
    let objects = shared.objects.clone();
    let permit = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        permit = objects.acquire_owned() => permit,
    };
    let _permit = permit.map_err(|error| {
        Failure::stop(
            Reason::Internal,
            format!("no permits are given any more: {error}"),
        )
    })?;
    shared.copier.metrics.in_flight_objects.inc();
    let result = attempt::handle(&shared, &spec, delivery).await;
    shared.copier.metrics.in_flight_objects.dec();
    result
}

fn finished(done: std::result::Result<Result<()>, JoinError>) -> Result<()> {
    done.map_err(|error| Failure::stop(Reason::Internal, format!("a copier failed: {error}")))?
}
