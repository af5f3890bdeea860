//! Where a job's worker takes its tasks from, and when: of a job that is held as a whole no more
//! than one at a time. Putting back thousands over and over would take the broker from other jobs.

use std::future::pending;

use tokio::time::{Instant, sleep_until};

use super::intake::{FIRST, Intake};
use super::{Shared, attempt};
use crate::broker::{Delivery, Queue};
use crate::failure::Result;
use crate::job::JobSpec;

/// What has to be waited for before a task is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing: the job is not held.
    Free,
    /// Nothing: one task has the try.
    Try,
    /// The try there is, or the moment of the next one.
    Rest(Option<Instant>),
}

/// Decides by when the held job has its next try, and by whether nothing of it is worked on.
fn turn(next: Option<Instant>, idle: bool, now: Instant) -> Turn {
    match next {
        None => Turn::Free,
        Some(_) if !idle => Turn::Rest(None),
        Some(next) if next <= now => Turn::Try,
        next => Turn::Rest(next),
    }
}

/// When a job of which everything is held has its next try; none where anything is not.
fn next_try(shared: &Shared, spec: &JobSpec) -> Option<Instant> {
    if !shared.holds.holds_any() && !shared.held_containers.holds_any() {
        return None;
    }
    let mut earliest: Option<Instant> = None;
    for root in &spec.roots {
        let bucket = shared.holds.next_try(&root.bucket);
        let container = attempt::container(spec, root);
        // Both where both are held: the later one.
        let next = bucket.max(shared.held_containers.next_try(&container))?;
        earliest = Some(earliest.map_or(next, |earliest| earliest.min(next)));
    }
    earliest
}

/// The deliveries of one job.
#[derive(Debug, Default)]
pub(super) struct Supply {
    /// Retries and first attempts; none while the job rests.
    open: Option<[Intake; 2]>,
}

impl Supply {
    /// Begins to take; the job's queues are there.
    ///
    /// # Errors
    /// The broker.
    pub(super) async fn open(shared: &Shared, spec: &JobSpec) -> Result<Self> {
        let mut supply = Self::default();
        supply.intakes(shared, spec, FIRST).await?;
        Ok(supply)
    }

    /// Waits for the next task to be tried; `idle` where none is worked on. Safe to cancel.
    ///
    /// # Errors
    /// The broker.
    pub(super) async fn next(
        &mut self,
        shared: &Shared,
        spec: &JobSpec,
        idle: bool,
    ) -> Result<Delivery> {
        loop {
            let (bucket, container) = (shared.holds.news(), shared.held_containers.news());
            let first = match turn(next_try(shared, spec), idle, Instant::now()) {
                Turn::Free => FIRST,
                Turn::Try => 1,
                Turn::Rest(next) => {
                    // What was handed out goes back, where it counts as waiting; but not from
                    // under those that are not settled yet.
                    if idle && shared.unsettled.is_empty() {
                        self.open = None;
                    }
                    tokio::select! {
                        () = due(next) => {}
                        () = bucket => {}
                        () = container => {}
                    }
                    continue;
                }
            };
            let [again, new] = self.intakes(shared, spec, first).await?;
            return tokio::select! {
                delivery = again.next() => delivery,
                delivery = new.next() => delivery,
            };
        }
    }

    /// Lets more be handed out where `limit` objects may be worked on.
    pub(super) async fn grow(&mut self, limit: usize) {
        for intake in self.open.iter_mut().flatten() {
            if let Err(failure) = intake.grow(limit).await {
                tracing::debug!(%failure, "the window stays as it is");
            }
        }
    }

    async fn intakes(
        &mut self,
        shared: &Shared,
        spec: &JobSpec,
        first: u16,
    ) -> Result<&mut [Intake; 2]> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let (copier, id) = (&shared.copier, &spec.id);
                let windows = (first, copier.speed.concurrency);
                let open = |queue| Intake::open(copier.broker.clone(), queue, windows);
                let again = open(Queue::Again(id.clone())).await?;
                [again, open(Queue::Copy(id.clone())).await?]
            }
        };
        Ok(self.open.insert(open))
    }
}

async fn due(next: Option<Instant>) {
    match next {
        Some(next) => sleep_until(next).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn of_a_held_job_one_task_at_a_time_is_taken_when_it_is_due() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        for (next, idle, expected) in [
            (None, true, Turn::Free),
            (None, false, Turn::Free),
            (Some(now), true, Turn::Try),
            (Some(now), false, Turn::Rest(None)),
            (Some(later), true, Turn::Rest(Some(later))),
            (Some(later), false, Turn::Rest(None)),
        ] {
            assert_eq!(turn(next, idle, now), expected, "{next:?} {idle}");
        }
    }
}
