//! Making up for messages that the broker lost: what is open is listed anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Change, JobAccount, NUMBERS, OpenPage, Tally, Task};
use crate::job::Totals;
use crate::message::{KeyRange, ListTask};

/// What was put back, and what could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// Pages whose counts were withdrawn and whose ranges are listed anew.
    pub pages: u64,
    /// List tasks without a page, sent again.
    pub list_tasks: u64,
    /// Pages left as they are: an older version did not write down what they brought.
    pub pages_left: u64,
    /// The job is listed from its beginning, as its account contradicted itself.
    #[serde(default)]
    pub begun_anew: bool,
}

impl JobAccount {
    /// Withdraws every open page and issues its range anew; sends every other list task again. Where
    /// the job ended before by the job log, `over` is its last round then: tasks of that round or an
    /// earlier one would be dropped, so they are given anew in a later one.
    pub(super) fn repair(&mut self, over: Option<u32>, changes: &mut Vec<Change>) -> Repaired {
        let mut repaired = Repaired::default();
        let is_over = |round| over.is_some_and(|over| round <= over);
        if is_over(self.round) {
            self.reopen_after(over, changes);
        }
        let mut ids: Vec<u64> = self.tasks.keys().copied().collect();
        ids.sort_unstable();
        changes.push(Change::QueuesLost(self.spec.id.clone()));
        for id in ids {
            match self.tasks.get(&id) {
                Some(Task::Issued { task, .. }) => {
                    let task = task.clone();
                    repaired.list_tasks += 1;
                    if !is_over(task.round) {
                        changes.push(Change::Resent(task));
                        continue;
                    }
                    changes.push(Change::WaitingTaken(self.spec.id.clone(), id));
                    self.close(id, changes);
                    changes.push(self.reissue(task));
                }
                Some(Task::Open(page)) => match page.tally.clone() {
                    Some(tally) => {
                        let rest = range_of(page, &tally);
                        self.withdraw_page(id, &tally, changes);
                        changes.extend(rest.map(|task| self.reissue(task)));
                        repaired.pages += 1;
                    }
                    None => repaired.pages_left += 1,
                },
                None => {}
            }
        }
        self.listed &= repaired.pages == 0;
        changes.push(Change::Totals(self.spec.id.clone()));
        repaired
    }

    /// Forgets all that was counted and lists the job from its beginning, in a round of its own.
    pub(super) fn begin_anew(&mut self, over: Option<u32>, changes: &mut Vec<Change>) -> Repaired {
        changes.push(Change::Forgotten(self.spec.id.clone()));
        self.reopen_after(over, changes);
        self.close_all();
        self.totals = Totals::default();
        let roots = u32::try_from(self.spec.roots.len()).unwrap_or(u32::MAX);
        for root in 0..roots {
            changes.push(self.issue(root, KeyRange::default()));
        }
        Repaired {
            list_tasks: u64::from(roots),
            begun_anew: true,
            ..Repaired::default()
        }
    }

    /// Every list task is done with that was given, also those nothing is known of any more.
    fn close_all(&mut self) {
        let last = self.next_task.checked_sub(1).into_iter();
        let last = last.filter(|id| !(id + 1).is_multiple_of(NUMBERS));
        let known = self.closed.iter().chain(self.tasks.keys().copied());
        let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
        for id in known.chain(last) {
            let end = ends.entry(id / NUMBERS).or_default();
            *end = id.max(*end);
        }
        for (block, end) in ends {
            self.closed.insert_range(block * NUMBERS..=end);
        }
        self.tasks.clear();
    }

    fn reopen_after(&mut self, over: Option<u32>, changes: &mut Vec<Change>) {
        self.round = self.round.max(over.unwrap_or_default()) + 1;
        self.listed = false;
        changes.push(Change::Reopened(self.spec.id.clone(), self.round));
    }

    /// Takes a page out of the totals and closes its list task: its outcomes come too late now.
    fn withdraw_page(&mut self, id: u64, tally: &Tally, changes: &mut Vec<Change>) {
        self.totals.withdraw(&tally.totals);
        changes.push(Change::Withdrawn(self.spec.id.clone(), id));
        self.close(id, changes);
    }
}

/// The keys of a page but for those that were put back from it; none where nothing is left.
fn range_of(page: &OpenPage, tally: &Tally) -> Option<ListTask> {
    let ListTask {
        job,
        id,
        root,
        range,
        round,
        only,
        mut without,
    } = page.task.clone();
    // The keys of an unsorted page are those of its one answer, whatever their order.
    let unsorted = range.is_unsorted();
    let covered = |key: &String| unsorted || tally.until.as_ref().is_none_or(|until| key <= until);
    let left = |key: &String| covered(key) && !tally.put_back.contains(key);
    if !only.is_empty() {
        let only: Vec<String> = only.into_iter().filter(left).collect();
        return (!only.is_empty()).then_some(ListTask {
            job,
            id,
            root,
            range,
            round,
            only,
            without,
        });
    }
    without.retain(covered);
    without.extend(tally.put_back.iter().cloned());
    without.sort_unstable();
    without.dedup();
    Some(ListTask {
        job,
        id,
        root,
        range: KeyRange {
            after: range.after,
            until: tally.until.clone(),
            cursor: range.cursor,
        },
        round,
        only,
        without,
    })
}
