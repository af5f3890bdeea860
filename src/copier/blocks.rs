//! Copies one object block by block, in parallel, and commits the list at the end.

use tokio::task::JoinSet;

use super::object::SourceObject;
use super::passage::Passage;
use super::plan::{Block, Blocks};
use crate::destination::client::{BlobError, BlockRange, Conditions, CopySource};
use crate::failure::{Failure, Reason, Result};

/// Stages every block, makes sure that the source is still the same, then commits.
pub(super) async fn copy(
    passage: &Passage,
    source: &SourceObject,
    plan: &Blocks,
    conditions: &Conditions,
) -> Result<()> {
    let mut staging: JoinSet<Result<()>> = JoinSet::new();
    for block in plan.iter() {
        let permit = passage
            .shared
            .requests
            .clone()
            .acquire_owned()
            .await
            .map_err(|error| {
                Failure::stop(
                    Reason::Internal,
                    format!("no permits are given any more: {error}"),
                )
            })?;
        if passage.shared.shutdown.is_cancelled() {
            return Err(Failure::retry(
                Reason::DestinationUnavailable,
                "the copier is stopping",
            ));
        }
        while let Some(done) = staging.try_join_next() {
            finished(done)?;
        }
        let passage = passage.clone();
        staging.spawn(async move {
            let staged = stage(&passage, &block).await;
            drop(permit);
            staged
        });
    }
    while let Some(done) = staging.join_next().await {
        finished(done)?;
    }
    unchanged(passage, source).await?;
    commit(passage, source, plan, conditions).await
}

async fn stage(passage: &Passage, block: &Block) -> Result<()> {
    let destination = &passage.clients.destination;
    passage.pace(block.length).await;
    passage
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
            Reason::DestinationRejected,
            "somebody else wrote the blob at the same time",
        )
    } else {
        error.failure
    }
}

fn finished(done: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    done.map_err(|error| Failure::stop(Reason::Internal, format!("a block failed: {error}")))?
}
