//! When to try again: a value and a pure function.

use std::time::Duration;

use crate::failure::{Failure, Reason, Remedy};

/// How often and how patiently.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; throttling does not count towards it.
    pub attempts: u32,
    /// Wait before the second attempt.
    pub base: Duration,
    /// Longest wait of our own; a longer one the other side asks for is honoured up to [`LONGEST`].
    pub cap: Duration,
}

/// No wait is longer than this, whatever the other side asks for.
pub const LONGEST: Duration = Duration::from_secs(300);

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 10,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(60),
        }
    }
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try again after this time.
    Wait(Duration),
    /// The object has failed.
    GiveUp,
    /// The worker must stop.
    Stop,
}

impl RetryPolicy {
    /// Decides after attempt number `attempt` (from 0) failed; `jitter` is in 0..1.
    pub fn decide(&self, failure: &Failure, attempt: u32, jitter: f64) -> Decision {
        match failure.remedy {
            Remedy::Stop => Decision::Stop,
            Remedy::GiveUp => Decision::GiveUp,
            Remedy::Retry if !is_throttling(failure) && attempt + 1 >= self.attempts => {
                Decision::GiveUp
            }
            Remedy::Retry => {
                let own = self.backoff(attempt, jitter);
                let asked = failure.retry_after.unwrap_or_default();
                Decision::Wait(own.max(asked).min(LONGEST))
            }
        }
    }

    /// Exponential, between half and all of the step.
    fn backoff(&self, attempt: u32, jitter: f64) -> Duration {
        let step = self.base.saturating_mul(1 << attempt.min(16)).min(self.cap);
        step.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

/// Did the other side ask for a slower pace?
pub fn is_throttling(failure: &Failure) -> bool {
    matches!(
        failure.reason,
        Reason::SourceThrottled | Reason::DestinationThrottled
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 4,
        base: Duration::from_secs(1),
        cap: Duration::from_secs(10),
    };

    fn unavailable() -> Failure {
        Failure::retry(Reason::SourceUnavailable, "no answer")
    }

    #[test]
    fn waits_double_between_half_and_all_of_the_step() {
        for (attempt, least, most) in [(0, 0.5, 1.0), (1, 1.0, 2.0), (2, 2.0, 4.0)] {
            let wait = |jitter| POLICY.decide(&unavailable(), attempt, jitter);
            assert_eq!(wait(0.0), Decision::Wait(Duration::from_secs_f64(least)));
            assert_eq!(wait(1.0), Decision::Wait(Duration::from_secs_f64(most)));
        }
    }

    #[test]
    fn gives_up_after_the_last_attempt_but_never_for_throttling() {
        assert_eq!(POLICY.decide(&unavailable(), 3, 1.0), Decision::GiveUp);
        let busy = Failure::retry(Reason::DestinationThrottled, "ServerBusy");
        assert_eq!(POLICY.decide(&busy, 4000, 1.0), Decision::Wait(POLICY.cap));
    }

    #[test]
    fn honours_the_wait_the_other_side_asked_for_within_reason() {
        let asked = |seconds| unavailable().after(Some(Duration::from_secs(seconds)));
        let wait = |failure| POLICY.decide(&failure, 0, 0.0);
        assert_eq!(wait(asked(42)), Decision::Wait(Duration::from_secs(42)));
        assert_eq!(wait(asked(86_400)), Decision::Wait(LONGEST));
    }

    #[test]
    fn obeys_remedies_that_are_no_retry() {
        let gone = Failure::give_up(Reason::SourceNotFound, "gone");
        assert_eq!(POLICY.decide(&gone, 0, 0.0), Decision::GiveUp);
        let denied = Failure::stop(Reason::DestinationDenied, "denied");
        assert_eq!(POLICY.decide(&denied, 0, 0.0), Decision::Stop);
    }
}
