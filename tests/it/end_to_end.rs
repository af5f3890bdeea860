//! `blobfleet copy` with parts nobody here wrote: moto holds the objects, Azurite (behind the
//! from-URL bridge) receives them, boto3 and azure-storage-blob say what is in each.

use blobfleet::reporter::ledger::EndingKind;
use serde_json::json;

use crate::bridge;
use crate::end_to_end_cases::{CASES, Case, Shape, exactly};
use crate::end_to_end_check::{LIMITS, endings, expect_all, run, verdict};
use crate::moto;

const BLOBFLEET: &str = env!("CARGO_BIN_EXE_blobfleet");

fn copy_all(shape: Shape) {
    let cases: Vec<&Case> = CASES.iter().filter(|case| case.shape == shape).collect();
    assert!(!cases.is_empty());
    for case in cases {
        let (moto, bridge) = (moto::seeded(), bridge::start());
        let state = tempfile::tempdir().unwrap();
        let destination = bridge.destination(case.destination);
        let state = state.path().to_str().unwrap();
        let mut arguments = vec![
            "copy",
            case.source,
            &destination,
            "--s3-endpoint",
            moto.url(),
        ];
        arguments.extend(["--state", state, "--output-type", "json"]);
        arguments.extend(LIMITS.iter().chain(case.flags));
        let ended = run(BLOBFLEET, &arguments, &[]);
        assert_eq!(
            ended.code,
            Some(0),
            "{}: {}\n{}",
            case.source,
            ended.summary,
            ended.stderr
        );
        expect_all(
            case.source,
            &ended.summary,
            &verdict(moto, &bridge.azurite(), case.rules, true),
        );
    }
}

#[test]
fn an_object_arrives() {
    copy_all(Shape::Object);
}

#[test]
fn a_directory_arrives() {
    copy_all(Shape::Directory);
}

#[test]
fn a_bucket_arrives() {
    copy_all(Shape::Bucket);
}

#[test]
fn the_buckets_of_a_pattern_arrive() {
    copy_all(Shape::Pattern);
}

#[test]
fn the_buckets_of_a_region_arrive() {
    copy_all(Shape::Region);
}

#[test]
fn the_buckets_of_all_regions_arrive() {
    copy_all(Shape::AllRegions);
}

/// Keys that are no blob's name, because a URL library or the service would take them for another
/// (`a/fine.txt` is there to be hit): each fails with that reason, and nothing else's bytes arrive.
/// A key whose source URL is longer than the service takes is relayed, or fails where it may not.
#[test]
fn keys_that_cannot_be_held_fail_by_name_and_long_urls_are_relayed() {
    let long = "é".repeat(500);
    let refused = [
        "./x",
        "a.",
        "a/..",
        "a/../fine.txt",
        "a/./fine.txt",
        "a\\fine.txt",
    ];
    let held = ["..fine", "a/.b/c", "a/fine.txt", "fine.txt", &long];
    let objects: Vec<_> = refused
        .iter()
        .chain(&held)
        .map(|key| json!({"key": key, "size": 5}))
        .collect();
    let bucket = json!({"name": "awkward", "region": "us-west-2", "objects": objects});
    let moto = moto::start();
    moto.seed(Some(&json!({"buckets": [bucket]})));
    for (relay, copied, relayed) in [("auto", 5, 1), ("never", 4, 0)] {
        let (bridge, state) = (bridge::start(), tempfile::tempdir().unwrap());
        let destination = bridge.destination("con");
        let mut arguments = vec!["copy", "s3://awkward", &destination, "--recursive"];
        arguments.extend(["--s3-endpoint", moto.url(), "--output-type", "json"]);
        arguments.extend(["--state", state.path().to_str().unwrap(), "--relay", relay]);
        let ended = run(BLOBFLEET, &arguments, &[]);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert_eq!(ended.summary["status"], "CompletedWithErrors", "{ended:#?}");
        assert_eq!(ended.summary["objects_listed"], 11);
        assert_eq!(ended.summary["objects_copied"], copied, "{ended:#?}");
        assert_eq!(ended.summary["objects_relayed"], relayed, "{ended:#?}");
        let failed = endings(state.path(), &ended.summary, EndingKind::Failed);
        let failed: Vec<_> = failed.iter().map(|it| (&*it.key, &*it.reason)).collect();
        let mut expected: Vec<_> = refused.iter().map(|key| (*key, "name_rejected")).collect();
        if relay == "never" {
            expected.push((&long, "source_url_too_long"));
        }
        assert_eq!(failed, expected);
        let rule = exactly("awkward", &held[..copied], "con");
        let arrived = verdict(&moto, &bridge.azurite(), &[rule], true);
        assert_eq!(arrived["differences"], json!([]));
    }
}
