//! Put Blob From URL and Put Block From URL: the source is really fetched.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::http::request::Parts;

use super::request::{Request, invalid_header, text};
use crate::config::{Fetch, Keep};
use crate::fetch::{self, Fetched};
use crate::ingest::{Ingested, ingest};
use crate::op::OpKind;
use crate::refusal::Refusal;
use crate::s3;
use crate::source_url::{LONGEST, SourceUrl};
use crate::state::State;

/// Since when each call exists and how much it takes.
const BLOB_SINCE: &str = "2020-04-08";
const BLOCK_SINCE: &str = "2018-03-28";
const BLOB_LIMIT: u64 = 5000 << 20;
const BLOCK_LIMIT: u64 = 4000 << 20;
const OLD_BLOCK_LIMIT: u64 = 100 << 20;

/// A From-URL call, checked as far as it can be before the source is read.
#[derive(Debug)]
pub(crate) struct CopySource {
    url: SourceUrl,
    range: Option<String>,
    md5: Option<Vec<u8>>,
    crc64: Option<Vec<u8>>,
    limit: u64,
    whole: bool,
}

impl CopySource {
    pub(crate) fn read(request: &Request, headers: &HeaderMap) -> Result<Self, Refusal> {
        let whole = request.kind == OpKind::PutBlobFromUrl;
        let since = if whole { BLOB_SINCE } else { BLOCK_SINCE };
        if request.version.as_str() < since {
            return Err(invalid_header("x-ms-version", &request.version));
        }
        match headers
            .get("content-length")
            .and_then(|value| value.to_str().ok())
        {
            Some("0") => {}
            None => return Err(length_required()),
            Some(length) => return Err(invalid_header("Content-Length", length)),
        }
        let source = text(headers, "x-ms-copy-source").unwrap_or_default();
        if source.len() > LONGEST {
            let message = "One of the request inputs is out of range.";
            return Err(Refusal::new(400, "OutOfRangeInput", message));
        }
        let url =
            SourceUrl::parse(source).ok_or_else(|| invalid_header("x-ms-copy-source", source))?;
        let range = text(headers, "x-ms-source-range").map(Into::into);
        let decoded = |name: &'static str, length: usize| {
            let Some(value) = text(headers, name) else {
                return Ok(None);
            };
            let bytes = STANDARD.decode(value).ok();
            match bytes.filter(|bytes| bytes.len() == length) {
                Some(bytes) => Ok(Some(bytes)),
                None => Err(invalid_header(name, value)),
            }
        };
        let md5 = decoded("x-ms-source-content-md5", 16)?;
        let crc64 = decoded("x-ms-source-content-crc64", 8)?;
        if md5.is_some() && crc64.is_some() {
            return Err(super::receive::both_checksums());
        }
        if whole && (range.is_some() || crc64.is_some()) {
            let message = "An HTTP header or query parameter that is not supported was specified.";
            return Err(Refusal::new(400, "UnsupportedHeader", message));
        }
        Ok(Self {
            url,
            range,
            md5,
            crc64,
            limit: limit(whole, &request.version),
            whole,
        })
    }

    /// Reads the source, or says why it cannot be.
    pub(crate) async fn fetch(&self, state: &Arc<State>) -> Result<Ingested, Refusal> {
        let md5 = self.whole || self.md5.is_some();
        let ingested = match self.compute(state) {
            Some(computed) => computed?,
            None => {
                let fetched = state.fetcher.get(&self.url, self.range.as_deref()).await;
                let Fetched { response, lease } = fetched.ok_or_else(unreachable_source)?;
                let (parts, body) = response.into_parts();
                self.check_answer(parts.status.as_u16(), &parts.headers)?;
                let ingested = ingest(body, state.keep, md5, self.limit).await;
                let mut ingested = ingested.ok_or_else(broken_source)?;
                ingested.source = parts.headers;
                state.fetcher.put_back(lease);
                ingested
            }
        };
        self.check_sums(&ingested)?;
        Ok(ingested)
    }

    /// With computed fetching: asks S3 without a socket and computes the checksum of what it
    /// would send. Checks of an MD5 need the bytes.
    fn compute(&self, state: &Arc<State>) -> Option<Result<Ingested, Refusal>> {
        if state.fetch != Fetch::Computed || state.keep != Keep::Digest || self.md5.is_some() {
            return None;
        }
        let own = [
            state.addresses.s3.to_string(),
            state.addresses.s3_localhost(),
        ];
        if !own.contains(&self.url.authority) {
            return None;
        }
        let (parts, _) = fetch::request(&self.url, self.range.as_deref())?.into_parts();
        Some(self.ask_s3(state, &parts))
    }

    fn ask_s3(&self, state: &Arc<State>, parts: &Parts) -> Result<Ingested, Refusal> {
        let answer = s3::Request::read(parts, &state.quirks).and_then(|request| {
            state.counters.count(request.kind);
            request.run(state, parts)
        });
        match answer {
            Err(refusal) => self
                .check_answer(refusal.status, &HeaderMap::new())
                .map(|()| Ingested::default()),
            Ok(response) => {
                self.check_answer(response.status().as_u16(), response.headers())?;
                let body = response.body();
                let crc64 = body
                    .source()
                    .map_or(0, |(content, start, end)| content.crc64(start, end));
                Ok(Ingested {
                    length: body.length(),
                    crc64,
                    md5: None,
                    data: None,
                    source: response.headers().clone(),
                })
            }
        }
    }

    fn check_answer(&self, status: u16, headers: &HeaderMap) -> Result<(), Refusal> {
        if (300..400).contains(&status) {
            let message = format!(
                "A redirected response (HTTP status code {status}) from the copy source is not supported."
            );
            return Err(Refusal::new(400, "CannotVerifyCopySource", message));
        }
        if !(200..300).contains(&status) {
            return Err(source_refused(status, text(headers, "x-ms-error-code")));
        }
        let length = text(headers, "content-length").and_then(|text| text.parse::<u64>().ok());
        match length {
            Some(length) if length > self.limit && self.whole => {
                let message = "The source request body for a synchronous copy is too large and exceeds the maximum permissible limit (5000MiB).";
                Err(Refusal::new(409, "CannotVerifyCopySource", message))
            }
            Some(length) if length > self.limit => {
                let message =
                    "The request body is too large and exceeds the maximum permissible limit.";
                Err(Refusal::new(413, "RequestBodyTooLarge", message)
                    .element("MaxLimit", self.limit.to_string()))
            }
            Some(_) => Ok(()),
            None => Err(source_refused(400, None)),
        }
    }

    fn check_sums(&self, ingested: &Ingested) -> Result<(), Refusal> {
        if let (Some(given), Some(found)) = (&self.md5, ingested.md5)
            && given != &found
        {
            return Err(super::receive::md5_mismatch(given, &found));
        }
        match &self.crc64 {
            Some(given) if *given != ingested.crc64.to_le_bytes() => {
                Err(super::receive::crc64_mismatch(given, ingested.crc64))
            }
            _ => Ok(()),
        }
    }

    /// Whether the answer names the CRC64: not when the caller sent a checksum of his own with a
    /// block; always for a whole blob.
    pub(crate) fn tells_crc64(&self) -> bool {
        self.whole || (self.md5.is_none() && self.crc64.is_none())
    }

    /// Whether the answer to a block names the MD5.
    pub(crate) fn tells_md5(&self) -> bool {
        !self.whole && self.md5.is_some()
    }
}

fn limit(whole: bool, version: &str) -> u64 {
    match whole {
        true => BLOB_LIMIT,
        false if version >= BLOB_SINCE => BLOCK_LIMIT,
        false => OLD_BLOCK_LIMIT,
    }
}

pub(crate) fn length_required() -> Refusal {
    let message = "The content length header is required for this request.";
    Refusal::new(411, "MissingContentLengthHeader", message)
}

/// The source's own status is mirrored; its error code is told only if it is Azure's own.
fn source_refused(status: u16, code: Option<&str>) -> Refusal {
    let reason = hyper::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error");
    let mut refusal = Refusal::new(status, "CannotVerifyCopySource", reason)
        .element("CopySourceStatusCode", status.to_string())
        .element("CopySourceErrorMessage", reason)
        .header("x-ms-copy-source-status-code", status.to_string());
    if let Some(code) = code {
        refusal = refusal
            .element("CopySourceErrorCode", code)
            .header("x-ms-copy-source-error-code", code);
    }
    refusal
}

fn unreachable_source() -> Refusal {
    let message = "Could not verify the copy source within the specified time. Examine the HTTP status code and message for more information about the failure.";
    Refusal::new(500, "CannotVerifyCopySource", message)
}

fn broken_source() -> Refusal {
    let message = "The server encountered an internal error. Please retry the request.";
    Refusal::new(500, "InternalError", message)
}
