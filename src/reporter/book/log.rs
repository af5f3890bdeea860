//! Where the job log is ahead of the ledger, as it is of one restored from an older state.

use super::{Book, Change, Task};
use crate::job::{JobId, JobStatus};

/// What the job log tells of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InLog {
    /// The job.
    pub job: JobId,
    /// The round it is in.
    pub round: u32,
    /// The round of its last end.
    pub over: Option<u32>,
    /// It has not gone on since.
    pub ended: bool,
}

/// How a ledger is behind the job log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// What is open by the ledger has ended by the log: whoever lists or copies drops it.
    Open,
    /// The job has ended by the ledger and goes on by the log, which is told the end again.
    Ended,
    /// The log has come to a later round.
    Round,
}

impl Book {
    /// Takes over the rounds the job log has come to, as the log hears of no end of an earlier one;
    /// gives the jobs whose account is of an older state.
    pub fn catch_up(&mut self, log: &[InLog]) -> (Vec<Change>, Vec<(JobId, Behind)>) {
        let (mut changes, mut behind) = (Vec::new(), Vec::new());
        for known in log {
            if let Some(how) = self.catch_up_with(known, &mut changes) {
                behind.push((known.job.clone(), how));
            }
        }
        (changes, behind)
    }

    fn catch_up_with(&mut self, known: &InLog, changes: &mut Vec<Change>) -> Option<Behind> {
        let account = self.jobs.get_mut(&known.job)?;
        let (runs, is_later) = (
            account.status == JobStatus::Running,
            known.round > account.round,
        );
        let is_over = |round| known.over.is_some_and(|over| round <= over);
        let round_of = |task: &Task| match task {
            Task::Issued { task, .. } => task.round,
            Task::Open(page) => page.task.round,
        };
        let mut rounds = account.tasks.values().map(round_of);
        let open = runs && (is_over(account.round) || rounds.any(is_over));
        if let Some(over) = known.over.filter(|_| runs) {
            self.over_in_log.insert(known.job.clone(), over);
        }
        if is_later {
            account.round = known.round;
            changes.push(match runs || known.ended {
                true => Change::Totals(known.job.clone()),
                false => account.end_again(),
            });
        }
        match (open, is_later) {
            (true, _) => Some(Behind::Open),
            (false, true) if !runs && !known.ended => Some(Behind::Ended),
            (false, true) => Some(Behind::Round),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobSpec;

    fn known(round: u32, over: Option<u32>, ended: bool) -> InLog {
        InLog {
            job: JobId::new("j-1"),
            round,
            over,
            ended,
        }
    }

    /// A job in its first round; whether it has ended by the ledger.
    fn book(has_ended: bool) -> Book {
        let mut book = Book::default();
        book.submit(&JobSpec::sample(1), 0);
        let account = book.jobs.get_mut(&JobId::new("j-1")).unwrap();
        if has_ended {
            account.tasks.clear();
            account.end_as(JobStatus::CompletedWithErrors, 7);
        }
        book
    }

    #[test]
    fn an_account_of_an_older_state_is_known_and_takes_over_the_round() {
        for (has_ended, log, how, round) in [
            (false, known(0, None, false), None, 0),
            (true, known(0, None, false), None, 0),
            (true, known(0, Some(0), true), None, 0),
            (false, known(0, Some(0), true), Some(Behind::Open), 0),
            (false, known(1, Some(0), false), Some(Behind::Open), 1),
            (false, known(2, Some(2), true), Some(Behind::Open), 2),
            (false, known(3, None, false), Some(Behind::Round), 3),
            (true, known(1, Some(0), false), Some(Behind::Ended), 1),
            (true, known(2, Some(2), true), Some(Behind::Round), 2),
        ] {
            let mut book = book(has_ended);
            let (changes, behind) = book.catch_up(std::slice::from_ref(&log));
            let told = behind.first().map(|(_, how)| *how);
            assert_eq!(told, how, "{has_ended} {log:?}");
            let account = &book.jobs[&log.job];
            assert_eq!(account.round, round, "{has_ended} {log:?}");
            let end = changes.iter().find_map(|change| match change {
                Change::Ended(end) => Some((end.status, end.ended_at_ms, end.round)),
                _ => None,
            });
            let again =
                (how == Some(Behind::Ended)).then_some((JobStatus::CompletedWithErrors, 7, round));
            assert_eq!(end, again, "{has_ended} {log:?}");
        }
    }

    /// The round that was taken over is stored, so a later start sees it; tasks of the round that
    /// has ended are still there, and are still told of and given anew.
    #[test]
    fn what_is_open_of_a_round_that_has_ended_is_told_until_it_is_repaired() {
        let (mut book, log) = (book(false), [known(1, Some(0), false)]);
        for _ in 0..2 {
            let (_, behind) = book.catch_up(&log);
            assert_eq!(behind, [(JobId::new("j-1"), Behind::Open)]);
        }
        let (changes, _) = book.repair(&JobId::new("j-1"));
        let given = changes.iter().find_map(|change| match change {
            Change::Issued(task) => Some((task.id, task.round)),
            _ => None,
        });
        assert_eq!(given, Some((1, 1)), "{changes:?}");
        assert_eq!(book.catch_up(&log).1, []);
    }
}
