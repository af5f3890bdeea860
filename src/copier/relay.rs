//! Copies an object through this process, for what Azure cannot fetch itself: ranges are read from
//! S3 and staged as blocks. Memory is bounded by a budget that all relayed objects share.

use bytes::{Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, Digest as CrcDigest};
use md5::{Digest, Md5};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::blocks::{
    Progress, Unproven, block_list, commit, contended, finished, plan_for, unchanged,
};
use super::digests::Digests;
use super::object::SourceObject;
use super::passage::Passage;
use super::plan::{Block, Blocks, MIB, Plan};
use super::proof;
use crate::destination::client::{Conditions, Stored, deadline};
use crate::failure::{Failure, Reason, Result};
use crate::http::is_private;
use crate::job::{CopyOptions, JobSpec, Relay, SourceEndpoint};
use crate::source::client::ObjectHead;
use crate::source::list::is_weak;

/// What relayed objects may hold in memory together, in MiB.
pub(super) const MEMORY: usize = 256;

/// Objects above this are read in ranges, in bytes.
const WHOLE: u64 = 8 * MIB;

/// Ranges of one object under way at a time.
const RANGES: usize = 4;

/// Must the object come this way?
///
/// # Errors
/// It must, and the job forbids it.
pub(super) async fn is_needed(
    passage: &Passage,
    spec: &JobSpec,
    head: &ObjectHead,
) -> Result<bool> {
    let relay = spec.options.relay;
    if relay == Relay::Always {
        return Ok(true);
    }
    let auto = relay == Relay::Auto;
    if head.customer_key {
        let why = "it is encrypted with a customer's key, which Azure cannot send: give \
                   --relay=auto";
        let failure = Failure::give_up(Reason::SourceDenied, why);
        return if auto { Ok(true) } else { Err(failure) };
    }
    if auto && is_out_of_reach(spec) {
        return Ok(true);
    }
    let (key, version) = (&passage.key, passage.version.as_deref());
    let source = &passage.clients.source;
    match source.fetchable(&passage.bucket, key, version).await {
        Ok(()) => Ok(false),
        Err(failure) if auto && is_about_the_url(&failure) => Ok(true),
        Err(failure) => Err(failure),
    }
}

/// Is the source a server that the destination cannot reach?
pub(super) fn is_out_of_reach(spec: &JobSpec) -> bool {
    is_nearby(&spec.endpoint) && !is_private(&spec.account)
}

/// Can this process read what Azure did not get an answer for? Of a server in this network Azure may
/// know no more than that it is not there; what a policy denies it is another matter.
pub(super) async fn helps_against(passage: &Passage, spec: &JobSpec, failure: &Failure) -> bool {
    let unanswered = matches!(
        failure.reason,
        Reason::SourceRejected | Reason::SourceUnavailable
    );
    if !unanswered || spec.options.relay != Relay::Auto || !is_nearby(&spec.endpoint) {
        return false;
    }
    let (key, version) = (&passage.key, passage.version.as_deref());
    let source = &passage.clients.source;
    let readable = source.check_readable(&passage.bucket, key, version).await;
    readable.is_ok()
}

fn is_nearby(endpoint: &SourceEndpoint) -> bool {
    matches!(endpoint, SourceEndpoint::Custom { url, .. } if is_private(url))
}

fn is_about_the_url(failure: &Failure) -> bool {
    matches!(
        failure.reason,
        Reason::SourceUnaddressable | Reason::SourceUrlTooLong
    )
}

/// Copies the object.
pub(super) async fn copy(
    passage: &Passage,
    source: &SourceObject,
    options: &CopyOptions,
    conditions: &Conditions,
) -> Result<Progress> {
    let size = source.head.size;
    let progress = if size <= WHOLE.min(options.put_blob_size) {
        whole(passage, source, conditions).await?
    } else {
        let in_blocks = CopyOptions {
            put_blob_size: 0,
            ..options.clone()
        };
        let there = block_list(passage).await?;
        let most_whole = u64::try_from(MEMORY).unwrap_or_default() * MIB;
        match plan_for(source, &in_blocks, there.as_ref(), most_whole)? {
            Plan::Whole => whole(passage, source, conditions).await?,
            Plan::Blocks(blocks) => {
                Progress::Done(ranges(passage, source, &blocks, conditions).await?)
            }
        }
    };
    passage.shared.copier.metrics.relayed_bytes.inc_by(size);
    Ok(progress)
}

/// Reads the whole object and gives the MD5 of what the source sends.
pub(super) async fn read_md5(passage: &Passage, source: &SourceObject) -> Result<[u8; 16]> {
    let (mut md5, mut at, size) = (Md5::new(), 0, source.head.size);
    while at < size {
        let length = WHOLE.min(size - at);
        let _room = room(passage, length).await?;
        md5.update(&read(passage, &source.head, at, length).await?);
        at += length;
    }
    Ok(md5.finalize().into())
}

async fn whole(
    passage: &Passage,
    source: &SourceObject,
    conditions: &Conditions,
) -> Result<Progress> {
    let size = source.head.size;
    let _room = room(passage, size).await?;
    passage.pace(size).await;
    let content = read(passage, &source.head, 0, size).await?;
    unchanged_without_etag(passage, source).await?;
    if source
        .md5
        .is_some_and(|md5| md5 != <[u8; 16]>::from(Md5::digest(&content)))
    {
        return Err(mismatch("the MD5 of what S3 sent is not its ETag"));
    }
    let crc64 = crc64(&content);
    proof::same_crc64(source.head.checksum_crc64nvme, Some(crc64))?;
    let destination = &passage.clients.destination;
    let stored = passage
        .write(("blob", "put_blob"), async || {
            let (headers, content) = (&source.headers, content.clone());
            destination
                .put_blob(&passage.blob, content, headers, conditions)
                .await
        })
        .await
        .map_err(contended)?;
    match same_content(source, &content, crc64, &stored) {
        Ok(()) => Ok(Progress::Done(Some(crc64))),
        Err(failure) => Ok(Progress::Unproven(Unproven {
            etag: stored.etag,
            failure,
        })),
    }
}

/// Compares what Azure calculated of a blob with what was sent. An MD5 that is not known is
/// calculated only where there is no CRC-64 to compare.
fn same_content(source: &SourceObject, content: &[u8], crc64: u64, stored: &Stored) -> Result<()> {
    let by_crc64 = proof::same_crc64(Some(crc64), stored.crc64)?;
    let calculated = || (!by_crc64).then(|| Md5::digest(content).into());
    if stored.content_md5.is_some() {
        proof::same_md5(source.md5.or_else(calculated), stored.content_md5)?;
    }
    Ok(())
}

/// Reads and stages the blocks, several at a time, then commits them. Where an MD5 is all there is
/// to compare with, they are read one after the other.
async fn ranges(
    passage: &Passage,
    source: &SourceObject,
    blocks: &Blocks,
    conditions: &Conditions,
) -> Result<Option<u64>> {
    let mut digests = Digests::none(blocks);
    let by_md5 = source
        .md5
        .filter(|_| source.head.checksum_crc64nvme.is_none());
    let mut md5 = Md5::new();
    let mut staging: JoinSet<Result<(usize, Option<u64>)>> = JoinSet::new();
    for (index, block) in blocks.iter().enumerate() {
        let place = passage.place().await?;
        if staging.len() >= RANGES
            && let Some(done) = staging.join_next().await
        {
            finished(done, &mut digests)?;
        }
        let room = room(passage, block.length).await?;
        let mut content = None;
        if by_md5.is_some() {
            let read = fetch(passage, &source.head, &block).await?;
            md5.update(&read);
            content = Some(read);
        }
        let (passage, head) = (passage.clone(), source.head.clone());
        staging.spawn(async move {
            let content = match content {
                Some(content) => content,
                None => fetch(&passage, &head, &block).await?,
            };
            let staged = stage(&passage, &block, content).await;
            drop((place, room));
            Ok((index, Some(staged?)))
        });
    }
    while let Some(done) = staging.join_next().await {
        finished(done, &mut digests)?;
    }
    if by_md5.is_some_and(|expected| expected != <[u8; 16]>::from(md5.finalize())) {
        return Err(mismatch("the MD5 of what S3 sent is not its ETag"));
    }
    let whole = digests.whole(blocks);
    proof::same_crc64(source.head.checksum_crc64nvme, whole)?;
    unchanged_without_etag(passage, source).await?;
    commit(passage, source, blocks, conditions).await?;
    Ok(whole)
}

/// Every read names the ETag it wants, where there is one that can be named.
async fn unchanged_without_etag(passage: &Passage, source: &SourceObject) -> Result<()> {
    let etag = source.head.etag.as_deref();
    match etag.is_some_and(|etag| !is_weak(etag)) {
        true => Ok(()),
        false => unchanged(passage, source).await,
    }
}

/// Reads one block's part of the object.
async fn fetch(passage: &Passage, head: &ObjectHead, block: &Block) -> Result<Bytes> {
    passage.pace(block.length).await;
    read(passage, head, block.offset, block.length).await
}

/// Stages a block; gives its CRC.
async fn stage(passage: &Passage, block: &Block, content: Bytes) -> Result<u64> {
    let crc64 = crc64(&content);
    let destination = &passage.clients.destination;
    let staged = passage
        .write(("blob", "put_block"), async || {
            destination
                .put_block(&passage.blob, &block.id, content.clone())
                .await
        })
        .await?;
    proof::same_crc64(Some(crc64), staged.crc64)?;
    Ok(crc64)
}

/// Memory for so many bytes; given back when dropped.
async fn room(passage: &Passage, bytes: u64) -> Result<OwnedSemaphorePermit> {
    let wanted = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX);
    if usize::try_from(wanted).is_ok_and(|wanted| wanted > MEMORY) {
        return Err(Failure::give_up(
            Reason::SourceUnaddressable,
            format!(
                "the object is too large to be relayed: it would need blocks of {wanted} MiB, \
                 {MEMORY} MiB is the most"
            ),
        ));
    }
    let memory = passage.shared.relay_memory.clone();
    memory.acquire_many_owned(wanted).await.map_err(|error| {
        Failure::stop(
            Reason::Internal,
            format!("no memory is given any more: {error}"),
        )
    })
}

/// Reads a range; exactly `length` bytes, or a failure.
async fn read(passage: &Passage, head: &ObjectHead, offset: u64, length: u64) -> Result<Bytes> {
    let started = Instant::now();
    let content = try_read(passage, head, offset, length).await;
    passage.observe(("s3", "get_object"), started, content.as_ref().err());
    content
}

async fn try_read(passage: &Passage, head: &ObjectHead, offset: u64, length: u64) -> Result<Bytes> {
    let source = &passage.clients.source;
    let range = offset..offset + length;
    let limit = deadline(length);
    let mut body = source
        .read(&passage.bucket, &passage.key, head, range, limit)
        .await?;
    let wanted = usize::try_from(length).unwrap_or(usize::MAX);
    let mut content = BytesMut::with_capacity(wanted);
    let broken = |error: crate::http::TransportError| {
        Failure::retry(
            Reason::SourceUnavailable,
            format!(
                "GET s3://{}/{}: {}",
                passage.bucket.name, passage.key, error.cause
            ),
        )
    };
    while let Some(chunk) = body.chunk().await.map_err(broken)? {
        if content.len() + chunk.len() > wanted {
            return Err(mismatch(decoded(head, "S3 sent more than was asked for")));
        }
        content.extend_from_slice(&chunk);
    }
    if content.len() < wanted {
        return Err(Failure::retry(
            Reason::SourceUnavailable,
            decoded(
                head,
                &format!("S3 sent {} bytes of {wanted}", content.len()),
            ),
        ));
    }
    Ok(content.freeze())
}

fn crc64(content: &[u8]) -> u64 {
    let mut digest = CrcDigest::new(CrcAlgorithm::Crc64Nvme);
    digest.update(content);
    digest.finalize()
}

/// The text, with what may be the reason of an object that is stored encoded.
pub(super) fn decoded(head: &ObjectHead, text: &str) -> String {
    match &head.content_encoding {
        Some(encoding) => format!(
            "{text}: its Content-Encoding is {encoding}, which the source seems to decode on the way"
        ),
        None => text.to_owned(),
    }
}

fn mismatch(message: impl Into<String>) -> Failure {
    Failure::retry(Reason::ChecksumMismatch, message)
}
