//! How long a place is in use: those given back tell, and those that are in use still.

use tokio::time::Instant;

/// How much the newest weighs in the memory of how long one is in use.
const WEIGHT: f64 = 0.1;

/// What is known of the places of one limit.
#[derive(Debug)]
pub(super) struct Usage {
    start: Instant,
    in_use: u32,
    /// Seconds after the start at which those in use were taken, added up.
    taken: f64,
    /// How long those given back were in use, in seconds.
    mean: Option<f64>,
}

impl Usage {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            start: now,
            in_use: 0,
            taken: 0.0,
            mean: None,
        }
    }

    pub(super) fn taken(&mut self, now: Instant) {
        self.in_use += 1;
        self.taken += self.second(now);
    }

    /// One that was taken at `since` is given back.
    pub(super) fn given_back(&mut self, since: Instant, now: Instant) {
        let seconds = (now - since).as_secs_f64();
        let known = self.mean.unwrap_or(seconds);
        self.mean = Some(known + WEIGHT * (seconds - known));
        self.in_use = self.in_use.saturating_sub(1);
        // Where there is none, what rounding left goes too.
        self.taken = match self.in_use {
            0 => 0.0,
            _ => self.taken - self.second(since),
        };
    }

    /// Places in use.
    pub(super) fn in_use(&self) -> u32 {
        self.in_use
    }

    /// How long one is in use, in seconds: what nobody answers is as slow as it is old.
    pub(super) fn seconds(&self, now: Instant) -> f64 {
        let age = match self.in_use {
            0 => 0.0,
            count => self.second(now) - self.taken / f64::from(count),
        };
        self.mean.unwrap_or(0.0).max(age)
    }

    fn second(&self, at: Instant) -> f64 {
        (at - self.start).as_secs_f64()
    }
}
