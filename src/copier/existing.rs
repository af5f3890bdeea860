//! What lies at the destination already: is there something to write, and did this job write it?

use tokio::time::Instant;

use super::blocks::{block_list, is_made_of, plan_for};
use super::object::SourceObject;
use super::overwrite::{self, Verdict};
use super::passage::Passage;
use super::plan::Plan;
use super::proof;
use crate::destination::client::{BlobProperties, BlockList, Conditions};
use crate::failure::{Failure, Reason, Result};
use crate::job::{CopyOptions, JobSpec, Overwrite};
use crate::message::{CopyTask, Ending, Notes};
use crate::skip::Skip;

/// What a look at the destination says.
#[derive(Debug)]
pub(super) enum Needed {
    /// Write, as long as this holds.
    Write(Conditions),
    /// The object has ended.
    Ended(Ending),
    /// The blob may be the job's own; if nothing proves it, this is what follows.
    Perhaps(Box<Needed>),
}

/// What is said of a blob that may be the job's own.
const PERHAPS_OURS: &str = "perhaps this job's own: the blob has the object's size and was written \
                            since the job began, and nothing tells by whom";

/// Is there something to write? Where blobs are replaced anyway, nothing is asked: a write that
/// comes late, after another copier's and perhaps after the job's end, is refused by its condition.
pub(super) async fn needed(passage: &Passage, spec: &JobSpec, task: &CopyTask) -> Result<Needed> {
    match (spec.options.overwrite, spec.destination_clock) {
        (Overwrite::True, Some(clock)) => Ok(Needed::Write(Conditions::unmodified_since(clock))),
        // Without the destination's clock no condition tells what was there before.
        _ => written_since(passage, spec, task).await,
    }
}

/// The blob may have been written since the job was submitted: by the job, which is then done with
/// it, or by somebody else, who is overwritten as long as the job runs.
pub(super) async fn written_since(
    passage: &Passage,
    spec: &JobSpec,
    task: &CopyTask,
) -> Result<Needed> {
    let board = &passage.shared.copier.board;
    let found = head_blob(passage).await?;
    if found.is_some()
        && spec.options.overwrite == Overwrite::True
        && board.has_ended_in(&spec.id, task.id.round)
    {
        return Err(Failure::retry(
            Reason::DestinationChanged,
            "the job has ended, and the blob was written since",
        ));
    }
    let mode = spec.options.overwrite;
    let md5 = task.object.etag.as_deref().and_then(proof::md5_of_etag);
    let decision = overwrite::decide(mode, &task.object, md5, found.as_ref(), spec.first_write());
    let why = match decision.perhaps_ours {
        true => PERHAPS_OURS,
        false => "",
    };
    let needed = match decision.verdict {
        Verdict::Write(conditions) => Needed::Write(conditions),
        Verdict::Skip(skip) => Needed::Ended(skip.ending(why)),
        Verdict::Done => Needed::Ended(done(task)),
        Verdict::Ask(conditions) => {
            let question = format!("{}/{} is there", passage.blob.container, passage.blob.blob);
            match passage.shared.copier.prompter.overwrite(&question).await? {
                true => Needed::Write(conditions),
                false => Needed::Ended(Skip::DestinationExists.ending(why)),
            }
        }
    };
    Ok(
        match decision.perhaps_ours && spec.first_write().is_some() {
            true => Needed::Perhaps(Box::new(needed)),
            false => needed,
        },
    )
}

/// The ending of an object that the job has copied before.
pub(super) fn done(task: &CopyTask) -> Ending {
    Ending::Copied {
        bytes: task.object.size,
        crc64: None,
        notes: Notes::default(),
    }
}

/// Does the blob consist of the blocks that this job makes of the object? Their ids name bucket,
/// key and content. Asked of blobs alone that are young enough to be the job's.
pub(super) async fn has_our_blocks(
    passage: &Passage,
    source: &SourceObject,
    options: &CopyOptions,
) -> Result<bool> {
    let Some(list) = block_list(passage).await? else {
        return Ok(false);
    };
    let committed = BlockList {
        uncommitted: list.committed.clone(),
        ..BlockList::default()
    };
    match plan_for(source, options, Some(&committed), 0) {
        Ok(Plan::Blocks(plan)) => Ok(is_made_of(&list, &plan)),
        Ok(Plan::Whole) | Err(_) => Ok(false),
    }
}

/// A blob in tier Archive cannot be written again: was it this job that made it, in an attempt
/// whose answer was lost?
///
/// # Errors
/// It is not proved to be the job's own: the failure, with what is known about it.
pub(super) async fn archived_before(
    passage: &Passage,
    spec: &JobSpec,
    source: &SourceObject,
    failure: Failure,
) -> Result<()> {
    let wanted = source.headers.tier.as_deref() == Some("Archive");
    if failure.reason != Reason::DestinationArchived || !wanted {
        return Err(failure);
    }
    let Some(found) = head_blob(passage).await? else {
        return Err(failure);
    };
    let young = found.last_modified.zip(spec.first_write());
    if found.length != source.head.size || young.is_some_and(|(at, first)| at < first) {
        return Err(failure);
    }
    let etag = source.head.etag.as_deref().and_then(proof::md5_of_etag);
    let proved = etag.is_some() && etag == found.headers.content_md5;
    if proved && young.is_some() {
        return Ok(());
    }
    Err(Failure {
        message: format!("{failure}; {PERHAPS_OURS}"),
        ..failure
    })
}

pub(super) async fn head_blob(passage: &Passage) -> Result<Option<BlobProperties>> {
    let started = Instant::now();
    let found = passage.clients.destination.head_blob(&passage.blob).await;
    let failure = found.as_ref().err().map(|error| &error.failure);
    passage.observe(("blob", "head_blob"), started, failure);
    Ok(found?)
}
