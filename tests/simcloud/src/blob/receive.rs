//! Bodies of requests, held against the checksums that came with them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::HeaderMap;
use hyper::body::Incoming;
use md5::{Digest, Md5};

use super::copy::length_required;
use super::request::{invalid_header, text};
use crate::crc;
use crate::ingest::{Ingested, ingest};
use crate::refusal::Refusal;
use crate::state::State;

/// Largest body of Put Blob and Put Block.
const BLOB_LIMIT: u64 = 5000 << 20;
const BLOCK_LIMIT: u64 = 4000 << 20;

/// Checksums of a body as the request gives them; never both.
#[derive(Debug, Default)]
struct Given {
    md5: Option<[u8; 16]>,
    crc64: Option<[u8; 8]>,
}

impl Given {
    fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let (md5, crc64) = (
            text(headers, "content-md5"),
            text(headers, "x-ms-content-crc64"),
        );
        if md5.is_some() && crc64.is_some() {
            return Err(both_checksums());
        }
        let crc64 = crc64.map(|value| {
            let bytes = STANDARD.decode(value).unwrap_or_default();
            let bytes = <[u8; 8]>::try_from(bytes);
            bytes.map_err(|_| invalid_header("x-ms-content-crc64", value))
        });
        Ok(Self {
            md5: md5.map(digest).transpose()?,
            crc64: crc64.transpose()?,
        })
    }

    /// Refuses a body of other checksums.
    fn check(&self, md5: Option<[u8; 16]>, crc64: u64) -> Result<(), Refusal> {
        match (self.md5, md5) {
            (Some(given), Some(found)) if given != found => Err(md5_mismatch(&given, &found)),
            _ => match self.crc64 {
                Some(given) if given != crc64.to_le_bytes() => Err(crc64_mismatch(&given, crc64)),
                _ => Ok(()),
            },
        }
    }
}

fn digest(value: &str) -> Result<[u8; 16], Refusal> {
    let bytes = STANDARD.decode(value).unwrap_or_default();
    <[u8; 16]>::try_from(bytes).map_err(|_| {
        let message = "The MD5 value specified in the request is invalid. The MD5 value must be 128 bits and Base64-encoded.";
        Refusal::new(400, "InvalidMd5", message)
    })
}

/// The body of Put Blob. An MD5 that is to be stored with the blob is checked like Content-MD5,
/// and before it.
pub(crate) async fn blob(
    state: &State,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Ingested, Refusal> {
    let mut given = Given::read(headers)?;
    if let Some(value) = text(headers, "x-ms-blob-content-md5") {
        given.md5 = Some(digest(value)?);
    }
    let ingested = bytes(state, headers, body, BLOB_LIMIT, true).await?;
    given.check(ingested.md5, ingested.crc64)?;
    Ok(ingested)
}

/// The body of Put Block, which may not be empty; its MD5 is computed only if one was given.
pub(crate) async fn block(
    state: &State,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Ingested, Refusal> {
    let given = Given::read(headers)?;
    if text(headers, "content-length") == Some("0") {
        return Err(invalid_header("Content-Length", "0"));
    }
    let ingested = bytes(state, headers, body, BLOCK_LIMIT, given.md5.is_some()).await?;
    given.check(ingested.md5, ingested.crc64)?;
    Ok(ingested)
}

/// A body that is a document of at most `limit` bytes.
pub(crate) async fn document(
    headers: &HeaderMap,
    body: Incoming,
    limit: usize,
) -> Result<Bytes, Refusal> {
    let given = Given::read(headers)?;
    let collected = Limited::new(body, limit).collect().await;
    let document = collected.map_err(|_| too_large(limit as u64))?.to_bytes();
    let md5 = Md5::digest(&document).into();
    given.check(Some(md5), crc::crc64(&document))?;
    Ok(document)
}

async fn bytes(
    state: &State,
    headers: &HeaderMap,
    body: Incoming,
    limit: u64,
    md5: bool,
) -> Result<Ingested, Refusal> {
    let length: u64 = text(headers, "content-length")
        .and_then(|text| text.parse().ok())
        .ok_or_else(length_required)?;
    if length > limit {
        return Err(too_large(limit));
    }
    ingest(body, state.keep, md5, limit)
        .await
        .ok_or_else(|| too_large(limit))
}

fn too_large(limit: u64) -> Refusal {
    let message = "The request body is too large and exceeds the maximum permissible limit.";
    Refusal::new(413, "RequestBodyTooLarge", message).element("MaxLimit", limit.to_string())
}

pub(crate) fn both_checksums() -> Refusal {
    let message = "Both Crc64 and Md5 header are present.";
    Refusal::new(400, "BothCrc64AndMd5HeaderPresent", message)
}

pub(crate) fn md5_mismatch(given: &[u8], found: &[u8]) -> Refusal {
    let message = "The MD5 value specified in the request did not match with the MD5 value calculated by the server.";
    Refusal::new(400, "Md5Mismatch", message)
        .element("UserSpecifiedMd5", STANDARD.encode(given))
        .element("ServerCalculatedMd5", STANDARD.encode(found))
}

pub(crate) fn crc64_mismatch(given: &[u8], found: u64) -> Refusal {
    let message = "The CRC64 value specified in the request did not match with the CRC64 value calculated by the server.";
    Refusal::new(400, "Crc64Mismatch", message)
        .element("UserSpecifiedCrc64", STANDARD.encode(given))
        .element("ServerCalculatedCrc64", crc::azure_base64(found))
}
