//! Copies one object: where it goes, whether it is needed, what it is, then the copy itself.

use tokio::time::Instant;

use super::blocks::Progress;
use super::carry::{self, About};
use super::object::{self, SourceObject};
use super::overwrite::{self, Verdict};
use super::passage::Passage;
use super::plan::{self, Plan};
use super::seat::Lane;
use super::target::{self, Target};
use super::{Shared, blocks, proof, relay};
use crate::destination::client::{BlobProperties, Conditions, CopySource, Stored};
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobSpec, Overwrite, Root};
use crate::message::{CopyTask, Ending, Notes, Staged};
use crate::skip::Skip;
use crate::source::client::BucketRef;

/// What an attempt came to.
pub(super) enum Attempt {
    /// The object has ended.
    Ended(Ending),
    /// A large object is not done yet; this was staged.
    Paused(Staged),
}

/// Copies the object of a task, whatever was done for it before.
///
/// # Errors
/// Why the attempt failed.
pub(super) async fn copy(
    shared: &Shared,
    spec: &JobSpec,
    root: &Root,
    task: &CopyTask,
    lane: Lane,
) -> Result<Attempt> {
    let clients = shared.copier.clients.of(spec)?;
    let (blob, escaped) = match target::of(&clients, spec, root, &task.object.key).await? {
        Target::Blob { name, escaped } => (name, escaped),
        Target::Skipped(skip, why) => return Ok(Attempt::Ended(skip.ending(why))),
    };
    let mut passage = Passage {
        shared: shared.clone(),
        clients,
        bucket: BucketRef {
            name: root.bucket.clone(),
            region: root.region.clone(),
        },
        key: task.object.key.clone(),
        version: task.object.version.clone(),
        blob,
        lane,
    };
    let conditions = match needed(&passage, spec, task).await? {
        Needed::Write(conditions) => conditions,
        Needed::Ended(ending) => return Ok(Attempt::Ended(ending)),
    };
    let source = match look(&passage, spec, task, escaped).await? {
        Ok(source) => source,
        Err(ending) => return Ok(Attempt::Ended(ending)),
    };
    passage.version = passage.version.or_else(|| source.head.version.clone());
    let relayed = relay::is_needed(&passage, spec, &source.head).await?;
    let mut sent = send(&passage, spec, task, &source, (relayed, &conditions)).await;
    if let (Err(failure), Overwrite::True) = (&sent, spec.options.overwrite)
        && failure.reason == Reason::DestinationChanged
    {
        match written_since(&passage, spec, task).await? {
            Needed::Write(over) => {
                sent = send(&passage, spec, task, &source, (relayed, &over)).await;
            }
            Needed::Ended(ending) => return Ok(Attempt::Ended(ending)),
        }
    }
    let crc64 = match sent {
        Ok(Progress::Done(crc64)) => crc64,
        Ok(Progress::Paused(staged)) => return Ok(Attempt::Paused(staged)),
        Err(failure) if archived_before(&passage, spec, &source, &failure).await? => None,
        Err(failure) => return Err(failure),
    };
    tag(&passage, &source).await?;
    Ok(Attempt::Ended(Ending::Copied {
        bytes: source.head.size,
        crc64,
        notes: Notes {
            relayed,
            escaped,
            excluded: source.excluded,
        },
    }))
}

/// Sends the object its way.
async fn send(
    passage: &Passage,
    spec: &JobSpec,
    task: &CopyTask,
    source: &SourceObject,
    (relayed, conditions): (bool, &Conditions),
) -> Result<Progress> {
    if relayed {
        let crc64 = relay::copy(passage, source, &spec.options, conditions).await?;
        return Ok(Progress::Done(crc64));
    }
    match plan::plan(source.head.size, &source.identity(), &spec.options)? {
        Plan::Whole => whole(passage, source, spec, conditions)
            .await
            .map(Progress::Done),
        Plan::Blocks(plan) => {
            let begun = |date| begun(passage, spec, date);
            let earlier = task.staged.as_ref();
            blocks::copy(passage, source, &plan, earlier, (conditions, begun)).await
        }
    }
}

/// A blob in tier Archive cannot be written again: was it this job that made it, in an attempt
/// whose answer was lost?
async fn archived_before(
    passage: &Passage,
    spec: &JobSpec,
    source: &SourceObject,
    failure: &Failure,
) -> Result<bool> {
    let ours = source.headers.tier.as_deref() == Some("Archive");
    if failure.reason != Reason::DestinationArchived || !ours {
        return Ok(false);
    }
    Ok(head_blob(passage).await?.is_some_and(|found| {
        let begun = begun(passage, spec, found.date);
        found.length == source.head.size && found.last_modified.is_some_and(|at| at >= begun)
    }))
}

/// What a look at the destination says.
enum Needed {
    Write(Conditions),
    Ended(Ending),
}

/// Is there something to write? Where blobs are replaced anyway, nothing is asked: a write that
/// comes late, after another copier's and perhaps after the job's end, is refused by its condition.
async fn needed(passage: &Passage, spec: &JobSpec, task: &CopyTask) -> Result<Needed> {
    if spec.options.overwrite == Overwrite::True {
        let submitted = spec.submitted_at_ms.div_euclid(1000);
        return Ok(Needed::Write(Conditions::unmodified_since(submitted)));
    }
    look_there(passage, spec, task).await
}

/// The blob was written since the job was submitted: by the job, which is then done with it, or
/// by somebody else, who is overwritten as long as the job runs.
async fn written_since(passage: &Passage, spec: &JobSpec, task: &CopyTask) -> Result<Needed> {
    if passage
        .shared
        .copier
        .board
        .has_ended_in(&spec.id, task.id.round)
    {
        return Err(Failure::retry(
            Reason::DestinationChanged,
            "the job has ended, and the blob was written since",
        ));
    }
    look_there(passage, spec, task).await
}

/// Looks at the destination and decides.
async fn look_there(passage: &Passage, spec: &JobSpec, task: &CopyTask) -> Result<Needed> {
    let mode = spec.options.overwrite;
    let found = head_blob(passage).await?;
    let md5 = task.object.etag.as_deref().and_then(proof::md5_of_etag);
    let begun = begun(passage, spec, found.as_ref().and_then(|found| found.date));
    let verdict = overwrite::decide(mode, &task.object, md5, found.as_ref(), begun);
    Ok(match verdict {
        Verdict::Write(conditions) => Needed::Write(conditions),
        Verdict::Skip(skip) => Needed::Ended(skip.ending("")),
        Verdict::Done => Needed::Ended(Ending::Copied {
            bytes: task.object.size,
            crc64: None,
            notes: Notes::default(),
        }),
        Verdict::Ask(conditions) => {
            let question = format!("{}/{} is there", passage.blob.container, passage.blob.blob);
            match passage.shared.copier.prompter.overwrite(&question).await? {
                true => Needed::Write(conditions),
                false => Needed::Ended(Skip::DestinationExists.ending("")),
            }
        }
    })
}

/// The first second in which the job may have written, by the destination's clock, whose `date` is
/// now; a job that looks before it writes waits two seconds before it begins.
fn begun(passage: &Passage, spec: &JobSpec, date: Option<i64>) -> i64 {
    let here = passage.clients.clock.unix_seconds();
    let ahead = date.map_or(0, |there| there - here);
    spec.submitted_at_ms.div_euclid(1000) + 1 + ahead
}

/// Looks at the object and decides what its blob carries; an ending where it cannot be read.
async fn look(
    passage: &Passage,
    spec: &JobSpec,
    task: &CopyTask,
    escaped: bool,
) -> Result<Result<SourceObject, Ending>> {
    let properties = &spec.options.properties;
    let asked = properties.preserve || spec.options.detect_source_changed;
    let head = if asked || properties.preserve_tags || passage.clients.source.has_customer_key() {
        passage.head().await?
    } else {
        object::from_listing(&task.object)
    };
    if head.archived() {
        let class = head
            .storage_class
            .as_deref()
            .or(head.archive_status.as_deref());
        let class = class.unwrap_or_default();
        let why = format!("storage class {class}: restore the object first");
        return Ok(Err(Skip::Archived.ending(why)));
    }
    if spec.options.detect_source_changed && object::changed_since(&task.object, &head) {
        return Err(Failure::give_up(
            Reason::SourceChanged,
            "the object has changed since it was listed (--s2s-detect-source-changed)",
        ));
    }
    let tags = if properties.preserve_tags && head.tag_count > 0 {
        tags(passage).await?
    } else {
        Vec::new()
    };
    let about = About {
        key: &passage.key,
        escaped,
        tags: &tags,
    };
    let carriage = carry::carry(properties, &head, about)?;
    if !carriage.excluded.is_empty() {
        tracing::info!(
            object.key = passage.key,
            excluded = ?carriage.excluded,
            "metadata that Azure cannot hold is left out"
        );
    }
    let excluded = carriage.excluded.len();
    Ok(Ok(SourceObject::new(head, carriage.headers, excluded)))
}

async fn tags(passage: &Passage) -> Result<Vec<(String, String)>> {
    let started = Instant::now();
    let version = passage.version.as_deref();
    let source = &passage.clients.source;
    let tags = source.tags(&passage.bucket, &passage.key, version).await;
    passage.observe(("s3", "get_object_tagging"), started, tags.as_ref().err());
    tags
}

async fn whole(
    passage: &Passage,
    source: &SourceObject,
    spec: &JobSpec,
    conditions: &Conditions,
) -> Result<Option<u64>> {
    let destination = &passage.clients.destination;
    passage.pace(source.head.size).await;
    let stored = passage
        .fetch(("blob", "put_blob_from_url"), async |url| {
            let from = CopySource {
                url: url.expose(),
                length: source.head.size,
                md5: source.md5,
            };
            destination
                .put_blob_from_url(&passage.blob, &from, &source.headers, conditions)
                .await
        })
        .await?;
    verify(passage, source, &stored, spec.options.check_length).await?;
    Ok(stored.crc64)
}

/// Length and content are proved by a digest that Azure checked or returned, or by a pinned
/// version; only where there is neither is the blob's length asked for.
async fn verify(
    passage: &Passage,
    source: &SourceObject,
    stored: &Stored,
    check_length: bool,
) -> Result<()> {
    if proof::same_crc64(source.head.checksum_crc64nvme, stored.crc64)? {
        return Ok(());
    }
    if source.md5.is_some() || passage.version.is_some() || !check_length {
        return Ok(());
    }
    match head_blob(passage).await? {
        Some(blob) if blob.length == source.head.size => Ok(()),
        Some(blob) => Err(Failure::retry(
            Reason::SourceChanged,
            format!("{} bytes arrived of {}", blob.length, source.head.size),
        )),
        None => Err(Failure::retry(
            Reason::DestinationUnavailable,
            "the blob just written is not there: is someone else deleting it?",
        )),
    }
}

async fn head_blob(passage: &Passage) -> Result<Option<BlobProperties>> {
    let started = Instant::now();
    let found = passage.clients.destination.head_blob(&passage.blob).await;
    let failure = found.as_ref().err().map(|error| &error.failure);
    passage.observe(("blob", "head_blob"), started, failure);
    Ok(found?)
}

/// Sets tags that were too long for the header of the call that made the blob.
async fn tag(passage: &Passage, source: &SourceObject) -> Result<()> {
    if !source.headers.tags_apart() {
        return Ok(());
    }
    let started = Instant::now();
    let destination = &passage.clients.destination;
    let set = destination
        .set_tags(&passage.blob, &source.headers.tags)
        .await;
    let failure = set.as_ref().err().map(|error| &error.failure);
    passage.observe(("blob", "set_blob_tags"), started, failure);
    Ok(set?)
}
