//! The ledger's rules, without disk or clock: what counts, once, whatever comes twice.
//!
//! A list task is accepted with the first nonce that reports a page for it; outcomes count for
//! that nonce only, each index once. Everything that arrives is either applied, kept until its
//! page arrives, or dropped as a repetition. [`Book::apply`] returns the durable effects as
//! [`Change`]s, which [`super::ledger`] writes in one transaction.

mod account;
mod change;
mod contradiction;
mod log;
mod page;
mod repair;
mod retry;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use account::{JobAccount, Task};
pub use change::{Change, EndingRow};
pub use contradiction::Rows;
pub use log::{Behind, InLog};
pub use page::{OpenPage, Tally};
pub use repair::Repaired;
pub use retry::FailedObject;

use crate::job::{JobId, JobSpec, JobStatus};
use crate::message::{KeyRange, ListTask, Outcome, Page, RangeFailed, Report};

/// All jobs and their accounts.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// By id.
    pub jobs: BTreeMap<JobId, JobAccount>,
    /// The numbers this process gives to list tasks begin here.
    pub first_task: u64,
    /// Running jobs that have ended before by the job log, each with the round it ended in last.
    pub over_in_log: BTreeMap<JobId, u32>,
    /// Jobs whose account contradicts itself.
    pub contradictory: BTreeSet<JobId>,
}

/// Numbers of list tasks between two places that may be drawn.
const NUMBERS: u64 = 1 << 20;

impl Book {
    /// The running jobs, each with the pages that were accepted of it.
    pub fn running_pages(&self) -> Vec<(JobId, u64)> {
        let running = self
            .jobs
            .iter()
            .filter(|(_, account)| account.status == JobStatus::Running);
        running
            .map(|(job, account)| (job.clone(), account.totals.pages))
            .collect()
    }

    /// Draws the numbers of the list tasks to come from `random`: a ledger that was restored or
    /// begun anew must not give a number again that messages still under way carry.
    pub fn number_anew(&mut self, random: u64) {
        // Below 2^53, which every language's numbers hold.
        self.number_from((random >> 31) * NUMBERS);
    }

    fn number_from(&mut self, first: u64) {
        self.first_task = first;
        for account in self.jobs.values_mut() {
            account.next_task = first;
        }
    }

    /// Goes on after a book that was in use before this one was read back: with its numbers, as what
    /// it gave may have been sent, and with what it knew besides.
    pub(super) fn go_on_after(&mut self, before: Self) {
        self.first_task = before.first_task;
        for (id, account) in &mut self.jobs {
            let given = before
                .jobs
                .get(id)
                .map_or(self.first_task, |known| known.next_task);
            account.next_task = account.next_task.max(given);
        }
        self.over_in_log = before.over_in_log;
        self.contradictory = before.contradictory;
    }

    /// Opens an account for a job; a job known already changes nothing.
    /// `round` is the one the job log knows of, so that what this account tells it is heard.
    pub fn submit(&mut self, spec: &JobSpec, round: u32) -> Vec<Change> {
        if self.jobs.contains_key(&spec.id) {
            return Vec::new();
        }
        let mut account = JobAccount::new(Arc::new(spec.clone()));
        account.round = round;
        account.next_task = self.first_task;
        let mut changes = vec![Change::Opened(spec.id.clone())];
        for root in 0..spec.roots.len() {
            let root = u32::try_from(root).unwrap_or(u32::MAX);
            changes.push(account.issue(root, KeyRange::default()));
        }
        self.jobs.insert(spec.id.clone(), account);
        changes
    }

    /// Takes one report into account.
    pub fn apply(&mut self, report: Report) -> Vec<Change> {
        match report {
            Report::Page(page) => self.accept(page),
            Report::RangeFailed(failed) => self.range_failed(failed),
            Report::Outcomes(outcomes) => {
                let mut changes = Vec::new();
                for outcome in outcomes {
                    if let Some(account) = self.running(&outcome.id.job) {
                        account.fold(outcome, &mut changes);
                    }
                }
                changes
            }
        }
    }

    /// Notes listings that are complete, and ends every running job with nothing left to do.
    pub fn settle(&mut self, now_ms: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        let running = self
            .jobs
            .iter_mut()
            .filter(|(_, a)| a.status == JobStatus::Running);
        for (id, account) in running {
            if account.complete_listing() {
                changes.push(Change::Listed(id.clone(), account.round));
            }
            if account.tasks.is_empty() {
                let status = match self.contradictory.contains(id) {
                    true => account.totals.final_status().with_errors(),
                    false => account.totals.final_status(),
                };
                changes.push(account.end_as(status, now_ms));
            }
        }
        changes
    }

    /// Ends a running job where it stands: what has been counted stays counted, what is open stays
    /// open, and whatever is reported later changes nothing. A job that is not running stays as it
    /// is.
    pub fn cancel(&mut self, job: &JobId, now_ms: i64) -> Vec<Change> {
        let Some(account) = self.running(job) else {
            return Vec::new();
        };
        account.tasks.clear();
        vec![account.end_as(JobStatus::Cancelled, now_ms)]
    }

    /// Puts back what failed of a job, whether it runs or has ended; one that was cancelled stays
    /// as it is.
    pub fn retry(
        &mut self,
        job: &JobId,
        objects: Vec<FailedObject>,
        ranges: Vec<ListTask>,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        let account = self.jobs.get_mut(job);
        if let Some(account) = account.filter(|account| account.status != JobStatus::Cancelled) {
            account.retry(objects, ranges, &mut changes);
        }
        changes
    }

    /// Lists anew what is open of a running job, as the broker lost its messages, or all of one whose
    /// account contradicts itself; none for a job that is not running.
    pub fn repair(&mut self, job: &JobId) -> (Vec<Change>, Option<Repaired>) {
        let mut changes = Vec::new();
        let over = self.over_in_log.get(job).copied();
        let anew = self.contradictory.contains(job);
        let repaired = self.running(job).map(|account| match anew {
            true => account.begin_anew(over, &mut changes),
            false => account.repair(over, &mut changes),
        });
        if repaired.is_some() {
            self.contradictory.remove(job);
        }
        (changes, repaired)
    }

    fn running(&mut self, job: &JobId) -> Option<&mut JobAccount> {
        self.jobs
            .get_mut(job)
            .filter(|account| account.status == JobStatus::Running)
    }

    fn accept(&mut self, page: Page) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some(account) = self.running(&page.job.clone()) {
            account.accept(page, &mut changes);
        }
        changes
    }

    fn range_failed(&mut self, failed: RangeFailed) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some(account) = self.running(&failed.job.clone()) {
            account.range_failed(failed, &mut changes);
        }
        changes
    }
}

/// What waits in memory for its page, as it is stored.
pub(super) type Waiting = Vec<Outcome>;
