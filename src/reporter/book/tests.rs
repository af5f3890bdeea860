//! The rules, one by one.

use super::*;
use crate::failure::Reason;
use crate::message::{CopyId, Decided, Ending, Notes};

fn spec(roots: usize) -> JobSpec {
    let mut spec = JobSpec::sample(roots);
    spec.options.put_blob_size = 1;
    spec.options.block_size = 1;
    spec
}

fn page(list_task: u64, nonce: u64, objects: u32, next: Vec<KeyRange>) -> Report {
    Report::Page(Page {
        job: JobId::new("j-1"),
        list_task,
        nonce,
        objects,
        bytes: u64::from(objects) * 10,
        filtered: 0,
        decided: Vec::new(),
        next,
    })
}

fn copied(list_task: u64, nonce: u64, index: u32) -> Report {
    let id = CopyId {
        job: JobId::new("j-1"),
        list_task,
        nonce,
        index,
        round: 0,
    };
    let ending = Ending::Copied {
        bytes: 10,
        crc64: None,
        notes: Notes::default(),
    };
    Report::Outcomes(vec![Outcome {
        id,
        key: format!("k{index}"),
        size: 10,
        ending,
        attempts: 1,
    }])
}

fn book(roots: usize) -> Book {
    let mut book = Book::default();
    book.submit(&spec(roots), 0);
    book
}

fn account(book: &Book) -> &JobAccount {
    &book.jobs[&JobId::new("j-1")]
}

#[test]
fn only_the_first_nonce_of_a_list_task_counts() {
    let mut book = book(1);
    book.apply(page(0, 7, 3, vec![]));
    book.apply(page(0, 8, 5, vec![KeyRange::default()]));
    assert_eq!(account(&book).totals.listed, 3);
    assert_eq!(
        account(&book).next_task,
        1,
        "the refused page's ranges are not issued"
    );
    book.apply(copied(0, 8, 0));
    assert_eq!(account(&book).totals.copied, 0, "nor do its copies count");
    book.apply(copied(0, 7, 0));
    assert_eq!(account(&book).totals.copied, 1);
}

#[test]
fn an_outcome_counts_once_however_often_it_comes() {
    let mut book = book(1);
    book.apply(page(0, 7, 2, vec![]));
    for _ in 0..3 {
        book.apply(copied(0, 7, 1));
    }
    book.apply(copied(0, 7, 2));
    assert_eq!(
        account(&book).totals.copied,
        1,
        "index 2 is outside of the page"
    );
    assert_eq!(account(&book).totals.open(), 1);
}

#[test]
fn outcomes_that_come_before_their_page_wait_for_it() {
    let mut book = book(1);
    book.apply(copied(0, 7, 0));
    book.apply(copied(0, 9, 0));
    assert_eq!(account(&book).totals, crate::job::Totals::default());
    let changes = book.apply(page(0, 7, 1, vec![]));
    assert_eq!(account(&book).totals.copied, 1);
    assert!(changes.contains(&Change::WaitingTaken(JobId::new("j-1"), 0)));
    assert!(changes.contains(&Change::Closed(JobId::new("j-1"), 0)));
}

#[test]
fn a_job_ends_when_nothing_is_issued_or_open() {
    let mut book = book(2);
    book.apply(page(0, 7, 0, vec![]));
    assert_eq!(book.settle(5), vec![]);
    book.apply(page(1, 8, 1, vec![]));
    assert_eq!(book.settle(6), vec![Change::Listed(JobId::new("j-1"), 0)]);
    book.apply(copied(1, 8, 0));
    let end = book.settle(9);
    assert!(
        matches!(&end[..], [Change::Ended(end)] if end.status == JobStatus::Completed
        && end.ended_at_ms == 9 && end.totals.copied == 1)
    );
    assert_eq!(book.settle(10), vec![], "it ends once");
    book.apply(copied(1, 8, 0));
    assert_eq!(
        account(&book).totals.copied,
        1,
        "what comes after the end changes nothing"
    );
}

#[test]
fn what_the_lister_decided_is_booked_with_its_page() {
    let mut book = book(1);
    let Report::Page(mut listed) = page(0, 7, 2, vec![]) else {
        unreachable!()
    };
    let skipped = Ending::Skipped {
        reason: "folder_marker".into(),
        message: String::new(),
    };
    let failed = Ending::Failed {
        reason: Reason::ContainerRejected,
        message: "no".into(),
    };
    listed.decided = vec![
        Decided {
            index: 0,
            key: "d/".into(),
            size: 0,
            ending: skipped,
        },
        Decided {
            index: 1,
            key: "x".into(),
            size: 20,
            ending: failed,
        },
    ];
    let changes = book.apply(Report::Page(listed));
    let rows: Vec<_> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Ending(row) => Some(row.key.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(rows, ["d/", "x"]);
    let totals = &account(&book).totals;
    assert_eq!((totals.skipped, totals.failed, totals.open()), (1, 1, 0));
    assert_eq!(totals.failed_by_reason["container_rejected"], 1);
}

#[test]
fn a_range_that_cannot_be_listed_ends_the_job_with_errors() {
    let mut book = book(1);
    book.apply(Report::RangeFailed(RangeFailed {
        job: JobId::new("j-1"),
        list_task: 0,
        reason: Reason::SourceDenied,
        message: "bucket b: AccessDenied".into(),
    }));
    book.apply(page(0, 7, 3, vec![]));
    assert_eq!(account(&book).totals.listed, 0, "its page comes too late");
    let end = book.settle(1);
    assert!(matches!(&end[..], [_, Change::Ended(end)] if end.status == JobStatus::Failed));
}

#[test]
fn a_cancelled_job_ends_with_what_was_counted_and_counts_no_more() {
    let job = JobId::new("j-1");
    let mut book = book(2);
    book.apply(page(0, 7, 3, vec![KeyRange::default()]));
    book.apply(copied(0, 7, 0));
    book.apply(copied(1, 8, 0));
    let end = book.cancel(&job, 5);
    assert!(
        matches!(&end[..], [Change::Ended(end)] if end.status == JobStatus::Cancelled
        && end.ended_at_ms == 5 && end.totals == account(&book).totals)
    );
    let before = account(&book).totals.clone();
    assert_eq!((before.listed, before.copied, before.open()), (3, 1, 2));
    assert!(!account(&book).listed);
    for late in [
        copied(0, 7, 1),
        page(1, 8, 1, vec![]),
        page(2, 1, 9, vec![]),
    ] {
        assert_eq!(book.apply(late), vec![]);
    }
    assert_eq!(
        account(&book).totals,
        before,
        "what comes later counts for nothing"
    );
    assert_eq!(book.settle(6), vec![], "it has ended");
    assert_eq!(book.cancel(&job, 7), vec![], "and ends once");
    assert_eq!(book.cancel(&JobId::new("j-2"), 7), vec![], "no such job");
    assert_eq!(account(&book).ended_at_ms, Some(5));
}

#[test]
fn a_job_that_has_ended_cannot_be_cancelled() {
    let mut book = book(1);
    book.apply(page(0, 7, 0, vec![]));
    book.settle(1);
    assert_eq!(book.cancel(&JobId::new("j-1"), 2), vec![]);
    assert_eq!(account(&book).status, JobStatus::Completed);
}

#[test]
fn open_objects_are_counted_by_themselves_and_must_add_up() {
    let job = JobId::new("j-1");
    let mut book = book(1);
    book.apply(page(0, 7, 3, vec![]));
    book.apply(copied(0, 7, 1));
    assert_eq!((account(&book).open(), account(&book).imbalance()), (2, 0));
    // As if an object had been lost on the way through the totals.
    book.jobs.get_mut(&job).unwrap().totals.listed += 1;
    assert_eq!(account(&book).imbalance(), 1);
    for index in [0, 2] {
        book.apply(copied(0, 7, index));
    }
    let end = book.settle(5);
    let Some(Change::Ended(end)) = end.last() else {
        panic!("{end:?}");
    };
    assert_eq!(end.status, JobStatus::CompletedWithErrors);
    assert_eq!(account(&book).imbalance(), 1);
}

#[test]
fn what_a_cancelled_job_left_open_is_no_imbalance() {
    let mut book = book(1);
    book.apply(page(0, 7, 3, vec![]));
    book.cancel(&JobId::new("j-1"), 5);
    assert_eq!(account(&book).totals.open(), 3);
    assert_eq!(account(&book).imbalance(), 0);
}

fn issued(changes: &[Change]) -> Vec<u64> {
    let tasks = changes.iter().filter_map(|change| match change {
        Change::Issued(task) => Some(task.id),
        _ => None,
    });
    tasks.collect()
}

/// A ledger that is restored from an older state must not take a page for the answer to a task that
/// it gave itself, when the task was given in a life that it knows nothing of.
#[test]
fn a_restored_ledger_never_gives_a_number_again() {
    let mut before = book(2);
    let copy = before.clone();
    before.number_anew(1 << 40);
    let next = KeyRange {
        after: Some("m".into()),
        ..KeyRange::default()
    };
    let lost = issued(&before.apply(page(0, 1, 3, vec![next.clone()])));
    let mut restored = copy;
    restored.number_anew(2 << 40);
    let given = issued(&restored.apply(page(1, 2, 5, vec![next])));
    assert_eq!((lost.len(), given.len()), (1, 1));
    assert_ne!(lost, given);
    assert!(given[0] < 1 << 53);
    // What comes of the lost task changes nothing, and the range it came from is still open.
    let totals = account(&restored).totals.clone();
    restored.apply(page(lost[0], 3, 7, Vec::new()));
    restored.apply(copied(lost[0], 3, 0));
    assert_eq!(account(&restored).totals, totals);
    assert_eq!(account(&restored).issued(), 2);
    // Repairing sends it again; its first page counts.
    let (_, repaired) = restored.repair(&JobId::new("j-1"));
    assert_eq!(repaired.unwrap().list_tasks, 2);
    restored.apply(page(0, 4, 3, Vec::new()));
    assert_eq!(account(&restored).totals.listed, 3);
}

/// A ledger begun anew gives other numbers to the same job.
#[test]
fn a_ledger_begun_anew_has_numbers_of_its_own() {
    let tasks = |random| {
        let mut book = Book::default();
        book.number_anew(random);
        issued(&book.submit(&spec(3), 0))
    };
    let (one, other) = (tasks(5 << 40), tasks(9 << 40));
    assert!(one.iter().all(|id| !other.contains(id)));
    assert_eq!(one, [one[0], one[0] + 1, one[0] + 2]);
}

/// The job log knows of an end that the restored ledger does not: repairing opens the job again.
#[test]
fn a_job_that_ended_in_the_log_is_repaired_in_a_round_of_its_own() {
    let mut book = book(1);
    let job = JobId::new("j-1");
    book.over_in_log.insert(job.clone(), 4);
    let (changes, repaired) = book.repair(&job);
    assert_eq!(repaired.unwrap().list_tasks, 1);
    assert!(changes.contains(&Change::Reopened(job.clone(), 5)));
    let rounds: Vec<_> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Issued(task) => Some((task.id, task.round)),
            _ => None,
        })
        .collect();
    assert_eq!(rounds, [(1, 5)]);
    assert!(
        !book.cancel(&job, 1).is_empty(),
        "a job can always be ended"
    );
}

#[test]
fn a_page_that_cannot_be_is_dropped() {
    let mut book = book(1);
    book.apply(page(0, 1, u32::MAX, Vec::new()));
    assert_eq!(account(&book).totals.listed, 0);
    let decided = Decided {
        index: 9,
        key: "k".into(),
        size: 1,
        ending: Ending::Skipped {
            reason: "archived".into(),
            message: String::new(),
        },
    };
    let Report::Page(possible) = page(0, 1, 2, Vec::new()) else {
        panic!("a page")
    };
    let beyond = Page {
        decided: vec![decided],
        ..possible.clone()
    };
    book.apply(Report::Page(beyond));
    assert_eq!(account(&book).totals.listed, 0);
    book.apply(Report::Page(possible));
    assert_eq!(account(&book).totals.listed, 2);
}
