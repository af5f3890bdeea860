//! The documents as they stand in the S3 API reference.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Any answer, told apart by its root element.
#[derive(Debug, Deserialize)]
pub(super) enum Answer {
    ListAllMyBucketsResult(Buckets),
    ListBucketResult(Listing),
    LocationConstraint(Location),
    Tagging(Tagging),
    Error(ServiceError),
    #[serde(other)]
    Other,
}

/// Reads a body, or says why it cannot be read.
pub(super) fn read(body: &str) -> Result<Answer, String> {
    quick_xml::de::from_str(body.trim_start_matches('\u{feff}')).map_err(|error| error.to_string())
}

/// S3's own error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceError {
    /// The code, e.g. `NoSuchKey`; what to do depends on it.
    pub code: String,
    /// For people.
    pub message: String,
    /// The bucket's region, where the request was for another.
    pub region: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Buckets {
    #[serde(rename = "Buckets")]
    pub(super) buckets: Option<BucketList>,
    #[serde(rename = "ContinuationToken")]
    pub(super) token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct BucketList {
    #[serde(rename = "Bucket", default)]
    pub(super) buckets: Vec<Bucket>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Bucket {
    #[serde(rename = "Name")]
    pub(super) name: String,
    #[serde(rename = "BucketRegion")]
    pub(super) region: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tagging {
    #[serde(rename = "TagSet")]
    pub(super) set: TagSet,
}

#[derive(Debug, Deserialize)]
pub(super) struct TagSet {
    #[serde(rename = "Tag", default)]
    pub(super) tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tag {
    #[serde(rename = "Key")]
    pub(super) key: String,
    #[serde(rename = "Value", default)]
    pub(super) value: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Location {
    #[serde(rename = "$text", default)]
    pub(super) region: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    #[serde(rename = "IsTruncated", deserialize_with = "truth")]
    pub(super) is_truncated: bool,
    #[serde(rename = "EncodingType")]
    pub(super) encoding: Option<String>,
    #[serde(rename = "NextContinuationToken")]
    pub(super) token: Option<String>,
    #[serde(rename = "NextMarker")]
    pub(super) next_marker: Option<String>,
    #[serde(rename = "Contents", default)]
    pub(super) contents: Vec<Content>,
    #[serde(rename = "CommonPrefixes", default)]
    pub(super) common_prefixes: Vec<CommonPrefix>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CommonPrefix {
    #[serde(rename = "Prefix")]
    pub(super) prefix: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Content {
    #[serde(rename = "Key", default)]
    pub(super) key: String,
    #[serde(rename = "LastModified")]
    pub(super) modified: Option<String>,
    #[serde(rename = "ETag")]
    pub(super) etag: Option<String>,
    #[serde(rename = "Size")]
    pub(super) size: Option<String>,
    #[serde(rename = "StorageClass")]
    pub(super) storage_class: Option<String>,
    #[serde(rename = "RestoreStatus")]
    pub(super) restore: Option<Restore>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Restore {
    #[serde(rename = "IsRestoreInProgress", default, deserialize_with = "truth")]
    pub(super) in_progress: bool,
    #[serde(rename = "RestoreExpiryDate")]
    pub(super) expiry: Option<String>,
}

/// Yes or no as servers write it, `True` too; what is neither is refused, as a page taken for the
/// last would leave out what follows.
fn truth<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let text = String::deserialize(from)?;
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" | "" => Ok(false),
        _ => Err(D::Error::custom(format!(
            "neither true nor false: {text:?}"
        ))),
    }
}
