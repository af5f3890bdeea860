//! An object as a test describes it.

use std::time::SystemTime;

use bytes::Bytes;

use crate::clock::unix_millis;
use crate::content::Content;

/// How far the restoration of an archived object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restore {
    Ongoing,
    Done,
}

/// An S3 object to be put.
#[derive(Clone, Debug)]
pub struct Object {
    pub(crate) content: Content,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) storage_class: Option<String>,
    pub(crate) archive_status: Option<String>,
    pub(crate) restore: Option<Restore>,
    pub(crate) customer_key: Option<[u8; 32]>,
    pub(crate) checksum: bool,
    pub(crate) etag: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) modified: Option<u64>,
}

impl Object {
    /// An object of any content.
    pub fn new(content: Content) -> Self {
        Self {
            content,
            headers: Vec::new(),
            metadata: Vec::new(),
            tags: Vec::new(),
            storage_class: None,
            archive_status: None,
            restore: None,
            customer_key: None,
            checksum: false,
            etag: None,
            version: None,
            modified: None,
        }
    }

    /// An object of exactly these bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::new(Content::Bytes(bytes.into()))
    }

    /// An object of `length` bytes computed from `seed`.
    pub fn generated(seed: u64, length: u64) -> Self {
        Self::new(Content::Generated { seed, length })
    }

    /// A header HEAD and GET answer with: Content-Type, Cache-Control, Expires,
    /// `x-amz-server-side-encryption`, and the like.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// User metadata; the name without `x-amz-meta-`. A value that is not ASCII is given back
    /// encoded, as S3 does; one that is, as it is, encoded or not. Values of one name are joined.
    #[must_use]
    pub fn metadata(mut self, name: &str, value: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let known = self.metadata.iter_mut().find(|(known, _)| *known == name);
        match known {
            Some((_, values)) => *values = format!("{values},{value}"),
            None => self.metadata.push((name, value.into())),
        }
        self
    }

    /// A tag. S3 takes ten of them, with keys of 1 to 128 and values of 0 to 256 characters; of
    /// which characters is not checked, so that a test can have some that Azure refuses.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// A storage class other than STANDARD; GLACIER and DEEP_ARCHIVE cannot be read.
    #[must_use]
    pub fn storage_class(mut self, class: &str) -> Self {
        self.storage_class = Some(class.into());
        self
    }

    /// Where an INTELLIGENT_TIERING object was archived: ARCHIVE_ACCESS or DEEP_ARCHIVE_ACCESS;
    /// it cannot be read then. Only HEAD tells this, a listing does not.
    #[must_use]
    pub fn archive_status(mut self, status: &str) -> Self {
        self.archive_status = Some(status.into());
        self
    }

    /// An archived object that is restored until 2040 and can be read.
    #[must_use]
    pub fn restored(mut self) -> Self {
        self.restore = Some(Restore::Done);
        self
    }

    /// An archived object whose restoration is under way; it cannot be read yet.
    #[must_use]
    pub fn restoring(mut self) -> Self {
        self.restore = Some(Restore::Ongoing);
        self
    }

    /// Encrypts the object with a key that every HEAD and GET must bring (SSE-C); its ETag is no
    /// MD5 then.
    #[must_use]
    pub fn customer_key(mut self, key: [u8; 32]) -> Self {
        self.customer_key = Some(key);
        self
    }

    /// Keeps the CRC-64/NVME with the object, as S3 does for uploads since December 2024.
    #[must_use]
    pub fn checksum(mut self) -> Self {
        self.checksum = true;
        self
    }

    /// An ETag, without quotes, instead of the MD5.
    #[must_use]
    pub fn etag(mut self, etag: &str) -> Self {
        self.etag = Some(etag.into());
        self
    }

    /// The version id; the bucket answers as one that keeps versions. S3's own ids are `null` or
    /// 32 letters, digits, `.` and `_`; others do as well here.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Last-Modified, instead of now.
    #[must_use]
    pub fn modified(mut self, when: SystemTime) -> Self {
        self.modified = Some(unix_millis(when));
        self
    }
}
