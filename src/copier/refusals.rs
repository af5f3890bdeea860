//! Who answers, and who refuses everything: told of within a minute, as a run that only waits says
//! nothing otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Failure;

/// A bucket or account that only refuses for so long is told of.
const SILENT: Duration = Duration::from_secs(20);
/// And again after this time.
const AGAIN: Duration = Duration::from_secs(600);

/// The buckets and accounts of this process. Clones share what is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals(Arc<Mutex<HashMap<String, Streak>>>);

/// What came of late from one of them.
#[derive(Clone, Copy, Debug, Default)]
struct Streak {
    /// The first refusal since the last answer.
    since: Option<Instant>,
    told: Option<Instant>,
    answered: Option<Instant>,
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
    fn answer(&mut self, now: Instant) -> bool {
        self.answered = Some(now);
        self.since = None;
        self.told.take().is_some()
    }
}

impl Refusals {
    /// Notes that `place` answered a request.
    pub(super) fn note_answer(&self, place: &str) {
        let now = Instant::now();
        let told = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match all.get_mut(place) {
                Some(streak) => streak.answer(now),
                None => all.entry(place.to_owned()).or_default().answer(now),
            }
        };
        if told {
            tracing::warn!("{place} answers again");
        }
    }

    /// Notes that `place` refused a request for the moment, or did not answer it.
    pub(super) fn note_refusal(&self, place: &str, failure: &Failure) {
        let now = Instant::now();
        let due = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(place.to_owned()).or_default().refuse(now)
        };
        if due {
            tracing::warn!(
                "{place} refuses everything for now ({failure}): fewer requests are sent, and \
                 each is tried again until it is answered"
            );
        }
    }

    /// Did `place` answer another request within the time before now?
    pub(super) fn has_answered_within(&self, place: &str, time: Duration) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = all.get(place).and_then(|streak| streak.answered);
        answered.is_some_and(|answered| answered.elapsed() <= time)
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
        assert!(streak.answer(at(621)), "and that it is over");
        assert!(!streak.answer(at(622)));
        assert!(!streak.refuse(at(700)) && !streak.refuse(at(710)));
    }

    #[test]
    fn an_answer_between_refusals_is_no_silence() {
        let begin = Instant::now();
        let mut streak = Streak::default();
        for second in 0..60 {
            let now = begin + Duration::from_secs(second);
            assert!(!streak.refuse(now));
            assert!(!streak.answer(now));
        }
    }
}
