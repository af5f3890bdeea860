//! Asks again, for a while: at start one lost answer must not end the whole command.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::failure::Result;
use crate::retry::{Decision, RetryPolicy, Tries};

/// Short of what jobs are done with: somebody is waiting for the command to begin.
const POLICY: RetryPolicy = RetryPolicy {
    attempts: 4,
    base: Duration::from_millis(500),
    cap: Duration::from_secs(10),
    outage: Duration::ZERO,
};
/// No attempt begins later than this after the first, throttled or not.
const LIMIT: Duration = Duration::from_secs(30);

/// Makes a call until it succeeds, cannot succeed, or has been tried for long enough.
///
/// # Errors
/// What the last attempt failed by.
pub(crate) async fn patiently<T, F>(call: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let begun = Instant::now();
    let mut attempt = 0;
    loop {
        let failure = match call().await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let tries = Tries {
            attempt,
            elapsed: begun.elapsed(),
        };
        match POLICY.decide(&failure, tries, rand::random()) {
            Decision::Wait(wait) if begun.elapsed() + wait <= LIMIT => {
                tracing::warn!(attempt, ?wait, %failure, "asking again");
                sleep(wait).await;
            }
            _ => return Err(failure),
        }
        attempt += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::failure::{Failure, Reason};

    /// How often a call is made that fails so every time, and how long that takes.
    async fn fails(failure: Failure) -> (u32, Duration) {
        let (made, begun) = (Cell::new(0), Instant::now());
        let asked = patiently(async || {
            made.set(made.get() + 1);
            Err::<(), _>(failure.clone())
        });
        let last = asked.await.unwrap_err();
        assert_eq!(last.message, failure.message);
        (made.get(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_asked_again_but_not_for_long() {
        let lost = Failure::retry(Reason::SourceUnavailable, "connection reset");
        let (made, took) = fails(lost.clone()).await;
        assert_eq!(made, POLICY.attempts);
        assert!(took < Duration::from_secs(4), "{took:?}");

        let busy = Failure::retry(Reason::SourceThrottled, "SlowDown");
        let (made, took) = fails(busy.clone()).await;
        assert!(made > POLICY.attempts, "{made}");
        assert!((LIMIT / 2..=LIMIT).contains(&took), "{took:?}");

        let (made, took) = fails(busy.after(Some(LIMIT * 2))).await;
        assert_eq!((made, took), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_came_late_is_not_waited_for_again() {
        let begun = Instant::now();
        let asked = patiently(async || {
            sleep(LIMIT).await;
            Err::<(), _>(Failure::retry(Reason::SourceUnavailable, "no answer"))
        });
        asked.await.unwrap_err();
        assert_eq!(begun.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_not_pass_is_asked_once() {
        for failure in [
            Failure::stop(Reason::SourceDenied, "denied"),
            Failure::give_up(Reason::SourceNotFound, "no such bucket"),
        ] {
            assert_eq!(fails(failure).await, (1, Duration::ZERO));
        }
    }
}
