//! What servers that are not Amazon's have been found not to know, bucket by bucket.
//!
//! An optional header or parameter that a server refuses is left out from then on. Of Amazon itself
//! nothing is learned: what it refuses it means.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A part of a request that one can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Optional {
    /// `x-amz-checksum-mode` of HEAD.
    ChecksumMode,
    /// `x-amz-optional-object-attributes` of a listing.
    ObjectAttributes,
    /// `encoding-type` of a listing.
    EncodingType,
    /// `max-buckets` of the listing of buckets.
    MaxBuckets,
    /// Version 2 of ListObjects.
    ListV2,
    /// HEAD of an object.
    Head,
}

impl Optional {
    /// As a person would look it up.
    const fn as_str(self) -> &'static str {
        match self {
            Self::ChecksumMode => "x-amz-checksum-mode",
            Self::ObjectAttributes => "x-amz-optional-object-attributes",
            Self::EncodingType => "encoding-type",
            Self::MaxBuckets => "max-buckets",
            Self::ListV2 => "list-type=2",
            Self::Head => "HEAD",
        }
    }
}

/// How a bucket's answers are to be read that do not say how keys are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Percent-encoded.
    Encoded,
    /// As they are.
    Raw,
}

/// What is known by now. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Learned(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Whether a part must be left out (true), or leaving it out was tried in vain.
    parts: HashMap<(String, Optional), bool>,
    keys: HashMap<String, Written>,
}

impl Learned {
    /// Must this be left out?
    pub(super) fn is_unknown(&self, bucket: &str, part: Optional) -> bool {
        self.state(bucket, part) == Some(true)
    }

    /// Was it left out before, and refused all the same?
    pub(super) fn was_dropped_in_vain(&self, bucket: &str, part: Optional) -> bool {
        self.state(bucket, part) == Some(false)
    }

    fn state(&self, bucket: &str, part: Optional) -> Option<bool> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.parts.get(&(bucket.to_owned(), part)).copied()
    }

    /// Notes whether the server answers without it what it refuses with it.
    pub(super) fn note(&self, bucket: &str, part: Optional, unknown: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.parts.insert((bucket.to_owned(), part), unknown);
        if unknown && before != Some(true) {
            let part = part.as_str();
            tracing::info!(
                bucket,
                part,
                "the source does not know this: it is left out from now on"
            );
        }
    }

    /// How keys are written where an answer does not say.
    pub(super) fn written(&self, bucket: &str) -> Option<Written> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.keys.get(bucket).copied()
    }

    /// Notes how keys are written.
    pub(super) fn note_written(&self, bucket: &str, written: Written) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.keys.insert(bucket.to_owned(), written);
    }
}
