//! What failed is put back, and counts once whatever comes late or twice.

use super::*;
use crate::job::Totals;
use crate::message::{KeyRange, ListTask};

pub(super) fn job() -> JobId {
    JobId::new(JOB)
}

pub(super) fn open(dir: &Path) -> Ledger {
    let mut ledger = Ledger::open(dir).unwrap();
    ledger.submit(&spec(), 1).unwrap();
    ledger
}

/// A job that has ended: of root 0 one object copied and two failed, root 1 not listed.
fn ended(dir: &Path) -> Ledger {
    let mut ledger = open(dir);
    let outcomes = [(0, true), (1, false), (2, false)];
    let outcomes = outcomes.map(|(index, ok)| outcome(0, 9, index, ok));
    let failed = Report::RangeFailed(RangeFailed {
        job: job(),
        list_task: 1,
        reason: Reason::SourceDenied,
        message: "bucket b: AccessDenied".into(),
    });
    let first = sized(page(0, 9, 3, 0, 0), 15);
    let reports = vec![first, failed, Report::Outcomes(outcomes.to_vec())];
    ledger.fold(reports, 2).unwrap();
    assert_eq!(account(&ledger).status, JobStatus::CompletedWithErrors);
    ledger
}

pub(super) fn sized(report: Report, bytes: u64) -> Report {
    match report {
        Report::Page(page) => Report::Page(Page {
            bytes,
            filtered: 0,
            ..page
        }),
        other => other,
    }
}

/// The list tasks in the outbox, and what else is there, in its order.
pub(super) fn outbox(ledger: &Ledger) -> (Vec<ListTask>, Vec<Parcel>) {
    let (mut tasks, mut others) = (Vec::new(), Vec::new());
    for outgoing in ledger.outgoing().unwrap() {
        match outgoing.parcel {
            Parcel::List(task) => tasks.push(task),
            other => others.push(other),
        }
    }
    (tasks, others)
}

pub(super) fn send_all(ledger: &mut Ledger) {
    let sent: Vec<_> = ledger
        .outgoing()
        .unwrap()
        .iter()
        .map(|one| one.seq)
        .collect();
    ledger.sent(&sent).unwrap();
}

pub(super) fn in_round(outcome: Outcome, round: u32) -> Report {
    let id = CopyId {
        round,
        ..outcome.id
    };
    Report::Outcomes(vec![Outcome { id, ..outcome }])
}

pub(super) fn assert_exact(totals: &Totals, open: u64) {
    let ended = totals.copied + totals.skipped + totals.failed;
    assert_eq!(totals.listed, ended + open, "{totals:?}");
    assert_eq!(totals.failed, totals.failed_by_reason.values().sum::<u64>());
}

#[test]
fn what_failed_is_issued_again_by_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = ended(dir.path());
    send_all(&mut ledger);

    let put_back = ledger.retry(&job(), 5).unwrap();

    assert_eq!((put_back.objects, put_back.ranges), (2, 1));
    let now = account(&ledger);
    assert_eq!((now.status, now.ended_at_ms), (JobStatus::Running, None));
    assert_eq!((now.round, now.listed), (1, false));
    let totals = &now.totals;
    assert_eq!((totals.listed, totals.listed_bytes), (1, 5));
    assert_eq!((totals.copied, totals.failed), (1, 0));
    assert_eq!(totals.ranges_failed, 0);
    assert_exact(totals, 0);
    let (tasks, others) = outbox(&ledger);
    assert_eq!(others, [Parcel::Reopened(job(), 1)]);
    let tasks: Vec<_> = tasks
        .iter()
        .map(|task| (task.id, task.root, task.round, task.only.join(" ")))
        .collect();
    assert_eq!(
        tasks,
        [(2, 0, 1, "k1 k2".to_owned()), (3, 1, 1, String::new())]
    );
    for kind in [EndingKind::Failed, EndingKind::Skipped] {
        assert_eq!(ledger.endings(&job(), kind, 10).unwrap(), []);
    }

    let outcomes = [(2, 0), (2, 1)].map(|(task, index)| outcome(task, 4, index, true));
    let mut reports = vec![
        sized(page(2, 4, 2, 0, 0), 10),
        sized(page(3, 5, 0, 0, 0), 0),
    ];
    reports.extend(outcomes.map(|one| in_round(one, 1)));
    ledger.fold(reports, 8).unwrap();
    let now = account(&ledger);
    assert_eq!(now.status, JobStatus::Completed);
    assert_eq!((now.totals.listed, now.totals.copied), (3, 3));
    assert_eq!((now.totals.listed_bytes, now.totals.copied_bytes), (15, 15));
    let (_, others) = outbox(&ledger);
    let Some(Parcel::Ended(end)) = others.last() else {
        panic!("{others:?}");
    };
    assert_eq!((end.round, end.status), (1, JobStatus::Completed));
}

#[test]
fn a_second_retry_finds_nothing_left() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = ended(dir.path());
    ledger.retry(&job(), 5).unwrap();
    send_all(&mut ledger);
    let before = account(&ledger).clone();

    let put_back = ledger.retry(&job(), 6).unwrap();

    let woken = PutBack {
        woken: true,
        ..PutBack::default()
    };
    assert_eq!(put_back, woken);
    assert_same(&before, account(&ledger));
    let told = ledger.outgoing().unwrap().remove(0).parcel;
    assert_eq!(told, Parcel::Reopened(job(), 1), "to wake what waits of it");
    assert_eq!(ledger.outgoing().unwrap().len(), 1);
    assert_eq!(account(&ledger).round, 1);
}

#[test]
fn an_outcome_of_the_attempt_before_counts_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = ended(dir.path());
    ledger.retry(&job(), 5).unwrap();
    let before = account(&ledger).clone();

    let late = vec![outcome(0, 9, 1, true), outcome(0, 9, 2, false)];
    ledger
        .fold(vec![Report::Outcomes(late), page(0, 8, 3, 0, 0)], 6)
        .unwrap();

    assert_same(&before, account(&ledger));
    assert_exact(&account(&ledger).totals, 0);
}

#[test]
fn a_job_that_runs_is_retried_in_its_open_pages_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    let failed = Report::Outcomes(vec![outcome(0, 9, 1, false)]);
    ledger.fold(vec![page(0, 9, 3, 0, 0), failed], 2).unwrap();
    send_all(&mut ledger);

    assert_eq!(ledger.retry(&job(), 5).unwrap().objects, 1);

    assert_exact(&account(&ledger).totals, 2);
    assert_eq!(outbox(&ledger).1, [Parcel::Reopened(job(), 1)]);
    // What is under way from the round before still counts, and what failed does not come back.
    let late = vec![outcome(0, 9, 0, true), outcome(0, 9, 1, true)];
    ledger.fold(vec![Report::Outcomes(late)], 6).unwrap();
    assert_eq!(account(&ledger).totals.copied, 1);
    let again = vec![page(2, 4, 1, 0, 0), in_round(outcome(2, 4, 0, false), 1)];
    ledger.fold(again, 7).unwrap();
    assert_exact(&account(&ledger).totals, 1);
    assert_eq!(account(&ledger).totals.failed, 1);
    let before = account(&ledger).clone();
    drop(ledger);
    let mut ledger = Ledger::open(dir.path()).unwrap();
    assert_same(&before, account(&ledger));
    // And once more, now from the page of the retry.
    assert_eq!(ledger.retry(&job(), 8).unwrap().objects, 1);
    assert_eq!(account(&ledger).round, 2);
    assert_exact(&account(&ledger).totals, 1);
}

/// The process died when the transaction was durable and nothing was sent yet.
#[test]
fn a_retry_whose_process_died_is_sent_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = ended(dir.path());
    ledger.retry(&job(), 5).unwrap();
    let before = account(&ledger).clone();
    let left = ledger.outgoing().unwrap();
    drop(ledger);

    let ledger = Ledger::open(dir.path()).unwrap();

    assert_same(&before, account(&ledger));
    assert_eq!(ledger.outgoing().unwrap(), left);
    let kinds: Vec<_> = left
        .iter()
        .map(|outgoing| match &outgoing.parcel {
            Parcel::List(task) => format!("list {}", task.id),
            Parcel::ListedIn(_, round) => format!("listed {round}"),
            Parcel::Reopened(_, round) => format!("reopened {round}"),
            Parcel::Ended(end) => format!("ended {}", end.round),
            Parcel::Listed(_) | Parcel::Declare(_) => unreachable!(),
        })
        .collect();
    let expected = [
        "list 0",
        "list 1",
        "listed 0",
        "ended 0",
        "reopened 1",
        "list 2",
        "list 3",
    ];
    assert_eq!(
        kinds, expected,
        "the log is told before anybody works on it"
    );
}

#[test]
fn a_job_that_was_cancelled_stays_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    let failed = Report::Outcomes(vec![outcome(0, 9, 1, false)]);
    ledger.fold(vec![page(0, 9, 3, 0, 0), failed], 2).unwrap();
    ledger.cancel(&job(), 3).unwrap();
    let before = account(&ledger).clone();
    ledger.retry(&job(), 5).unwrap();
    assert_same(&before, account(&ledger));
    assert_eq!(
        ledger.endings(&job(), EndingKind::Failed, 9).unwrap().len(),
        1
    );
    let nobody = JobId::new("j-2");
    assert_eq!(ledger.retry(&nobody, 5).unwrap(), PutBack::default());
}

/// Many keys are several tasks; what a page of one leaves is the rest of its keys.
#[test]
fn keys_are_issued_in_portions_and_a_portion_cut_short_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    let objects = 250;
    let failed = (0..objects).map(|index| outcome(0, 9, index, false));
    let reports = vec![
        page(0, 9, objects, 0, 0),
        page(1, 9, 0, 0, 0),
        Report::Outcomes(failed.collect()),
    ];
    ledger.fold(reports, 2).unwrap();
    send_all(&mut ledger);
    ledger.retry(&job(), 3).unwrap();
    let (tasks, _) = outbox(&ledger);
    let keys: Vec<_> = tasks.iter().flat_map(|task| task.only.clone()).collect();
    assert_eq!(
        tasks.iter().map(|task| task.only.len()).collect::<Vec<_>>(),
        [100, 100, 50]
    );
    let mut expected: Vec<_> = (0..objects).map(|index| format!("k{index}")).collect();
    expected.sort();
    assert_eq!(keys, expected);

    send_all(&mut ledger);
    let last = &tasks[2].only;
    let cut = Report::Page(Page {
        job: job(),
        list_task: tasks[2].id,
        nonce: 3,
        objects: 20,
        bytes: 0,
        filtered: 0,
        decided: Vec::new(),
        next: vec![KeyRange {
            after: Some(last[19].clone()),
            until: None,
            cursor: None,
        }],
    });
    ledger.fold(vec![cut], 4).unwrap();
    let (rest, _) = outbox(&ledger);
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].only, last[20..]);
    assert_eq!(rest[0].range, KeyRange::default());
}

/// Version 2 kept no list task of a range that failed, and no tally of an open page.
#[test]
fn a_ledger_of_version_2_keeps_what_it_cannot_put_back() {
    let dir = tempfile::tempdir().unwrap();
    drop(ended(dir.path()));
    let db = Connection::open(dir.path().join(FILE)).unwrap();
    let back = "ALTER TABLE range_failure DROP COLUMN body;
                ALTER TABLE ending DROP COLUMN whole;
                ALTER TABLE list_task DROP COLUMN tally;
                PRAGMA user_version=2;";
    db.execute_batch(back).unwrap();
    drop(db);
    let reading = Ledger::open_read_only(dir.path()).unwrap();
    assert_eq!(account(&reading).totals.failed, 2);
    drop(reading);
    let mut ledger = Ledger::open(dir.path()).unwrap();

    let put_back = ledger.retry(&job(), 5).unwrap();

    assert_eq!((put_back.objects, put_back.ranges), (2, 0));
    assert_eq!((put_back.objects_left, put_back.ranges_left), (0, 1));
    assert_eq!(account(&ledger).totals.ranges_failed, 1);
    assert_exact(&account(&ledger).totals, 0);
}

/// A list's entry that was neither object nor folder is looked at as a whole again, but not where
/// the folder's own marker failed among others.
#[test]
fn an_entry_is_reissued_as_a_whole_only_where_it_was_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec();
    for root in &mut spec.roots {
        root.scope = Scope::Either {
            key: "dir/".into(),
            base: 0,
            top_level_only: false,
            inside: Vec::new(),
        };
    }
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.submit(&spec, 1).unwrap();
    let denied = |list_task, objects| {
        let failed = Ending::Failed {
            reason: Reason::SourceDenied,
            message: "no".into(),
        };
        Report::Page(Page {
            job: job(),
            list_task,
            nonce: 1,
            objects,
            bytes: 0,
            filtered: 0,
            decided: vec![Decided {
                index: 0,
                key: "dir/".into(),
                size: 0,
                ending: failed,
            }],
            next: Vec::new(),
        })
    };
    ledger.fold(vec![denied(0, 1), denied(1, 2)], 2).unwrap();
    send_all(&mut ledger);

    ledger.retry(&job(), 3).unwrap();

    let (tasks, _) = outbox(&ledger);
    let tasks: Vec<_> = tasks
        .iter()
        .map(|task| (task.root, task.only.join(" ")))
        .collect();
    assert_eq!(tasks, [(0, String::new()), (1, "dir/".to_owned())]);
    // Looked at by name it is one key, whatever it is.
    let id = account(&ledger).next_task - 1;
    ledger.fold(vec![denied(id, 1)], 4).unwrap();
    send_all(&mut ledger);
    ledger.retry(&job(), 5).unwrap();
    assert_eq!(outbox(&ledger).0[0].only, ["dir/"]);
}
