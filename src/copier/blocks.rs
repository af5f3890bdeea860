//! Copies one object block by block, in parallel, and commits the list at the end.
//!
//! Block ids are a pure function of the source's version, so that what an earlier delivery staged
//! is found in the block list and not staged again. Digests are not in that list: after a lease of
//! some blocks or minutes the task is put back with those it has learned, which also keeps it from
//! being held for longer than the broker allows.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::digests::Digests;
use super::object::SourceObject;
use super::passage::Passage;
use super::plan::{Block, Blocks};
use super::proof;
use crate::destination::client::{
    BlobError, BlobHeaders, BlockList, BlockRange, Conditions, CopySource,
};
use crate::failure::{Failure, Reason, Result};
use crate::message::Staged;

/// How long a delivery works on one object before it puts it back.
const LEASE: Duration = Duration::from_secs(120);
/// Blocks after which it does; or one in [`SHARE`] of all, if that is more.
const LEAST: u64 = 64;
const SHARE: u64 = 200;

/// How far a delivery got.
#[derive(Debug)]
pub(super) enum Progress {
    /// The blob is made; its CRC-64/NVME where all blocks' are known.
    Done(Option<u64>),
    /// There is more to stage; this is what was learned.
    Paused(Staged),
}

/// Stages the blocks that are not there yet, makes sure that the source is still the same, then
/// commits. `begun` tells the first second in which this job may have written, from the
/// destination's date.
pub(super) async fn copy(
    passage: &Passage,
    source: &SourceObject,
    plan: &Blocks,
    earlier: Option<&Staged>,
    (conditions, begun): (&Conditions, impl Fn(Option<i64>) -> i64),
) -> Result<Progress> {
    let there = block_list(passage).await?;
    if let Some(list) = &there
        && committed(list, plan, begun(list.date))
    {
        return Ok(Progress::Done(None));
    }
    let there = match there {
        Some(list) if is_foreign(&list, plan) => {
            clear(passage, &list).await?;
            None
        }
        there => there,
    };
    let mut digests = Digests::of_earlier(plan, earlier);
    let matters = source.head.checksum_crc64nvme.is_some();
    let missing = missing(plan, there.as_ref(), |index| {
        !matters || digests.knows(index)
    });
    if let Some(paused) = stage_all(passage, plan, missing, &mut digests).await? {
        return Ok(Progress::Paused(paused));
    }
    unchanged(passage, source).await?;
    let whole = digests.whole(plan);
    proof::same_crc64(source.head.checksum_crc64nvme, whole)?;
    commit(passage, source, plan, conditions).await?;
    Ok(Progress::Done(whole))
}

/// Stages blocks in parallel until all are there or the lease ends.
async fn stage_all(
    passage: &Passage,
    plan: &Blocks,
    missing: Vec<(usize, Block)>,
    digests: &mut Digests,
) -> Result<Option<Staged>> {
    let until = Instant::now() + LEASE;
    let most = usize::try_from(LEAST.max(plan.count() / SHARE)).unwrap_or(usize::MAX);
    let paused = missing.len() > most;
    let mut staging: JoinSet<Result<(usize, Option<u64>)>> = JoinSet::new();
    let mut late = false;
    for (index, block) in missing.into_iter().take(most) {
        let place = passage.place().await?;
        while let Some(done) = staging.try_join_next() {
            finished(done, digests)?;
        }
        late = Instant::now() >= until;
        if late {
            break;
        }
        let passage = passage.clone();
        staging.spawn(async move {
            let staged = stage(&passage, &block).await;
            drop(place);
            Ok((index, staged?))
        });
    }
    while let Some(done) = staging.join_next().await {
        finished(done, digests)?;
    }
    Ok((paused || late).then(|| digests.to_message(plan)))
}

async fn stage(passage: &Passage, block: &Block) -> Result<Option<u64>> {
    let destination = &passage.clients.destination;
    passage.pace(block.length).await;
    let staged = passage
        .fetch(("blob", "put_block_from_url"), async |url| {
            destination
                .put_block_from_url(
                    &passage.blob,
                    &BlockRange {
                        id: &block.id,
                        bytes: block.offset..block.offset + block.length,
                    },
                    &CopySource {
                        url: url.expose(),
                        length: block.length,
                        md5: None,
                    },
                )
                .await
        })
        .await?;
    Ok(staged.crc64)
}

/// Blocks and whether a blob is made of them; none where there is nothing.
async fn block_list(passage: &Passage) -> Result<Option<BlockList>> {
    let started = Instant::now();
    let list = passage
        .clients
        .destination
        .get_block_list(&passage.blob)
        .await;
    let failure = list.as_ref().err().map(|error| &error.failure);
    passage.observe(("blob", "get_block_list"), started, failure);
    Ok(list?)
}

/// Has this job made the blob of these blocks before?
fn committed(list: &BlockList, plan: &Blocks, begun: i64) -> bool {
    let ours = list.last_modified.is_some_and(|at| at >= begun);
    let planned = plan.iter().map(|block| (block.id, block.length));
    ours && u64::try_from(list.committed.len()) == Ok(plan.count())
        && planned
            .zip(&list.committed)
            .all(|(planned, there)| planned == *there)
}

/// The blocks still to be staged. One that is there is staged again where its digest is needed.
fn missing(
    plan: &Blocks,
    there: Option<&BlockList>,
    settled: impl Fn(usize) -> bool,
) -> Vec<(usize, Block)> {
    let staged: HashMap<&str, u64> = there
        .map(|list| list.uncommitted.iter())
        .into_iter()
        .flatten()
        .map(|(id, length)| (id.as_str(), *length))
        .collect();
    let is_there = |block: &Block| staged.get(block.id.as_str()) == Some(&block.length);
    plan.iter()
        .enumerate()
        .filter(|(index, block)| !(is_there(block) && settled(*index)))
        .collect()
}

/// Are there staged blocks of somebody else's that would be refused beside ours (ids of another
/// length), or leave us no room (100,000 uncommitted blocks are the most)?
fn is_foreign(list: &BlockList, plan: &Blocks) -> bool {
    let length = plan.iter().next().map_or(0, |block| block.id.len());
    let foreign = |id: &str| id.len() != length || !plan.owns(id);
    let others = list.uncommitted.iter().filter(|(id, _)| foreign(id));
    let odd = list.uncommitted.iter().any(|(id, _)| id.len() != length);
    odd || others.count() > 50_000
}

/// Drops staged blocks: by committing what is committed already, or making and deleting an empty
/// blob where nothing is.
async fn clear(passage: &Passage, list: &BlockList) -> Result<()> {
    tracing::warn!(
        object.key = passage.key,
        "staged blocks of another writer are dropped"
    );
    let destination = &passage.clients.destination;
    let (blob, none) = (&passage.blob, Conditions::create_only());
    let found = destination.head_blob(blob).await?;
    let Some(found) = found else {
        let headers = BlobHeaders::default();
        let empty = destination
            .put_block_list(blob, &[], &headers, &none)
            .await?;
        let same = Conditions::only_over(&empty.etag);
        destination.delete_blob(blob, &same).await?;
        return Ok(());
    };
    let ids: Vec<String> = list.committed.iter().map(|(id, _)| id.clone()).collect();
    if ids.is_empty() {
        // Made in one piece: only a new write drops what is staged beside it.
        let same = Conditions::only_over(&found.etag);
        destination.delete_blob(blob, &same).await?;
        return Ok(());
    }
    let same = Conditions::only_over(&found.etag);
    destination
        .put_block_list(blob, &ids, &found.headers, &same)
        .await?;
    Ok(())
}

/// Nothing pins an object without a version: what was staged is one object's only if it is still
/// the same after the last block.
async fn unchanged(passage: &Passage, source: &SourceObject) -> Result<()> {
    if passage.version.is_some() {
        return Ok(());
    }
    if source.same_as(&passage.head().await?) {
        return Ok(());
    }
    Err(Failure::retry(
        Reason::SourceChanged,
        "the object changed while it was copied",
    ))
}

/// Makes the blob of its blocks.
pub(super) async fn commit(
    passage: &Passage,
    source: &SourceObject,
    plan: &Blocks,
    conditions: &Conditions,
) -> Result<()> {
    let ids: Vec<String> = plan.iter().map(|block| block.id).collect();
    let destination = &passage.clients.destination;
    passage
        .write(("blob", "put_block_list"), async || {
            destination
                .put_block_list(&passage.blob, &ids, &source.headers, conditions)
                .await
        })
        .await
        .map(drop)
        .map_err(contended)
}

/// What a refused write means.
pub(super) fn contended(error: BlobError) -> Failure {
    if error.is_condition() {
        Failure::retry(
            Reason::DestinationChanged,
            "somebody else wrote the blob at the same time",
        )
    } else {
        error.failure
    }
}

/// Takes note of a staged block.
pub(super) fn finished(
    done: std::result::Result<Result<(usize, Option<u64>)>, JoinError>,
    digests: &mut Digests,
) -> Result<()> {
    let (index, crc) =
        done.map_err(|error| Failure::stop(Reason::Internal, format!("a block failed: {error}")))??;
    digests.note(index, crc);
    Ok(())
}
