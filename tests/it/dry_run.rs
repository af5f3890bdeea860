//! `--dry-run`: it tells what the copy then does, and does nothing.

use std::collections::{BTreeMap, BTreeSet};

use blobfleet::reporter::ledger::EndingKind;
use serde_json::Value;
use simcloud::{ACCOUNT, Action, Config, Object, OpKind};

use crate::harness::{Finished, World};

/// What of simcloud's changes anything.
const WRITES: &[OpKind] = &[
    OpKind::CreateContainer,
    OpKind::PutBlob,
    OpKind::PutBlobFromUrl,
    OpKind::PutBlock,
    OpKind::PutBlockFromUrl,
    OpKind::PutBlockList,
    OpKind::DeleteBlob,
];

/// Objects of every fate.
async fn world() -> World {
    let world = World::start(Config::default()).await;
    world.cloud.add_bucket("bkt", "eu-west-1");
    world.cloud.add_bucket("Other_one", "us-east-1");
    let plain = [
        "top",
        "d/a b+c%",
        "d/é",
        "d/sub/x",
        "d/",
        "d/end.",
        "d/\\",
        "d/new\nline",
    ];
    for key in plain {
        // A folder's marker holds nothing.
        let content = if key.ends_with('/') { "" } else { key };
        world.cloud.put_object("bkt", key, Object::bytes(content));
    }
    world.cloud.put_object("Other_one", "k", Object::bytes("k"));
    world
}

/// The lines of JSON without the last, by action: source, destination, reason.
fn told(done: &Finished) -> BTreeMap<String, Vec<[String; 3]>> {
    let mut by_action: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let lines: Vec<&str> = done.stdout.lines().collect();
    for line in lines.split_last().unwrap().1 {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
        assert!(line["size"].is_u64(), "{line}");
        let row = ["source", "destination", "reason"].map(text);
        by_action.entry(text("action")).or_default().push(row);
    }
    by_action.values_mut().for_each(|rows| rows.sort());
    by_action
}

fn decoded(url: &str, from: &str) -> String {
    let rest = url
        .strip_prefix(from)
        .unwrap_or_else(|| panic!("{url} is not of {from}"));
    let text = percent_encoding::percent_decode_str(rest);
    text.decode_utf8().unwrap().into_owned()
}

/// Every kind of source and flag that has a say: the blobs that arrive are those that were told,
/// and so are those skipped and failed, each for its reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_tells_what_the_copy_then_does() {
    for (source, to, flags) in [
        ("s3://bkt", "con", &[][..]),
        ("s3://bkt/d", "con/to", &["--include-directory-stub"]),
        (
            "s3://bkt/d/*",
            "con",
            &["--include-directory-stub", "--invalid-name-handle=skip"],
        ),
        ("s3://bkt/d/*", "con", &["--invalid-name-handle=escape"]),
        ("s3://bkt", "con", &["--relay=never", "--exclude-path=d/s"]),
        ("s3://bkt/top", "con/to/x", &[]),
        ("s3://bkt", "con", &["--include-path=d/sub;top;nothing"]),
        ("s3://*o*", "", &["--exclude-container=bkt"]),
    ] {
        let world = world().await;
        let copy = world.copy(source, to).args(flags.iter().copied());
        let name = format!("{source} {flags:?}");
        let dry = copy.clone().args(["--dry-run"]).run().await;
        assert_eq!(dry.code(), Some(0), "{name}: {}", dry.stderr);
        assert_untouched(&world, &name);
        let done = copy.run().await;
        assert_eq!(copies(&world, &dry), blobs(&world), "{name}");
        for (action, kind) in [("skip", EndingKind::Skipped), ("fail", EndingKind::Failed)] {
            let ended = endings(&world, &done, kind);
            assert_eq!(left_out(&world, &dry, action), ended, "{name} {action}");
        }
        assert_same_counts(&dry, &done, &name);
    }
}

/// Nothing was written, at either end.
fn assert_untouched(world: &World, name: &str) {
    let cloud = &world.cloud;
    assert!(
        WRITES.iter().all(|kind| cloud.requests(*kind) == 0),
        "{name}"
    );
    assert!(cloud.containers(ACCOUNT).is_empty(), "{name}");
    assert!(!world.state().exists(), "{name}: a state folder");
}

/// `container/blob` of what would be copied.
fn copies(world: &World, dry: &Finished) -> BTreeSet<String> {
    let account = format!("{}/", world.cloud.blob_url(ACCOUNT));
    let rows = told(dry).remove("copy").unwrap_or_default();
    rows.iter().map(|row| decoded(&row[1], &account)).collect()
}

fn blobs(world: &World) -> BTreeSet<String> {
    let blobs = world.cloud.blobs(ACCOUNT).into_iter();
    blobs
        .map(|(container, blob)| format!("{container}/{}", blob.name))
        .collect()
}

/// Key and reason of what would be left out.
fn left_out(world: &World, dry: &Finished, action: &str) -> BTreeSet<[String; 2]> {
    let s3 = format!("{}/", world.cloud.s3_url());
    let rows = told(dry).remove(action).unwrap_or_default();
    rows.into_iter()
        .map(|[source, _, reason]| {
            let place = decoded(&source, &s3);
            [place.split_once('/').unwrap().1.to_owned(), reason]
        })
        .collect()
}

fn endings(world: &World, done: &Finished, kind: EndingKind) -> BTreeSet<[String; 2]> {
    let lines = world.endings(done, kind).into_iter();
    lines.map(|line| [line.key, line.reason]).collect()
}

fn assert_same_counts(dry: &Finished, done: &Finished, name: &str) {
    for (would, did) in [
        ("objects_to_copy", "objects_copied"),
        ("bytes_to_copy", "bytes_copied"),
        ("objects_listed", "objects_listed"),
        ("bytes_listed", "bytes_listed"),
        ("objects_skipped", "objects_skipped"),
        ("objects_failed", "objects_failed"),
        ("keys_filtered", "keys_filtered"),
        ("skipped_by_reason", "skipped_by_reason"),
        ("failed_by_reason", "failed_by_reason"),
    ] {
        assert_eq!(dry.summary()[would], done.summary()[did], "{name} {did}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_people_it_is_a_line_per_object_in_the_order_of_keys() {
    let world = world().await;
    let (s3, blob) = (world.cloud.s3_url(), world.cloud.blob_url(ACCOUNT));
    let copy = world
        .copy_with_sas("s3://bkt", "con/to")
        .without("BLOBFLEET_OUTPUT_TYPE");
    let done = copy
        .args(["--dry-run=true", "--exclude-path=d/a;d/new"])
        .run()
        .await;
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines.len(), 7, "{}", done.stdout);
    let begins = [
        format!("DRYRUN: skip {s3}/bkt/d/ (folder_marker)"),
        format!("DRYRUN: fail {s3}/bkt/d/%5C (name_rejected): "),
        format!("DRYRUN: fail {s3}/bkt/d/end. (name_rejected): "),
        format!("DRYRUN: copy {s3}/bkt/d/sub/x to {blob}/con/to/bkt/d/sub/x"),
        format!("DRYRUN: copy {s3}/bkt/d/%C3%A9 to {blob}/con/to/bkt/d/%C3%A9"),
        format!("DRYRUN: copy {s3}/bkt/top to {blob}/con/to/bkt/top"),
    ];
    for (line, begin) in lines.iter().zip(&begins) {
        assert!(line.starts_with(begin), "{line}: not {begin}");
    }
    assert_eq!(
        lines[6],
        "DRYRUN: 3 objects, 14 B to copy; 1 to skip (folder_marker: 1); \
         2 would fail (name_rejected: 2); 2 filtered"
    );
    assert!(!done.stdout.contains("sig="), "{}", done.stdout);
}

/// A bucket that cannot be listed is told, all others are listed, and the exit code says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_listed_is_told() {
    let world = world().await;
    world.cloud.on_request(|op| match op.kind {
        OpKind::ListObjects if op.place == "bkt" => Action::Fail {
            status: 403,
            code: "AccessDenied",
        },
        _ => Action::Pass,
    });
    let done = world.copy("s3://*", "con").args(["--dry-run"]).run().await;
    assert_eq!(done.code(), Some(1), "{}", done.stderr);
    let told = told(&done);
    let reasons: Vec<_> = told["fail"].iter().map(|row| (&row[0], &row[2])).collect();
    let s3 = world.cloud.s3_url();
    assert_eq!(
        reasons,
        [
            (
                &format!("{s3}/Other_one/k"),
                &"container_rejected".to_owned()
            ),
            (&format!("{s3}/bkt/"), &"source_denied".to_owned()),
        ]
    );
    assert_eq!(done.count("ranges_failed"), 1);
}

/// Many pages; a bucket of which nothing is copied; no bucket at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_lists_to_the_end() {
    let world = World::start(Config::default()).await;
    world
        .cloud
        .add_series_bucket("many", "eu-west-1", "k", 2500, 7);
    for (source, objects) in [("s3://many", 2500), ("s3://nothing*", 0)] {
        let done = world.copy(source, "con").args(["--dry-run"]).run().await;
        assert_eq!(done.code(), Some(0), "{}", done.stderr);
        assert_eq!(done.stdout.lines().count(), objects + 1);
        assert_eq!(done.count("objects_to_copy"), objects as u64);
        assert_eq!(done.count("bytes_to_copy"), 7 * objects as u64);
    }
}
