//! S3's XML answers as values: listings, locations, errors. Pure.
//!
//! Every answer is foreign text: what is missing, malformed or out of order is a failure, never a
//! shorter listing.

mod xml;

use std::borrow::Cow;

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::failure::{Failure, Reason, Result};
use crate::http::element;
use crate::message::UNKNOWN_TIME;
use crate::source::encoding::decode;
use crate::text::{cut, visible};

pub use self::xml::ServiceError;
use self::xml::{Answer, Bucket, Content, Listing};

/// A bucket as ListBuckets shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketEntry {
    /// Its name.
    pub name: String,
    /// Its region, where the server tells.
    pub region: Option<String>,
}

/// One answer to ListBuckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketPage {
    /// The buckets.
    pub buckets: Vec<BucketEntry>,
    /// What to ask on with.
    pub token: Option<String>,
}

/// An object as the listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Object {
    /// The key, exactly as S3 has it.
    pub key: String,
    /// Size in bytes; none where the listing does not tell.
    pub size: Option<u64>,
    /// ETag without its quotes.
    pub etag: Option<String>,
    /// Last-Modified in whole seconds since 1970, or [`UNKNOWN_TIME`].
    pub modified: i64,
    /// Storage class; servers may leave `STANDARD` out.
    pub storage_class: Option<String>,
    /// An archived object of which a restored copy can be read now.
    pub restored: bool,
}

impl S3Object {
    /// Must the object be restored before it can be read? Intelligent-Tiering's archive tiers are
    /// not in a listing; only HEAD shows them.
    pub fn archived(&self) -> bool {
        is_archive(self.storage_class.as_deref()) && !self.restored
    }
}

/// Storage classes whose objects can only be read once restored (S3 user guide, "Archived
/// objects"); GLACIER_IR is read at once.
pub fn is_archive(storage_class: Option<&str>) -> bool {
    matches!(storage_class, Some("GLACIER" | "DEEP_ARCHIVE"))
}

/// One answer to ListObjects, of either version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPage {
    /// The objects, as they are listed.
    pub objects: Vec<S3Object>,
    /// Rows that name no object that could be asked for: what can be read of each, and why.
    pub unreadable: Vec<String>,
    /// What keys beyond a delimiter were rolled up into, as they are listed.
    pub common_prefixes: Vec<String>,
    /// The listing goes on after this page.
    pub truncated: bool,
    /// What to ask on with.
    pub token: Option<String>,
    /// What to ask on with in version 1.
    pub next_marker: Option<String>,
    /// Keys are as they stand in the answer, though they were to be encoded: each may be encoded
    /// or not.
    pub is_encoding_unsaid: bool,
}

/// How keys are written in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// As the answer says; raw where it says nothing.
    AsSaid,
    /// Percent-encoded, though the answer does not say so.
    Encoded,
}

/// What an answer's body holds instead of what was asked for.
#[derive(Debug)]
pub enum Unexpected {
    /// S3's own error, though the status may have been 200.
    Error(ServiceError),
    /// Something that cannot be an answer of S3.
    Malformed(Failure),
}

/// Reads an answer to ListBuckets.
///
/// # Errors
/// See [`Unexpected`].
pub fn buckets(body: &str) -> Result<BucketPage, Unexpected> {
    match xml::read(body) {
        Ok(Answer::ListAllMyBucketsResult(answer)) => {
            let buckets = answer.buckets.map(|list| list.buckets).unwrap_or_default();
            let entry = |bucket: Bucket| BucketEntry {
                name: bucket.name,
                region: bucket.region.filter(|region| !region.is_empty()),
            };
            Ok(BucketPage {
                buckets: buckets.into_iter().map(entry).collect(),
                token: answer.token.filter(|token| !token.is_empty()),
            })
        }
        other => Err(unexpected(other)),
    }
}

/// Reads an answer to GetBucketLocation, as it stands there (see
/// [`from_location`](crate::source::region::from_location)).
///
/// # Errors
/// See [`Unexpected`].
pub fn location(body: &str) -> Result<String, Unexpected> {
    match xml::read(body) {
        Ok(Answer::LocationConstraint(location)) => Ok(location.region.trim().to_owned()),
        other => Err(unexpected(other)),
    }
}

/// Reads an answer to GetObjectTagging: keys and values.
///
/// # Errors
/// See [`Unexpected`].
pub fn tags(body: &str) -> Result<Vec<(String, String)>, Unexpected> {
    match xml::read(body) {
        Ok(Answer::Tagging(tagging)) => {
            let tags = tagging.set.tags.into_iter();
            Ok(tags.map(|tag| (tag.key, tag.value)).collect())
        }
        other => Err(unexpected(other)),
    }
}

/// Reads an answer to ListObjects, of either version, in whatever order it is. A row that cannot
/// be read is told as such and hides no other.
///
/// # Errors
/// See [`Unexpected`].
pub fn objects(body: &str, form: KeyForm) -> Result<ObjectPage, Unexpected> {
    // Some servers write characters that XML cannot hold, which would make the whole unreadable.
    let body = NO_CHARACTER
        .iter()
        .fold(Cow::Borrowed(body), |body, reference| {
            match body.contains(reference) {
                true => Cow::Owned(body.replace(reference, &UNREADABLE.to_string())),
                false => body,
            }
        });
    match xml::read(&body) {
        Ok(Answer::ListBucketResult(listing)) => Ok(page(listing, form)),
        other => Err(unexpected(other)),
    }
}

/// Stands in an answer for bytes that are no UTF-8, and for U+0000: a code point that is no
/// character (Unicode, "Noncharacters").
pub const UNREADABLE: char = '\u{FDD0}';

/// References to the one character that no XML parser takes.
const NO_CHARACTER: [&str; 4] = ["&#0;", "&#x0;", "&#00;", "&#x00;"];

/// The longest key S3 has, in bytes (S3 user guide, "Naming Amazon S3 objects").
const LONGEST_KEY: usize = 1024;

/// Reads an error's body; `None` for a body that is none.
pub fn service_error(body: &str) -> Option<ServiceError> {
    match xml::read(body) {
        Ok(Answer::Error(error)) => Some(error),
        Ok(_) => None,
        // A long one is cut where it was read to; the code stands at its beginning.
        Err(_) => element(body, "Code").map(|code| ServiceError {
            code,
            message: element(body, "Message").unwrap_or_default(),
            region: element(body, "Region"),
        }),
    }
}

fn unexpected(answer: Result<Answer, String>) -> Unexpected {
    let why = match answer {
        Ok(Answer::Error(error)) => return Unexpected::Error(error),
        Ok(_) => "it is another document".to_owned(),
        Err(error) => error,
    };
    Unexpected::Malformed(malformed(&why))
}

fn malformed(why: &str) -> Failure {
    Failure::give_up(
        Reason::SourceRejected,
        format!("the answer is not one of S3 ({why}): is this the address of an S3 service?"),
    )
}

fn page(listing: Listing, form: KeyForm) -> ObjectPage {
    let said = listing
        .encoding
        .as_deref()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("url"));
    let encoded = said || form == KeyForm::Encoded;
    let text = |text: String| -> Result<String, String> {
        match encoded {
            true => decode(&text, true).ok_or_else(|| told(&text, "is not validly encoded UTF-8")),
            false => Ok(text),
        }
    };
    let mut page = ObjectPage {
        objects: Vec::with_capacity(listing.contents.len()),
        unreadable: Vec::new(),
        common_prefixes: Vec::with_capacity(listing.common_prefixes.len()),
        truncated: listing.is_truncated,
        token: listing.token.filter(|token| !token.is_empty()),
        next_marker: listing
            .next_marker
            .and_then(|marker| text(marker).ok())
            .filter(|m| !m.is_empty()),
        is_encoding_unsaid: listing.encoding.is_none() && !encoded,
    };
    let mut bytes = 0_u64;
    for content in listing.contents {
        match object(content, &text) {
            Ok(object) => match bytes.checked_add(object.size.unwrap_or_default()) {
                Some(sum) => {
                    bytes = sum;
                    page.objects.push(object);
                }
                None => page
                    .unreadable
                    .push(told(&object.key, "has a size that cannot be")),
            },
            Err(why) => page.unreadable.push(why),
        }
    }
    for common in listing.common_prefixes {
        match text(common.prefix).and_then(|prefix| match prefix.contains(UNREADABLE) {
            true => Err(told(&prefix, "of a folder cannot be read in full")),
            false => Ok(prefix),
        }) {
            Ok(prefix) => page.common_prefixes.push(prefix),
            Err(why) => page.unreadable.push(why),
        }
    }
    page
}

/// What can be read of a key, and what is wrong with it.
fn told(key: &str, why: &str) -> String {
    const SHOWN: usize = 200;
    format!("the key {} {why}", cut(visible(key).into_owned(), SHOWN))
}

fn object(
    content: Content,
    text: &dyn Fn(String) -> Result<String, String>,
) -> Result<S3Object, String> {
    if content.key.contains(UNREADABLE) {
        return Err(told(
            &content.key,
            "cannot be read in full: it is not UTF-8, or holds U+0000",
        ));
    }
    let key = text(content.key)?;
    if key.is_empty() {
        return Err("a row of the listing has no key".to_owned());
    }
    if key.len() > LONGEST_KEY {
        let why = format!("has {} bytes, S3 has at most {LONGEST_KEY}", key.len());
        return Err(told(&key, &why));
    }
    let restored = content.restore.is_some_and(|restore| {
        restore.expiry.is_some_and(|expiry| !expiry.is_empty()) && !restore.in_progress
    });
    // Larger than any object can be: the digits are no size.
    let size = content.size.and_then(|size| size.trim().parse().ok());
    if size.is_some_and(|size: u64| i64::try_from(size).is_err()) {
        return Err(told(&key, "has a size that cannot be"));
    }
    Ok(S3Object {
        key,
        size,
        etag: content
            .etag
            .map(|etag| unquoted(&etag))
            .filter(|etag| !etag.is_empty()),
        modified: content.modified.map_or(UNKNOWN_TIME, |date| time_of(&date)),
        storage_class: content.storage_class.filter(|class| !class.is_empty()),
        restored,
    })
}

/// The time that a server tells in one of the forms seen, in whole seconds since 1970;
/// [`UNKNOWN_TIME`] where it is none, or the zero of somebody's calendar.
pub fn time_of(text: &str) -> i64 {
    let text = text.trim();
    let zoned = || OffsetDateTime::parse(text, &Rfc3339).ok();
    let rfc2822 = || OffsetDateTime::parse(text, &Rfc2822).ok();
    let http = || {
        httpdate::parse_http_date(text)
            .ok()
            .map(OffsetDateTime::from)
    };
    let offset = || OffsetDateTime::parse(text, OFFSET_WITHOUT_COLON).ok();
    let bare = || {
        let spaced = text.replacen(' ', "T", 1);
        let time = spaced.trim_end_matches(['Z', 'z']);
        PrimitiveDateTime::parse(time, BARE)
            .ok()
            .map(PrimitiveDateTime::assume_utc)
    };
    let time = zoned()
        .or_else(http)
        .or_else(rfc2822)
        .or_else(offset)
        .or_else(bare);
    time.filter(|time| time.year() > 1)
        .map_or(UNKNOWN_TIME, OffsetDateTime::unix_timestamp)
}

/// `2018-03-13T17:25:04.000+0000`, `2018-03-13T17:25:04+0000`.
const OFFSET_WITHOUT_COLON: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]][offset_hour sign:mandatory][offset_minute]"
);

/// `2018-03-13T17:25:04`, with or without a fraction.
const BARE: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]]"
);

/// An ETag without its quotes; a weak one keeps its mark: `W/x`.
pub fn unquoted(etag: &str) -> String {
    let etag = etag.trim();
    match etag.strip_prefix("W/") {
        Some(weak) => format!("{WEAK}{}", weak.trim_matches('"')),
        None => etag.trim_matches('"').to_owned(),
    }
}

/// Is it a weak ETag, as [`unquoted`] gives it? Two objects of one weak ETag may differ in bytes.
pub fn is_weak(etag: &str) -> bool {
    etag.starts_with(WEAK)
}

/// What marks a weak ETag (RFC 9110, 8.8.3).
const WEAK: &str = "W/";

#[cfg(test)]
mod tests;
