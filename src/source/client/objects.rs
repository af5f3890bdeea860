//! Objects: pages of them, one's properties, and a URL to fetch one by.

use std::ops::Range;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

use crate::failure::{Failure, Reason, Result};
use crate::source::encoding::encode_query;
use crate::source::list::{self, is_weak, service_error};
use crate::source::sign::{PresignedUrl, Scope};

use super::head::ObjectHead;
use super::learned::Optional;
use super::{Answer, BucketRef, Call, Source};
use crate::http::Incoming;

/// The longest copy source Azure accepts (Put Block From URL: `x-ms-copy-source`, 2 KiB).
const LONGEST_URL: usize = 2048;

/// Asks for one byte.
const FIRST_BYTE: (&str, &str) = ("range", "bytes=0-0");

/// The MD5 of no bytes, as S3 writes it.
const ETAG_OF_NOTHING: &str = "\"d41d8cd98f00b204e9800998ecf8427e\"";

/// More than a signature adds to a URL beside the session token, in bytes.
const SIGNATURE: usize = 512;

impl Source {
    /// An object's properties, from one HEAD; from a second one with the customer's key where the
    /// first is refused and there is one.
    ///
    /// A HEAD is refused without a word of explanation; then one byte of the object is asked for,
    /// whose refusal has a code.
    ///
    /// # Errors
    /// As for any call.
    pub async fn head(
        &self,
        bucket: &BucketRef,
        key: &str,
        version: Option<&str>,
    ) -> Result<ObjectHead> {
        let version = version.map(|version| ("versionId", version));
        let learned = &self.0.learned;
        let with_sum: &[_] = match learned.is_unknown(&bucket.name, Optional::ChecksumMode) {
            true => &[],
            false => &[CHECKSUM],
        };
        let mut call = Call {
            query: version.as_slice(),
            headers: with_sum,
            ..object_call(Method::HEAD, bucket, key)
        };
        if learned.is_unknown(&bucket.name, Optional::Head)
            && let Some(head) = self.head_by_get(&call).await?
        {
            return Ok(head);
        }
        let mut answer = self.send(&call).await?;
        if !call.headers.is_empty()
            && self.may_drop(&bucket.name, Optional::ChecksumMode, answer.status)
        {
            call.headers = &[];
            let plain = self.send(&call).await?;
            learned.note(
                &bucket.name,
                Optional::ChecksumMode,
                plain.status.is_success(),
            );
            answer = plain;
        }
        if answer.status.is_success() {
            return self.told(&call, &answer).await;
        }
        if let (400, Some(customer)) = (answer.status.as_u16(), &self.0.customer_key) {
            let [algorithm, shown, md5] = customer.headers();
            let with_key = Call {
                query: version.as_slice(),
                headers: &[CHECKSUM, algorithm, shown, md5],
                ..object_call(Method::HEAD, bucket, key)
            };
            let answer = self.send(&with_key).await?;
            if answer.status.is_success() {
                return self.told(&with_key, &answer).await;
            }
        }
        let has_no_head = matches!(answer.status.as_u16(), 405 | 501)
            && self.may_drop(&bucket.name, Optional::Head, answer.status);
        if has_no_head {
            let head = self.head_by_get(&call).await?;
            learned.note(&bucket.name, Optional::Head, head.is_some());
            if let Some(head) = head {
                return Ok(head);
            }
        }
        let mut error = list::ServiceError::default();
        if has_no_head || matches!(answer.status.as_u16(), 400 | 401 | 403) {
            error = self.explanation(&call).await;
        }
        Err(self.refused(&call, &answer, error))
    }

    /// What a HEAD tells. Its length may be missing (RFC 9110, 9.3.2), or said to be 0 of every
    /// object: then one byte is asked for, whose answer tells of how many it is.
    async fn told(&self, head: &Call<'_>, answer: &Answer) -> Result<ObjectHead> {
        let size = match self.is_size_told(&answer.headers) {
            true => None,
            false => size_of(&self.begin_get(head, &[FIRST_BYTE]).await?),
        };
        ObjectHead::read(&answer.headers, size).map_err(|failure| head.about(&failure))
    }

    fn is_size_told(&self, headers: &HeaderMap) -> bool {
        let Some(length) = headers.get(http::header::CONTENT_LENGTH) else {
            return false;
        };
        let etag = headers.get(http::header::ETAG);
        let is_of_nothing = etag.is_some_and(|etag| etag == ETAG_OF_NOTHING);
        length != "0" || self.is_amazon() || is_of_nothing
    }

    /// The same from a GET, at a server that knows no HEAD; none where that is refused too.
    async fn head_by_get(&self, head: &Call<'_>) -> Result<Option<ObjectHead>> {
        let mut answer = self.begin_get(head, &[FIRST_BYTE]).await?;
        let size = size_of(&answer);
        if answer.status == StatusCode::RANGE_NOT_SATISFIABLE {
            // Of an error's headers none are the object's.
            answer = self.begin_get(head, &[]).await?;
        }
        if !answer.status.is_success() {
            return Ok(None);
        }
        let read = ObjectHead::read(&answer.headers, size);
        read.map(Some).map_err(|failure| head.about(&failure))
    }

    /// Begins a GET of what a HEAD was asked of.
    async fn begin_get(&self, head: &Call<'_>, more: &[(&'static str, &str)]) -> Result<Incoming> {
        let shown = head.headers.iter().filter(|header| **header != CHECKSUM);
        let headers: Vec<_> = more.iter().chain(shown).copied().collect();
        let get = Call {
            method: Method::GET,
            headers: &headers,
            ..*head
        };
        let (answer, _) = self.begin(&get, super::TIMEOUT).await?;
        Ok(answer)
    }

    /// The error that a GET of the first byte is refused with; empty if there is none to be had.
    async fn explanation(&self, head: &Call<'_>) -> list::ServiceError {
        let get = Call {
            method: Method::GET,
            headers: &[("range", "bytes=0-0")],
            ..*head
        };
        match self.send(&get).await {
            Ok(answer) if !answer.status.is_success() => {
                service_error(&answer.body).unwrap_or_default()
            }
            _ => list::ServiceError::default(),
        }
    }

    /// Makes sure that this process may read the object: asks for one byte of it.
    ///
    /// # Errors
    /// [`Reason::SourceArchived`] for an object that must be restored first, and others as for any
    /// call.
    pub async fn check_readable(
        &self,
        bucket: &BucketRef,
        key: &str,
        version: Option<&str>,
    ) -> Result<()> {
        let version = version.map(|version| ("versionId", version));
        let call = Call {
            query: version.as_slice(),
            headers: &[("range", "bytes=0-0")],
            ..object_call(Method::GET, bucket, key)
        };
        let (mut response, signer) = self.begin(&call, super::TIMEOUT).await?;
        if response.status.is_success() || response.status.as_u16() == 416 {
            return Ok(());
        }
        let body = self
            .read_whole(&call, &mut response, super::TIMEOUT)
            .await?;
        let answer = Answer {
            status: response.status,
            headers: std::mem::take(&mut response.headers),
            body: String::from_utf8(body).unwrap_or_default(),
            signer,
        };
        self.succeeded(&call, answer).map(drop)
    }

    /// An object's tags (GetObjectTagging).
    ///
    /// # Errors
    /// [`Reason::SourceDenied`] without `s3:GetObjectTagging`; others as for any call.
    pub async fn tags(
        &self,
        bucket: &BucketRef,
        key: &str,
        version: Option<&str>,
    ) -> Result<Vec<(String, String)>> {
        let mut query = vec![("tagging", "")];
        query.extend(version.map(|version| ("versionId", version)));
        let call = Call {
            query: &query,
            ..object_call(Method::GET, bucket, key)
        };
        let answer = self.ask(&call).await?;
        list::tags(&answer.body).map_err(|unexpected| self.unexpected(&call, &answer, unexpected))
    }

    /// Begins to read bytes `range` of an object through this process; the whole may take `limit`.
    /// With `head` as it was looked at before, an object that has changed since is refused.
    ///
    /// # Errors
    /// [`Reason::SourceChanged`] (worth a retry): it is another object now. Others as for any call.
    pub async fn read(
        &self,
        bucket: &BucketRef,
        key: &str,
        head: &ObjectHead,
        range: Range<u64>,
        limit: Duration,
    ) -> Result<Incoming> {
        let version = head
            .version
            .as_deref()
            .map(|version| ("versionId", version));
        let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        // A weak ETag matches nothing (RFC 9110, 13.1.1).
        let strong = head.etag.as_ref().filter(|etag| !is_weak(etag));
        let etag = strong.map(|etag| format!("\"{etag}\""));
        let mut headers = Vec::new();
        if !range.is_empty() {
            headers.push(("range", bytes.as_str()));
        }
        if head.content_encoding.is_some() {
            // Some servers send what is stored encoded in plain to who does not take it encoded.
            headers.push(("accept-encoding", "gzip, br, zstd, deflate, identity"));
        }
        if let Some(etag) = &etag {
            headers.push(("if-match", etag));
        }
        if let (true, Some(customer)) = (head.customer_key, &self.0.customer_key) {
            headers.extend(customer.headers());
        }
        let call = Call {
            query: version.as_slice(),
            headers: &headers,
            ..object_call(Method::GET, bucket, key)
        };
        let (mut response, signer) = self.begin(&call, limit).await?;
        match response.status.as_u16() {
            200 if range.is_empty() || range.start == 0 && range.end == head.size => Ok(response),
            206 if !range.is_empty() => Ok(response),
            412 => Err(Failure::retry(
                Reason::SourceChanged,
                format!("{call}: the object has changed since it was looked at"),
            )),
            status if response.status.is_success() => {
                Err(self.no_s3(&call, &format!("HTTP {status} answers no such range")))
            }
            _ => {
                let body = self
                    .read_whole(&call, &mut response, super::TIMEOUT)
                    .await?;
                let answer = Answer {
                    status: response.status,
                    headers: std::mem::take(&mut response.headers),
                    body: String::from_utf8(body).unwrap_or_default(),
                    signer,
                };
                let error = service_error(&answer.body).unwrap_or_default();
                Err(self.refused(&call, &answer, error))
            }
        }
    }

    /// Can Azure fetch the object by its key? Sends nothing.
    ///
    /// # Errors
    /// [`Reason::SourceUnaddressable`] for a key that is rewritten on the way, and
    /// [`Reason::SourceUrlTooLong`].
    pub async fn fetchable(
        &self,
        bucket: &BucketRef,
        key: &str,
        version: Option<&str>,
    ) -> Result<()> {
        let mut query: Vec<(&str, &str)> = Vec::new();
        query.extend(version.map(|version| ("versionId", version)));
        query.extend(self.0.requester_pays.then_some(super::PAYER));
        let call = Call {
            query: &query,
            ..object_call(Method::GET, bucket, key)
        };
        let url = self.fetch_url(&call)?;
        let signer = self.0.credentials.current().await?;
        let token = signer.as_ref().and_then(|signer| signer.session_token());
        let token = token.map_or(0, |token| encode_query(token).len());
        if url.len() + token + SIGNATURE <= LONGEST_URL {
            return Ok(());
        }
        let lifetime = Duration::from_secs(60);
        self.presign_get(bucket, key, version, lifetime)
            .await
            .map(drop)
    }

    /// A URL by which the object can be fetched, for `lifetime` or until the credentials end;
    /// without credentials the plain URL. Sends nothing.
    ///
    /// # Errors
    /// [`Reason::SourceUnaddressable`] for a key that is rewritten on the way, and
    /// [`Reason::SourceUrlTooLong`] above the 2 KiB Azure accepts.
    pub async fn presign_get(
        &self,
        bucket: &BucketRef,
        key: &str,
        version: Option<&str>,
        lifetime: Duration,
    ) -> Result<PresignedUrl> {
        let mut query: Vec<(&str, &str)> = Vec::new();
        query.extend(version.map(|version| ("versionId", version)));
        query.extend(self.0.requester_pays.then_some(super::PAYER));
        let call = Call {
            query: &query,
            ..object_call(Method::GET, bucket, key)
        };
        let url = self.fetch_url(&call)?;
        let signed = match &self.0.credentials.current().await? {
            None => PresignedUrl::new(url),
            Some(credentials) => {
                let scope = Scope {
                    credentials,
                    region: call.region,
                    now: self.0.clock.now(),
                };
                scope.presign(&url, lifetime)?
            }
        };
        let length = signed.expose().len();
        if length > LONGEST_URL {
            return Err(Failure::give_up(
                Reason::SourceUrlTooLong,
                format!(
                    "{call}: its presigned URL has {length} bytes, Azure accepts {LONGEST_URL}: \
                     let it be relayed (--relay=auto), shorten the key, or use credentials without \
                     a long session token"
                ),
            ));
        }
        Ok(signed)
    }
}

/// Of how many bytes the object is whose first one was asked for.
fn size_of(answer: &Incoming) -> Option<u64> {
    let text = |name| answer.headers.get(name)?.to_str().ok();
    match answer.status {
        StatusCode::OK => text(http::header::CONTENT_LENGTH)?.parse().ok(),
        // Nothing of nothing can be given.
        StatusCode::RANGE_NOT_SATISFIABLE => Some(0),
        _ => {
            let (_, total) = text(http::header::CONTENT_RANGE)?.rsplit_once('/')?;
            total.trim().parse().ok()
        }
    }
}

/// Asks for the checksum S3 keeps.
const CHECKSUM: (&str, &str) = ("x-amz-checksum-mode", "ENABLED");

fn object_call<'a>(method: Method, bucket: &'a BucketRef, key: &'a str) -> Call<'a> {
    Call {
        method,
        bucket: Some(&bucket.name),
        key: Some(key),
        region: &bucket.region,
        query: &[],
        headers: &[],
    }
}
