//! Objects: pages of them, one's properties, and a URL to fetch one by.

use std::time::Duration;

use http::Method;

use crate::failure::{Failure, Reason, Result};
use crate::source::list::{self, ObjectPage, S3Object, service_error};
use crate::source::sign::{PresignedUrl, Scope};

use super::buckets::no_progress;
use super::head::ObjectHead;
use super::{BucketRef, Call, Source};

/// The longest copy source Azure accepts (Put Block From URL: `x-ms-copy-source`, 2 KiB).
const LONGEST_URL: usize = 2048;

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

    /// An object's properties, from one HEAD.
    ///
    /// A HEAD is refused without a word of explanation; then one byte of the object is asked for,
    /// whose refusal has a code.
    ///
    /// # Errors
    /// [`Reason::SourceUnaddressable`] for a key that no URL can carry; others as for any call.
    pub async fn head(
        &self,
        bucket: &BucketRef,
        key: &str,
        version: Option<&str>,
    ) -> Result<ObjectHead> {
        let version = version.map(|version| ("versionId", version));
        let call = Call {
            method: Method::HEAD,
            bucket: Some(&bucket.name),
            key: Some(key),
            region: &bucket.region,
            query: version.as_slice(),
            headers: &[("x-amz-checksum-mode", "ENABLED")],
        };
        let answer = self.send(&call).await?;
        if answer.status.is_success() {
            return ObjectHead::read(&answer.headers).map_err(|failure| call.about(&failure));
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

    /// Can Azure fetch the object by its key? Sends nothing.
    ///
    /// # Errors
    /// [`Reason::SourceUnaddressable`] for a key that is rewritten on the way.
    pub fn check_key(&self, bucket: &BucketRef, key: &str) -> Result<()> {
        let call = Call {
            key: Some(key),
            ..page_call(bucket)
        };
        self.fetch_url(&call).map(drop)
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
            method: Method::GET,
            bucket: Some(&bucket.name),
            key: Some(key),
            region: &bucket.region,
            query: version.as_slice(),
            headers: &[],
        };
        let url = self.fetch_url(&call)?;
        let signed = match &self.0.credentials.current().await? {
            None => PresignedUrl::new(url.into()),
            Some(credentials) => {
                let scope = Scope {
                    credentials,
                    region: call.region,
                    now: self.0.clock.now(),
                };
                scope.presign(url.as_str(), lifetime)?
            }
        };
        let length = signed.expose().len();
        if length > LONGEST_URL {
            return Err(Failure::give_up(
                Reason::SourceUrlTooLong,
                format!(
                    "{call}: its presigned URL has {length} bytes, Azure accepts {LONGEST_URL}: \
                     shorten the key, or use credentials without a long session token"
                ),
            ));
        }
        Ok(signed)
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
