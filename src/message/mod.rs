//! What travels between the roles: named MessagePack behind a version byte.
//!
//! Named encoding lets a field be added without breaking an older reader; the version byte says
//! when that is not enough. No message holds a secret: they name objects, never presigned URLs,
//! SAS tokens or keys. Each role has its own credentials.

mod codec;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use codec::{FIRST, SECOND, encode_as};
pub use codec::{VERSION, decode, encode};

use crate::failure::{Reason, Result};
use crate::job::{JobEnd, JobId, JobSpec};

/// One message with the headers that stay readable even where the body is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who and which try.
    pub headers: Headers,
    /// Version byte and named MessagePack.
    pub body: Bytes,
}

/// Identity and attempt of a message, readable across versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Headers {
    /// The job this message belongs to.
    pub job: String,
    /// The list task that found the object.
    pub list_task: u64,
    /// The listing of that task which this message belongs to.
    pub nonce: u64,
    /// The object's place in that listing, from 0.
    pub index: u32,
    /// Raised each time failed objects are put back.
    pub round: u32,
    /// How often this message has been tried before.
    pub attempt: u32,
    /// When the first of these attempts failed, in milliseconds since 1970; 0 before.
    pub since_ms: i64,
    /// The object's key; empty in older messages and where there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// The object's size as it was listed, in bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub size: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Names one object of one listing in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CopyId {
    /// The job.
    pub job: JobId,
    /// The list task that found it.
    pub list_task: u64,
    /// The listing of that task; only the first accepted one counts.
    pub nonce: u64,
    /// Place in the listing, from 0.
    pub index: u32,
    /// Round of the job it was issued in.
    pub round: u32,
}

/// What an object is called whose key nobody knows.
pub fn nameless(list_task: u64, index: u32) -> String {
    format!("(object {index} of list task {list_task})")
}

/// Part of a bucket's keys: those after `after`, up to and including `until`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// Keys up to and including this one are not in the range.
    pub after: Option<String>,
    /// Keys beyond this one are not in the range. Of an unsorted listing: the last key, in the order
    /// of the page, of the one page that the range is.
    pub until: Option<String>,
    /// The server's own place in its listing, where it told one. While the listing is sorted, who
    /// does not know of it goes on behind `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Box<Cursor>>,
}

/// A server's place in its listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cursor {
    /// What the page is asked for with; none for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The listing is in no order: only the token leads on, and `after` is but the last key seen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unsorted: bool,
    /// Of this very page what stands up to `after` was listed already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partly: bool,
    /// The server knows version 1 of ListObjects alone: the token is a marker.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub v1: bool,
    /// The first key of the whole listing, by which one that goes round in circles is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// Pages in a row that held nothing.
    #[serde(skip_serializing_if = "is_none_yet")]
    pub empty: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_none_yet(number: &u32) -> bool {
    *number == 0
}

impl KeyRange {
    /// Is it a part of a listing that is in no order?
    pub fn is_unsorted(&self) -> bool {
        self.cursor.as_ref().is_some_and(|cursor| cursor.unsorted)
    }
}

/// Work for a lister: one page of one range of one root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListTask {
    /// The job.
    pub job: JobId,
    /// Number of this task within its job.
    pub id: u64,
    /// Which of the job's roots it lists.
    pub root: u32,
    /// Which keys.
    pub range: KeyRange,
    /// Round of the job; objects found carry it on.
    pub round: u32,
    /// Exactly these keys, in their order, instead of a range.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Keys of the range that are counted elsewhere, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

impl ListTask {
    /// A message of it.
    ///
    /// # Errors
    /// See [`encode`].
    pub fn message(&self) -> Result<Envelope> {
        let headers = Headers {
            job: self.job.to_string(),
            list_task: self.id,
            round: self.round,
            ..Headers::default()
        };
        // Whoever does not know of them would list too much.
        let plain = self.only.is_empty() && self.without.is_empty();
        let version = match (self.range.is_unsorted(), plain) {
            // Who goes on by key would lose some and list others twice.
            (true, _) => VERSION,
            (false, true) => FIRST,
            (false, false) => SECOND,
        };
        Ok(Envelope {
            headers,
            body: encode_as(version, self)?,
        })
    }
}

/// The time of an object of which the source tells none: later than every other, so that it counts
/// as newer than any blob.
pub const UNKNOWN_TIME: i64 = i64::MAX;

/// One object as the listing showed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedObject {
    /// The key, exactly as S3 has it.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// ETag without its quotes.
    pub etag: Option<String>,
    /// Last-Modified in seconds since 1970, or [`UNKNOWN_TIME`].
    pub modified: i64,
    /// Version to copy, where one was named.
    pub version: Option<String>,
    /// S3's storage class; none is STANDARD.
    #[serde(default)]
    pub storage_class: Option<String>,
}

/// Work for a copier: one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyTask {
    /// Its name in the ledger.
    pub id: CopyId,
    /// Which of the job's roots it belongs to: gives bucket, container and blob name.
    pub root: u32,
    /// The object.
    pub object: ListedObject,
    /// What earlier deliveries staged of a large object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<Staged>,
    /// The ETag of a blob that an earlier attempt made and could not prove: it is replaced, or
    /// deleted where the object fails for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven: Option<String>,
}

impl CopyTask {
    /// Its message, at its first attempt. The headers say enough to name the object where the body
    /// cannot be read.
    ///
    /// # Errors
    /// See [`encode`].
    pub fn message(&self) -> Result<Envelope> {
        let headers = Headers {
            job: self.id.job.to_string(),
            list_task: self.id.list_task,
            nonce: self.id.nonce,
            index: self.id.index,
            round: self.id.round,
            attempt: 0,
            since_ms: 0,
            key: self.object.key.clone(),
            size: self.object.size,
        };
        Envelope::new(headers, self)
    }
}

/// The digests of a large object's blocks, as far as they were staged: the block list does not
/// keep them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Names the version of the content and the size of its blocks.
    pub plan: String,
    /// Index and CRC-64/NVME of each block.
    pub crcs: Vec<(u32, u64)>,
}

/// What is worth counting about a copied object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// Its content came through a copier.
    pub relayed: bool,
    /// Its blob has another name than the object.
    pub escaped: bool,
    /// Entries of metadata and tags that were left out.
    pub excluded: u32,
}

/// How an object ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It is at the destination.
    Copied {
        /// Bytes it has there.
        bytes: u64,
        /// CRC-64/NVME of the whole content where the destination told it.
        crc64: Option<u64>,
        /// What is worth counting about it.
        #[serde(default)]
        notes: Notes,
    },
    /// It was left out on purpose.
    Skipped {
        /// Why, e.g. `folder_marker`.
        reason: String,
        /// One line for people, where there is more to say.
        #[serde(default)]
        message: String,
    },
    /// It could not be copied.
    Failed {
        /// Why, from the closed list.
        reason: Reason,
        /// One line for people.
        message: String,
    },
}

/// What became of one copy task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its name in the ledger.
    pub id: CopyId,
    /// The key, for reports.
    pub key: String,
    /// The size the listing gave, in bytes.
    pub size: u64,
    /// How it ended.
    pub ending: Ending,
    /// Attempts it took, the last included.
    pub attempts: u32,
}

/// An object whose outcome the lister could decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Place in the listing, from 0.
    pub index: u32,
    /// The key.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// How it ended: skipped or failed.
    pub ending: Ending,
}

/// One listing of one list task: what it found and what follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The job.
    pub job: JobId,
    /// The list task.
    pub list_task: u64,
    /// Drawn at random for this delivery of the task.
    pub nonce: u64,
    /// Objects listed; copy tasks and decided ones share the indices 0..objects.
    pub objects: u32,
    /// Their size together.
    pub bytes: u64,
    /// Keys left out by a filter: seen, but not listed.
    pub filtered: u32,
    /// Those the lister decided itself.
    pub decided: Vec<Decided>,
    /// Ranges to list next; empty where the range is exhausted.
    pub next: Vec<KeyRange>,
}

/// A list task that cannot be listed at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeFailed {
    /// The job.
    pub job: JobId,
    /// The list task.
    pub list_task: u64,
    /// Why.
    pub reason: Reason,
    /// One line for people.
    pub message: String,
}

/// What the reporter hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// From a lister: a page was listed and its copy tasks are confirmed.
    Page(Page),
    /// From a lister: a range cannot be listed.
    RangeFailed(RangeFailed),
    /// From a copier: some objects ended.
    Outcomes(Vec<Outcome>),
}

impl Report {
    /// A message of it.
    ///
    /// # Errors
    /// See [`encode`].
    pub fn message(&self, headers: Headers) -> Result<Envelope> {
        let version = match self {
            // Who does not know of cursors would have the rest listed by key.
            Self::Page(page) if page.next.iter().any(KeyRange::is_unsorted) => VERSION,
            _ => FIRST,
        };
        let body = encode_as(version, self)?;
        Ok(Envelope { headers, body })
    }
}

/// The job log: what every role knows about jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum JobEvent {
    /// A job begins.
    Submitted(Box<JobSpec>),
    /// Every range of a job has been listed, or given up.
    Listed {
        /// The job.
        job: JobId,
        /// The round it was in.
        #[serde(default)]
        round: u32,
    },
    /// A job has ended; its queues are gone.
    Ended(JobEnd),
    /// What had failed of a job is put back; one that had ended goes on, and its queues are there
    /// again. What is held of it, or waits to be tried again, is tried at once.
    Reopened {
        /// The job.
        job: JobId,
        /// The round that begins; the one it is in already where nothing had failed.
        round: u32,
    },
    /// A reporter's ledger took charge of this log.
    Ledger {
        /// Random id of the ledger's state.
        id: String,
        /// How often a reporter had begun with it; 0 in older records.
        #[serde(default)]
        starts: u64,
        /// Random name of this very start; 0 in older records.
        #[serde(default)]
        start: u64,
    },
}

impl JobEvent {
    /// The log's record of it.
    ///
    /// # Errors
    /// See [`encode`].
    pub fn message(&self, job: Option<&JobId>) -> Result<Envelope> {
        let headers = Headers {
            job: job.map(ToString::to_string).unwrap_or_default(),
            ..Headers::default()
        };
        // Whoever does not know of it would take the job's tasks for those of one that has ended.
        let version = match self {
            Self::Reopened { .. } => SECOND,
            // Who does not know of it would be denied every object.
            Self::Submitted(spec) if spec.requester_pays || spec.is_virtual_hosted() => VERSION,
            _ => FIRST,
        };
        Ok(Envelope {
            headers,
            body: encode_as(version, self)?,
        })
    }
}

impl Envelope {
    /// Encodes `value` under the given headers.
    ///
    /// # Errors
    /// See [`encode`].
    pub fn new<T: Serialize>(headers: Headers, value: &T) -> Result<Self> {
        Ok(Self {
            headers,
            body: encode(value)?,
        })
    }

    /// Decodes the body.
    ///
    /// # Errors
    /// See [`decode`].
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        decode(&self.body)
    }
}
