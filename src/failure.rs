//! The vocabulary of errors: what went wrong, whether it happened, and what to do now.
//!
//! Every failure of a call to another machine answers two questions: *did it happen?*
//! ([`Happened`]) and *what now?* ([`Remedy`]). The text is one line, names cause and remedy, and
//! never holds a secret: constructors take text that the caller has already redacted.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::{self, LONGEST_MESSAGE};

/// The result of anything that can fail by somebody else's doing.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Did the effect take place?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It certainly did not.
    No,
    /// It may have: the answer was lost or never came.
    Perhaps,
}

/// What the caller should do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Try again later; the cause is expected to pass.
    Retry,
    /// Give up this object or range: another try will end the same way.
    GiveUp,
    /// Stop this worker: nothing it does will succeed until someone changes something.
    Stop,
}

/// Why something failed; a closed list, so that it can be a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The object, bucket or upload does not exist at the source.
    SourceNotFound,
    /// The source refused the credentials or the permission.
    SourceDenied,
    /// The source asked for a slower pace (503 SlowDown, 429).
    SourceThrottled,
    /// The source did not answer, or answered with a server error.
    SourceUnavailable,
    /// The object changed between the listing and the copy, or during the copy.
    SourceChanged,
    /// The object's storage class must be restored before it can be read.
    SourceArchived,
    /// The key has a segment ending in `.`, or a `\`, which URL libraries or the service rewrite.
    SourceUnaddressable,
    /// The presigned source URL is longer than the 2 KiB Azure accepts.
    SourceUrlTooLong,
    /// The source refused the request for a reason of its own.
    SourceRejected,
    /// The destination refused the credentials or the permission.
    DestinationDenied,
    /// The destination asked for a slower pace (503 ServerBusy, 429).
    DestinationThrottled,
    /// The destination could not finish in time (500 OperationTimedOut).
    DestinationTimedOut,
    /// The destination did not answer, or answered with a server error.
    DestinationUnavailable,
    /// The destination refused the request for a reason of its own.
    DestinationRejected,
    /// Somebody else wrote the blob since it was looked at, or since the job began.
    DestinationChanged,
    /// The blob there is in tier Archive, which cannot be overwritten.
    DestinationArchived,
    /// The destination container does not exist and cannot be created under this name.
    ContainerRejected,
    /// The blob name breaks the destination's naming rules.
    NameRejected,
    /// The user metadata cannot be carried.
    MetadataRejected,
    /// What arrived is not what was sent.
    ChecksumMismatch,
    /// The broker did not answer or lost its connection.
    BrokerUnavailable,
    /// The broker refused the credentials, the vhost or the request.
    BrokerRejected,
    /// A bounded queue is full.
    QueueFull,
    /// A message could not be decoded.
    Undecodable,
    /// A message was written by a newer version of this program.
    NewerVersion,
    /// Local state (files, disk) failed.
    LocalState,
    /// The command line or the environment is wrong.
    Usage,
    /// A fault of this program.
    Internal,
}

impl Reason {
    /// Every reason, for initialising metrics.
    pub const ALL: [Self; 28] = [
        Self::SourceNotFound,
        Self::SourceDenied,
        Self::SourceThrottled,
        Self::SourceUnavailable,
        Self::SourceChanged,
        Self::SourceArchived,
        Self::SourceUnaddressable,
        Self::SourceUrlTooLong,
        Self::SourceRejected,
        Self::DestinationDenied,
        Self::DestinationThrottled,
        Self::DestinationTimedOut,
        Self::DestinationUnavailable,
        Self::DestinationRejected,
        Self::DestinationChanged,
        Self::DestinationArchived,
        Self::ContainerRejected,
        Self::NameRejected,
        Self::MetadataRejected,
        Self::ChecksumMismatch,
        Self::BrokerUnavailable,
        Self::BrokerRejected,
        Self::QueueFull,
        Self::Undecodable,
        Self::NewerVersion,
        Self::LocalState,
        Self::Usage,
        Self::Internal,
    ];

    /// The reason as it stands in metrics, outcomes and reports, e.g. `source_denied`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SourceNotFound => "source_not_found",
            Self::SourceDenied => "source_denied",
            Self::SourceThrottled => "source_throttled",
            Self::SourceUnavailable => "source_unavailable",
            Self::SourceChanged => "source_changed",
            Self::SourceArchived => "source_archived",
            Self::SourceUnaddressable => "source_unaddressable",
            Self::SourceUrlTooLong => "source_url_too_long",
            Self::SourceRejected => "source_rejected",
            Self::DestinationDenied => "destination_denied",
            Self::DestinationThrottled => "destination_throttled",
            Self::DestinationTimedOut => "destination_timed_out",
            Self::DestinationUnavailable => "destination_unavailable",
            Self::DestinationRejected => "destination_rejected",
            Self::DestinationChanged => "destination_changed",
            Self::DestinationArchived => "destination_archived",
            Self::ContainerRejected => "container_rejected",
            Self::NameRejected => "name_rejected",
            Self::MetadataRejected => "metadata_rejected",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::BrokerUnavailable => "broker_unavailable",
            Self::BrokerRejected => "broker_rejected",
            Self::QueueFull => "queue_full",
            Self::Undecodable => "undecodable",
            Self::NewerVersion => "newer_version",
            Self::LocalState => "local_state",
            Self::Usage => "usage",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One failure: reason, text, and what follows from it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Why, from the closed list.
    pub reason: Reason,
    /// Whether the effect may have taken place.
    pub happened: Happened,
    /// What to do now.
    pub remedy: Remedy,
    /// How long the other side asked us to wait, if it did.
    pub retry_after: Option<Duration>,
    /// It is about one container or object: it says nothing of how the service is doing.
    pub concerns_one: bool,
    /// One line naming cause and, where there is one, remedy. Holds no secret.
    pub message: String,
}

impl Failure {
    /// A failure that certainly did not happen and may be tried again.
    pub fn retry(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(reason, Happened::No, Remedy::Retry, message)
    }

    /// A failure that ends this object or range.
    pub fn give_up(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(reason, Happened::No, Remedy::GiveUp, message)
    }

    /// A failure that stops the worker.
    pub fn stop(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(reason, Happened::No, Remedy::Stop, message)
    }

    /// The same failure, whose effect may have taken place after all.
    #[must_use]
    pub fn perhaps(mut self) -> Self {
        self.happened = Happened::Perhaps;
        self
    }

    /// The same failure with the wait the other side asked for.
    #[must_use]
    pub fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// The same failure, which is about one container or object and not the whole service.
    #[must_use]
    pub fn of_one(mut self) -> Self {
        self.concerns_one = true;
        self
    }

    fn new(reason: Reason, happened: Happened, remedy: Remedy, message: impl Into<String>) -> Self {
        Self {
            reason,
            happened,
            remedy,
            retry_after: None,
            concerns_one: false,
            message: text::cut(text::one_line(&message.into()), LONGEST_MESSAGE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_whatever_the_other_side_sent() {
        let failure = Failure::retry(Reason::SourceRejected, "bad\r\nthing\u{7}here");
        assert_eq!(failure.to_string(), "bad thing here");
        let failure = Failure::retry(Reason::SourceRejected, "é".repeat(1 << 20));
        assert!(
            failure.message.len() <= LONGEST_MESSAGE,
            "{}",
            failure.message.len()
        );
    }

    #[test]
    fn reasons_are_written_alike_in_messages_and_metrics() {
        for reason in Reason::ALL {
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(json, format!("\"{reason}\""));
        }
    }
}
