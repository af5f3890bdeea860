//! Objects: pages of them, one's properties, and a URL to fetch one by.

use std::ops::Range;
use std::time::Duration;

use http::Method;

use crate::failure::{Failure, Reason, Result};
use crate::source::encoding::encode_query;
use crate::source::list::{self, ObjectPage, S3Object, service_error};
use crate::source::sign::{PresignedUrl, Scope};

use super::buckets::no_progress;
use super::head::ObjectHead;
use super::{Answer, BucketRef, Call, Source};
use crate::http::Incoming;

/// The longest copy source Azure accepts (Put Block From URL: `x-ms-copy-source`, 2 KiB).
const LONGEST_URL: usize = 2048;

/// More than a signature adds to a URL beside the session token, in bytes.
const SIGNATURE: usize = 512;

/// What S3 gives at most in a page; asked for none, it would call the listing complete.
const MAX_KEYS: u16 = 1000;

/// How many answers without an object one call goes on through.
const PAGES_WITHOUT_OBJECT: usize = 50;

/// The last character there is: no key that goes on after a prefix comes behind it.
const LAST: char = char::MAX;

/// Which part of a bucket to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListRequest<'a> {
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Only keys behind this one.
    pub after: Option<&'a str>,
    /// Only keys without a further `/` after the prefix.
    pub delimiter: bool,
    /// At most so many entries, from 1 to 1,000.
    pub max_keys: u16,
}

/// Part of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// The objects, in key order.
    pub objects: Vec<S3Object>,
    /// The `after` to go on with; none where the listing has ended. It need not be a key.
    pub next_after: Option<String>,
}

impl Source {
    /// Lists a page. Nothing is kept between calls: any process can go on from `next_after`.
    ///
    /// # Errors
    /// [`Reason::SourceRejected`] for servers that list out of order or ignore `start-after`;
    /// others as for any call.
    pub async fn list_page(
        &self,
        bucket: &BucketRef,
        request: &ListRequest<'_>,
    ) -> Result<ListPage> {
        let max_keys = request.max_keys.clamp(1, MAX_KEYS).to_string();
        let mut token = None;
        let mut after = request.after.map(str::to_owned);
        for _ in 0..PAGES_WITHOUT_OBJECT {
            let page = self.ask_page(bucket, request, &max_keys, token.as_deref());
            let mut page = page.await?;
            let next = furthest(&page).max(after.clone());
            let listed = ListPage {
                objects: std::mem::take(&mut page.objects),
                next_after: next.clone().filter(|_| page.truncated),
            };
            let moved = next > after;
            if !page.truncated || (moved && !listed.objects.is_empty()) {
                return Ok(listed);
            }
            after = next;
            match page.token {
                Some(next) if token.as_ref() != Some(&next) => token = Some(next),
                None if moved => return Ok(listed),
                _ => return Err(no_progress(&page_call(bucket))),
            }
        }
        match after {
            Some(next) if request.after != Some(next.as_str()) => Ok(ListPage {
                objects: Vec::new(),
                next_after: Some(next),
            }),
            _ => Err(no_progress(&page_call(bucket))),
        }
    }

    async fn ask_page(
        &self,
        bucket: &BucketRef,
        request: &ListRequest<'_>,
        max_keys: &str,
        token: Option<&str>,
    ) -> Result<ObjectPage> {
        let mut query = vec![
            ("list-type", "2"),
            ("encoding-type", "url"),
            ("max-keys", max_keys),
            ("prefix", request.prefix),
        ];
        if request.delimiter {
            query.push(("delimiter", "/"));
        }
        match (token, request.after) {
            (Some(token), _) => query.push(("continuation-token", token)),
            (None, Some(after)) => query.push(("start-after", after)),
            (None, None) => {}
        }
        let call = Call {
            query: &query,
            headers: &[("x-amz-optional-object-attributes", "RestoreStatus")],
            ..page_call(bucket)
        };
        let answer = self.ask(&call).await?;
        let page = list::objects(&answer.body)
            .map_err(|unexpected| self.unexpected(&call, &answer, unexpected))?;
        let outside = |object: &S3Object| {
            !object.key.starts_with(request.prefix)
                || request
                    .after
                    .is_some_and(|after| object.key.as_str() <= after)
        };
        if page.objects.iter().any(outside) {
            return Err(Failure::give_up(
                Reason::SourceRejected,
                format!("{call}: the source ignores prefix or start-after, so it cannot be listed"),
            ));
        }
        Ok(page)
    }

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
        let call = Call {
            query: version.as_slice(),
            headers: &[CHECKSUM],
            ..object_call(Method::HEAD, bucket, key)
        };
        let answer = self.send(&call).await?;
        if answer.status.is_success() {
            return ObjectHead::read(&answer.headers).map_err(|failure| call.about(&failure));
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
                return ObjectHead::read(&answer.headers).map_err(|failure| call.about(&failure));
            }
        }
        let mut error = list::ServiceError::default();
        if matches!(answer.status.as_u16(), 400 | 401 | 403) {
            error = self.explanation(&call).await;
        }
        Err(self.refused(&call, &answer, error))
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
        let etag = head.etag.as_ref().map(|etag| format!("\"{etag}\""));
        let mut headers = Vec::new();
        if !range.is_empty() {
            headers.push(("range", bytes.as_str()));
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
                let body = self.read_whole(&call, &mut response).await?;
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
        let version = version.map(|version| ("versionId", version));
        let call = Call {
            query: version.as_slice(),
            ..object_call(Method::GET, bucket, key)
        };
        let url = self.fetch_url(&call)?;
        let signer = self.0.credentials.current().await?;
        let token = signer.as_ref().and_then(|signer| signer.session_token());
        let token = token.map_or(0, |token| encode_query(token).len());
        if url.len() + token + SIGNATURE <= LONGEST_URL {
            return Ok(());
        }
        let version = version.map(|(_, version)| version);
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
        let version = version.map(|version| ("versionId", version));
        let call = Call {
            query: version.as_slice(),
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

fn page_call(bucket: &BucketRef) -> Call<'_> {
    Call {
        method: Method::GET,
        bucket: Some(&bucket.name),
        key: None,
        region: &bucket.region,
        query: &[],
        headers: &[],
    }
}

/// Where a page ends: its last key, or behind all keys of its last common prefix.
fn furthest(page: &ObjectPage) -> Option<String> {
    let key = page.objects.last().map(|object| object.key.clone());
    let prefix = page
        .common_prefixes
        .last()
        .map(|prefix| format!("{prefix}{LAST}"));
    key.max(prefix)
}
