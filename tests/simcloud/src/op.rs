//! What a request asks for, how often each thing was asked, and what a test may do about it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// An operation of one of the two clouds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum OpKind { $($(#[$doc])* $name),+ }

        impl OpKind {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

kinds! {
    /// S3: all buckets.
    ListBuckets,
    /// S3: the region of a bucket.
    GetBucketLocation,
    /// S3: does a bucket exist, and where.
    HeadBucket,
    /// S3: a page of keys.
    ListObjects,
    /// S3: facts of an object.
    HeadObject,
    /// S3: bytes of an object.
    GetObject,
    /// S3: tags of an object.
    GetObjectTagging,
    /// Blob: all containers.
    ListContainers,
    /// Blob: settings of the service.
    GetServiceProperties,
    /// Blob: kind of the account.
    GetAccountInformation,
    /// Blob: a new container.
    CreateContainer,
    /// Blob: facts of a container.
    GetContainerProperties,
    /// Blob: removes a container.
    DeleteContainer,
    /// Blob: a page of names.
    ListBlobs,
    /// Blob: a whole blob in the request's body.
    PutBlob,
    /// Blob: a whole blob, fetched by the service.
    PutBlobFromUrl,
    /// Blob: a block in the request's body.
    PutBlock,
    /// Blob: a block, fetched by the service.
    PutBlockFromUrl,
    /// Blob: commits blocks.
    PutBlockList,
    /// Blob: committed and uncommitted blocks.
    GetBlockList,
    /// Blob: bytes of a blob.
    GetBlob,
    /// Blob: facts of a blob.
    HeadBlob,
    /// Blob: removes a blob.
    DeleteBlob,
    /// Blob: replaces the metadata.
    SetBlobMetadata,
    /// Blob: replaces the properties.
    SetBlobProperties,
    /// Blob: index tags of a blob.
    GetBlobTags,
    /// Blob: replaces the index tags.
    SetBlobTags,
}

impl OpKind {
    /// Whether it is one of S3's.
    pub fn is_s3(self) -> bool {
        self <= Self::GetObjectTagging
    }
}

/// A request as hooks see it, before anything of it is carried out.
#[derive(Clone, Debug)]
pub struct Op {
    /// What is asked for.
    pub kind: OpKind,
    /// Bucket, or `account/container`.
    pub place: String,
    /// Key or blob name; empty where there is none.
    pub name: String,
    /// How many requests of this kind came until now, this one included.
    pub number: u64,
}

/// What becomes of a request.
#[derive(Clone, Debug, Default)]
pub enum Action {
    /// Carry it out and answer.
    #[default]
    Pass,
    /// Answer with this status and code; nothing is carried out.
    Fail {
        /// HTTP status.
        status: u16,
        /// The cloud's own error code.
        code: &'static str,
    },
    /// Break the connection; nothing is carried out.
    ResetBefore,
    /// Carry it out, then break the connection instead of answering.
    ResetAfter,
    /// Carry it out, send the head of the answer and half of its body, then break the connection.
    CutBody,
    /// Never answer (until the hold time of the faults is over); nothing is carried out.
    SilentBefore,
    /// Carry it out and never answer.
    SilentAfter,
    /// Wait, then carry it out and answer.
    Delay(Duration),
    /// Wait to be notified, then carry it out and answer.
    Hold(Arc<Notify>),
}

impl Action {
    /// Whether what was carried out is never told.
    pub(crate) fn loses_the_answer(&self) -> bool {
        matches!(self, Self::ResetAfter | Self::CutBody | Self::SilentAfter)
    }
}

/// Called with each request.
pub(crate) type Hook = Box<dyn FnMut(&Op) -> Action + Send>;

/// Requests, refusals and lost answers of each kind.
#[derive(Default)]
pub(crate) struct Counters {
    requests: [AtomicU64; OpKind::ALL.len()],
    refusals: [AtomicU64; OpKind::ALL.len()],
    lost: [AtomicU64; OpKind::ALL.len()],
}

impl Counters {
    /// Counts a request and tells its number.
    pub(crate) fn count(&self, kind: OpKind) -> u64 {
        self.requests[kind as usize].fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn count_refusal(&self, kind: OpKind) {
        self.refusals[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_lost(&self, kind: OpKind) {
        self.lost[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn requests(&self, kind: OpKind) -> u64 {
        self.requests[kind as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn refusals(&self, kind: OpKind) -> u64 {
        self.refusals[kind as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn lost(&self, kind: OpKind) -> u64 {
        self.lost[kind as usize].load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = OpKind::ALL.iter().filter(|kind| self.requests(**kind) > 0);
        f.debug_map()
            .entries(used.map(|kind| (kind, self.requests(*kind))))
            .finish()
    }
}
