//! Which failures are logged one by one: a cause that many objects share is told once, and how many
//! more there were when the job ends. Each object is in the report and in the job's log all the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::Reason;
use crate::job::JobId;
use crate::logging::COPIERS;

/// So many objects are told of that fail by a cause of their own.
const OWN: u64 = 5;

/// What was told of each job's objects. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(Arc<Mutex<HashMap<JobId, Causes>>>);

/// Objects that failed, by reason and by bucket or container.
type Causes = HashMap<(Reason, String), u64>;

impl Told {
    /// Takes an object that failed into account: is it to be told of?
    pub(super) fn is_news(&self, job: &JobId, reason: Reason, place: &str) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let causes = all.entry(job.clone()).or_default();
        let failed = causes.entry((reason, place.to_owned())).or_default();
        *failed += 1;
        *failed <= told_of(reason)
    }

    /// Says how many objects of a job were not told of one by one, and forgets them.
    pub(super) fn finish(&self, job: &JobId) {
        let causes = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.remove(job).unwrap_or_default()
        };
        for (reason, place, more) in untold(causes) {
            tracing::warn!(
                target: COPIERS,
                { job.id = %job, %reason, more },
                "{more} more of {place} failed for the same reason ({reason}): blobfleet jobs show \
                 names them"
            );
        }
    }
}

/// How many of a reason are told of: where it is the place's, one stands for all.
fn told_of(reason: Reason) -> u64 {
    match is_of_place(reason) {
        true => 1,
        false => OWN,
    }
}

/// What there was beyond that, in a fixed order.
fn untold(causes: Causes) -> Vec<(Reason, String, u64)> {
    let mut left: Vec<_> = causes
        .into_iter()
        .map(|((reason, place), failed)| (reason, place, failed.saturating_sub(told_of(reason))))
        .filter(|(.., more)| *more > 0)
        .collect();
    left.sort_unstable();
    left
}

/// Is it the bucket, container or service that makes objects fail so, rather than each itself?
fn is_of_place(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::SourceThrottled
            | Reason::SourceUnavailable
            | Reason::DestinationDenied
            | Reason::DestinationThrottled
            | Reason::DestinationTimedOut
            | Reason::DestinationUnavailable
            | Reason::ContainerRejected
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_cause_is_told_once_and_counted() {
        let told = Told::default();
        let [one, two] = ["one", "two"].map(JobId::new);
        let news = |job: &JobId, reason, place| {
            let is_news = (0..7).filter(|_| told.is_news(job, reason, place));
            is_news.count()
        };
        assert_eq!(news(&one, Reason::ContainerRejected, "container a"), 1);
        assert_eq!(news(&one, Reason::ContainerRejected, "container b"), 1);
        assert_eq!(news(&one, Reason::NameRejected, "container a"), 5);
        assert_eq!(news(&two, Reason::ContainerRejected, "container a"), 1);
        let causes = told.0.lock().unwrap().remove(&one).unwrap();
        let left = [
            (Reason::ContainerRejected, "container a".to_owned(), 6),
            (Reason::ContainerRejected, "container b".to_owned(), 6),
            (Reason::NameRejected, "container a".to_owned(), 2),
        ];
        assert_eq!(untold(causes), left);
        told.finish(&two);
        assert!(told.0.lock().unwrap().is_empty());
    }
}
