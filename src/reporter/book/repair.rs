//! Making up for messages that the broker lost: what is open is listed anew.

use serde::{Deserialize, Serialize};

use super::{Change, JobAccount, OpenPage, Tally, Task};
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
}

impl JobAccount {
    /// Withdraws every open page and issues its range anew; sends every other list task again. Where
    /// the job log says that the job ended, in the round given, it is opened again: tasks of that
    /// round would be dropped.
    pub(super) fn repair(&mut self, ended: Option<u32>, changes: &mut Vec<Change>) -> Repaired {
        let mut repaired = Repaired::default();
        if let Some(round) = ended {
            self.round = self.round.max(round) + 1;
            self.listed = false;
            changes.push(Change::Reopened(self.spec.id.clone(), self.round));
        }
        let mut ids: Vec<u64> = self.tasks.keys().copied().collect();
        ids.sort_unstable();
        changes.push(Change::QueuesLost(self.spec.id.clone()));
        for id in ids {
            match self.tasks.get(&id) {
                Some(Task::Issued { task, .. }) => {
                    let task = task.clone();
                    repaired.list_tasks += 1;
                    if ended.is_none() {
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
