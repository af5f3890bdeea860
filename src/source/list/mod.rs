//! S3's XML answers as values: listings, locations, errors. Pure.
//!
//! Every answer is foreign text: what is missing, malformed or out of order is a failure, never a
//! shorter listing.

mod xml;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::failure::{Failure, Reason, Result};
use crate::http::element;
use crate::source::encoding::decode;

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
    /// Size in bytes.
    pub size: u64,
    /// ETag without its quotes.
    pub etag: Option<String>,
    /// Last-Modified in whole seconds since 1970.
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

/// One answer to ListObjectsV2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPage {
    /// The objects, in key order.
    pub objects: Vec<S3Object>,
    /// What keys beyond a delimiter were rolled up into, in order.
    pub common_prefixes: Vec<String>,
    /// The listing goes on after this page.
    pub truncated: bool,
    /// What to ask on with.
    pub token: Option<String>,
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

/// Reads an answer to ListObjectsV2.
///
/// # Errors
/// See [`Unexpected`]; also keys out of order, for which a listing cannot be continued by key
/// without losing objects.
pub fn objects(body: &str) -> Result<ObjectPage, Unexpected> {
    match xml::read(body) {
        Ok(Answer::ListBucketResult(listing)) => page(listing).map_err(Unexpected::Malformed),
        other => Err(unexpected(other)),
    }
}

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

fn page(listing: Listing) -> Result<ObjectPage> {
    let encoded = listing.encoding.as_deref() == Some("url");
    let text = |text: String| -> Result<String> {
        if encoded {
            decode(&text, true).ok_or_else(|| malformed("a key is not validly encoded"))
        } else {
            Ok(text)
        }
    };
    let objects = listing
        .contents
        .into_iter()
        .map(|content| object(content, &text))
        .collect::<Result<Vec<_>>>()?;
    let common_prefixes = listing
        .common_prefixes
        .into_iter()
        .map(|common| text(common.prefix))
        .collect::<Result<Vec<_>>>()?;
    let ordered =
        objects.is_sorted_by(|a, b| a.key < b.key) && common_prefixes.is_sorted_by(|a, b| a < b);
    if !ordered {
        return Err(Failure::give_up(
            Reason::SourceRejected,
            "the source lists its keys out of order, so that a listing cannot be continued \
             safely: only general purpose buckets can be copied",
        ));
    }
    Ok(ObjectPage {
        objects,
        common_prefixes,
        truncated: listing.is_truncated,
        token: listing.token.filter(|token| !token.is_empty()),
    })
}

fn object(content: Content, text: &dyn Fn(String) -> Result<String>) -> Result<S3Object> {
    let modified = OffsetDateTime::parse(&content.modified, &Rfc3339)
        .map_err(|_| malformed("LastModified is no time"))?
        .unix_timestamp();
    let restored = content.restore.is_some_and(|restore| {
        restore.expiry.is_some_and(|expiry| !expiry.is_empty()) && !restore.in_progress
    });
    Ok(S3Object {
        key: text(content.key)?,
        size: content.size,
        etag: content.etag.map(|etag| unquoted(&etag)),
        modified,
        storage_class: content.storage_class.filter(|class| !class.is_empty()),
        restored,
    })
}

/// An ETag without its quotes.
pub fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests;
