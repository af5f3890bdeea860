//! A cap on the bytes this process has copied in a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How much may be saved up while nothing is copied.
const SAVED: Duration = Duration::from_secs(1);

/// The cap; clones share it. A request larger than a second's worth is let through and waited for
/// by those after it.
#[derive(Clone, Debug)]
pub struct Pace {
    bytes_per_second: u64,
    /// When what was let through so far is paid for.
    paid: Arc<Mutex<Instant>>,
}

impl Pace {
    /// A cap of so many bytes a second, at least 1.
    pub fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            paid: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Waits until `bytes` more may be copied.
    pub async fn wait(&self, bytes: u64) {
        let start = self.claim(bytes, Instant::now());
        tokio::time::sleep_until(start).await;
    }

    /// Books the bytes; gives when they may begin.
    fn claim(&self, bytes: u64, now: Instant) -> Instant {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(SAVED).unwrap_or(now);
        let start = (*paid).max(earliest);
        *paid = start + self.cost(bytes);
        start
    }

    fn cost(&self, bytes: u64) -> Duration {
        let micros = u128::from(bytes) * 1_000_000 / u128::from(self.bytes_per_second);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_seconds_worth_takes_ten_seconds_whatever_the_size_of_a_request() {
        for bytes in [10_u64, 1_000, 5_000] {
            let pace = Pace::new(1_000);
            let begun = Instant::now();
            for _ in 0..10_000 / bytes {
                pace.wait(bytes).await;
            }
            pace.wait(0).await;
            assert_eq!(begun.elapsed().as_secs(), 10, "{bytes}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_saves_up_one_second_only() {
        let pace = Pace::new(1_000);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        for _ in 0..3 {
            pace.wait(1_000).await;
        }
        pace.wait(0).await;
        assert_eq!(begun.elapsed().as_secs(), 2);
    }
}
