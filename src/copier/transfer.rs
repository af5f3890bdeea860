//! Copies one object: where it goes, whether it is needed, what it is, then the copy itself.

use std::borrow::Cow;

use tokio::time::Instant;

use super::blocks::{Progress, Unproven};
use super::carry::{self, About};
use super::existing::{Needed, archived_before, done, has_our_blocks, needed, written_since};
use super::object::{self, Place, SourceObject};
use super::passage::Passage;
use super::plan::{self, MAX_BLOCK_SIZE, Plan};
use super::seat::Lane;
use super::target::{self, Target};
use super::{Shared, blocks, relay, whole};
use crate::destination::client::Conditions;
use crate::destination::naming::Namespace;
use crate::failure::{Failure, Reason, Result};
use crate::job::{CopyOptions, JobSpec, Overwrite, Root};
use crate::message::{CopyTask, Ending, Notes, Staged};
use crate::skip::Skip;
use crate::source::client::BucketRef;

/// What an attempt came to.
pub(super) enum Attempt {
    /// The object has ended.
    Ended(Ending),
    /// A large object is not done yet; this was staged.
    Paused(Staged),
    /// A blob was made whose content is not proved.
    Unproven(Unproven),
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
    let (mut passage, escaped) = match passage(shared, spec, root, task, lane).await? {
        Ok(found) => found,
        Err(ending) => return Ok(Attempt::Ended(ending)),
    };
    let needed = match &task.unproven {
        // What an earlier attempt of this job could not prove is nobody's.
        Some(etag) => Needed::Write(Conditions::only_over(etag)),
        None => match needed(&passage, spec, task).await? {
            Needed::Ended(ending) => return Ok(Attempt::Ended(ending)),
            needed => needed,
        },
    };
    let mut source = match look(&passage, spec, task, (escaped, true)).await? {
        Ok(source) => source,
        Err(ending) => return Ok(Attempt::Ended(ending)),
    };
    if passage.version.is_none() {
        passage.version = object::named_version(&source.head).map(str::to_owned);
    }
    let conditions = match settle(&passage, spec, (task, &source), needed).await? {
        Ok(conditions) => conditions,
        Err(ending) => return Ok(Attempt::Ended(ending)),
    };
    let relayed = relay::is_needed(&passage, spec, &source.head).await?;
    let mut sent = send(&passage, spec, task, &source, (relayed, &conditions)).await;
    if let Some(needed) = refused_since(&passage, spec, task, &sent).await? {
        match settle(&passage, spec, (task, &source), needed).await? {
            Ok(over) => sent = send(&passage, spec, task, &source, (relayed, &over)).await,
            Err(ending) => return Ok(Attempt::Ended(ending)),
        }
    }
    if let Err(failure) = &sent
        && !relayed
        && relay::helps_against(&passage, spec, failure).await
    {
        let progress = relay::copy(&passage, &source, &spec.options, &conditions).await;
        sent = progress.map(|progress| (progress, true));
    }
    if source.from_listing
        && let Some((over, wrong)) = is_another(&sent, &conditions)
    {
        let terms = (escaped, relayed, &over);
        match send_again(&mut passage, spec, task, &source, terms).await {
            Ok(Ok((looked, again))) => (source, sent) = (looked, again),
            Ok(Err(ending)) if wrong.is_none() => return Ok(Attempt::Ended(ending)),
            Ok(Err(_)) => sent = sent_wrong(wrong, sent),
            Err(failure) => sent = sent_wrong(wrong, Err(failure)),
        }
    }
    end(&passage, spec, &source, (sent, relayed, escaped)).await
}

/// How far an object came that was sent, and whether its content came through this process.
type Sent = Result<(Progress, bool)>;

/// What an attempt came to that was sent so.
async fn end(
    passage: &Passage,
    spec: &JobSpec,
    source: &SourceObject,
    (sent, relayed, escaped): (Sent, bool, bool),
) -> Result<Attempt> {
    let (crc64, relayed) = match sent {
        Ok((Progress::Done(crc64), relayed)) => (crc64, relayed),
        Ok((Progress::Paused(staged), _)) => return Ok(Attempt::Paused(staged)),
        Ok((Progress::Unproven(unproven), _)) => return Ok(Attempt::Unproven(unproven)),
        // Where storage classes are but names, only the refusal tells.
        Err(failure) if failure.reason == Reason::SourceArchived => {
            let class = source.head.storage_class.as_deref().unwrap_or_default();
            let why = format!("storage class {class}: {failure}");
            return Ok(Attempt::Ended(Skip::Archived.ending(why)));
        }
        Err(failure) => {
            archived_before(passage, spec, source, failure).await?;
            (None, relayed)
        }
    };
    tag(passage, source).await?;
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

/// What is needed now, of a write that was refused because somebody wrote the blob since; none
/// where it was not, or where that decides.
async fn refused_since(
    passage: &Passage,
    spec: &JobSpec,
    task: &CopyTask,
    sent: &Sent,
) -> Result<Option<Needed>> {
    let looks_again = spec.options.overwrite == Overwrite::True || task.unproven.is_some();
    match sent {
        Err(failure) if looks_again && failure.reason == Reason::DestinationChanged => {
            written_since(passage, spec, task).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// Was what the listing told of the object not so, or not so any more? Then on what another write
/// depends, and the ETag of the blob that was made.
fn is_another(sent: &Sent, conditions: &Conditions) -> Option<(Conditions, Option<String>)> {
    let other = |failure: &Failure| {
        matches!(
            failure.reason,
            Reason::ChecksumMismatch | Reason::SourceChanged
        )
    };
    match sent {
        Err(failure) if other(failure) => Some((conditions.clone(), None)),
        Ok((Progress::Unproven(unproven), _)) if other(&unproven.failure) => {
            let etag = unproven.etag.clone();
            Some((Conditions::only_over(&etag), Some(etag)))
        }
        _ => None,
    }
}

/// Looks at the object, which is not what the listing told, and sends it; an ending where it cannot
/// be read.
async fn send_again(
    passage: &mut Passage,
    spec: &JobSpec,
    task: &CopyTask,
    listed: &SourceObject,
    (escaped, relayed, over): (bool, bool, &Conditions),
) -> Result<Result<(SourceObject, Sent), Ending>> {
    let source = match look(passage, spec, task, (escaped, false)).await? {
        Ok(source) => source,
        Err(ending) => return Ok(Err(ending)),
    };
    if listed.md5.is_some() && source.md5.is_none() {
        passage.shared.odd_etags.note(&passage.bucket.name);
    }
    let sent = send(passage, spec, task, &source, (relayed, over)).await?;
    Ok(Ok((source, Ok(sent))))
}

/// What was sent, where the blob of this ETag is known to be wrong and is still there.
fn sent_wrong(wrong: Option<String>, sent: Sent) -> Sent {
    match (wrong, sent) {
        (Some(etag), Err(failure)) => Ok((Progress::Unproven(Unproven { etag, failure }), false)),
        (None, sent) | (_, sent @ Ok(_)) => sent,
    }
}

/// On what the write depends, now that the object is known; an ending where there is none.
async fn settle(
    passage: &Passage,
    spec: &JobSpec,
    (task, source): (&CopyTask, &SourceObject),
    needed: Needed,
) -> Result<Result<Conditions, Ending>> {
    let otherwise = match needed {
        Needed::Perhaps(otherwise) => {
            if has_our_blocks(passage, source, &options_of(spec, source)).await? {
                return Ok(Err(done(task)));
            }
            *otherwise
        }
        needed => needed,
    };
    match otherwise {
        Needed::Write(conditions) => Ok(Ok(conditions)),
        Needed::Ended(ending) => Ok(Err(ending)),
        Needed::Perhaps(_) => Err(Failure::give_up(Reason::Internal, "nothing was decided")),
    }
}

/// How the object is cut. Where a blob of its size would not be replaced, one without an MD5 goes
/// as a block, whose id tells later whose it is.
fn options_of<'a>(spec: &'a JobSpec, source: &SourceObject) -> Cow<'a, CopyOptions> {
    let options = &spec.options;
    let size = source.head.size;
    let known_again = source.md5.is_some() || options.overwrite == Overwrite::True;
    let one_block = size <= options.put_blob_size && (1..=MAX_BLOCK_SIZE).contains(&size);
    if known_again || !one_block {
        return Cow::Borrowed(options);
    }
    Cow::Owned(CopyOptions {
        put_blob_size: 0,
        block_size: size,
        ..options.clone()
    })
}

/// From where to where a task's object goes, and whether the blob has another name; an ending where
/// it goes nowhere.
async fn passage(
    shared: &Shared,
    spec: &JobSpec,
    root: &Root,
    task: &CopyTask,
    lane: Lane,
) -> Result<Result<(Passage, bool), Ending>> {
    let clients = shared.copier.clients.of(spec)?;
    let object = &task.object;
    let (blob, escaped) = match target::of(&clients, spec, root, &object.key).await? {
        Target::Blob { name, escaped } => (name, escaped),
        Target::Skipped(skip, why) => return Ok(Err(skip.ending(why))),
    };
    if blob.blob.ends_with('/')
        && object.size > 0
        && clients.namespace().await == Namespace::Hierarchical
    {
        return Err(Failure::give_up(
            Reason::NameRejected,
            "the account has a hierarchical namespace, where a name that ends in / is a folder, \
             which holds no bytes: rename the object at the source",
        ));
    }
    let passage = Passage {
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
    Ok(Ok((passage, escaped)))
}

/// Are others answered that go where this task's object is refused?
pub(super) async fn do_others_answer(
    shared: &Shared,
    spec: &JobSpec,
    root: &Root,
    task: &CopyTask,
    reason: Reason,
) -> bool {
    let lane = Lane::of(shared, spec, root, (task, 0));
    match passage(shared, spec, root, task, lane).await {
        Ok(Ok((passage, _))) => passage.do_others_answer(reason).await,
        _ => false,
    }
}

/// Deletes the blob that an attempt made and could not prove, unless it is gone or somebody else
/// has written it since.
///
/// # Errors
/// It is still there, named by the failure.
pub(super) async fn delete_unproven(
    shared: &Shared,
    spec: &JobSpec,
    root: &Root,
    key: &str,
    etag: &str,
) -> Result<()> {
    let clients = shared.copier.clients.of(spec)?;
    let Target::Blob { name, .. } = target::of(&clients, spec, root, key).await? else {
        return Ok(());
    };
    let same = Conditions::only_over(etag);
    match clients.destination.delete_blob(&name, &same).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_condition() => Ok(()),
        Err(error) => Err(Failure::give_up(
            error.failure.reason,
            format!(
                "the blob {}/{} is wrong and is still there, as deleting it failed ({}): delete it",
                name.container, name.blob, error.failure
            ),
        )),
    }
}

/// Sends the object its way; tells whether its content came through this process.
async fn send(
    passage: &Passage,
    spec: &JobSpec,
    task: &CopyTask,
    source: &SourceObject,
    (relayed, conditions): (bool, &Conditions),
) -> Sent {
    if relayed {
        let progress = relay::copy(passage, source, &spec.options, conditions).await?;
        return Ok((progress, true));
    }
    let options = options_of(spec, source);
    if let Plan::Blocks(_) = plan::plan(source.head.size, &source.identity, &options)? {
        let earlier = task.staged.as_ref();
        let terms = (conditions, spec.first_write());
        if let Some(progress) = blocks::copy(passage, source, &options, earlier, terms).await? {
            return Ok((progress, false));
        }
    }
    whole::copy(passage, source, spec, conditions).await
}

/// Looks at the object and decides what its blob carries; an ending where it cannot be read.
async fn look(
    passage: &Passage,
    spec: &JobSpec,
    task: &CopyTask,
    (escaped, may_trust_listing): (bool, bool),
) -> Result<Result<SourceObject, Ending>> {
    let properties = &spec.options.properties;
    let asked = properties.preserve || spec.options.detect_source_changed;
    let asked = asked || properties.preserve_tags || passage.clients.source.has_customer_key();
    let from_listing = !asked && may_trust_listing;
    let head = match from_listing {
        true => object::from_listing(&task.object),
        false => passage.head().await?,
    };
    // Elsewhere a storage class is but a name: what cannot be read is refused when it is.
    if passage.clients.source.is_amazon() && head.archived() {
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
    let version = passage.version.clone();
    let version = version.or_else(|| object::named_version(&head).map(str::to_owned));
    let place = Place {
        bucket: &passage.bucket.name,
        key: &passage.key,
        version: version.as_deref(),
        at_amazon: passage.clients.source.is_amazon(),
    };
    let mut source = SourceObject::new(place, head, carriage.headers, excluded);
    source.from_listing = from_listing;
    if passage.shared.odd_etags.are_known(&passage.bucket.name) {
        source.md5 = None;
    }
    Ok(Ok(source))
}

async fn tags(passage: &Passage) -> Result<Vec<(String, String)>> {
    let started = Instant::now();
    let version = passage.version.as_deref();
    let source = &passage.clients.source;
    let tags = source.tags(&passage.bucket, &passage.key, version).await;
    passage.observe(("s3", "get_object_tagging"), started, tags.as_ref().err());
    tags
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
