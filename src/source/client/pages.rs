//! A bucket's listing, page by page. Nothing is kept between calls: any process can go on from what
//! a page says.
//!
//! The server's own cursor leads on, as with every SDK: of servers that are not Amazon's not even
//! the order of keys is certain. Where there is none, or it is refused, a listing that was sorted
//! so far goes on behind its last key.

use std::time::Duration;

use http::{Method, StatusCode};

use super::buckets::no_progress;
use super::learned::{Optional, Written};
use super::{Answer, BucketRef, Call, Source};
use crate::failure::{Failure, Reason, Remedy, Result};
use crate::message::Cursor;
use crate::source::encoding::decode;
use crate::source::list::{self, KeyForm, ObjectPage, S3Object};

/// What S3 gives at most in a page; asked for none, it would call the listing complete.
const MAX_KEYS: u16 = 1000;

/// How long a page may take: one behind a million delete markers takes minutes.
const PAGE_LIMIT: Duration = Duration::from_secs(300);

/// How many pages without anything in a row a listing goes on through.
const EMPTY_PAGES: u32 = 10_000;

/// The last character there is: no key that goes on after a prefix comes behind it.
const LAST: char = char::MAX;

/// What of a listing's request a server may not know, in the order in which it is left out.
const OPTIONAL: [Optional; 3] = [
    Optional::ObjectAttributes,
    Optional::EncodingType,
    Optional::ListV2,
];

/// Which part of a bucket to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListRequest<'a> {
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Only keys behind this one.
    pub after: Option<&'a str>,
    /// The server's own place, where it is known.
    pub cursor: Option<&'a Cursor>,
    /// Only keys without a further `/` after the prefix.
    pub delimiter: bool,
    /// At most so many entries, from 1 to 1,000.
    pub max_keys: u16,
}

/// Part of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The objects, in key order unless the listing is unsorted.
    pub objects: Vec<S3Object>,
    /// Rows that name no object that could be asked for: what can be read of each, and why.
    pub unreadable: Vec<String>,
    /// Where to go on; none where the listing has ended.
    pub next: Option<Onward>,
    /// How this page is asked for again.
    pub here: Cursor,
    /// The server promises the order of keys: it may be jumped over some.
    pub is_order_promised: bool,
}

/// Where a listing goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Onward {
    /// Behind this key, or prefix of keys; of an unsorted listing the last key seen.
    pub after: Option<String>,
    /// The server's own place.
    pub cursor: Option<Cursor>,
}

/// Whether a page stands where it was asked for.
enum Place {
    /// It does, in order.
    Sorted,
    /// The listing is in no order.
    Unsorted,
    /// It was asked for by key and begins before it.
    Before,
}

impl Source {
    /// Lists a page.
    ///
    /// # Errors
    /// [`Reason::SourceRejected`] for a listing that cannot be gone on with, so that objects would
    /// be lost or listed twice; others as for any call.
    pub async fn list_page(
        &self,
        bucket: &BucketRef,
        request: &ListRequest<'_>,
    ) -> Result<ListPage> {
        let mut here = request.cursor.cloned().unwrap_or_default();
        here.v1 |= self.0.learned.is_unknown(&bucket.name, Optional::ListV2);
        let mut page = match self.ask_page(bucket, request, &here).await {
            Err(failure) if here.token.is_some() && is_refused(&failure) => {
                self.without_token(bucket, request, &mut here, &failure)
                    .await?
            }
            page => page?,
        };
        self.check_prefix(bucket, request, &page)?;
        take_up(request, &here, &mut page).map_err(|why| cannot(bucket, &why))?;
        match self.place(request, &here, &page) {
            Place::Sorted => {}
            Place::Unsorted if self.is_amazon() => {
                return Err(cannot(bucket, "the source lists its keys out of order"));
            }
            Place::Unsorted => here.unsorted = true,
            Place::Before => page = self.by_marker(bucket, request, &mut here).await?,
        }
        if here.unsorted && here.first.is_some() && here.token.is_some() && !here.partly {
            let circle = page
                .objects
                .iter()
                .any(|object| here.first.as_ref() == Some(&object.key));
            if circle {
                return Err(cannot(bucket, "the source's listing goes round in circles"));
            }
        }
        let next = self.next(bucket, request, &here, &page)?;
        Ok(ListPage {
            objects: page.objects,
            unreadable: if here.partly {
                Vec::new()
            } else {
                page.unreadable
            },
            next,
            here,
            is_order_promised: self.is_amazon(),
        })
    }

    /// Another object below a folder than this one; none where it is alone there.
    ///
    /// # Errors
    /// As for any call.
    pub async fn find_neighbour(
        &self,
        bucket: &BucketRef,
        folder: &str,
        key: &str,
    ) -> Result<Option<String>> {
        let request = ListRequest {
            prefix: folder,
            max_keys: 2,
            ..ListRequest::default()
        };
        let page = self.list_page(bucket, &request).await?;
        let mut keys = page.objects.into_iter().map(|object| object.key);
        Ok(keys.find(|other| other != key))
    }

    /// Does a listing name an object of exactly this key, which HEAD has found? HEAD alone decides
    /// at Amazon, and where a listing is denied; other servers answer HEAD for a directory that is
    /// no object.
    ///
    /// # Errors
    /// As for any call.
    pub async fn is_listed(&self, bucket: &BucketRef, key: &str) -> Result<bool> {
        if self.is_amazon() {
            return Ok(true);
        }
        let request = ListRequest {
            prefix: key,
            max_keys: MAX_KEYS,
            ..ListRequest::default()
        };
        match self.list_page(bucket, &request).await {
            // Of an unsorted listing it may be on a later page.
            Ok(page) => Ok(page.objects.iter().any(|object| object.key == key)
                || (page.here.unsorted && page.next.is_some())),
            Err(failure) if failure.remedy == Remedy::GiveUp => Ok(true),
            Err(failure) => Err(failure),
        }
    }

    /// Where the listing goes on behind this page; none at its end.
    fn next(
        &self,
        bucket: &BucketRef,
        request: &ListRequest<'_>,
        here: &Cursor,
        page: &ObjectPage,
    ) -> Result<Option<Onward>> {
        if !page.truncated {
            return Ok(None);
        }
        let before = request.after.map(str::to_owned);
        let last = match here.unsorted {
            true => page.objects.last().map(|object| object.key.clone()),
            false => furthest(page),
        };
        let is_empty = page.objects.is_empty() && page.common_prefixes.is_empty();
        let empty = if is_empty && page.unreadable.is_empty() {
            here.empty + 1
        } else {
            0
        };
        if empty > EMPTY_PAGES {
            return Err(cannot(
                bucket,
                "the source's listing has 10,000 pages in a row without a key",
            ));
        }
        let moved = last > before;
        let after = if here.unsorted {
            last.clone().or(before)
        } else {
            last.clone().max(before)
        };
        let token = match here.v1 {
            true => page.next_marker.clone().or(last),
            false => page.token.clone(),
        };
        // A server whose order is promised is never asked where it began.
        let first = match (self.is_amazon(), &here.first) {
            (true, _) => None,
            (false, Some(first)) => Some(first.clone()),
            (false, None) => page.objects.first().map(|object| object.key.clone()),
        };
        match token {
            Some(token) if here.token.as_ref() == Some(&token) => {
                Err(no_progress(&page_call(bucket)))
            }
            Some(token) => Ok(Some(Onward {
                after,
                cursor: Some(Cursor {
                    token: Some(token),
                    unsorted: here.unsorted,
                    partly: false,
                    v1: here.v1,
                    first,
                    empty,
                }),
            })),
            None if moved && !here.unsorted => Ok(Some(Onward {
                after,
                cursor: None,
            })),
            None => Err(no_progress(&page_call(bucket))),
        }
    }

    /// Does the page stand where it was asked for, and in order?
    fn place(&self, request: &ListRequest<'_>, here: &Cursor, page: &ObjectPage) -> Place {
        if here.unsorted {
            return Place::Unsorted;
        }
        let in_order = page.objects.is_sorted_by(|a, b| a.key < b.key)
            && page.common_prefixes.is_sorted_by(|a, b| a < b);
        let goes_on = match (request.after, page.objects.first()) {
            (Some(after), Some(first)) => first.key.as_str() > after,
            _ => true,
        };
        let by_key = here.token.is_none() && request.after.is_some();
        match (in_order && goes_on, by_key) {
            (true, _) => Place::Sorted,
            // What was left out before the key cannot be known.
            (false, true) => Place::Before,
            (false, false) => Place::Unsorted,
        }
    }

    /// The page behind a key of a server that passes over `start-after`: one that knows version 1
    /// alone takes the key as its marker.
    async fn by_marker(
        &self,
        bucket: &BucketRef,
        request: &ListRequest<'_>,
        here: &mut Cursor,
    ) -> Result<ObjectPage> {
        let ignored = || {
            let why = "the source ignores start-after, or lists its keys out of order, so that it \
                       cannot be listed from here on";
            cannot(bucket, why)
        };
        if here.v1 || self.is_amazon() {
            return Err(ignored());
        }
        let v1 = Cursor {
            v1: true,
            ..here.clone()
        };
        let mut page = self.ask_page(bucket, request, &v1).await?;
        self.check_prefix(bucket, request, &page)?;
        take_up(request, &v1, &mut page).map_err(|why| cannot(bucket, &why))?;
        match self.place(request, &v1, &page) {
            Place::Sorted => {
                self.0.learned.note(&bucket.name, Optional::ListV2, true);
                *here = v1;
                Ok(page)
            }
            Place::Unsorted | Place::Before => Err(ignored()),
        }
    }

    /// The page that a refused token would have brought, by the last key, if the listing was sorted.
    async fn without_token(
        &self,
        bucket: &BucketRef,
        request: &ListRequest<'_>,
        here: &mut Cursor,
        failure: &Failure,
    ) -> Result<ObjectPage> {
        if here.unsorted || request.after.is_none() {
            let why =
                format!("the source does not take its own continuation token any more ({failure})");
            return Err(cannot(bucket, &why));
        }
        here.token = None;
        here.partly = false;
        self.ask_page(bucket, request, here).await
    }

    fn check_prefix(
        &self,
        bucket: &BucketRef,
        request: &ListRequest<'_>,
        page: &ObjectPage,
    ) -> Result<()> {
        let outside = |object: &S3Object| !object.key.starts_with(request.prefix);
        match page.objects.iter().any(outside) {
            true => Err(cannot(bucket, "the source ignores prefix")),
            false => Ok(()),
        }
    }

    /// Asks for a page; optional parts that the server does not know are left out.
    async fn ask_page(
        &self,
        bucket: &BucketRef,
        request: &ListRequest<'_>,
        here: &Cursor,
    ) -> Result<ObjectPage> {
        let learned = &self.0.learned;
        loop {
            let unknown = |part: &Optional| learned.is_unknown(&bucket.name, *part);
            let left = |part: &Optional| !(unknown(part) || here.v1 && *part == Optional::ListV2);
            let parts: Vec<Optional> = OPTIONAL.into_iter().filter(left).collect();
            let answer = self.ask_page_with(bucket, request, (here, &parts)).await?;
            if answer.status.is_success() {
                return self.read_page(bucket, &answer).await;
            }
            // Another call may have found out meanwhile.
            let news = parts.iter().any(unknown);
            if !news
                && !self
                    .drop_optional(bucket, request, (here, &parts), answer.status)
                    .await?
            {
                let call = page_call(bucket);
                return Err(self.succeeded(&call, answer).err().unwrap_or_else(|| {
                    Failure::give_up(Reason::Internal, "a refused page was none")
                }));
            }
        }
    }

    /// Finds out which optional part the server refuses; true where one was found.
    async fn drop_optional(
        &self,
        bucket: &BucketRef,
        request: &ListRequest<'_>,
        (here, parts): (&Cursor, &[Optional]),
        status: StatusCode,
    ) -> Result<bool> {
        for part in parts.iter().copied() {
            // A token of one version is nothing to the other.
            let fixed = part == Optional::ListV2 && here.token.is_some();
            if fixed || !self.may_drop(&bucket.name, part, status) {
                continue;
            }
            let rest: Vec<Optional> = parts.iter().copied().filter(|one| *one != part).collect();
            let answer = self.ask_page_with(bucket, request, (here, &rest)).await?;
            let found = answer.status.is_success();
            self.0.learned.note(&bucket.name, part, found);
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Asks for a page with these optional parts.
    async fn ask_page_with(
        &self,
        bucket: &BucketRef,
        request: &ListRequest<'_>,
        (here, parts): (&Cursor, &[Optional]),
    ) -> Result<Answer> {
        let v1 = !parts.contains(&Optional::ListV2);
        let max_keys = request.max_keys.clamp(1, MAX_KEYS).to_string();
        let mut query = Vec::with_capacity(6);
        if !v1 {
            query.push(("list-type", "2"));
        }
        if parts.contains(&Optional::EncodingType) {
            query.push(("encoding-type", "url"));
        }
        query.push(("max-keys", &max_keys));
        query.push(("prefix", request.prefix));
        if request.delimiter {
            query.push(("delimiter", "/"));
        }
        // Of the first page of an unsorted listing a part is taken from its beginning again.
        let after = request.after.filter(|_| !(here.partly && here.unsorted));
        match (&here.token, after, v1) {
            (Some(marker), _, true) => query.push(("marker", marker)),
            (None, Some(after), true) => query.push(("marker", after)),
            (Some(token), _, false) => query.push(("continuation-token", token)),
            (None, Some(after), false) => query.push(("start-after", after)),
            (None, None, _) => {}
        }
        let restored = [("x-amz-optional-object-attributes", "RestoreStatus")];
        let headers = match parts.contains(&Optional::ObjectAttributes) {
            true => &restored[..],
            false => &[],
        };
        let call = Call {
            query: &query,
            headers,
            ..page_call(bucket)
        };
        self.send_within(&call, PAGE_LIMIT).await
    }

    /// Reads a page; where an answer does not say how its keys are written, it is found out.
    async fn read_page(&self, bucket: &BucketRef, answer: &Answer) -> Result<ObjectPage> {
        let call = page_call(bucket);
        let read = |form| {
            list::objects(&answer.body, form)
                .map_err(|unexpected| self.unexpected(&call, answer, unexpected))
        };
        let asked = !self
            .0
            .learned
            .is_unknown(&bucket.name, Optional::EncodingType);
        let mut page = read(KeyForm::AsSaid)?;
        if !page.is_encoding_unsaid || !asked || self.is_amazon() {
            return Ok(page);
        }
        if self.0.learned.written(&bucket.name).is_none() {
            self.find_out_written(bucket, &mut page).await?;
        }
        match self.0.learned.written(&bucket.name) {
            Some(Written::Encoded) => read(KeyForm::Encoded),
            Some(Written::Raw) | None => Ok(page),
        }
    }

    /// Looks which of two readings of a key is there, for the first that has two. Those of which
    /// both or neither are there are taken out and named.
    async fn find_out_written(&self, bucket: &BucketRef, page: &mut ObjectPage) -> Result<()> {
        let mut undecided = Vec::new();
        for (at, object) in page.objects.iter().enumerate() {
            let Some(other) = decode(&object.key, true).filter(|other| *other != object.key) else {
                continue;
            };
            match (
                self.is_there(bucket, &object.key).await?,
                self.is_there(bucket, &other).await?,
            ) {
                (true, false) => {
                    self.0.learned.note_written(&bucket.name, Written::Raw);
                    return Ok(());
                }
                (false, true) => {
                    self.0.learned.note_written(&bucket.name, Written::Encoded);
                    return Ok(());
                }
                _ => undecided.push(at),
            }
        }
        for at in undecided.into_iter().rev() {
            let object = page.objects.remove(at);
            page.unreadable.push(format!(
                "the key {} may be encoded or not: the listing does not say, and both or neither \
                 of the two are there",
                object.key
            ));
        }
        Ok(())
    }

    async fn is_there(&self, bucket: &BucketRef, key: &str) -> Result<bool> {
        match self.head(bucket, key, None).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.remedy == Remedy::GiveUp => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

/// Takes out of a page what was listed before: a row that stands twice, the last key of the page
/// before, and of a page that was listed in part what stands up to that key.
fn take_up(
    request: &ListRequest<'_>,
    here: &Cursor,
    page: &mut ObjectPage,
) -> std::result::Result<(), String> {
    page.objects
        .dedup_by(|later, earlier| later.key == earlier.key);
    page.common_prefixes.dedup();
    let Some(after) = request.after else {
        return Ok(());
    };
    match (here.partly, here.unsorted) {
        (true, true) => {
            let at = page.objects.iter().position(|object| object.key == after);
            let at = at.ok_or_else(|| {
                format!("the key {after:?}, from which an unsorted page goes on, is gone")
            })?;
            page.objects.drain(..=at);
        }
        (true, false) => page.objects.retain(|object| object.key.as_str() > after),
        // One key alone that leads nowhere else: the server may have begun from its beginning again.
        (false, _) if page.objects.len() == 1 && page.truncated && page.token.is_none() => {}
        (false, _) if page.objects.first().is_some_and(|first| first.key == after) => {
            page.objects.remove(0);
        }
        (false, _) => {}
    }
    Ok(())
}

/// Did the server understand the request and not take it?
fn is_refused(failure: &Failure) -> bool {
    failure.remedy == Remedy::GiveUp
        && matches!(
            failure.reason,
            Reason::SourceRejected | Reason::SourceNotFound
        )
}

fn cannot(bucket: &BucketRef, why: &str) -> Failure {
    let call = page_call(bucket);
    Failure::give_up(Reason::SourceRejected, format!("{call}: {why}"))
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
