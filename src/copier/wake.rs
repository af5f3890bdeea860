//! What waits is tried at once: where somebody asks for it, and where a hold has ended.

use std::collections::HashMap;

use super::{Shared, attempt};
use crate::board::{Board, KnownJob};
use crate::job::JobId;

/// How often each job was woken, as far as this process has seen to it.
#[derive(Debug)]
pub(super) struct Woken(HashMap<JobId, u32>);

impl Woken {
    /// What was asked for before this process began concerns it not: it holds nothing.
    pub(super) fn new(board: &Board) -> Self {
        let jobs = board.jobs();
        Self(jobs.iter().map(count).collect())
    }

    /// The running jobs that were woken since it was looked last.
    fn news(&mut self, board: &Board) -> Vec<KnownJob> {
        let jobs = board.jobs();
        let mut news = Vec::new();
        for job in jobs.iter() {
            let (id, wakes) = count(job);
            if self.0.insert(id, wakes).unwrap_or_default() != wakes && job.end.is_none() {
                news.push(job.clone());
            }
        }
        news
    }

    /// Ends what holds back the jobs that were woken since it was looked last.
    pub(super) fn follow(&mut self, shared: &Shared) {
        for job in self.news(&shared.copier.board) {
            for root in &job.spec.roots {
                shared.holds.wake(&root.bucket);
                let container = attempt::container(&job.spec, root);
                shared.held_containers.wake(&container);
            }
            wake(shared, job.spec.id.clone());
        }
    }
}

fn count(job: &KnownJob) -> (JobId, u32) {
    (job.spec.id.clone(), job.wakes)
}

/// Wakes what waits of every running job that goes from the bucket or into the container.
pub(super) fn after_hold(shared: &Shared, bucket: &str, container: &str) {
    let jobs = shared.copier.board.jobs();
    for job in jobs.running() {
        let spec = &job.spec;
        let uses = |root| {
            let root: &crate::job::Root = root;
            root.bucket == bucket || attempt::container(spec, root) == container
        };
        if spec.roots.iter().any(uses) {
            wake(shared, spec.id.clone());
        }
    }
}

/// Has the broker deliver now what waits of a job; whatever keeps it from that, it comes later.
fn wake(shared: &Shared, job: JobId) {
    let (broker, stop) = (shared.copier.broker.clone(), shared.shutdown.clone());
    drop(tokio::spawn(async move {
        let woken = tokio::select! {
            () = stop.cancelled() => return,
            woken = broker.wake(&job) => woken,
        };
        match woken {
            Ok(0) => {}
            Ok(messages) => tracing::info!(job.id = %job, messages, "what waited is tried at once"),
            Err(failure) => tracing::debug!(job.id = %job, %failure, "what waits comes later"),
        }
    }));
}
