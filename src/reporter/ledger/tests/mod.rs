//! What was committed is what is there after a restart, whatever came in between.

mod lines;
mod repair;
mod retry;

use proptest::prelude::*;

use super::*;
use crate::failure::Reason;
use crate::job::{JobStatus, Scope};
use crate::message::{CopyId, Decided, Ending, KeyRange, Notes, Outcome, Page, RangeFailed};
use crate::reporter::book::JobAccount;

const JOB: &str = "j-1";

fn spec() -> JobSpec {
    let mut spec = JobSpec::sample(2);
    spec.options.put_blob_size = 1;
    spec.options.block_size = 1;
    spec
}

fn page(list_task: u64, nonce: u64, objects: u32, decided: u32, next: usize) -> Report {
    let ending = || Ending::Skipped {
        reason: "folder_marker".into(),
        message: "nothing in it".into(),
    };
    Report::Page(Page {
        job: JobId::new(JOB),
        list_task,
        nonce,
        objects: objects + decided,
        bytes: 10,
        filtered: 1,
        decided: (0..decided)
            .map(|index| Decided {
                index,
                key: format!("d{index}/"),
                size: 0,
                ending: ending(),
            })
            .collect(),
        next: vec![KeyRange::default(); next],
    })
}

fn outcome(list_task: u64, nonce: u64, index: u32, ok: bool) -> Outcome {
    let failed = Ending::Failed {
        reason: Reason::SourceDenied,
        message: "no".into(),
    };
    Outcome {
        id: CopyId {
            job: JobId::new(JOB),
            list_task,
            nonce,
            index,
            round: 0,
        },
        key: format!("k{index}"),
        size: 5,
        ending: if ok {
            Ending::Copied {
                bytes: 5,
                crc64: Some(7),
                notes: Notes::default(),
            }
        } else {
            failed
        },
        attempts: 1,
    }
}

fn of_any_round(mut outcome: Outcome) -> Outcome {
    outcome.id.round = u32::MAX;
    outcome
}

fn report() -> impl Strategy<Value = Report> {
    let task = 0u64..8;
    let nonce = prop_oneof![Just(1u64), Just(u64::MAX)];
    prop_oneof![
        (task.clone(), nonce.clone(), 0u32..4, 0u32..3, 0usize..2)
            .prop_map(|(task, nonce, n, decided, next)| page(task, nonce, n, decided, next)),
        proptest::collection::vec((task.clone(), nonce, 0u32..6, any::<bool>()), 1..5).prop_map(
            |all| Report::Outcomes(
                all.into_iter()
                    .map(|(t, n, i, ok)| of_any_round(outcome(t, n, i, ok)))
                    .collect()
            )
        ),
        task.prop_map(|list_task| Report::RangeFailed(RangeFailed {
            job: JobId::new(JOB),
            list_task,
            reason: Reason::SourceDenied,
            message: "bucket b: AccessDenied".into(),
        })),
    ]
}

fn account(ledger: &Ledger) -> &JobAccount {
    &ledger.book().jobs[&JobId::new(JOB)]
}

fn assert_same(before: &JobAccount, after: &JobAccount) {
    assert_eq!(before.totals, after.totals);
    assert_eq!(before.tasks, after.tasks);
    assert_eq!(before.closed, after.closed);
    assert_eq!(before.next_task, after.next_task);
    assert_eq!(before.status, after.status);
    assert_eq!(before.listed, after.listed);
    assert_eq!(before.round, after.round);
    assert_eq!(before.ended_at_ms, after.ended_at_ms);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_forgets_and_invents_nothing(
        batches in proptest::collection::vec((proptest::collection::vec(report(), 1..6), 0u8..5), 1..8)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.submit(&spec(), 1).unwrap();
        for (batch, then) in batches {
            ledger.fold(batch, 2).unwrap();
            match then {
                0 => drop(ledger.retry(&JobId::new(JOB), 3).unwrap()),
                1 => drop(ledger.repair(&JobId::new(JOB), 3).unwrap()),
                _ => {}
            }
            let totals = &account(&ledger).totals;
            prop_assert_eq!(account(&ledger).imbalance(), 0);
            prop_assert!(totals.copied + totals.skipped + totals.failed <= totals.listed);
            let rows = ledger.endings(&JobId::new(JOB), EndingKind::Failed, 1000).unwrap();
            prop_assert_eq!(rows.len() as u64, totals.failed);
            let rows = ledger.endings(&JobId::new(JOB), EndingKind::Skipped, 1000).unwrap();
            prop_assert_eq!(rows.len() as u64, totals.skipped);
            prop_assert!(rows.iter().all(|row| row.message == "nothing in it"));
            let before = account(&ledger).clone();
            let id = ledger.id().to_owned();
            drop(ledger);
            ledger = Ledger::open(dir.path()).unwrap();
            prop_assert_eq!(ledger.id(), id);
            assert_same(&before, account(&ledger));
        }
    }
}

#[test]
fn list_work_stays_in_the_outbox_until_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.submit(&spec(), 1).unwrap();
    let first = ledger.outgoing().unwrap();
    let tasks: Vec<_> = first
        .iter()
        .map(|outgoing| match &outgoing.parcel {
            Parcel::List(task) => (task.id, task.root),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(tasks, [(0, 0), (1, 1)]);
    drop(ledger);
    let mut ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(
        ledger.outgoing().unwrap(),
        first,
        "sent identically until confirmed"
    );
    ledger.sent(&[first[0].seq]).unwrap();
    assert_eq!(ledger.outgoing().unwrap(), first[1..]);
}

#[test]
fn a_job_that_ends_is_announced_with_its_totals() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.submit(&spec(), 1).unwrap();
    let done = Report::Outcomes(vec![outcome(0, 9, 0, true)]);
    ledger
        .fold(vec![page(0, 9, 1, 0, 0), page(1, 3, 0, 0, 0), done], 77)
        .unwrap();
    let parcels = ledger.outgoing().unwrap();
    let Some(Parcel::Ended(end)) = parcels.last().map(|outgoing| &outgoing.parcel) else {
        panic!("{parcels:?}");
    };
    assert_eq!((end.status, end.ended_at_ms), (JobStatus::Completed, 77));
    assert_eq!((end.totals.listed, end.totals.copied), (1, 1));
    ledger.forget(&JobId::new(JOB)).unwrap();
    assert!(ledger.book().jobs.is_empty());
}

#[test]
fn a_cancelled_job_stays_so_and_leaves_nothing_to_be_done() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.submit(&spec(), 1).unwrap();
    let early = Report::Outcomes(vec![outcome(1, 3, 0, true)]);
    let first = Report::Outcomes(vec![outcome(0, 9, 1, true)]);
    ledger
        .fold(vec![page(0, 9, 4, 1, 1), first, early], 2)
        .unwrap();
    assert!(ledger.cancel(&JobId::new(JOB), 77).unwrap());
    assert!(!ledger.cancel(&JobId::new(JOB), 78).unwrap(), "once");
    let before = account(&ledger).clone();
    drop(ledger);

    let mut ledger = Ledger::open(dir.path()).unwrap();

    assert_same(&before, account(&ledger));
    assert_eq!(before.status, JobStatus::Cancelled);
    assert_eq!(before.ended_at_ms, Some(77));
    let totals = &before.totals;
    assert_eq!((totals.listed, totals.copied, totals.skipped), (5, 1, 1));
    assert_eq!(totals.open(), 3);
    for table in ["list_task", "waiting"] {
        let sql = format!("SELECT count(*) FROM {table}");
        let left: i64 = ledger.db.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0, "{table}");
    }
    let parcels = ledger.outgoing().unwrap();
    let Some(Parcel::Ended(end)) = parcels.last().map(|outgoing| &outgoing.parcel) else {
        panic!("{parcels:?}");
    };
    assert_eq!((end.status, &end.totals), (JobStatus::Cancelled, totals));
    ledger.fold(vec![page(1, 3, 2, 0, 0)], 80).unwrap();
    assert_same(&before, account(&ledger));
}

#[test]
fn files_it_cannot_use_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    drop(Ledger::open(dir.path()).unwrap());
    let db = Connection::open(dir.path().join(FILE)).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let newer = Ledger::open(dir.path()).unwrap_err();
    assert_eq!(newer.reason, Reason::NewerVersion);
    assert!(
        newer.message.contains("version 99") && newer.message.contains("upgrade"),
        "{newer}"
    );

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), vec![b'x'; 8192]).unwrap();
    let damaged = Ledger::open(dir.path()).unwrap_err();
    assert!(
        damaged.message.contains(FILE) && damaged.message.contains("damaged"),
        "{damaged}"
    );
}
