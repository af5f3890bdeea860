//! Takes away what was parked of a job once its objects are put back.

use std::time::Duration;

use tokio::time::timeout;

use crate::broker::{Broker, Delivery, Queue};
use crate::failure::Result;
use crate::job::JobId;

/// How long the next parked message may take to come.
const NEXT: Duration = Duration::from_secs(5);

/// Removes the job's copy and list tasks that were parked before this round: what they stood for
/// failed and is listed anew. Reports stay; they are an operator's to look at.
///
/// # Errors
/// The broker.
pub(super) async fn clear(broker: &dyn Broker, job: &JobId, round: u32) -> Result<()> {
    let count = broker.depth(&Queue::Parked).await?.ready;
    if count == 0 {
        return Ok(());
    }
    // All are looked at before any goes back: one that goes back may come next.
    let mut consumer = broker.consume(&Queue::Parked, u16::MAX).await?;
    let (mut kept, mut removed) = (Vec::new(), 0);
    for _ in 0..count.min(u16::MAX.into()) {
        let Ok(delivery) = timeout(NEXT, consumer.next()).await else {
            break;
        };
        let delivery = delivery?;
        match is_obsolete(&delivery, job, round) {
            true => {
                delivery.ack().await?;
                removed += 1;
            }
            false => kept.push(delivery),
        }
    }
    if removed > 0 {
        tracing::info!(job.id = %job, removed, "parked messages whose objects are put back are gone");
    }
    Ok(())
}

fn is_obsolete(delivery: &Delivery, job: &JobId, round: u32) -> bool {
    let headers = &delivery.message.headers;
    let tasks = [
        Queue::Copy(job.clone()),
        Queue::Again(job.clone()),
        Queue::List,
    ];
    let from = delivery.parked.as_ref().map(|(queue, _)| queue);
    let is_task = from.is_some_and(|from| tasks.iter().any(|task| task.name() == *from));
    is_task && headers.job == job.as_str() && headers.round < round
}
