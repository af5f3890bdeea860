//! Messages that wait for their time. They are on the disk; here is only when each is due.
//!
//! Due times are rounded up to steps, and one task sleeps for each step in use, so a hundred
//! thousand waiting messages need a few timers. After a restart nothing waits any more: what was
//! delayed is ready at once.

use std::collections::HashMap;
use std::sync::{Mutex, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::change::Change;
use super::writer::{Shared, lock};
use crate::broker::Queue;

const STEP: Duration = Duration::from_millis(50);

/// The timers.
#[derive(Debug)]
pub(super) struct Delays {
    shared: Weak<Shared>,
    due: Mutex<HashMap<Instant, Vec<(Queue, i64)>>>,
    base: Mutex<Option<Instant>>,
}

impl Delays {
    pub(super) fn new(shared: Weak<Shared>) -> Self {
        Self {
            shared,
            due: Mutex::default(),
            base: Mutex::default(),
        }
    }

    /// Makes a delayed message ready after `wait`, not earlier.
    pub(super) fn add(&self, queue: Queue, seq: i64, wait: Duration) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let now = Instant::now();
        let base = *lock(&self.base).get_or_insert(now);
        let at = round_up(base, now + wait);
        let mut due = lock(&self.due);
        let together = due.entry(at).or_default();
        together.push((queue, seq));
        if together.len() == 1 {
            let shared = self.shared.clone();
            drop(runtime.spawn(ring(shared, at)));
        }
    }

    /// Of a queue that is gone nothing waits.
    pub(super) fn forget(&self, queue: &Queue) {
        for together in lock(&self.due).values_mut() {
            together.retain(|(target, _)| target != queue);
        }
    }

    /// Makes ready now what waits to go to `queue`, and tells how much that is.
    pub(super) fn wake(&self, queue: &Queue) -> u64 {
        let mut seqs = Vec::new();
        for together in lock(&self.due).values_mut() {
            seqs.extend(together.extract_if(.., |(target, _)| target == queue));
        }
        let count = seqs.len() as u64;
        if let (Some(shared), false) = (self.shared.upgrade(), seqs.is_empty()) {
            shared.change(Change::Promote { seqs });
        }
        count
    }

    /// Messages that wait for their time to go to `queue`.
    pub(super) fn waiting(&self, queue: &Queue) -> u64 {
        let due = lock(&self.due);
        let all = due.values().flatten();
        all.filter(|(target, _)| target == queue).count() as u64
    }
}

async fn ring(shared: Weak<Shared>, at: Instant) {
    tokio::time::sleep_until(at).await;
    if let Some(shared) = shared.upgrade() {
        let seqs = lock(&shared.delays.due).remove(&at).unwrap_or_default();
        shared.change(Change::Promote { seqs });
    }
}

fn round_up(base: Instant, at: Instant) -> Instant {
    let steps = at.duration_since(base).as_nanos().div_ceil(STEP.as_nanos());
    base + STEP * u32::try_from(steps).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_due_time_is_rounded_up_never_down() {
        let base = Instant::now();
        for (given, expected) in [(0, 0), (1, 50), (50, 50), (51, 100), (3_600_000, 3_600_000)] {
            let at = round_up(base, base + Duration::from_millis(given));
            assert_eq!(at - base, Duration::from_millis(expected), "{given} ms");
        }
    }
}
