//! Who answers, and who refuses everything: told of within a minute, as a run that only waits says
//! nothing otherwise.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Failure;

/// A bucket or account that only refuses for so long is told of.
const SILENT: Duration = Duration::from_secs(20);
/// And again after this time.
const AGAIN: Duration = Duration::from_secs(600);

/// Of all the writes of so long a time one is noted.
const BETWEEN_WRITES: Duration = Duration::from_millis(200);

/// The buckets and accounts of this process. Clones share what is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals(Arc<Known>);

#[derive(Debug)]
struct Known {
    begun: Instant,
    /// Whether there was ever a refusal.
    refused: AtomicBool,
    streaks: Mutex<HashMap<String, Streak>>,
    /// The blobs of each container that were written last.
    written: Mutex<HashMap<String, Written>>,
    /// When the next write is noted, in milliseconds since it was begun.
    next_write: AtomicU64,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            refused: AtomicBool::default(),
            streaks: Mutex::default(),
            written: Mutex::default(),
            next_write: AtomicU64::default(),
        }
    }
}

/// What came of late from one of them.
#[derive(Clone, Copy, Debug, Default)]
struct Streak {
    /// The first refusal since the last answer.
    since: Option<Instant>,
    told: Option<Instant>,
}

/// The last two blobs that were written, the newer first, so that there is always one that is not
/// the one asked about.
#[derive(Clone, Debug, Default)]
struct Written([Option<(String, Instant)>; 2]);

impl Written {
    fn note(&mut self, blob: &str, now: Instant) {
        let [newer, older] = &mut self.0;
        match newer {
            Some((name, at)) if name == blob => *at = now,
            _ => *older = newer.replace((blob.to_owned(), now)),
        }
    }

    /// When a blob of another name was last written.
    fn other_than(&self, blob: &str) -> Option<Instant> {
        let mut all = self.0.iter().flatten();
        all.find(|(name, _)| name != blob).map(|(_, at)| *at)
    }
}

impl Streak {
    /// Takes a refusal into account; true where it is to be told of.
    fn refuse(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let due = match self.told {
            None => now - since >= SILENT,
            Some(told) => now - told >= AGAIN,
        };
        if due {
            self.told = Some(now);
        }
        due
    }

    /// Takes an answer into account; true where a refusal was told of before.
    fn answer(&mut self) -> bool {
        self.since = None;
        self.told.take().is_some()
    }
}

impl Refusals {
    /// Are answers of interest? Where nothing was refused yet, names need not be put together for
    /// each object.
    pub(super) fn wants_answers(&self) -> bool {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Is a write of interest now?
    pub(super) fn wants_write(&self) -> bool {
        let now = u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due = self.0.next_write.load(Ordering::Relaxed);
        let next = now.saturating_add(BETWEEN_WRITES.as_millis() as u64);
        let taken = || {
            let order = Ordering::Relaxed;
            self.0.next_write.compare_exchange(due, next, order, order)
        };
        now >= due && taken().is_ok()
    }

    /// Notes that `place` answered a request.
    pub(super) fn note_answer(&self, place: &str) {
        let told = {
            let mut all = self
                .0
                .streaks
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match all.get_mut(place) {
                Some(streak) => streak.answer(),
                None => all.entry(place.to_owned()).or_default().answer(),
            }
        };
        if told {
            tracing::warn!("{place} answers again");
        }
    }

    /// Notes that `place` refused a request for the moment, or did not answer it.
    pub(super) fn note_refusal(&self, place: &str, failure: &Failure) {
        self.0.refused.store(true, Ordering::Relaxed);
        let now = Instant::now();
        let due = {
            let mut all = self
                .0
                .streaks
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            all.entry(place.to_owned()).or_default().refuse(now)
        };
        if due {
            tracing::warn!(
                "{place} refuses everything for now ({failure}): requests are sent less often, and \
                 each is tried again until it is answered"
            );
        }
    }

    /// Notes that a blob of a container was written.
    pub(super) fn note_write(&self, container: &str, blob: &str) {
        let now = Instant::now();
        let mut all = self
            .0
            .written
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(container) {
            Some(written) => written.note(blob, now),
            None => all.entry(container.to_owned()).or_default().note(blob, now),
        }
    }

    /// Was another blob of the container written within the time before now?
    pub(super) fn was_other_written(&self, container: &str, blob: &str, time: Duration) -> bool {
        let all = self
            .0
            .written
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let written = all.get(container);
        let at = written.and_then(|written| written.other_than(blob));
        at.is_some_and(|at| at.elapsed() <= time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_refuses_is_told_of_within_a_minute_and_seldom_again() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut streak = Streak::default();
        assert!(!streak.refuse(at(0)) && !streak.refuse(at(19)));
        assert!(streak.refuse(at(20)), "told");
        assert!(!streak.refuse(at(21)) && !streak.refuse(at(600)));
        assert!(streak.refuse(at(620)), "told again");
        assert!(streak.answer(), "and that it is over");
        assert!(!streak.answer());
        assert!(!streak.refuse(at(700)) && !streak.refuse(at(710)));
    }

    #[test]
    fn an_answer_between_refusals_is_no_silence() {
        let begin = Instant::now();
        let mut streak = Streak::default();
        for second in 0..60 {
            let now = begin + Duration::from_secs(second);
            assert!(!streak.refuse(now));
            assert!(!streak.answer());
        }
    }

    #[test]
    fn a_blob_is_judged_by_another_one_that_was_written() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut written = Written::default();
        assert_eq!(written.other_than("a"), None);
        written.note("a", at(0));
        written.note("a", at(1));
        assert_eq!(written.other_than("a"), None, "itself alone");
        assert_eq!(written.other_than("b"), Some(at(1)));
        written.note("b", at(2));
        written.note("b", at(3));
        assert_eq!(written.other_than("a"), Some(at(3)));
        assert_eq!(written.other_than("b"), Some(at(1)));
        written.note("a", at(4));
        assert_eq!(written.other_than("a"), Some(at(3)));
    }
}
