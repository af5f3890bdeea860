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
use super::plan::{self, Block, Blocks, MAX_PUT_BLOB_SIZE, Plan};
use super::proof;
use crate::destination::client::{BlobError, BlockList, BlockRange, Conditions, CopySource};
use crate::failure::{Failure, Reason, Result};
use crate::job::CopyOptions;
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
    /// A blob was made, and its content is not proved.
    Unproven(Unproven),
}

/// A blob whose content is not the object's, or not known to be.
#[derive(Debug)]
pub(super) struct Unproven {
    /// Its ETag.
    pub(super) etag: String,
    /// What is wrong.
    pub(super) failure: Failure,
}

/// Stages the blocks that are not there yet, makes sure that the source is still the same, then
/// commits. `first_write` is the first second in which this job may have written. None where blocks of others are staged, and one request does without any.
pub(super) async fn copy(
    passage: &Passage,
    source: &SourceObject,
    options: &CopyOptions,
    earlier: Option<&Staged>,
    (conditions, first_write): (&Conditions, Option<i64>),
) -> Result<Option<Progress>> {
    let there = block_list(passage).await?;
    let Plan::Blocks(plan) = &plan_for(source, options, there.as_ref(), MAX_PUT_BLOB_SIZE)? else {
        return Ok(None);
    };
    if let Some(list) = &there
        && committed(list, plan, first_write)
    {
        return Ok(Some(Progress::Done(None)));
    }
    let mut digests = Digests::of_earlier(plan, earlier);
    let matters = source.head.checksum_crc64nvme.is_some();
    let missing = missing(plan, there.as_ref(), |index| {
        !matters || digests.knows(index)
    });
    if let Some(paused) = stage_all(passage, plan, missing, &mut digests).await? {
        return Ok(Some(Progress::Paused(paused)));
    }
    let whole = digests.whole(plan);
    if !proof::same_crc64(source.head.checksum_crc64nvme, whole)? {
        check_lengths(passage, plan).await?;
    }
    unchanged(passage, source).await?;
    commit(passage, source, plan, conditions).await?;
    Ok(Some(Progress::Done(whole)))
}

/// Plans an object beside what is staged at its blob.
pub(super) fn plan_for(
    source: &SourceObject,
    options: &CopyOptions,
    there: Option<&BlockList>,
    most_whole: u64,
) -> Result<Plan> {
    let staged = there.map(|list| list.uncommitted.as_slice());
    let ids = staged.unwrap_or_default().iter().map(|(id, _)| id.as_str());
    plan::plan_beside(
        source.head.size,
        &source.identity,
        options,
        (ids, most_whole),
    )
}

/// Makes sure that every block that is staged has the length it was asked for with: a server that
/// passes over `Range` sends all of the object for each.
async fn check_lengths(passage: &Passage, plan: &Blocks) -> Result<()> {
    let list = block_list(passage).await?.unwrap_or_default();
    let staged: HashMap<&str, u64> = list
        .committed
        .iter()
        .chain(&list.uncommitted)
        .map(|(id, length)| (id.as_str(), *length))
        .collect();
    let wrong = plan.iter().find_map(|block| {
        let length = staged.get(block.id.as_str()).copied();
        (length != Some(block.length)).then_some((block, length))
    });
    let Some((block, length)) = wrong else {
        return Ok(());
    };
    let found = length.map_or_else(
        || "is gone".to_owned(),
        |length| format!("has {length} bytes"),
    );
    Err(Failure::retry(
        Reason::ChecksumMismatch,
        format!(
            "the block staged for {} bytes from byte {} {found}: does the source heed Range?",
            block.length, block.offset
        ),
    ))
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
pub(super) async fn block_list(passage: &Passage) -> Result<Option<BlockList>> {
    let started = Instant::now();
    let list = passage
        .clients
        .destination
        .get_block_list(&passage.blob)
        .await;
    let failure = list.as_ref().err().map(|error| &error.failure);
    passage.observe(("blob", "get_block_list"), started, failure);
    match list {
        Ok(list) => Ok(list),
        Err(error) => Err(passage.explain_blob_type(error).await.failure),
    }
}

/// Has this job made the blob of these blocks before?
fn committed(list: &BlockList, plan: &Blocks, first_write: Option<i64>) -> bool {
    let young = list.last_modified.zip(first_write);
    young.is_some_and(|(at, first)| at >= first) && is_made_of(list, plan)
}

/// Is the blob made of these very blocks?
pub(super) fn is_made_of(list: &BlockList, plan: &Blocks) -> bool {
    let planned = plan.iter().map(|block| (block.id, block.length));
    u64::try_from(list.committed.len()) == Ok(plan.count())
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
        .into_iter()
        .flat_map(|list| list.committed.iter().chain(&list.uncommitted))
        .map(|(id, length)| (id.as_str(), *length))
        .collect();
    let is_there = |block: &Block| staged.get(block.id.as_str()) == Some(&block.length);
    plan.iter()
        .enumerate()
        .filter(|(index, block)| !(is_there(block) && settled(*index)))
        .collect()
}

/// What was read of an object that no version pins is one object's only if it is still the same
/// afterwards.
pub(super) async fn unchanged(passage: &Passage, source: &SourceObject) -> Result<()> {
    if source.pinned || source.same_as(&passage.head().await?) {
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
    } else if error.is("InvalidBlockList") {
        // A blob that is written drops what was staged for it.
        Failure::retry(
            Reason::DestinationChanged,
            "staged blocks are gone: somebody else wrote the blob at the same time",
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
