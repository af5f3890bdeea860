//! The durable effects of the ledger's rules.

use crate::job::{JobEnd, JobId};
use crate::message::{Ending, ListTask, Outcome, RangeFailed};

/// One thing to write.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A job's account was opened.
    Opened(JobId),
    /// A job's totals changed.
    Totals(JobId),
    /// A list task was issued: remember it and send it.
    Issued(ListTask),
    /// A page's marks changed.
    Marked(JobId, u64),
    /// A list task is done with.
    Closed(JobId, u64),
    /// An object was skipped or failed.
    Ending(EndingRow),
    /// An outcome waits for its page.
    Waiting(Outcome),
    /// The outcomes that waited for this list task were used up.
    WaitingTaken(JobId, u64),
    /// A range could not be listed: why, and its list task.
    RangeFailed(RangeFailed, ListTask),
    /// A job's listing is complete: tell everybody; in which round.
    Listed(JobId, u32),
    /// A round of a job begins: make its queues, then tell everybody.
    Reopened(JobId, u32),
    /// What is held or waits of a running job is tried at once: tell everybody; in which round.
    Woken(JobId, u32),
    /// An object that failed is put back: forget its end.
    PutBack(JobId, u64, u32),
    /// The broker lost messages of a job: make its queues before anything else is sent.
    QueuesLost(JobId),
    /// A list task is sent again.
    Resent(ListTask),
    /// A page was taken back: forget how its objects ended.
    Withdrawn(JobId, u64),
    /// A job begins anew: forget what was to be done and how anything of it ended.
    Forgotten(JobId),
    /// A range that could not be listed is put back: forget that.
    RangePutBack(JobId, u64),
    /// A job ended: tell everybody, remove its queues, and forget what was still to be done.
    Ended(JobEnd),
}

/// An object that was skipped or failed, as `jobs show` lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct EndingRow {
    /// The job.
    pub job: JobId,
    /// The list task that found it.
    pub list_task: u64,
    /// What was listed: the root's place in the job.
    pub root: u32,
    /// Its place in that listing.
    pub index: u32,
    /// The key.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// How it ended.
    pub ending: Ending,
    /// It stands for all that its root names, of which nothing else was listed.
    pub whole: bool,
}
