//! The line of those who need a place at one bucket and at one account.
//!
//! - Only its first takes a place at the bucket while it waits for the account, so that the
//!   bucket's others do not wait too.
//! - Where an account has several lines, none takes its last places: a line may have three times
//!   as many as are free (a dynamic threshold, Choudhury and Hahne 1998). So one that gets nowhere
//!   leaves room to one that comes later, however many are stuck.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard};

/// So many times what is free.
const SHARE: usize = 3;

/// A bucket's way to an account.
#[derive(Debug)]
pub struct Line {
    small: Mutex<()>,
    blocks: Mutex<()>,
    in_flight: AtomicUsize,
    /// Lines there are to this account.
    lines: Arc<AtomicUsize>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.lines.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Line {
    /// One more line to an account, as long as it is held.
    pub(super) fn new(lines: Arc<AtomicUsize>) -> Arc<Self> {
        lines.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            small: Mutex::default(),
            blocks: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            lines,
        })
    }

    /// Waits to be the first of the small objects.
    pub async fn small(&self) -> MutexGuard<'_, ()> {
        self.small.lock().await
    }

    /// Waits to be the first of the blocks.
    pub async fn block(&self) -> MutexGuard<'_, ()> {
        self.blocks.lock().await
    }

    /// Counts one more that has its place, until the value is dropped.
    pub fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    /// May it have one more of an account's places?
    pub(super) fn may_take(&self, limit: usize, in_use: u32) -> bool {
        let mine = self.in_flight.load(Ordering::Relaxed);
        if mine == 0 || self.lines.load(Ordering::Relaxed) < 2 {
            return true;
        }
        let in_use = usize::try_from(in_use).unwrap_or(usize::MAX);
        mine < SHARE * limit.saturating_sub(in_use.saturating_add(1))
    }
}

/// One of a line that has its place.
#[derive(Debug)]
pub struct InFlight(Arc<Line>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many each line gets that takes what it may, one after another.
    fn taken(limit: usize, lines: &[Arc<Line>]) -> Vec<usize> {
        let mut places = Vec::new();
        for line in lines {
            while places.len() < limit && line.may_take(limit, places.len() as u32) {
                places.push(line.enter());
            }
        }
        let count = |line: &Arc<Line>| line.in_flight.load(Ordering::Relaxed);
        lines.iter().map(count).collect()
    }

    fn lines(count: usize) -> Vec<Arc<Line>> {
        let all = Arc::default();
        (0..count).map(|_| Line::new(Arc::clone(&all))).collect()
    }

    #[test]
    fn a_line_by_itself_takes_all_and_one_of_several_never_the_last() {
        assert_eq!(taken(16, &lines(1)), [16]);
        assert_eq!(taken(16, &lines(2)), [12, 3]);
        assert_eq!(taken(100, &lines(4)), [75, 18, 5, 1]);
        assert_eq!(taken(2000, &lines(3)), [1500, 375, 93]);
        for limit in 1..4 {
            assert!(taken(limit, &lines(2))[0] <= limit - limit / 2);
        }
    }

    #[test]
    fn who_has_none_may_always_ask_for_one() {
        let two = lines(2);
        let _places: Vec<_> = (0..4).map(|_| two[0].enter()).collect();
        assert!(two[1].may_take(4, 4));
        assert!(!two[0].may_take(8, 7));
    }

    #[test]
    fn a_line_that_is_left_is_no_line() {
        let mut two = lines(2);
        two.pop();
        assert_eq!(taken(16, &two), [16]);
    }
}
