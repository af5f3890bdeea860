//! Buckets whose ETags look like an MD5 and are none, as this process has found out.
//!
//! At Amazon an ETag of 32 digits is the MD5 of an object that is encrypted with no key of
//! somebody's, which HEAD tells and a listing does not. Elsewhere it may be anything, and Azure refuses to write an
//! object whose bytes do not have the MD5 that was announced.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Objects of a bucket that must show it before its other ETags are taken for no MD5.
const ENOUGH: u32 = 2;

/// How many objects of each bucket have shown it. Clones share what is known.
#[derive(Clone, Debug, Default)]
pub(super) struct OddEtags(Arc<Mutex<HashMap<String, u32>>>);

impl OddEtags {
    /// Are this bucket's ETags known to be no MD5?
    pub(super) fn are_known(&self, bucket: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(bucket).is_some_and(|count| *count >= ENOUGH)
    }

    /// An object of this bucket was read, and has another MD5 than its ETag.
    pub(super) fn note(&self, bucket: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = known.entry(bucket.to_owned()).or_default();
        *count += 1;
        if *count == ENOUGH {
            tracing::warn!(
                bucket,
                "the ETags of this bucket are no MD5 of the content: they are not sent along any \
                 more, and its objects are proved by their length and a second look at the source"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_objects_speak_for_their_bucket_and_for_no_other() {
        let etags = OddEtags::default();
        etags.note("a");
        assert!(!etags.are_known("a"));
        etags.clone().note("a");
        assert!(etags.are_known("a") && !etags.are_known("b"));
    }
}
