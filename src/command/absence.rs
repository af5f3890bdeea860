//! Notices that no reporter is at work. Without one a fleet's job stands still, and nobody else
//! would say so.
//!
//! The sign is the outcome queue: a reporter consumes from it for as long as it is in charge, and
//! one that refuses because of another ledger never does.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::broker::{Broker, Queue};
use crate::job::JobId;

/// How long a reporter may take to come before its absence is told.
const FIRST: Duration = Duration::from_secs(30);
/// How long until it is told again.
const AGAIN: Duration = Duration::from_secs(60);

/// Warns whoever waits for a job while no reporter is at work, from now on for ever.
pub(super) async fn tell(broker: &dyn Broker, job: &JobId) -> ! {
    let mut absence = Absence::from_now();
    loop {
        absence.noticed(broker).await;
        tracing::warn!(
            job.id = %job,
            "no reporter is at work and the job stands still: start one; where one refuses because \
             of another ledger, give it that ledger's --state folder or --adopt"
        );
    }
}

/// When to look.
#[derive(Debug)]
struct Absence {
    looks: Interval,
}

impl Absence {
    fn from_now() -> Self {
        let mut looks = interval_at(Instant::now() + FIRST, AGAIN);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { looks }
    }

    /// Waits for a look that finds no reporter.
    async fn noticed(&mut self, broker: &dyn Broker) {
        loop {
            self.looks.tick().await;
            match broker.depth(&Queue::Outcome).await {
                Ok(outcomes) if outcomes.consumers == 0 => return,
                Ok(_) => {}
                Err(failure) => tracing::debug!(%failure, "cannot see whether there is a reporter"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::broker::embedded::EmbeddedBroker;

    #[tokio::test(start_paused = true)]
    async fn is_noticed_after_a_while_and_again_for_as_long_as_it_lasts() {
        let folder = tempfile::tempdir().unwrap();
        let broker = EmbeddedBroker::open(folder.path()).unwrap();
        let begun = Instant::now();
        let mut absence = Absence::from_now();
        for seconds in [30, 90, 150] {
            absence.noticed(&*broker).await;
            assert_eq!(begun.elapsed(), Duration::from_secs(seconds));
        }
        let reporter = broker.consume(&Queue::Outcome, 1).await.unwrap();
        let long = Duration::from_secs(3600);
        let noticed = timeout(long, absence.noticed(&*broker)).await;
        assert!(noticed.is_err(), "there is one");
        drop(reporter);
        let noticed = timeout(AGAIN, absence.noticed(&*broker)).await;
        assert!(noticed.is_ok(), "it has gone");
    }
}
