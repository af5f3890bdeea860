//! What goes into the calls and what comes out of them.

use std::ops::Range;

/// Names one blob. The name is opaque: it is sent percent-encoded and never changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlobName {
    /// The container.
    pub container: String,
    /// The blob's name, decoded.
    pub blob: String,
}

impl BlobName {
    /// Joins the two.
    pub fn new(container: impl Into<String>, blob: impl Into<String>) -> Self {
        Self {
            container: container.into(),
            blob: blob.into(),
        }
    }
}

/// What a blob carries beside its content. All of it is set by the call that makes the blob;
/// what is not given is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobHeaders {
    /// `Content-Type`; without it Azure says `application/octet-stream`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// MD5 of the whole content. Put Block List stores it unchecked: give only a true one.
    pub content_md5: Option<[u8; 16]>,
    /// User metadata, names without `x-ms-meta-`.
    pub metadata: Vec<(String, String)>,
    /// Access tier, e.g. `Cool`.
    pub tier: Option<String>,
    /// Index tags; the credential needs the permission to set them.
    pub tags: Vec<(String, String)>,
}

impl BlobHeaders {
    /// Must the tags be set by a call of their own, after the one that makes the blob?
    pub fn tags_apart(&self) -> bool {
        !self.tags.is_empty() && super::request::tags_header(&self.tags).is_none()
    }
}

/// On what the write depends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The blob still has this ETag, quotes included.
    pub if_match: Option<String>,
    /// The blob does not have this ETag; `*` is "there is no blob".
    pub if_none_match: Option<String>,
    /// The blob was not written after this time, in seconds since 1970, or is not there.
    pub unmodified_since: Option<u64>,
}

impl Conditions {
    /// Write only where no blob is.
    pub fn create_only() -> Self {
        Self {
            if_none_match: Some("*".to_owned()),
            ..Self::default()
        }
    }

    /// Write only over a blob that was last written before or at this time, in seconds since 1970,
    /// or where none is.
    pub fn unmodified_since(seconds: i64) -> Self {
        Self {
            unmodified_since: u64::try_from(seconds).ok(),
            ..Self::default()
        }
    }

    /// Write only over the blob that had this ETag.
    pub fn only_over(etag: impl Into<String>) -> Self {
        Self {
            if_match: Some(etag.into()),
            ..Self::default()
        }
    }
}

/// Where Azure fetches from.
#[derive(Clone)]
pub struct CopySource<'a> {
    /// The presigned URL; a bearer token, so never shown.
    pub url: &'a str,
    /// Bytes it will fetch; decides how long the call may take.
    pub length: u64,
    /// MD5 of these bytes where it is known: Azure refuses others. Its answer then holds no CRC.
    pub md5: Option<[u8; 16]>,
}

impl std::fmt::Debug for CopySource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopySource")
            .field("url", &"[hidden]")
            .field("length", &self.length)
            .field("md5", &self.md5)
            .finish()
    }
}

/// One block of a blob: its id and the bytes of the source it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRange<'a> {
    /// The id in base64; ids of one blob have equal length.
    pub id: &'a str,
    /// First byte and the one after the last.
    pub bytes: Range<u64>,
}

/// A blob that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its ETag, quotes included, as conditions want it.
    pub etag: String,
    /// Seconds since 1970.
    pub last_modified: Option<i64>,
    /// The service's own clock in its answer, seconds since 1970.
    pub date: Option<i64>,
    /// CRC-64/NVME of the content; `None` after Put Block List, whose digest is of the list.
    pub crc64: Option<u64>,
    /// MD5 of the content, where the answer has it.
    pub content_md5: Option<[u8; 16]>,
}

/// A block that was staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staged {
    /// CRC-64/NVME of the block; absent where an MD5 was sent along.
    pub crc64: Option<u64>,
}

/// The blocks of a blob, each with its id in base64 and its size in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockList {
    /// Those the blob consists of, in order.
    pub committed: Vec<(String, u64)>,
    /// Those that were staged only.
    pub uncommitted: Vec<(String, u64)>,
    /// The blob's ETag; `None` where no block is committed (there may be a blob even so, made in
    /// one piece).
    pub etag: Option<String>,
    /// When the blob was last written, in seconds since 1970; `None` where there is none.
    pub last_modified: Option<i64>,
    /// The service's own clock in its answer, seconds since 1970.
    pub date: Option<i64>,
}

/// A blob as HEAD shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobProperties {
    /// Bytes.
    pub length: u64,
    /// Quotes included.
    pub etag: String,
    /// Seconds since 1970.
    pub last_modified: Option<i64>,
    /// The service's own clock in its answer, seconds since 1970.
    pub date: Option<i64>,
    /// `BlockBlob`, `PageBlob` or `AppendBlob`.
    pub blob_type: String,
    /// Content headers, MD5, metadata and tier; tags are not shown by HEAD.
    pub headers: BlobHeaders,
}

/// What became of a container that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// It was made now.
    Created,
    /// It was there.
    Existed,
    /// The SAS may neither see nor make containers; the first write will tell.
    Unknown,
}
