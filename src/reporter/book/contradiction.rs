//! Whether an account can be what its rules make of it. A file that was put together of parts of two
//! states, such as an older copy beside a newer write-ahead log, may open without an error.

use std::collections::HashMap;

use super::{Book, JobAccount, NUMBERS};
use crate::job::{JobId, JobStatus};

/// How many rows the ledger has of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Of objects that failed or were skipped.
    pub endings: u64,
    /// Of ranges that could not be listed.
    pub ranges: u64,
}

impl Book {
    /// Notes the jobs whose account contradicts itself, as it was read.
    pub fn note_contradictions(&mut self, rows: &HashMap<JobId, Rows>) {
        let contradicts = |(id, account): (&JobId, &JobAccount)| {
            let rows = rows.get(id).copied().unwrap_or_default();
            account.contradicts(rows).then(|| id.clone())
        };
        self.contradictory = self.jobs.iter().filter_map(contradicts).collect();
    }
}

impl JobAccount {
    /// Does the account contradict itself, or the rows there are?
    pub fn contradicts(&self, rows: Rows) -> bool {
        let totals = &self.totals;
        rows.endings != totals.failed + totals.skipped
            || rows.ranges != totals.ranges_failed
            || self.imbalance() != 0
            || (self.status == JobStatus::Running && self.has_lost_tasks())
    }

    /// Is a list task missing that was given, or there although it is done with? The numbers given
    /// by one process follow each other from a place it has drawn.
    fn has_lost_tasks(&self) -> bool {
        let mut given = self.closed.clone();
        if !self.tasks.keys().all(|id| given.insert(*id)) {
            return true;
        }
        let mut expected = None;
        for id in &given {
            if !id.is_multiple_of(NUMBERS) && expected != Some(id) {
                return true;
            }
            expected = Some(id + 1);
        }
        !self.next_task.is_multiple_of(NUMBERS) && !given.contains(self.next_task - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::job::JobSpec;
    use crate::message::KeyRange;

    /// Two processes gave list tasks; some are done with.
    fn account() -> JobAccount {
        let mut account = JobAccount::new(Arc::new(JobSpec::sample(1)));
        for first in [0, 7 * NUMBERS] {
            account.next_task = first;
            for _ in 0..3 {
                account.issue(0, KeyRange::default());
            }
            account.close(first + 1, &mut Vec::new());
        }
        account
    }

    #[test]
    fn what_the_rules_make_does_not_contradict_itself() {
        let mut account = account();
        assert!(!account.contradicts(Rows::default()));
        account.next_task = 9 * NUMBERS;
        assert!(!account.contradicts(Rows::default()), "nothing given yet");
    }

    #[test]
    fn parts_of_two_states_do() {
        type Spoil = fn(&mut JobAccount);
        let spoils: [(&str, Spoil); 6] = [
            ("a task of before is gone", |account| {
                account.tasks.remove(&0);
            }),
            ("the last task is gone", |account| {
                account.tasks.remove(&(7 * NUMBERS + 2));
            }),
            ("one that is done with is not", |account| {
                account.closed.remove(7 * NUMBERS + 1);
            }),
            ("one that is done with is there", |account| {
                account.closed.insert(0);
            }),
            ("objects of a page are gone", |account| {
                account.totals.listed += 1;
            }),
            ("a range that failed is gone", |account| {
                account.totals.ranges_failed += 1;
            }),
        ];
        for (what, spoil) in spoils {
            let mut account = account();
            spoil(&mut account);
            assert!(account.contradicts(Rows::default()), "{what}");
        }
        let rows = Rows {
            endings: 1,
            ranges: 0,
        };
        assert!(account().contradicts(rows), "an object too many");
    }
}
