//! Buckets and objects.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use md5::{Digest as _, Md5};

use crate::content::{Content, mix};
use crate::object::{Object, Restore};

/// Generated objects up to this size have the MD5 of their bytes as ETag; larger ones have the
/// ETag of a multipart upload, which no one can check.
const MD5_UP_TO: u64 = 64 * 1024;

/// All buckets.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) buckets: BTreeMap<String, Bucket>,
}

/// One bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) region: String,
    /// Milliseconds since 1970.
    pub(crate) created: u64,
    /// Whether unsigned requests may read it.
    pub(crate) public: bool,
    pub(crate) keys: Keys,
    /// Versions that are not listed, the newest last.
    pub(crate) older: BTreeMap<Box<str>, Vec<Stored>>,
}

/// The objects of a bucket.
#[derive(Debug)]
pub(crate) enum Keys {
    Stored(BTreeMap<Box<str>, Stored>),
    /// `prefix` and ten digits, from 0 up to `count`; nothing is stored.
    Series {
        prefix: String,
        count: u64,
        length: u64,
        created: u64,
    },
}

/// One object.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) content: Content,
    /// Milliseconds since 1970; whole seconds, as S3 keeps them.
    pub(crate) modified: u64,
    etag: Etag,
    extra: Option<Arc<Extra>>,
}

#[derive(Clone, Copy, Debug)]
enum Etag {
    Md5([u8; 16]),
    Parts(u64, u32),
}

/// What few objects have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Extra {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) storage_class: Option<String>,
    pub(crate) archive_status: Option<String>,
    pub(crate) restore: Option<Restore>,
    pub(crate) customer_key: Option<[u8; 32]>,
    pub(crate) crc64: Option<u64>,
    pub(crate) version: Option<String>,
    etag: Option<String>,
}

impl Stored {
    pub(crate) fn new(object: Object, now: u64) -> Self {
        let content = object.content;
        let crc64 = object.checksum.then(|| content.crc64(0, content.length()));
        let extra = Extra {
            headers: object.headers,
            metadata: object.metadata,
            tags: object.tags,
            storage_class: object.storage_class,
            archive_status: object.archive_status,
            restore: object.restore,
            customer_key: object.customer_key,
            crc64,
            version: object.version,
            etag: object.etag,
        };
        Self {
            modified: object.modified.unwrap_or(now) / 1000 * 1000,
            etag: etag(&content),
            content,
            extra: (extra != Extra::default()).then(|| Arc::new(extra)),
        }
    }

    /// The ETag with its quotes.
    pub(crate) fn etag(&self) -> String {
        if let Some(etag) = self.extra().and_then(|extra| extra.etag.as_deref()) {
            return format!("\"{etag}\"");
        }
        let encrypted = self
            .extra()
            .is_some_and(|extra| extra.customer_key.is_some());
        match self.etag {
            Etag::Md5(digest) if encrypted => {
                format!(
                    "\"{:032x}\"",
                    u128::from_be_bytes(Md5::digest(digest).into())
                )
            }
            Etag::Md5(digest) => format!("\"{:032x}\"", u128::from_be_bytes(digest)),
            Etag::Parts(hash, parts) => format!("\"{hash:016x}{:016x}-{parts}\"", mix(hash)),
        }
    }

    pub(crate) fn extra(&self) -> Option<&Extra> {
        self.extra.as_deref()
    }

    pub(crate) fn version(&self) -> Option<&str> {
        self.extra()?.version.as_deref()
    }

    /// `null` where there is none.
    pub(crate) fn version_id(&self) -> &str {
        self.version().unwrap_or("null")
    }

    /// `STANDARD` where none was given.
    pub(crate) fn storage_class(&self) -> &str {
        self.extra()
            .and_then(|extra| extra.storage_class.as_deref())
            .unwrap_or("STANDARD")
    }

    /// Whether it must be restored before it can be read.
    pub(crate) fn is_archived(&self) -> bool {
        let restored = self.restore() == Some(Restore::Done);
        let archived = match self.storage_class() {
            "GLACIER" | "DEEP_ARCHIVE" => true,
            "INTELLIGENT_TIERING" => self.archive_status().is_some(),
            _ => false,
        };
        archived && !restored
    }

    pub(crate) fn restore(&self) -> Option<Restore> {
        self.extra().and_then(|extra| extra.restore)
    }

    pub(crate) fn archive_status(&self) -> Option<&str> {
        self.extra()?.archive_status.as_deref()
    }
}

fn etag(content: &Content) -> Etag {
    match content {
        Content::Generated { seed, length } if *length > MD5_UP_TO => {
            let parts = length.div_ceil(8 << 20).min(10_000);
            Etag::Parts(mix(seed ^ mix(*length)), parts as u32)
        }
        content => Etag::Md5(Md5::digest(content.read(0, usize::MAX)).into()),
    }
}

impl Keys {
    pub(crate) fn get(&self, key: &str) -> Option<Cow<'_, Stored>> {
        match self {
            Self::Stored(objects) => objects.get(key).map(Cow::Borrowed),
            Self::Series { prefix, count, .. } => {
                let digits = key.strip_prefix(prefix.as_str())?;
                let index = digits.parse().ok().filter(|index| index < count)?;
                (digits.len() == 10).then(|| Cow::Owned(self.nth(index)))
            }
        }
    }

    /// The first object whose key lies after `from`.
    pub(crate) fn next(&self, from: Bound<&str>) -> Option<(Cow<'_, str>, Cow<'_, Stored>)> {
        match self {
            Self::Stored(objects) => {
                let mut range = objects.range::<str, _>((from, Bound::Unbounded));
                range
                    .next()
                    .map(|(key, object)| (Cow::Borrowed(&**key), Cow::Borrowed(object)))
            }
            Self::Series { prefix, count, .. } => {
                let key = |index: u64| format!("{prefix}{index:010}");
                let fits = |index: u64| match from {
                    Bound::Included(edge) => key(index).as_str() >= edge,
                    Bound::Excluded(edge) => key(index).as_str() > edge,
                    Bound::Unbounded => true,
                };
                let (mut low, mut high) = (0, *count);
                while low < high {
                    let middle = low + (high - low) / 2;
                    if fits(middle) {
                        high = middle;
                    } else {
                        low = middle + 1;
                    }
                }
                (low < *count).then(|| (Cow::Owned(key(low)), Cow::Owned(self.nth(low))))
            }
        }
    }

    fn nth(&self, index: u64) -> Stored {
        let (length, created) = match self {
            Self::Series {
                length, created, ..
            } => (*length, *created),
            Self::Stored(_) => (0, 0),
        };
        Stored::new(Object::generated(index, length), created)
    }
}
