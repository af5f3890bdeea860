//! What waits for its time is taken out of the delay queues and put where it would go.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use lapin::types::FieldTable;
use tokio::time::timeout;

use super::Core;
use super::consumer::{Open, linger, open};
use super::envelope::{Outgoing, envelope};
use super::topology::found;
use super::trouble::{answer, failure};
use crate::broker::Queue;
use crate::failure::Result;
use crate::job::JobId;

/// Messages moved at a time.
const BATCH: u16 = 500;
/// What has not come after this time has been taken by others, or its time has come.
const NEXT: Duration = Duration::from_millis(500);

/// Moves what waits of a job to the queue of what is tried again; gives how much that was.
pub(super) async fn wake(core: &Core, job: &JobId) -> Result<u64> {
    let home = core.topology.name(&Queue::Again(job.clone()))?;
    let mut woken = 0;
    for name in core.topology.again(job)? {
        if name != home {
            woken += drain(core, &name, &home).await?;
        }
    }
    Ok(woken)
}

/// Moves as many messages as a queue has now: what comes to it meanwhile waits.
async fn drain(core: &Core, name: &str, home: &str) -> Result<u64> {
    let there = found(&core.consuming, name).await?.ready;
    let mut moved = 0;
    if there == 0 {
        return Ok(moved);
    }
    let mut open = open(&core.consuming, name, BATCH, FieldTable::default()).await?;
    while moved < there {
        let most = (there - moved).min(BATCH.into());
        let batch = take(core, &mut open, most).await?;
        if batch.is_empty() {
            break;
        }
        moved += batch.len() as u64;
        pass_on(core, batch, home).await?;
    }
    core.lingering.spawn(linger(open));
    Ok(moved)
}

async fn take(core: &Core, open: &mut Open, most: u64) -> Result<Vec<Delivery>> {
    let mut batch = Vec::new();
    while (batch.len() as u64) < most {
        match timeout(NEXT, open.arrivals.next()).await {
            Ok(Some(arrived)) => {
                let address = &core.consuming.address;
                let arrived = arrived.map_err(|error| failure(address, "to wake", &error))?;
                batch.push(arrived);
            }
            // The channel is gone, and with it what is not acknowledged yet, which waits on.
            Ok(None) | Err(_) => break,
        }
    }
    Ok(batch)
}

/// Confirmed there first, then acknowledged here.
async fn pass_on(core: &Core, batch: Vec<Delivery>, home: &str) -> Result<()> {
    let mut ackers = Vec::new();
    let mut messages = Vec::new();
    for Delivery {
        properties,
        data,
        acker,
        ..
    } in batch
    {
        messages.push(Outgoing::new(envelope(&properties, data)));
        ackers.push(acker);
    }
    let published = core.publisher.publish(home, messages).await;
    published.map_err(|error| error.failure)?;
    for acker in ackers {
        let acknowledge = acker.ack(BasicAckOptions::default());
        answer(&core.consuming.address, "to acknowledge", acknowledge).await?;
    }
    Ok(())
}
