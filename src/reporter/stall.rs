//! When a job stands still because the broker lost its messages. Pure.

use std::collections::HashMap;

use crate::job::JobId;

/// How long nothing may come while nothing waits, in milliseconds. A message in hand or waiting for
/// its next try is seen nowhere; the longest wait there is by itself is half of this.
const PATIENCE_MS: i64 = 10 * 60 * 1000;

/// A running job at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Messages ready in any of its queues.
    pub(super) waiting: u64,
    /// Objects and list tasks that have not ended.
    pub(super) open: u64,
    /// Grows with everything that is heard of it.
    pub(super) heard: u64,
}

/// Which jobs stand still.
#[derive(Debug, Default)]
pub(super) struct Stalls(HashMap<JobId, Still>);

#[derive(Debug)]
struct Still {
    heard: u64,
    since_ms: i64,
    told: bool,
}

impl Stalls {
    /// True once for each time that a job comes to stand still.
    pub(super) fn look(&mut self, job: &JobId, seen: Seen, now_ms: i64) -> bool {
        if seen.waiting > 0 || seen.open == 0 {
            self.0.remove(job);
            return false;
        }
        let begun = Still {
            heard: seen.heard,
            since_ms: now_ms,
            told: false,
        };
        let still = self.0.entry(job.clone()).or_insert(begun);
        if still.heard != seen.heard {
            *still = Still {
                heard: seen.heard,
                since_ms: now_ms,
                told: false,
            };
        }
        let stalled = !still.told && now_ms - still.since_ms >= PATIENCE_MS;
        still.told |= stalled;
        stalled
    }

    /// Forgets all but these jobs.
    pub(super) fn keep(&mut self, running: &[JobId]) {
        self.0.retain(|job, _| running.contains(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Seen = Seen {
        waiting: 0,
        open: 3,
        heard: 7,
    };

    const NEVER: [usize; 0] = [];

    fn minutes(minutes: i64) -> i64 {
        minutes * 60 * 1000
    }

    /// Whether it was told, look by look, a minute apart.
    fn told(looks: &[Seen]) -> Vec<usize> {
        let (mut stalls, job) = (Stalls::default(), JobId::new("j-1"));
        let told = (0..).zip(looks).filter_map(|(minute, seen)| {
            let at = usize::try_from(minute).unwrap();
            stalls.look(&job, *seen, minutes(minute)).then_some(at)
        });
        told.collect()
    }

    #[test]
    fn ten_minutes_of_nothing_are_told_once() {
        assert_eq!(told(&[SEEN; 10]), NEVER);
        assert_eq!(told(&[SEEN; 40]), [10]);
    }

    #[test]
    fn a_job_that_goes_on_or_waits_in_a_queue_does_not_stand_still() {
        let with = |change: fn(&mut Seen)| {
            let mut looks = [SEEN; 19];
            change(&mut looks[9]);
            let heard = looks[9].heard;
            looks[10..].iter_mut().for_each(|one| one.heard = heard);
            told(&looks)
        };
        assert_eq!(with(|_| {}), [10]);
        assert_eq!(with(|seen| seen.heard += 1), NEVER);
        assert_eq!(with(|seen| seen.waiting = 1), NEVER);
        assert_eq!(with(|seen| seen.open = 0), NEVER);
    }

    #[test]
    fn a_second_standstill_is_told_too() {
        let later = Seen { heard: 8, ..SEEN };
        let looks = [[SEEN; 12], [later; 12]].concat();
        assert_eq!(told(&looks), [10, 22]);
    }

    #[test]
    fn a_job_that_has_ended_is_forgotten() {
        let (mut stalls, job) = (Stalls::default(), JobId::new("j-1"));
        assert!(!stalls.look(&job, SEEN, 0));
        stalls.keep(&[]);
        assert!(!stalls.look(&job, SEEN, minutes(11)));
    }
}
