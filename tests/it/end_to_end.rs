//! `blobfleet copy` with parts nobody here wrote: moto holds the objects, Azurite (behind the
//! from-URL bridge) receives them, boto3 and azure-storage-blob say what is in each.

use serde_json::json;

use crate::bridge;
use crate::end_to_end_cases::{ADDRESSABLE, CASES, Case, Shape};
use crate::end_to_end_check::{LIMITS, expect_all, run, verdict};
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
            &verdict(moto, &bridge, case.rules, true),
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

/// Keys that a URL library or the service would rewrite, or that make the source URL longer than
/// the service takes: each is a failure with a reason, and nothing else's bytes arrive.
#[test]
fn keys_that_cannot_be_addressed_fail_by_name() {
    let (moto, bridge) = (moto::start(), bridge::start());
    let long = "é".repeat(500);
    let refused = ["a/./b", "a/../fine.txt", "./x", "a/..", &long];
    let keys = refused.into_iter().chain(["fine.txt", "..fine", "a/.b/c"]);
    let objects: Vec<_> = keys.map(|key| json!({"key": key, "size": 5})).collect();
    let bucket = json!({"name": "awkward", "region": "us-west-2", "objects": objects});
    moto.seed(Some(&json!({"buckets": [bucket]})));
    let state = tempfile::tempdir().unwrap();
    let destination = bridge.destination("con");
    let mut arguments = vec!["copy", "s3://awkward", &destination, "--recursive"];
    arguments.extend(["--s3-endpoint", moto.url(), "--output-type", "json"]);
    arguments.extend(["--state", state.path().to_str().unwrap()]);
    let ended = run(BLOBFLEET, &arguments, &[]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert_eq!(ended.summary["status"], "CompletedWithErrors", "{ended:#?}");
    assert_eq!(ended.summary["objects_listed"], 8);
    assert_eq!(ended.summary["objects_copied"], 3);
    assert_eq!(ended.summary["objects_failed"], 5);
    let arrived = verdict(&moto, &bridge, ADDRESSABLE, true);
    assert_eq!(arrived["differences"], json!([]));
    assert_eq!(arrived["compared"], 3);
}
