//! Looking into the clouds from a test, and interfering.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::blob::store::{Blob, Committed, Origin};
use crate::cloud::SimCloud;
use crate::content::Content;
use crate::crc;
use crate::faults::{Faults, Schedule};
use crate::lock;
use crate::op::{Action, Op, OpKind};
use crate::s3::store::Keys;

/// A committed blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobView {
    /// Its name.
    pub name: String,
    /// Length in bytes.
    pub length: u64,
    /// CRC-64/NVME of the content.
    pub crc64: u64,
    /// MD5 stored with the blob: computed for whole blobs, given for committed lists.
    pub md5: Option<[u8; 16]>,
    /// The content, unless only digests are kept.
    pub bytes: Option<Bytes>,
    /// Content-Type, Content-Encoding, Content-Language, Content-Disposition, Cache-Control, as
    /// far as they are set.
    pub headers: Vec<(&'static str, String)>,
    /// In the order of names, which are lower-case.
    pub metadata: Vec<(String, String)>,
    /// Index tags, in the order of keys.
    pub tags: Vec<(String, String)>,
    /// The access tier, if one was set.
    pub tier: Option<String>,
    /// Whether the service fetched the bytes or requests brought them.
    pub origin: Origin,
    /// With its quotes.
    pub etag: String,
    /// Ids (decoded) and lengths of the committed blocks; empty for whole blobs.
    pub blocks: Vec<(Vec<u8>, u64)>,
    /// How often the blob was completely written: whole, or by a commit.
    pub writes: u32,
}

impl BlobView {
    fn new(name: &str, blob: &Blob) -> Option<Self> {
        let committed = blob.committed.as_deref()?;
        Some(Self {
            name: name.to_owned(),
            length: committed.length,
            crc64: committed.crc64,
            md5: committed.properties.md5,
            bytes: committed.data.as_ref().map(|pieces| match &pieces[..] {
                [one] => one.clone(),
                many => many.concat().into(),
            }),
            headers: headers(committed),
            metadata: committed.metadata.clone(),
            tags: committed.tags.clone(),
            tier: committed.tier.clone(),
            origin: committed.origin,
            etag: committed.stamp.etag(),
            blocks: committed
                .blocks
                .iter()
                .map(|(id, block)| (id.to_vec(), block.length))
                .collect(),
            writes: blob.writes,
        })
    }

    /// Whether length and checksum, and the bytes where they are kept, are those of `content`.
    pub fn equals(&self, content: &Content) -> bool {
        let length = content.length();
        self.length == length
            && self.crc64 == content.crc64(0, length)
            && self
                .bytes
                .as_ref()
                .is_none_or(|bytes| *bytes == content.read(0, usize::MAX))
    }

    /// The value of one of the headers.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

fn headers(blob: &Committed) -> Vec<(&'static str, String)> {
    let set = &blob.properties;
    [
        ("Content-Type", &set.content_type),
        ("Content-Encoding", &set.encoding),
        ("Content-Language", &set.language),
        ("Content-Disposition", &set.disposition),
        ("Cache-Control", &set.cache_control),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.clone()?)))
    .collect()
}

impl SimCloud {
    /// A committed blob.
    pub fn blob(&self, account: &str, container: &str, name: &str) -> Option<BlobView> {
        self.with_blob(account, container, name, |blob| BlobView::new(name, blob))?
    }

    /// All committed blobs of an account as (container, blob), in the order of names.
    pub fn blobs(&self, account: &str) -> Vec<(String, BlobView)> {
        let store = lock(&self.state.blob);
        let containers = store
            .accounts
            .get(account)
            .map(|account| &account.containers);
        containers
            .into_iter()
            .flatten()
            .flat_map(|(container, content)| {
                let blobs = content.blobs.iter();
                blobs.filter_map(|(name, blob)| {
                    Some((container.clone(), BlobView::new(name, blob)?))
                })
            })
            .collect()
    }

    /// The containers of an account.
    pub fn containers(&self, account: &str) -> Vec<String> {
        let store = lock(&self.state.blob);
        let containers = store
            .accounts
            .get(account)
            .map(|account| &account.containers);
        containers
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The directories of a container, in the order of their paths.
    pub fn directories(&self, account: &str, container: &str) -> Vec<String> {
        let mut store = lock(&self.state.blob);
        let container = store.container(account, container).ok();
        let directories = container.into_iter().flat_map(|one| one.directories.keys());
        directories
            .map(|path| path.trim_end_matches('/').to_owned())
            .collect()
    }

    /// How often a blob was completely written, deleted or not.
    pub fn writes(&self, account: &str, container: &str, name: &str) -> u32 {
        self.with_blob(account, container, name, |blob| blob.writes)
            .unwrap_or_default()
    }

    /// Completed writes of all blobs of an account, and how many blobs exist.
    pub fn write_totals(&self, account: &str) -> (u64, u64) {
        let store = lock(&self.state.blob);
        let containers = store
            .accounts
            .get(account)
            .map(|account| &account.containers);
        let blobs = containers.into_iter().flatten().flat_map(|(_, c)| &c.blobs);
        blobs.fold((0, 0), |(writes, blobs), (_, blob)| {
            let exists = u64::from(blob.committed.is_some());
            (writes + u64::from(blob.writes), blobs + exists)
        })
    }

    /// Ids (decoded) and lengths of blocks that wait for their commit.
    pub fn uncommitted(&self, account: &str, container: &str, name: &str) -> Vec<(Vec<u8>, u64)> {
        self.with_blob(account, container, name, |blob| {
            let blocks = blob.uncommitted.iter();
            blocks
                .map(|(id, block)| (id.to_vec(), block.length))
                .collect()
        })
        .unwrap_or_default()
    }

    fn with_blob<T>(
        &self,
        account: &str,
        container: &str,
        name: &str,
        read: impl FnOnce(&Blob) -> T,
    ) -> Option<T> {
        let mut store = lock(&self.state.blob);
        let container = store.container(account, container).ok()?;
        container.blobs.get(name).map(read)
    }

    /// Keys and contents of a bucket, in order; a series is not listed.
    pub fn objects(&self, bucket: &str) -> Vec<(String, Content)> {
        let store = lock(&self.state.s3);
        match store.buckets.get(bucket).map(|bucket| &bucket.keys) {
            Some(Keys::Stored(keys)) => keys
                .iter()
                .map(|(key, object)| (key.to_string(), object.content.clone()))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Requests of one kind so far, refused ones included. Requests that name no served
    /// operation count nowhere; [`refusals`](Self::refusals) shows them.
    pub fn requests(&self, kind: OpKind) -> u64 {
        self.state.counters.requests(kind)
    }

    /// Of these, the refused ones.
    pub fn refused(&self, kind: OpKind) -> u64 {
        self.state.counters.refusals(kind)
    }

    /// Requests of one kind that were carried out without whoever asked being told.
    pub fn lost_answers(&self, kind: OpKind) -> u64 {
        self.state.counters.lost(kind)
    }

    /// The latest refusals, oldest first, one line each.
    pub fn refusals(&self) -> Vec<String> {
        lock(&self.state.refused).iter().cloned().collect()
    }

    /// Calls `hook` with every request that names a served operation, one at a time, before
    /// anything of it is carried out; what it returns becomes of the request.
    pub fn on_request(&self, hook: impl FnMut(&Op) -> Action + Send + 'static) {
        *lock(&self.state.hook) = Some(Box::new(hook));
    }

    /// Takes the hook away.
    pub fn clear_hook(&self) {
        *lock(&self.state.hook) = None;
    }

    /// Answers to ListObjectsV2 hold so many keys at most, as S3's may whatever was asked for.
    pub fn set_page_keys(&self, keys: usize) {
        self.state
            .page_keys
            .store(keys.min(1000), Ordering::Relaxed);
    }

    /// Changes how the clouds misbehave from now on.
    pub fn set_faults(&self, faults: Faults) {
        *lock(&self.state.schedule) = Arc::new(Schedule::new(faults));
    }
}

/// The checksum of a content as S3 tells it.
pub fn s3_crc64(content: &Content) -> String {
    crc::s3_base64(content.crc64(0, content.length()))
}
