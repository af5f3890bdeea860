//! Copies one object block by block, in parallel, and commits the list at the end.

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::plan::{Block, Blocks};
use super::transfer::{Passage, SourceObject};
use crate::destination::client::{BlockRange, Conditions, CopySource};
use crate::failure::{Failure, Reason, Result};
use crate::message::Ending;

/// Stages every block, makes sure that the source is still the same, then commits.
pub(super) async fn copy(
    passage: &Passage,
    source: &SourceObject,
    plan: &Blocks,
) -> Result<Ending> {
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
    commit(passage, source, plan).await?;
    Ok(Ending::Copied {
        bytes: source.size,
        crc64: None,
    })
}

async fn stage(passage: &Passage, block: &Block) -> Result<()> {
    let destination = &passage.clients.destination;
    passage
        .send(("blob", "put_block_from_url"), async |url| {
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

async fn commit(passage: &Passage, source: &SourceObject, plan: &Blocks) -> Result<()> {
    let ids: Vec<String> = plan.iter().map(|block| block.id).collect();
    let started = Instant::now();
    let stored = passage
        .clients
        .destination
        .put_block_list(&passage.blob, &ids, &source.headers, &Conditions::default())
        .await;
    let failure = stored.as_ref().err().map(|error| &error.failure);
    passage.observe(("blob", "put_block_list"), started, failure);
    match stored {
        Ok(_) => Ok(()),
        Err(error) => Err(error.failure),
    }
}

fn finished(done: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    done.map_err(|error| Failure::stop(Reason::Internal, format!("a block failed: {error}")))?
}
