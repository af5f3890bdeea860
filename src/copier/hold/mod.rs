//! Buckets that deny everything are held: their objects wait instead of failing one by one, and
//! one of them is tried now and then. The rule is pure.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntGauge;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::metrics::Metrics;

/// So many denials in a row, and no object in between, hold a bucket.
const IN_A_ROW: u32 = 100;
/// So many of the objects that fail in a row are worth a warning each.
const WARNED: u32 = 5;
/// The first and the longest time between two tries.
const BETWEEN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// Objects come back after this part of the time their bucket has been held.
const LEISURE: u32 = 4;
/// But after this time at the latest: a job that nothing is heard of for long looks lost.
const LONGEST: Duration = Duration::from_secs(300);
/// Denials so long ago are no part of a row any more.
const LONG_AGO: Duration = Duration::from_secs(3600);

/// What to do with an object of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Try it.
    Go,
    /// Its bucket is held: put it back for this long.
    Wait(Duration),
}

/// What a denial means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// This object has failed.
    Fails,
    /// It was the one too many: the bucket is held from now on.
    Holds(Duration),
    /// The bucket is held still.
    Wait(Duration),
}

/// One bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    denied: u32,
    /// When it last denied an object.
    last: Option<Instant>,
    /// Of these, the objects that failed and were to be logged.
    told: u32,
    held: Option<Held>,
    /// It has been held for long enough: its objects fail.
    given_up: bool,
    /// When it could be read again after a hold.
    recovered: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    since: Instant,
    next: Instant,
    between: Duration,
}

impl Held {
    /// How long an object is put back: until the next try, but the longer the bucket has been held
    /// the longer, as each time costs the broker something.
    fn wait(&self, now: Instant) -> Duration {
        let until_next = self.next.saturating_duration_since(now);
        until_next.max(((now - self.since) / LEISURE).min(LONGEST))
    }
}

impl Bucket {
    fn admit(&mut self, now: Instant) -> Admission {
        let Some(held) = self.held.as_mut() else {
            return Admission::Go;
        };
        if now < held.next {
            return Admission::Wait(held.wait(now));
        }
        held.next = now + held.between;
        held.between = (held.between * 2).min(BETWEEN.1);
        Admission::Go
    }

    fn denied(&mut self, now: Instant, patience: Duration) -> Verdict {
        if let Some(held) = self.held {
            if now - held.since < patience {
                return Verdict::Wait(held.wait(now));
            }
            (self.held, self.given_up) = (None, true);
            return Verdict::Fails;
        }
        if self.last.is_some_and(|last| now - last > LONG_AGO) {
            *self = Self {
                recovered: self.recovered,
                ..Self::default()
            };
        }
        self.last = Some(now);
        self.denied = self.denied.saturating_add(1);
        if self.given_up || self.denied < IN_A_ROW || patience.is_zero() {
            return Verdict::Fails;
        }
        self.held = Some(Held {
            since: now,
            next: now + BETWEEN.0,
            between: BETWEEN.0 * 2,
        });
        Verdict::Holds(BETWEEN.0)
    }

    /// The next object is tried at once, and the time there is begins anew.
    fn wake(&mut self, now: Instant) {
        let held = self.held.map(|_| Held {
            since: now,
            next: now,
            between: BETWEEN.0,
        });
        *self = Self {
            held,
            recovered: self.recovered,
            ..Self::default()
        };
    }

    /// Counts an object that is to be logged; gives how many these are in a row.
    fn tell(&mut self) -> u32 {
        self.told = self.told.saturating_add(1);
        self.told
    }
}

/// The buckets of this process.
#[derive(Clone, Debug)]
pub(super) struct Holds {
    /// What is held: `bucket` or `container`.
    what: &'static str,
    /// What cannot be done with it: it cannot be `read` or `written`.
    done: &'static str,
    patience: Duration,
    held: IntGauge,
    buckets: Arc<Mutex<HashMap<String, Bucket>>>,
    /// A hold has ended, or somebody asks for a try.
    news: Arc<Notify>,
}

impl Holds {
    /// Buckets are held for at most `patience`; zero: none is.
    pub(super) fn new(patience: Duration, metrics: &Metrics) -> Self {
        Self::of(("bucket", "read"), patience, &metrics.buckets_held)
    }

    /// The same of containers, whose writes are denied.
    pub(super) fn of_containers(patience: Duration, metrics: &Metrics) -> Self {
        Self::of(("container", "written"), patience, &metrics.containers_held)
    }

    fn of((what, done): (&'static str, &'static str), patience: Duration, held: &IntGauge) -> Self {
        Self {
            what,
            done,
            patience,
            held: held.clone(),
            buckets: Arc::default(),
            news: Arc::default(),
        }
    }

    /// Is any bucket held?
    pub(super) fn holds_any(&self) -> bool {
        self.held.get() > 0
    }

    /// When an object of the bucket has its try; none where it is not held.
    pub(super) fn next_try(&self, bucket: &str) -> Option<Instant> {
        let buckets = self.lock();
        let held = buckets.get(bucket)?.held?;
        Some(held.next)
    }

    /// Waits for an earlier try than there was to be, of whatever bucket; from now on.
    pub(super) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    /// May an object of the bucket be tried?
    pub(super) fn admit(&self, bucket: &str) -> Admission {
        let mut buckets = self.lock();
        let found = buckets.get_mut(bucket);
        found.map_or(Admission::Go, |bucket| bucket.admit(Instant::now()))
    }

    /// An object that was begun at `begun` was denied by its source: how long it is put back, if it
    /// has not failed.
    pub(super) fn denied(
        &self,
        bucket: &str,
        begun: Instant,
        failure: &Failure,
    ) -> Option<Duration> {
        let what = self.what;
        let mut buckets = self.lock();
        let state = buckets.entry(bucket.to_owned()).or_default();
        if state.recovered.is_some_and(|recovered| begun <= recovered) {
            return Some(Duration::ZERO);
        }
        let was_held = state.held.is_some();
        let verdict = state.denied(Instant::now(), self.patience);
        match verdict {
            Verdict::Wait(wait) => return Some(wait),
            Verdict::Holds(wait) => {
                tracing::warn!(
                    bucket,
                    %failure,
                    "{what} {bucket} is held: {IN_A_ROW} objects in a row were denied; one is \
                     tried again now and then for {} min, all others \
                     go on, and this one by itself once it can be {}",
                    self.patience.as_secs() / 60,
                    self.done
                );
                self.held.inc();
                return Some(wait);
            }
            Verdict::Fails => {}
        }
        if was_held {
            tracing::error!(
                bucket,
                "{what} {bucket} is not held any longer: it is denied still, its objects fail"
            );
            self.held.dec();
            self.news.notify_waiters();
        }
        None
    }

    /// Is an object that its bucket denied, and that has failed, worth a warning? The first few in
    /// a row are; that there are more is said once.
    pub(super) fn warns(&self, bucket: &str) -> bool {
        let told = self.lock().entry(bucket.to_owned()).or_default().tell();
        if told == WARNED + 1 {
            let what = self.what;
            tracing::warn!(
                bucket,
                "{what} {bucket} goes on denying: its other objects that fail are named by \
                 blobfleet jobs show, and here at level DEBUG alone"
            );
        }
        told <= WARNED
    }

    /// Somebody asks for another try: where the bucket is held, one object has it at once.
    pub(super) fn wake(&self, bucket: &str) {
        let mut buckets = self.lock();
        let Some(state) = buckets.get_mut(bucket) else {
            return;
        };
        state.wake(Instant::now());
        self.news.notify_waiters();
        if state.held.is_some() {
            let what = self.what;
            tracing::info!(
                bucket,
                "{what} {bucket} is tried again at once, as it was asked for"
            );
        }
    }

    /// An object of the bucket arrived; true where that ends a hold.
    pub(super) fn arrived(&self, bucket: &str) -> bool {
        let mut buckets = self.lock();
        let Some(state) = buckets.get_mut(bucket) else {
            return false;
        };
        let was_held = state.held.is_some();
        *state = Bucket {
            recovered: was_held.then(Instant::now).or(state.recovered),
            ..Bucket::default()
        };
        if was_held {
            let (what, done) = (self.what, self.done);
            tracing::warn!(bucket, "{what} {bucket} can be {done} again");
            self.held.dec();
            self.news.notify_waiters();
        }
        was_held
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
