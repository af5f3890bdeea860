//! Putting back what failed: it leaves the totals and is listed anew, by name.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, JobAccount, Task};
use crate::job::{JobStatus, Scope};
use crate::message::{KeyRange, ListTask};

/// Keys in one list task: each costs the lister a request.
const KEYS: usize = 100;

/// An object that failed, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedObject {
    /// The list task that found it.
    pub list_task: u64,
    /// Its place in that listing.
    pub index: u32,
    /// The root's place in the job.
    pub root: u32,
    /// The key.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// Why it failed.
    pub reason: String,
    /// It stands for all that its root names.
    pub whole: bool,
}

impl JobAccount {
    /// Puts back objects and ranges (by their list tasks) that failed: a new round of the job. What
    /// waits of a running one is tried at once, with them or alone.
    pub(super) fn retry(
        &mut self,
        objects: Vec<FailedObject>,
        ranges: Vec<ListTask>,
        changes: &mut Vec<Change>,
    ) {
        let job = self.spec.id.clone();
        if objects.is_empty() && ranges.is_empty() {
            if self.status == JobStatus::Running {
                changes.push(Change::Woken(job, self.round));
            }
            return;
        }
        self.round += 1;
        self.status = JobStatus::Running;
        self.ended_at_ms = None;
        self.listed = false;
        changes.push(Change::Reopened(job.clone(), self.round));
        let mut whole = BTreeSet::new();
        let mut keys: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for object in objects {
            self.withdraw(&object, changes);
            match object.whole || self.names_one_object(object.root) {
                true => drop(whole.insert(object.root)),
                false => keys.entry(object.root).or_default().push(object.key),
            }
        }
        for root in whole {
            changes.push(self.issue(root, KeyRange::default()));
        }
        for (root, mut keys) in keys {
            keys.sort_unstable();
            for some in keys.chunks(KEYS) {
                changes.push(self.issue_only(root, some.to_vec()));
            }
        }
        for range in ranges {
            self.totals.ranges_failed = self.totals.ranges_failed.saturating_sub(1);
            changes.push(Change::RangePutBack(job.clone(), range.id));
            changes.push(self.reissue(range));
        }
        changes.push(Change::Totals(job));
    }

    /// Takes a failed object out of the totals.
    fn withdraw(&mut self, object: &FailedObject, changes: &mut Vec<Change>) {
        self.totals.withdraw_failed(&object.reason, object.size);
        let job = &self.spec.id;
        if let Some(Task::Open(page)) = self.tasks.get_mut(&object.list_task)
            && let Some(tally) = &mut page.tally
        {
            tally.totals.withdraw_failed(&object.reason, object.size);
            tally.put_back.push(object.key.clone());
            changes.push(Change::Marked(job.clone(), object.list_task));
        }
        changes.push(Change::PutBack(job.clone(), object.list_task, object.index));
    }

    fn names_one_object(&self, root: u32) -> bool {
        let root = usize::try_from(root).ok();
        let root = root.and_then(|root| self.spec.roots.get(root));
        root.is_some_and(|root| matches!(root.scope, Scope::Object { .. }))
    }
}
