//! When to fetch credentials anew: pure decisions over time, no I/O.

use std::time::{Duration, SystemTime};

use crate::failure::{Failure, Remedy};

use super::Snapshot;

/// Credentials are renewed this long before their end, where they live long enough. Instance
/// metadata and container agents have the next ones ready five minutes ahead.
const LONGEST_MARGIN: Duration = Duration::from_secs(5 * 60);
/// The longest pause between two tries to renew credentials that still work.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The shortest pause between two tries, working credentials or none.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
/// A failure that nobody has repeated for so long says nothing of today.
const STALE: Duration = Duration::from_secs(5 * 60);
/// So often the source may give the same credentials again before they count as not renewed: the
/// next ones may be a little late.
const REPETITIONS: u32 = 2;

/// What is held, and when to look again.
#[derive(Debug, Default)]
pub(super) struct Cache {
    held: Option<Held>,
    failed: Option<Failed>,
}

#[derive(Debug)]
struct Held {
    snapshot: Snapshot,
    renew_at: Option<SystemTime>,
    rejected: bool,
    /// How often the source gave just these again.
    repeated: u32,
}

#[derive(Debug)]
struct Failed {
    failure: Failure,
    until: SystemTime,
}

/// What a caller is to do.
#[derive(Debug)]
pub(super) enum Decision {
    /// Use these.
    Use(Snapshot),
    /// Use these, but somebody should renew them.
    Renew(Snapshot),
    /// There are none that work: fetch some.
    Fetch,
    /// There are none, and there were none a moment ago.
    Fail(Failure),
}

impl Cache {
    pub(super) fn decide(&self, now: SystemTime) -> Decision {
        let paused = self.failed.as_ref().filter(|failed| now < failed.until);
        if let Some(held) = self.usable(now) {
            let due = held.renew_at.is_some_and(|at| at <= now);
            return if due && paused.is_none() {
                Decision::Renew(held.snapshot.clone())
            } else {
                Decision::Use(held.snapshot.clone())
            };
        }
        match paused {
            Some(failed) => Decision::Fail(failed.failure.clone()),
            None => Decision::Fetch,
        }
    }

    /// Takes what was fetched.
    ///
    /// # Errors
    /// These are the very credentials that the service rejected as expired, or have ended.
    pub(super) fn store(&mut self, fresh: Snapshot, now: SystemTime) -> Result<(), Failure> {
        let before = self
            .held
            .as_ref()
            .filter(|held| held.snapshot.same_keys(&fresh));
        let ended = fresh.expires().is_some_and(|end| end <= now);
        if ended || before.is_some_and(|held| held.rejected) {
            let failure = super::expired(&fresh);
            let failure = self.fail(failure, now);
            return Err(failure);
        }
        let no_later = |held: &&Held| fresh.expires() <= held.snapshot.expires();
        let repeated = before
            .filter(no_later)
            .map_or(0, |held| held.repeated.saturating_add(1));
        let again = before.is_some();
        let end = fresh.expires().filter(|_| !fresh.is_unchanging());
        let renew_at = end.map(|end| {
            let left = end.duration_since(now).unwrap_or_default();
            if again {
                now + pause(left)
            } else {
                end.checked_sub(LONGEST_MARGIN.min(left / 4)).unwrap_or(now)
            }
        });
        self.failed = None;
        self.held = Some(Held {
            snapshot: fresh,
            renew_at,
            rejected: false,
            repeated,
        });
        Ok(())
    }

    /// When what is held ends, where nothing renews it.
    pub(super) fn ends(&self, now: SystemTime) -> Option<SystemTime> {
        let held = self.held.as_ref()?;
        let failed = self.failed.as_ref();
        let failing = failed.is_some_and(|failed| now < failed.until + STALE);
        let fruitless = held.repeated >= REPETITIONS;
        let end = held.snapshot.expires()?;
        (held.snapshot.is_unchanging() || failing || fruitless).then_some(end)
    }

    /// How long what is held can still be used.
    pub(super) fn left(&self, now: SystemTime) -> Duration {
        self.usable(now)
            .and_then(|held| held.snapshot.expires())
            .and_then(|end| end.duration_since(now).ok())
            .unwrap_or_default()
    }

    /// Notes that fetching failed; says what to tell a caller who has no credentials.
    pub(super) fn fail(&mut self, mut failure: Failure, now: SystemTime) -> Failure {
        let left = self.left(now);
        // What worked once may work again; what never did is for the user to set right.
        if self.held.is_some() && failure.remedy == Remedy::Stop && !self.rejected_for_good() {
            failure.remedy = Remedy::Retry;
        }
        self.failed = Some(Failed {
            failure: failure.clone(),
            until: now + pause(left),
        });
        failure
    }

    /// Notes that the service called these credentials expired.
    pub(super) fn reject(&mut self, snapshot: &Snapshot) {
        if let Some(held) = &mut self.held
            && held.snapshot.same_keys(snapshot)
        {
            held.rejected = true;
        }
    }

    fn usable(&self, now: SystemTime) -> Option<&Held> {
        self.held
            .as_ref()
            .filter(|held| !held.rejected && held.snapshot.expires().is_none_or(|end| now < end))
    }

    /// Unchanging, or rejected and without an end: nothing will renew them by itself.
    fn rejected_for_good(&self) -> bool {
        self.held.as_ref().is_some_and(|held| {
            let snapshot = &held.snapshot;
            snapshot.is_unchanging() || (held.rejected && snapshot.expires().is_none())
        })
    }
}

fn pause(left: Duration) -> Duration {
    (left / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}
