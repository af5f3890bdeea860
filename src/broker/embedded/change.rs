//! What can be asked of the file: changes, committed in groups, and questions.

use std::time::Duration;

use tokio::sync::oneshot;

use super::state::Load;
use crate::broker::{Parked, PublishFailure, Queue};
use crate::failure::{Failure, Result};
use crate::job::JobId;
use crate::message::Envelope;

/// Where the answer to an operation goes.
pub(super) type Reply<T, E = Failure> = oneshot::Sender<Result<T, E>>;

/// A change of the file.
#[derive(Debug)]
pub(super) enum Change {
    Publish {
        queue: Queue,
        messages: Vec<Envelope>,
        reply: Reply<(), PublishFailure>,
    },
    Settle {
        queue: i64,
        seq: i64,
        then: Then,
    },
    /// Delayed messages whose time has come.
    Promote {
        seqs: Vec<(Queue, i64)>,
    },
    Append {
        record: Envelope,
        reply: Reply<()>,
    },
    Declare {
        job: JobId,
        reply: Reply<()>,
    },
    Delete {
        job: JobId,
        reply: Reply<()>,
    },
    /// Answered when everything before it is committed.
    Flush {
        reply: Reply<()>,
    },
}

/// What follows a settled message, in the same transaction.
#[derive(Debug)]
pub(super) enum Then {
    /// Nothing: the acknowledgement may be lost in a crash, the message then comes again.
    Nothing,
    /// Another message, after a wait.
    Again {
        target: Queue,
        message: Envelope,
        wait: Duration,
        reply: Reply<()>,
    },
    /// The message itself, set aside.
    Park {
        message: Envelope,
        origin: String,
        reason: String,
        reply: Reply<()>,
    },
}

impl Change {
    /// May wait for the next batch that is synced: losing it repeats a delivery, no more.
    pub(super) fn is_lazy(&self) -> bool {
        matches!(
            self,
            Self::Settle {
                then: Then::Nothing,
                ..
            } | Self::Promote { .. }
        )
    }

    /// Makes or removes queues: is committed by itself.
    pub(super) fn is_structural(&self) -> bool {
        matches!(self, Self::Declare { .. } | Self::Delete { .. })
    }

    /// Roughly what it adds to a transaction.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Publish { messages, .. } => messages.iter().map(|one| one.body.len()).sum(),
            Self::Settle {
                then: Then::Again { message, .. } | Then::Park { message, .. },
                ..
            } => message.body.len(),
            _ => 0,
        }
    }
}

/// A question to the file, answered after the changes that came before it.
#[derive(Debug)]
pub(super) enum Question {
    Load(Load),
    Log {
        after: i64,
        count: usize,
        reply: Reply<Vec<(i64, Envelope)>>,
    },
    Parked {
        limit: usize,
        reply: Reply<Vec<Parked>>,
    },
}
