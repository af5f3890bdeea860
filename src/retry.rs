//! When to try again: a value and a pure function.
//!
//! | what happened | what follows |
//! |---|---|
//! | the other side asks for a slower pace | wait, as often as it takes: throttling fails nothing |
//! | the other side is out of reach or in trouble | wait until both attempts and time are spent |
//! | anything else worth a try | wait until the attempts are spent |
//! | another try will end the same way | give up the object |
//! | nothing this worker does can succeed | stop the worker |

use std::time::Duration;

use crate::failure::{Failure, Reason, Remedy};
use crate::message::Headers;

/// How often and how patiently.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; throttling does not count towards it.
    pub attempts: u32,
    /// Wait before the second attempt.
    pub base: Duration,
    /// Longest wait of our own; a longer one the other side asks for is honoured up to [`LONGEST`].
    pub cap: Duration,
    /// How long a service may be out of reach before objects fail of it, whatever the attempts.
    pub outage: Duration,
}

/// No wait is longer than this, whatever the other side asks for.
pub const LONGEST: Duration = Duration::from_secs(300);

/// The longest wait of our own after throttling: the limits on requests in flight slow the whole
/// process down, there is no need for each object to as well.
const THROTTLED: Duration = Duration::from_secs(5);

/// Tries after which throttling may be one object's own trouble.
const OWN_TRIES: u32 = 20;

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 10,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(60),
            outage: Duration::from_secs(15 * 60),
        }
    }
}

/// What was tried so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Number of the attempt that has just failed, from 0.
    pub attempt: u32,
    /// Time since the first failure.
    pub elapsed: Duration,
}

impl Tries {
    /// What a message tells about itself.
    pub fn of(headers: &Headers, now_ms: i64) -> Self {
        let since_ms = match headers.since_ms {
            0 => now_ms,
            since_ms => since_ms,
        };
        let elapsed = u64::try_from(now_ms - since_ms).unwrap_or(0);
        Self {
            attempt: headers.attempt,
            elapsed: Duration::from_millis(elapsed),
        }
    }

    /// When the first attempt failed, as a message tells it.
    pub fn since_ms(&self, now_ms: i64) -> i64 {
        now_ms - i64::try_from(self.elapsed.as_millis()).unwrap_or(0)
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
    /// Decides after a failure; `jitter` is in 0..1.
    pub fn decide(&self, failure: &Failure, tries: Tries, jitter: f64) -> Decision {
        match failure.remedy {
            Remedy::Stop => Decision::Stop,
            Remedy::GiveUp => Decision::GiveUp,
            Remedy::Retry if self.is_spent(failure, tries) => Decision::GiveUp,
            Remedy::Retry => {
                let cap = match is_throttling(failure) {
                    true => self.cap.min(THROTTLED),
                    false => self.cap,
                };
                let own = self.backoff(tries.attempt, cap, jitter);
                let asked = failure.retry_after.unwrap_or_default();
                Decision::Wait(own.max(asked).min(LONGEST))
            }
        }
    }

    /// Was this refused as throttling for so long and so often that it may be the object's own
    /// trouble? Some servers say 503 for ever of an object that they have lost parts of. It is if
    /// others are answered meanwhile.
    pub fn may_be_its_own(&self, failure: &Failure, tries: Tries) -> bool {
        is_throttling(failure)
            && tries.attempt.saturating_add(1) >= OWN_TRIES
            && tries.elapsed >= self.outage
    }

    fn is_spent(&self, failure: &Failure, tries: Tries) -> bool {
        let attempts = tries.attempt.saturating_add(1) >= self.attempts;
        match failure.reason {
            _ if is_throttling(failure) => false,
            Reason::SourceUnavailable
            | Reason::DestinationUnavailable
            | Reason::DestinationTimedOut => attempts && tries.elapsed >= self.outage,
            _ => attempts,
        }
    }

    /// Exponential, between half and all of the step.
    fn backoff(&self, attempt: u32, cap: Duration, jitter: f64) -> Duration {
        let step = self.base.saturating_mul(1 << attempt.min(16)).min(cap);
        step.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

fn is_throttling(failure: &Failure) -> bool {
    matches!(
        failure.reason,
        Reason::SourceThrottled | Reason::DestinationThrottled
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_is_an_objects_own_after_the_outage_time_and_twenty_tries() {
        let tries = |attempt, seconds| Tries {
            attempt,
            elapsed: Duration::from_secs(seconds),
        };
        for reason in [Reason::SourceThrottled, Reason::DestinationThrottled] {
            let failure = Failure::retry(reason, "503");
            assert!(!POLICY.may_be_its_own(&failure, tries(18, 600)));
            assert!(!POLICY.may_be_its_own(&failure, tries(19, 599)));
            assert!(POLICY.may_be_its_own(&failure, tries(19, 600)));
        }
        let other = Failure::retry(Reason::SourceUnavailable, "500");
        assert!(!POLICY.may_be_its_own(&other, tries(99, 6000)));
    }

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 4,
        base: Duration::from_secs(1),
        cap: Duration::from_secs(10),
        outage: Duration::from_secs(600),
    };

    fn unavailable() -> Failure {
        Failure::retry(Reason::SourceUnavailable, "no answer")
    }

    fn tries(attempt: u32, seconds: u64) -> Tries {
        Tries {
            attempt,
            elapsed: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn waits_double_between_half_and_all_of_the_step() {
        for (attempt, least, most) in [(0, 0.5, 1.0), (1, 1.0, 2.0), (2, 2.0, 4.0)] {
            let wait = |jitter| POLICY.decide(&unavailable(), tries(attempt, 0), jitter);
            assert_eq!(wait(0.0), Decision::Wait(Duration::from_secs_f64(least)));
            assert_eq!(wait(1.0), Decision::Wait(Duration::from_secs_f64(most)));
        }
    }

    /// Reason, attempts, seconds since the first failure: given up?
    #[test]
    fn what_is_given_up_depends_on_the_reason_the_attempts_and_the_time() {
        use Reason::*;
        for (reason, attempt, seconds, given_up) in [
            (ChecksumMismatch, 2, 10_000, false),
            (ChecksumMismatch, 3, 0, true),
            (SourceDenied, 3, 0, true),
            (SourceUnavailable, 3, 599, false),
            (SourceUnavailable, 2, 10_000, false),
            (SourceUnavailable, 3, 600, true),
            (DestinationUnavailable, 4_000, 599, false),
            (DestinationUnavailable, 4_000, 600, true),
            (SourceThrottled, u32::MAX, 1_000_000, false),
            (DestinationThrottled, u32::MAX, 1_000_000, false),
        ] {
            let failure = Failure::retry(reason, "no");
            let decision = POLICY.decide(&failure, tries(attempt, seconds), 1.0);
            let told = format!("{reason} {attempt} {seconds}");
            assert_eq!(decision == Decision::GiveUp, given_up, "{told}");
            if attempt > 10 && !given_up {
                let cap = match is_throttling(&failure) {
                    true => THROTTLED,
                    false => POLICY.cap,
                };
                assert_eq!(decision, Decision::Wait(cap), "{told}");
            }
        }
    }

    #[test]
    fn honours_the_wait_the_other_side_asked_for_within_reason() {
        let asked = |seconds| unavailable().after(Some(Duration::from_secs(seconds)));
        let wait = |failure| POLICY.decide(&failure, Tries::default(), 0.0);
        assert_eq!(wait(asked(42)), Decision::Wait(Duration::from_secs(42)));
        assert_eq!(wait(asked(86_400)), Decision::Wait(LONGEST));
    }

    #[test]
    fn obeys_remedies_that_are_no_retry() {
        let gone = Failure::give_up(Reason::SourceNotFound, "gone");
        assert_eq!(
            POLICY.decide(&gone, Tries::default(), 0.0),
            Decision::GiveUp
        );
        let denied = Failure::stop(Reason::DestinationDenied, "denied");
        assert_eq!(
            POLICY.decide(&denied, Tries::default(), 0.0),
            Decision::Stop
        );
    }

    #[test]
    fn a_message_carries_the_time_of_its_first_failure() {
        let mut headers = Headers::default();
        assert_eq!(Tries::of(&headers, 7_000), tries(0, 0));
        headers.since_ms = Tries::of(&headers, 7_000).since_ms(7_000);
        headers.attempt = 1;
        let later = Tries::of(&headers, 9_000);
        assert_eq!(later, tries(1, 2));
        assert_eq!(later.since_ms(9_000), 7_000);
        assert_eq!(
            Tries::of(&headers, 6_000),
            tries(1, 0),
            "a clock set back is no time spent"
        );
    }
}
