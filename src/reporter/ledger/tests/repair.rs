//! What the broker lost is listed anew, and counts as if nothing had been lost.

use super::retry::{assert_exact, in_round, job, open, outbox, send_all, sized};
use super::*;
use crate::message::KeyRange;
use crate::reporter::book::Repaired;

/// Root 0: a page up to `k5` with one object of each kind and one open, and the task that follows.
/// Root 1 has no page yet, but an outcome of it has come.
fn running(dir: &Path) -> Ledger {
    let mut ledger = open(dir);
    let Report::Page(mut first) = page(0, 9, 3, 1, 0) else {
        unreachable!()
    };
    for decided in &mut first.decided {
        decided.index = 3;
    }
    first.next = vec![KeyRange {
        after: Some("k5".into()),
        until: Some("z".into()),
        cursor: None,
    }];
    let outcomes = vec![
        outcome(0, 9, 0, true),
        outcome(0, 9, 1, false),
        outcome(1, 7, 0, true),
    ];
    let reports = vec![Report::Page(first), Report::Outcomes(outcomes)];
    ledger.fold(reports, 2).unwrap();
    let totals = &account(&ledger).totals;
    assert_eq!((totals.listed, totals.copied), (4, 1));
    assert_eq!((totals.failed, totals.skipped), (1, 1));
    assert_exact(totals, 1);
    send_all(&mut ledger);
    ledger
}

#[test]
fn an_open_page_is_taken_back_and_its_range_issued_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = running(dir.path());

    let repaired = ledger.repair(&job(), 5).unwrap();

    let expected = Repaired {
        pages: 1,
        list_tasks: 2,
        ..Repaired::default()
    };
    assert_eq!(repaired, Some(expected));
    assert_eq!(account(&ledger).totals, crate::job::Totals::default());
    for kind in [EndingKind::Failed, EndingKind::Skipped] {
        assert_eq!(ledger.endings(&job(), kind, 10).unwrap(), []);
    }
    let (tasks, others) = outbox(&ledger);
    assert_eq!(others, [Parcel::Declare(job())], "the queues come first");
    let first = ledger.outgoing().unwrap().remove(0).parcel;
    assert_eq!(first, Parcel::Declare(job()));
    let mut tasks: Vec<_> = tasks
        .iter()
        .map(|task| (task.id, task.root, task.range.clone()))
        .collect();
    tasks.sort_by_key(|task| task.0);
    let range = |after: Option<&str>, until: Option<&str>| KeyRange {
        after: after.map(str::to_owned),
        until: until.map(str::to_owned),
        cursor: None,
    };
    let expected = [
        (1, 1, range(None, None)),
        (2, 0, range(Some("k5"), Some("z"))),
        (3, 0, range(None, Some("k5"))),
    ];
    assert_eq!(tasks, expected);
    let before = account(&ledger).clone();
    drop(ledger);
    let mut ledger = Ledger::open(dir.path()).unwrap();
    assert_same(&before, account(&ledger));

    // What the lost messages come to after all is of no account; the new listing is.
    let late = vec![outcome(0, 9, 2, true)];
    ledger
        .fold(vec![Report::Outcomes(late), page(0, 8, 4, 0, 0)], 6)
        .unwrap();
    assert_same(&before, account(&ledger));
    let outcomes = (0..3).map(|index| outcome(3, 4, index, true));
    let reports = vec![
        sized(page(3, 4, 3, 0, 0), 15),
        Report::Outcomes(outcomes.collect()),
        sized(page(2, 5, 0, 0, 0), 0),
        sized(page(1, 7, 1, 0, 0), 5),
    ];
    ledger.fold(reports, 7).unwrap();
    let now = account(&ledger);
    assert_eq!(now.status, JobStatus::Completed);
    assert_eq!((now.totals.listed, now.totals.copied), (4, 4));
    assert_eq!((now.totals.listed_bytes, now.totals.copied_bytes), (20, 20));
    assert_eq!(now.totals.pages, 3);
}

#[test]
fn a_repair_may_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = running(dir.path());
    ledger.repair(&job(), 5).unwrap();
    send_all(&mut ledger);
    let before = account(&ledger).clone();
    let again = ledger.repair(&job(), 6).unwrap().unwrap();
    assert_eq!((again.pages, again.list_tasks), (0, 3));
    assert_same(&before, account(&ledger));
}

/// Keys that `jobs retry` took from a page are counted in its own list task, not here again.
#[test]
fn what_was_put_back_from_a_page_is_not_listed_with_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = running(dir.path());
    assert_eq!(ledger.retry(&job(), 3).unwrap().objects, 1);
    let put_back = account(&ledger).next_task - 1;
    send_all(&mut ledger);

    ledger.repair(&job(), 5).unwrap();

    let (tasks, _) = outbox(&ledger);
    let anew = tasks.iter().find(|task| task.id > put_back).unwrap();
    assert_eq!(anew.without, ["k1"]);
    assert_eq!(anew.range.until.as_deref(), Some("k5"));
    assert!(
        tasks
            .iter()
            .any(|task| task.id == put_back && task.only == ["k1"])
    );
    let totals = &account(&ledger).totals;
    assert_eq!((totals.listed, totals.failed, totals.copied), (0, 0, 0));
    assert_eq!(totals.listed_bytes, 0);

    // The page of the retry, two keys of which one failed and was put back once more.
    send_all(&mut ledger);
    let id = put_back;
    let failed = in_round(outcome(id, 4, 0, false), 1);
    ledger
        .fold(vec![sized(page(id, 4, 2, 0, 0), 10), failed], 6)
        .unwrap();
    assert_exact(&account(&ledger).totals, 1);
    ledger.retry(&job(), 7).unwrap();
    send_all(&mut ledger);
    let repaired = ledger.repair(&job(), 8).unwrap().unwrap();
    assert_eq!(repaired.pages, 1);
    assert_exact(&account(&ledger).totals, 0);
}

#[test]
fn only_a_running_job_is_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = running(dir.path());
    ledger.cancel(&job(), 3).unwrap();
    let before = account(&ledger).clone();
    assert_eq!(ledger.repair(&job(), 5).unwrap(), None);
    assert_same(&before, account(&ledger));
    assert_eq!(ledger.repair(&JobId::new("j-2"), 5).unwrap(), None);
}

/// Version 2 did not write down what a page had brought.
#[test]
fn pages_of_version_2_stay_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    drop(running(dir.path()));
    let db = Connection::open(dir.path().join(FILE)).unwrap();
    let back = "ALTER TABLE range_failure DROP COLUMN body;
                ALTER TABLE ending DROP COLUMN whole;
                ALTER TABLE list_task DROP COLUMN tally;
                PRAGMA user_version=2;";
    db.execute_batch(back).unwrap();
    drop(db);
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let before = account(&ledger).totals.clone();
    let repaired = ledger.repair(&job(), 5).unwrap().unwrap();
    assert_eq!((repaired.pages, repaired.list_tasks), (0, 2));
    assert_eq!(repaired.pages_left, 1);
    assert_eq!(account(&ledger).totals, before);
    let late = Report::Outcomes(vec![outcome(0, 9, 2, true)]);
    ledger.fold(vec![late], 6).unwrap();
    assert_eq!(
        account(&ledger).totals.copied,
        2,
        "its outcomes still count"
    );
}

/// As if a part of the file were of an older state: the list task of root 1 is not there.
#[test]
fn a_job_whose_account_contradicts_itself_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    drop(running(dir.path()));
    let spoil = || {
        let db = Connection::open(dir.path().join(FILE)).unwrap();
        db.execute("DELETE FROM list_task WHERE id=1", []).unwrap();
    };
    let ledger = Ledger::open(dir.path()).unwrap();
    assert!(ledger.book().contradictory.is_empty());
    drop(ledger);
    spoil();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    assert!(ledger.book().contradictory.contains(&job()));

    let repaired = ledger.repair(&job(), 5).unwrap().unwrap();

    assert!(repaired.begun_anew);
    assert_eq!((repaired.pages, repaired.list_tasks), (0, 2));
    let now = account(&ledger);
    assert_eq!((now.round, now.issued(), now.open()), (1, 2, 0));
    assert_eq!(now.totals, crate::job::Totals::default());
    for kind in [EndingKind::Failed, EndingKind::Skipped] {
        assert_eq!(ledger.endings(&job(), kind, 10).unwrap(), []);
    }
    let (tasks, others) = outbox(&ledger);
    assert_eq!(others, [Parcel::Reopened(job(), 1)]);
    let given: Vec<_> = tasks.iter().map(|task| (task.root, task.round)).collect();
    assert_eq!(given, [(0, 1), (1, 1)]);
    // What is still under way of before is of no account.
    let before = account(&ledger).clone();
    let late = vec![outcome(0, 9, 2, true), outcome(2, 9, 0, true)];
    let reports = vec![Report::Outcomes(late), page(1, 7, 1, 0, 0)];
    ledger.fold(reports, 6).unwrap();
    assert_same(&before, account(&ledger));
    drop(ledger);
    let ledger = Ledger::open(dir.path()).unwrap();
    assert_same(&before, account(&ledger));
    assert!(ledger.book().contradictory.is_empty());
}

#[test]
fn a_job_whose_account_contradicts_itself_ends_with_errors() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let db = Connection::open(dir.path().join(FILE)).unwrap();
    db.execute("DELETE FROM list_task WHERE id=1", []).unwrap();
    drop(db);
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let all = (0..5).map(|index| outcome(0, 9, index, true));
    let page = sized(page(0, 9, 5, 0, 0), 25);
    let reports = vec![page, Report::Outcomes(all.collect())];
    ledger.fold(reports, 6).unwrap();
    let now = account(&ledger);
    assert_eq!((now.totals.copied, now.totals.listed), (5, 5));
    assert_eq!(now.status, JobStatus::CompletedWithErrors);
}

#[test]
fn that_nothing_waited_is_believed_until_another_page_comes() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.submit(&spec(), 1).unwrap();
    let job = JobId::new(JOB);
    let counted = |messages, pages| HashMap::from([(job.clone(), Counted { messages, pages })]);
    assert_eq!(ledger.waiting(&job), None);
    ledger.note_waiting(counted(0, 0));
    assert_eq!(ledger.waiting(&job), Some(0));
    ledger.fold(vec![page(0, 1, 3, 0, 0)], 2).unwrap();
    assert_eq!(
        ledger.waiting(&job),
        None,
        "its messages may have come since"
    );
    assert_eq!(ledger.book().running_pages(), [(job.clone(), 1)]);
    ledger.note_waiting(counted(3, 0));
    assert_eq!(ledger.waiting(&job), Some(3));
    ledger.note_waiting(counted(0, 1));
    assert_eq!(ledger.waiting(&job), Some(0));
}
