//! One job's account: totals, open list tasks, and the rules that keep them exact.

use std::collections::HashMap;
use std::sync::Arc;

use roaring::RoaringTreemap;

use super::{Change, EndingRow, OpenPage, Waiting};
use crate::job::{JobEnd, JobSpec, JobStatus, Scope, Totals};
use crate::message::{Ending, KeyRange, ListTask, Outcome, Page, RangeFailed};

/// A list task that is not done with.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Issued; no page accepted yet. Outcomes that came before their page wait here.
    Issued {
        /// What was sent.
        task: ListTask,
        /// Outcomes of any nonce.
        waiting: Waiting,
    },
    /// A page was accepted and has open objects.
    Open(OpenPage),
}

/// One job.
#[derive(Clone, Debug)]
pub struct JobAccount {
    /// What was submitted.
    pub spec: Arc<JobSpec>,
    /// Where it stands.
    pub status: JobStatus,
    /// When it ended, in milliseconds since 1970.
    pub ended_at_ms: Option<i64>,
    /// The sums.
    pub totals: Totals,
    /// Has every range been listed, or given up?
    pub listed: bool,
    /// Raised each time what failed is put back.
    pub round: u32,
    /// Number of the next list task.
    pub next_task: u64,
    /// List tasks not done with.
    pub tasks: HashMap<u64, Task>,
    /// List tasks done with.
    pub closed: RoaringTreemap,
    /// It was said that something names a list task that was never given.
    pub met_unknown: bool,
}

/// The most objects in a page: a server that heeds no `max-keys` has sent 30,000.
const MOST_OBJECTS: u32 = 1_000_000;

/// Can a page be what its report says?
fn is_possible(page: &Page) -> bool {
    page.objects <= MOST_OBJECTS
        && page
            .decided
            .iter()
            .all(|decided| decided.index < page.objects)
}

impl JobAccount {
    /// An account with nothing in it.
    pub fn new(spec: Arc<JobSpec>) -> Self {
        Self {
            spec,
            status: JobStatus::Running,
            ended_at_ms: None,
            totals: Totals::default(),
            listed: false,
            round: 0,
            next_task: 0,
            tasks: HashMap::new(),
            closed: RoaringTreemap::new(),
            met_unknown: false,
        }
    }

    /// Notes that no list task waits for its page any more; true when that is news.
    pub fn complete_listing(&mut self) -> bool {
        let complete = self
            .tasks
            .values()
            .all(|task| matches!(task, Task::Open(_)));
        let news = complete && !self.listed;
        self.listed |= complete;
        news
    }

    /// Objects that have not ended, counted page by page.
    pub fn open(&self) -> u64 {
        let open = |task: &Task| match task {
            Task::Open(page) => page.open(),
            Task::Issued { .. } => 0,
        };
        self.tasks.values().map(open).sum()
    }

    /// Objects listed beyond those that have ended or are open; anything but 0 is a fault of ours.
    /// What a cancelled job left open is not known page by page any more.
    pub fn imbalance(&self) -> i64 {
        if self.status == JobStatus::Cancelled {
            return 0;
        }
        let told = self.totals.ended().saturating_add(self.open());
        let signed = |count| i64::try_from(count).unwrap_or(i64::MAX);
        signed(self.totals.listed) - signed(told)
    }

    /// List tasks without a page.
    pub fn issued(&self) -> u64 {
        let issued = |task: &&Task| matches!(task, Task::Issued { .. });
        let issued = self.tasks.values().filter(issued).count();
        u64::try_from(issued).unwrap_or(u64::MAX)
    }

    /// Ends the job with the totals it has.
    pub fn end_as(&mut self, status: JobStatus, now_ms: i64) -> Change {
        self.status = status;
        self.ended_at_ms = Some(now_ms);
        self.end_again()
    }

    /// Tells again how the job has ended, as of its round now.
    pub(super) fn end_again(&self) -> Change {
        Change::Ended(JobEnd {
            job: self.spec.id.clone(),
            status: self.status,
            ended_at_ms: self.ended_at_ms.unwrap_or_default(),
            totals: self.totals.clone(),
            round: self.round,
        })
    }

    /// Issues the next list task.
    pub fn issue(&mut self, root: u32, range: KeyRange) -> Change {
        let (only, without) = (Vec::new(), Vec::new());
        self.issue_task(root, range, only, without)
    }

    /// Issues a list task of exactly these keys.
    pub(super) fn issue_only(&mut self, root: u32, keys: Vec<String>) -> Change {
        self.issue_task(root, KeyRange::default(), keys, Vec::new())
    }

    /// Issues what a list task was for under a new number.
    pub(super) fn reissue(&mut self, task: ListTask) -> Change {
        self.issue_task(task.root, task.range, task.only, task.without)
    }

    /// Issues what a page of a task has left.
    fn issue_rest(&mut self, task: &ListTask, range: KeyRange) -> Change {
        let unsorted = range.is_unsorted();
        let left = |keys: &[String]| {
            let left = keys
                .iter()
                .filter(|key| unsorted || range.after.as_ref() < Some(key));
            left.cloned().collect()
        };
        let (only, without): (Vec<_>, Vec<_>) = (left(&task.only), left(&task.without));
        match task.only.is_empty() {
            true => self.issue_task(task.root, range, only, without),
            false => self.issue_only(task.root, only),
        }
    }

    fn issue_task(
        &mut self,
        root: u32,
        range: KeyRange,
        only: Vec<String>,
        without: Vec<String>,
    ) -> Change {
        let task = ListTask {
            job: self.spec.id.clone(),
            id: self.next_task,
            root,
            range,
            round: self.round,
            only,
            without,
        };
        self.next_task += 1;
        self.tasks.insert(
            task.id,
            Task::Issued {
                task: task.clone(),
                waiting: Vec::new(),
            },
        );
        Change::Issued(task)
    }

    /// Says once that something came which names a list task that this ledger never gave.
    fn note_unknown(&mut self, id: u64) {
        let known = self.tasks.contains_key(&id) || self.closed.contains(id);
        if !known && !std::mem::replace(&mut self.met_unknown, true) {
            tracing::warn!(
                job.id = %self.spec.id,
                list_task = id,
                "messages name list tasks that this ledger never gave, and are dropped: it was \
                 restored from an older state, or begun anew; if the job stands still, blobfleet \
                 jobs repair lists anew what is open"
            );
        }
    }

    /// Accepts the first page of a list task; any other changes nothing. What it says is believed
    /// within what a page can hold.
    pub fn accept(&mut self, page: Page, changes: &mut Vec<Change>) {
        self.note_unknown(page.list_task);
        if !is_possible(&page) {
            tracing::error!(
                job.id = %self.spec.id,
                list_task = page.list_task,
                objects = page.objects,
                "a page report contradicts itself and is dropped: blobfleet jobs repair lists its \
                 range anew"
            );
            return;
        }
        let Some(Task::Issued { task, waiting }) = self.tasks.get_mut(&page.list_task) else {
            return;
        };
        let (task, waiting) = (task.clone(), std::mem::take(waiting));
        let id = page.list_task;
        self.totals.pages += 1;
        self.totals.listed += u64::from(page.objects);
        self.totals.listed_bytes = self.totals.listed_bytes.saturating_add(page.bytes);
        self.totals.filtered += u64::from(page.filtered);
        let open = OpenPage::new(task.clone(), &page);
        self.tasks.insert(id, Task::Open(open));
        let entry = self.entry(&task, &page).map(str::to_owned);
        for range in page.next {
            changes.push(self.issue_rest(&task, range));
        }
        for decided in page.decided {
            let row = EndingRow {
                job: page.job.clone(),
                list_task: id,
                root: task.root,
                index: decided.index,
                whole: entry.as_deref() == Some(&decided.key),
                key: decided.key,
                size: decided.size,
                ending: decided.ending,
            };
            self.end(row, changes);
        }
        if !waiting.is_empty() {
            changes.push(Change::WaitingTaken(page.job.clone(), id));
        }
        for outcome in waiting {
            self.fold(outcome, changes);
        }
        changes.push(Change::Totals(page.job.clone()));
        self.close_if_done(id, changes);
    }

    /// The entry of a list of paths that a page of one object may stand for as a whole.
    fn entry(&self, task: &ListTask, page: &Page) -> Option<&str> {
        let first = task.only.is_empty() && task.without.is_empty() && task.range.after.is_none();
        let alone = page.objects == 1 && page.filtered == 0 && page.next.is_empty();
        let root = self.spec.roots.get(usize::try_from(task.root).ok()?)?;
        match &root.scope {
            Scope::Either { key, .. } if first && alone => Some(key),
            _ => None,
        }
    }

    /// Folds one outcome: applied, kept for its page, or dropped as a repetition.
    pub fn fold(&mut self, outcome: Outcome, changes: &mut Vec<Change>) {
        let id = outcome.id.list_task;
        self.note_unknown(id);
        match self.tasks.get_mut(&id) {
            None => {}
            Some(Task::Issued { waiting, .. }) => {
                waiting.push(outcome.clone());
                changes.push(Change::Waiting(outcome));
            }
            Some(Task::Open(page)) => {
                if page.nonce != outcome.id.nonce || outcome.id.round < page.task.round {
                    return;
                }
                let row = EndingRow {
                    job: outcome.id.job,
                    list_task: id,
                    root: page.task.root,
                    index: outcome.id.index,
                    key: outcome.key,
                    size: outcome.size,
                    ending: outcome.ending,
                    whole: false,
                };
                self.end(row, changes);
                self.close_if_done(id, changes);
            }
        }
    }

    /// Closes a list task that cannot be listed; one with a page changes nothing.
    pub fn range_failed(&mut self, failed: RangeFailed, changes: &mut Vec<Change>) {
        let id = failed.list_task;
        self.note_unknown(id);
        let Some(Task::Issued { task, .. }) = self.tasks.get(&id) else {
            return;
        };
        self.totals.ranges_failed += 1;
        changes.push(Change::WaitingTaken(failed.job.clone(), id));
        changes.push(Change::RangeFailed(failed, task.clone()));
        self.close(id, changes);
    }

    fn end(&mut self, row: EndingRow, changes: &mut Vec<Change>) {
        let Some(Task::Open(page)) = self.tasks.get_mut(&row.list_task) else {
            return;
        };
        if !page.mark(row.index) {
            return;
        }
        count(&mut self.totals, &row.ending);
        if let Some(tally) = &mut page.tally {
            count(&mut tally.totals, &row.ending);
        }
        changes.push(Change::Marked(row.job.clone(), row.list_task));
        changes.push(Change::Totals(row.job.clone()));
        if !matches!(row.ending, Ending::Copied { .. }) {
            changes.push(Change::Ending(row));
        }
    }

    fn close_if_done(&mut self, id: u64, changes: &mut Vec<Change>) {
        if let Some(Task::Open(page)) = self.tasks.get(&id) {
            if page.is_done() {
                self.close(id, changes);
            } else {
                changes.push(Change::Marked(self.spec.id.clone(), id));
            }
        }
    }

    pub(super) fn close(&mut self, id: u64, changes: &mut Vec<Change>) {
        self.tasks.remove(&id);
        self.closed.insert(id);
        changes.push(Change::Closed(self.spec.id.clone(), id));
        changes.push(Change::Totals(self.spec.id.clone()));
    }
}

fn count(totals: &mut Totals, ending: &Ending) {
    match ending {
        Ending::Copied { bytes, notes, .. } => {
            totals.copied += 1;
            totals.copied_bytes = totals.copied_bytes.saturating_add(*bytes);
            totals.relayed += u64::from(notes.relayed);
            totals.escaped += u64::from(notes.escaped);
            totals.metadata_excluded += u64::from(notes.excluded > 0);
        }
        Ending::Skipped { reason, .. } => {
            totals.skipped += 1;
            *totals.skipped_by_reason.entry(reason.clone()).or_default() += 1;
        }
        Ending::Failed { reason, .. } => {
            totals.failed += 1;
            *totals
                .failed_by_reason
                .entry(reason.to_string())
                .or_default() += 1;
        }
    }
}
