//! 1,000 objects as awkward as S3 and HTTP allow, from moto to Azurite behind the bridge: each
//! arrives as it was, or is reported with the reason that is true of it, and nothing else arrives.
//!
//! boto3 puts them and azure-storage-blob reads them back; see awkward.py, seed.py and blobs.py.
//! Of the keys S3 allows, moto cannot serve those with a line break: it lists them, so that they
//! can be refused, but they cannot be copied.

mod arrived;
mod fate;

use std::collections::BTreeMap;
use std::path::Path;

use blobfleet::reporter::ledger::{EndingKind, EndingLine};
use serde_json::{Value, json};

use crate::bridge::{self, Bridge};
use crate::end_to_end_check::{Ended, endings, run};
use crate::moto::{self, Moto};
use crate::{end_to_end_blobs, parts};
use fate::{Fate, Object, Way};

const BLOBFLEET: &str = env!("CARGO_BIN_EXE_blobfleet");
const OBJECTS: usize = 1000;

/// So many of them can be copied at least, or the test is not worth its name.
const LEAST: usize = 600;

/// moto with the objects in it.
struct Source {
    moto: Moto,
    objects: Vec<Object>,
}

impl Source {
    fn seeded() -> Self {
        let plan = parts::script("awkward.py", &["--count", &OBJECTS.to_string()]);
        let moto = moto::start();
        moto.seed(Some(&plan));
        let objects = plan["buckets"][0]["objects"].clone();
        let objects: Vec<Object> = serde_json::from_value(objects).unwrap();
        assert_eq!(objects.len(), OBJECTS);
        Self { moto, objects }
    }

    fn ending(&self, way: &Way, wanted: Fate) -> Vec<&Object> {
        let objects = self.objects.iter();
        objects.filter(|it| it.fate(way) == wanted).collect()
    }

    fn copy(&self, destination: &str, state: &Path, flags: &[&str]) -> Ended {
        let state = state.to_str().unwrap();
        let mut arguments = vec!["copy", "s3://awkward", destination, "--recursive"];
        arguments.extend(["--s3-endpoint", self.moto.url(), "--state", state]);
        arguments.extend(["--output-type", "json"]);
        arguments.extend(flags);
        run(BLOBFLEET, &arguments, &[])
    }
}

#[test]
fn a_thousand_awkward_objects_arrive_or_are_reported() {
    let (source, bridge) = (Source::seeded(), bridge::start());
    let strict = Way {
        before: "",
        tolerant: false,
    };
    examine(&source, &bridge, &strict, "strict", &[]);
    let tolerant = Way {
        before: "d/awkward/",
        tolerant: true,
    };
    let flags = [
        "--invalid-name-handle=escape",
        "--s2s-handle-invalid-metadata=RenameIfInvalid",
    ];
    examine(&source, &bridge, &tolerant, "tolerant/d", &flags);
}

/// Copies everything in one way and checks all that can be known of it.
fn examine(source: &Source, bridge: &Bridge, way: &Way, to: &str, flags: &[&str]) {
    let state = tempfile::tempdir().unwrap();
    let ended = source.copy(&bridge.destination(to), state.path(), flags);
    assert_eq!(ended.code, Some(1), "{to}: {}", ended.summary);
    let lines = |kind| endings(state.path(), &ended.summary, kind);
    reported(source, way, &lines(EndingKind::Skipped), Fate::Skipped);
    reported(source, way, &lines(EndingKind::Failed), Fate::Failed);
    let copied = source.ending(way, Fate::Copied);
    assert!(copied.len() >= LEAST, "only {} can be copied", copied.len());
    counted(source, way, &copied, &ended.summary);
    let (container, _) = to.split_once('/').unwrap_or((to, ""));
    let blobs = end_to_end_blobs::read(&bridge.azurite(), container, &[]);
    arrived::compare(way, &copied, blobs);
    for object in copied {
        logged(object, way, &ended.log);
    }
}

/// Each object that was skipped or failed has the reason expected for its key, and no other is
/// among them.
fn reported(source: &Source, way: &Way, lines: &[EndingLine], fate: fn(&'static str) -> Fate) {
    let told: BTreeMap<_, _> = lines.iter().map(|it| (&*it.key, &*it.reason)).collect();
    assert_eq!(told.len(), lines.len(), "an object ended twice");
    for object in &source.objects {
        let told = told.get(&*object.key).copied();
        let expected = match object.fate(way) {
            Fate::Skipped(why) | Fate::Failed(why) if object.fate(way) == fate(why) => Some(why),
            _ => None,
        };
        assert_eq!(told, expected, "what became of {:?}", object.key);
    }
    for line in lines {
        let explained = !line.message.is_empty() || line.reason == "folder_marker";
        assert!(explained, "{:?} has no explanation", line.key);
    }
}

/// The summary counts what is expected.
fn counted(source: &Source, way: &Way, copied: &[&Object], summary: &Value) {
    let by_reason = |fate: fn(&'static str) -> Fate, reasons: &[&'static str]| -> Value {
        let counts = reasons
            .iter()
            .map(|why| (*why, source.ending(way, fate(why)).len()));
        counts
            .filter(|(_, count)| *count > 0)
            .map(|(why, count)| (why.to_owned(), json!(count)))
            .collect()
    };
    let failed = by_reason(Fate::Failed, &["name_rejected", "source_not_found"]);
    let skipped = by_reason(Fate::Skipped, &["folder_marker"]);
    let total = |counts: &Value| -> u64 {
        let counts = counts.as_object().unwrap().values();
        counts.filter_map(Value::as_u64).sum()
    };
    let count = |holds: &dyn Fn(&Object) -> bool| copied.iter().filter(|it| holds(it)).count();
    let bytes = |objects: &mut dyn Iterator<Item = &Object>| objects.map(|it| it.size).sum::<u64>();
    let expected = json!({
        "status": "CompletedWithErrorsAndSkipped",
        "objects_listed": OBJECTS,
        "objects_copied": copied.len(),
        "objects_skipped": total(&skipped),
        "objects_failed": total(&failed),
        "objects_open": 0,
        "objects_relayed": count(&|it| it.relayed()),
        "objects_escaped": count(&|it| it.escaped(way)),
        "objects_metadata_excluded": count(&|it| !it.metadata(way).1.is_empty()),
        "bytes_listed": bytes(&mut source.objects.iter()),
        "bytes_copied": bytes(&mut copied.iter().copied()),
        "failed_by_reason": failed,
        "skipped_by_reason": skipped,
    });
    let fields = expected.as_object().unwrap().keys();
    let told: Value = fields
        .map(|name| (name.clone(), summary[name].clone()))
        .collect();
    assert_eq!(told, expected);
}

/// The log names what was left out of an object's metadata, and speaks of no other object.
fn logged(object: &Object, way: &Way, log: &str) {
    let told = format!("object.key={:?} excluded=", object.key);
    let line = log.lines().find(|line| line.contains(&told));
    let (_, excluded) = object.metadata(way);
    assert_eq!(line.is_some(), !excluded.is_empty(), "{}", object.key);
    for name in excluded {
        let named = line.is_some_and(|line| line.contains(&format!("{name:?}")));
        assert!(named, "{name} of {:?} is left out in silence", object.key);
    }
}
