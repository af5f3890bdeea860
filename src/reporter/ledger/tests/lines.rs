//! What `jobs show` reads: every object once, page by page, with its place.

use super::*;
use crate::reporter::ledger::{EndingLine, Place};

const OBJECTS: u32 = 25;

/// Two buckets, `one` at its top and `two` below `dir/`; of each, [`OBJECTS`] failed and some
/// skipped.
fn ledger(dir: &Path) -> Ledger {
    let mut spec = spec();
    for (root, bucket) in spec.roots.iter_mut().zip(["one", "two"]) {
        root.bucket = bucket.into();
        root.container = format!("c-{bucket}");
    }
    spec.roots[1].blob_prefix = "dir/".into();
    spec.roots[1].strip = 1;
    let mut ledger = Ledger::open(dir).unwrap();
    ledger.submit(&spec, 1).unwrap();
    for list_task in [0, 1] {
        let failed = (0..OBJECTS).map(|index| outcome(list_task, 9, index, false));
        let reports = vec![
            page(list_task, 9, OBJECTS, 3, 1),
            Report::Outcomes(failed.collect()),
        ];
        let shifted = reports.into_iter().map(|report| match report {
            // Decided objects come after the others here.
            Report::Page(mut page) => {
                for decided in &mut page.decided {
                    decided.index += OBJECTS;
                }
                Report::Page(page)
            }
            other => other,
        });
        ledger.fold(shifted.collect(), 2).unwrap();
    }
    ledger
}

fn all(ledger: &Ledger, kind: EndingKind, limit: u32) -> Vec<EndingLine> {
    let (mut lines, mut after) = (Vec::new(), Place::START);
    loop {
        let page = ledger
            .endings_after(&JobId::new(JOB), kind, after, limit)
            .unwrap();
        assert!(page.lines.len() <= limit as usize);
        lines.extend(page.lines);
        match page.next {
            Some(next) => after = next.to_string().parse().unwrap(),
            None => return lines,
        }
    }
}

#[test]
fn pages_of_any_size_hold_every_object_once() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    for kind in [EndingKind::Failed, EndingKind::Skipped] {
        let whole = ledger.endings(&JobId::new(JOB), kind, u32::MAX).unwrap();
        for limit in [1, 3, OBJECTS, 2 * OBJECTS, 1000] {
            assert_eq!(all(&ledger, kind, limit), whole, "{limit}");
        }
    }
    assert_eq!(all(&ledger, EndingKind::Skipped, 4).len(), 6);
    let failed = all(&ledger, EndingKind::Failed, 7);
    let expected: Vec<_> = ["one", "two"]
        .into_iter()
        .flat_map(|bucket| (0..OBJECTS).map(move |index| (bucket.into(), format!("k{index}"))))
        .collect();
    let found: Vec<(String, String)> = failed
        .iter()
        .map(|line| (line.bucket.clone(), line.key.clone()))
        .collect();
    assert_eq!(found, expected);
    let last = failed.last().unwrap();
    assert_eq!(last.source, "http://s/two/k24");
    assert_eq!(last.destination, "http://d/a/c-two/dir/24");
    assert_eq!(
        (last.size, &*last.reason, &*last.message),
        (5, "source_denied", "no")
    );
}

#[test]
fn places_are_read_as_they_are_written() {
    for text in ["12.7", "-1.-1"] {
        assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
    }
    for text in ["", "12", "a.b", "1.", "1.2.3"] {
        assert!(text.parse::<Place>().is_err(), "{text}");
    }
}

/// Version 1 did not say under which root an object was listed.
#[test]
fn a_ledger_of_version_1_is_read_and_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    drop(ledger(dir.path()));
    let db = Connection::open(dir.path().join(FILE)).unwrap();
    let back = "ALTER TABLE ending DROP COLUMN root;
                ALTER TABLE ending DROP COLUMN whole;
                ALTER TABLE range_failure DROP COLUMN body;
                ALTER TABLE list_task DROP COLUMN tally;
                PRAGMA user_version=1;";
    db.execute_batch(back).unwrap();
    drop(db);
    let job = JobId::new(JOB);
    let check = |ledger: &Ledger| {
        let lines = ledger.endings(&job, EndingKind::Failed, 1000).unwrap();
        assert_eq!(lines.len(), 2 * OBJECTS as usize);
        assert_eq!((&*lines[0].bucket, &*lines[0].key), ("", "k0"));
        assert_eq!(lines[0].source, "");
    };
    check(&Ledger::open_read_only(dir.path()).unwrap());
    let mut ledger = Ledger::open(dir.path()).unwrap();
    check(&ledger);
    let late = Report::Outcomes(vec![outcome(2, 9, 0, false)]);
    ledger.fold(vec![page(2, 9, 1, 0, 0), late], 3).unwrap();
    let lines = ledger.endings(&job, EndingKind::Failed, 1000).unwrap();
    assert_eq!(lines.last().unwrap().bucket, "one");
}
