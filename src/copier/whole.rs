//! Copies one object in one request, and makes sure that the blob is the object.

use super::blocks::{Progress, Unproven, unchanged};
use super::existing::head_blob;
use super::object::SourceObject;
use super::passage::Passage;
use super::{proof, relay};
use crate::destination::client::{Conditions, CopySource, Stored};
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobSpec, Relay};

/// Has Azure fetch the whole object; where the source sends Azure other bytes than it stores, as
/// some servers do that are not Amazon's, another way is found. Tells whether the content came
/// through this process.
pub(super) async fn copy(
    passage: &Passage,
    source: &SourceObject,
    spec: &JobSpec,
    conditions: &Conditions,
) -> Result<(Progress, bool)> {
    let check_length = spec.options.check_length;
    let stored = match put(passage, source, conditions).await {
        Err(failure) if may_be_odd(passage, source, &failure) => {
            if is_decoded_on_the_way(source) {
                return relayed(passage, source, spec, conditions, &failure).await;
            }
            let md5 = relay::read_md5(passage, source).await?;
            if source.md5 == Some(md5) {
                return Err(failure);
            }
            // The ETag is no MD5 if Azure calculates what was read here.
            let known = SourceObject {
                md5: Some(md5),
                ..source.clone()
            };
            let stored = put(passage, &known, conditions).await?;
            passage.shared.odd_etags.note(&passage.bucket.name);
            return prove(passage, &known, stored, check_length).await;
        }
        stored => stored?,
    };
    match prove(passage, source, stored, check_length).await? {
        (Progress::Unproven(wrong), _)
            if wrong.failure.reason == Reason::ChecksumMismatch
                && !passage.clients.source.is_amazon()
                && is_decoded_on_the_way(source)
                && spec.options.relay != Relay::Never =>
        {
            let etag = wrong.etag;
            let over = Conditions::only_over(&etag);
            match relayed(passage, source, spec, &over, &wrong.failure).await {
                // The wrong blob is still there.
                Err(failure) => Ok((Progress::Unproven(Unproven { etag, failure }), false)),
                other => other,
            }
        }
        proved => Ok(proved),
    }
}

async fn put(passage: &Passage, source: &SourceObject, conditions: &Conditions) -> Result<Stored> {
    let destination = &passage.clients.destination;
    passage.pace(source.head.size).await;
    passage
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
        .await
}

/// May the refusal be about an ETag that is no MD5, or about bytes that were decoded on the way?
fn may_be_odd(passage: &Passage, source: &SourceObject, failure: &Failure) -> bool {
    failure.reason == Reason::ChecksumMismatch
        && source.md5.is_some()
        && !source.from_listing
        && !passage.clients.source.is_amazon()
}

/// Is the object stored encoded, so that a server may decode it for who does not ask for it so?
/// Azure's fetcher does not ask.
fn is_decoded_on_the_way(source: &SourceObject) -> bool {
    let encoding = source.head.content_encoding.as_deref();
    encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"))
}

/// Brings the stored bytes through this process, which asks for them as they are.
async fn relayed(
    passage: &Passage,
    source: &SourceObject,
    spec: &JobSpec,
    conditions: &Conditions,
    failure: &Failure,
) -> Result<(Progress, bool)> {
    if spec.options.relay == Relay::Never {
        let text = relay::decoded(&source.head, &failure.message);
        let text = format!("{text}; let it be relayed (--relay=auto)");
        return Err(Failure::give_up(Reason::ChecksumMismatch, text));
    }
    let progress = relay::copy(passage, source, &spec.options, conditions).await?;
    Ok((progress, true))
}

/// Proves the blob, or says what is not proved about it.
async fn prove(
    passage: &Passage,
    source: &SourceObject,
    stored: Stored,
    check_length: bool,
) -> Result<(Progress, bool)> {
    let crc64 = stored.crc64;
    match verify(passage, source, &stored, check_length).await {
        Ok(()) => Ok((Progress::Done(crc64), false)),
        Err(failure) => {
            let etag = stored.etag;
            Ok((Progress::Unproven(Unproven { etag, failure }), false))
        }
    }
}

/// Content is proved by a digest that Azure checked or returned, or by a version that pins it; only
/// where there is neither is the source looked at again, and the blob's length asked for.
async fn verify(
    passage: &Passage,
    source: &SourceObject,
    stored: &Stored,
    check_length: bool,
) -> Result<()> {
    let by_crc64 = proof::same_crc64(source.head.checksum_crc64nvme, stored.crc64)?;
    let by_md5 = proof::same_md5(source.md5, stored.content_md5)? || source.md5.is_some();
    let etag = source.head.etag.as_deref().and_then(proof::md5_of_etag);
    let like_its_etag = etag.is_some() && etag == stored.content_md5;
    if by_crc64 || by_md5 || like_its_etag || source.pinned {
        return Ok(());
    }
    unchanged(passage, source).await?;
    if !check_length {
        return Ok(());
    }
    match head_blob(passage).await? {
        Some(blob) if blob.length == source.head.size => Ok(()),
        Some(blob) => Err(Failure::retry(
            Reason::ChecksumMismatch,
            relay::decoded(
                &source.head,
                &format!("{} bytes arrived of {}", blob.length, source.head.size),
            ),
        )),
        None => Err(Failure::retry(
            Reason::DestinationUnavailable,
            "the blob just written is not there: is someone else deleting it?",
        )),
    }
}
