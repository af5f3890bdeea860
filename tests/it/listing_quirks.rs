//! Listings of servers that list in their own way: every key arrives once, or the listing fails by
//! name; never fewer with exit code 0.

use std::collections::BTreeSet;

use blobfleet::reporter::ledger::EndingKind;
use proptest::prelude::*;
use proptest::test_runner::{Config as Tests, TestRunner};
use simcloud::{ACCOUNT, Config, Object, OpKind, Quirk};

use crate::harness::World;

/// What may go together in one server.
const QUIRKS: [Quirk; 12] = [
    Quirk::ListV1Only,
    Quirk::Unsorted,
    Quirk::EmptyPages,
    Quirk::RepeatsAtEdge,
    Quirk::RepeatsKeys,
    Quirk::StartAfterIncluded,
    Quirk::EncodingTypeUnsaid,
    Quirk::NeverEncodes,
    Quirk::HttpDates,
    Quirk::NoSizes,
    Quirk::OptionalAttributesRefused,
    Quirk::TokensExpire,
];

const KEYS: [&str; 24] = [
    "a", "a b", "a+b", "a.conda", "a/1", "a/2", "a/b/c", "a0", "b/", "b/x y", "c%20d", "dir.x",
    "dir/1", "dir/2", "dir/3", "dir/z/1", "é/ü", "😀", "k1", "k2", "k3", "k4", "z", "~",
];

fn quirks() -> impl Strategy<Value = Vec<Quirk>> {
    let some = proptest::sample::subsequence(QUIRKS.to_vec(), 0..4);
    some.prop_filter(
        "a key is encoded or not, and a listing can be gone on with",
        |quirks| {
            let has = |quirk| quirks.contains(&quirk);
            let both_ways = has(Quirk::EncodingTypeUnsaid) && has(Quirk::NeverEncodes);
            // Also what was in order by chance until the token was refused: nobody can tell.
            let by_token_alone = [
                Quirk::Unsorted,
                Quirk::EmptyPages,
                Quirk::RepeatsAtEdge,
                Quirk::StartAfterIncluded,
            ];
            let lost = has(Quirk::TokensExpire) && by_token_alone.into_iter().any(has);
            !(both_ways || lost)
        },
    )
}

async fn copy_from(quirks: &[Quirk], keys: &[&str], page: usize) {
    let config = Config {
        quirks: quirks.to_vec(),
        ..Config::default()
    };
    let world = World::start(config).await;
    world.cloud.add_bucket("odd", "us-east-1");
    for key in keys {
        world
            .cloud
            .put_object("odd", key, Object::bytes((*key).to_owned()));
    }
    world.cloud.set_page_keys(page);
    let done = world.copy("s3://odd/*", "con").run().await;
    let name = format!("{quirks:?} {keys:?} by {page}");
    let copied: BTreeSet<String> = world
        .cloud
        .blobs(ACCOUNT)
        .into_iter()
        .map(|(_, blob)| blob.name.clone())
        .collect();
    if done.code() == Some(0) {
        let wanted: BTreeSet<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(copied, wanted, "{name}");
        assert_eq!(done.count("objects_copied"), keys.len() as u64, "{name}");
        assert_eq!(done.count("objects_listed"), keys.len() as u64, "{name}");
        return;
    }
    let no_form =
        quirks.contains(&Quirk::NeverEncodes) || quirks.contains(&Quirk::EncodingTypeUnsaid);
    if done.stderr.starts_with("blobfleet: GET s3://odd: ") {
        assert!(no_form, "{name}: nothing was begun: {}", done.stderr);
        assert_eq!(copied, BTreeSet::new(), "{name}");
        return;
    }
    // Only an unsorted listing without a cursor cannot be gone on with, and a key of which nobody
    // can tell how it is written fails by itself.
    let failed = world.endings(&done, EndingKind::Failed);
    let has = |quirk| quirks.contains(&quirk);
    let no_cursor = has(Quirk::Unsorted) && has(Quirk::ListV1Only);
    assert!(
        ((no_cursor || no_form) && done.count("ranges_failed") > 0)
            || (no_form && !failed.is_empty()),
        "{name}: {} {failed:?}",
        done.stderr
    );
    assert_eq!(
        done.count("objects_copied") + done.count("objects_failed"),
        done.count("objects_listed"),
        "{name}"
    );
}

/// The page that is asked for by key holds that key alone, as a server begins again that knows
/// version 1 only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_one_key_go_on_at_a_server_of_version_1() {
    copy_from(&[Quirk::ListV1Only], &["a/2", "b", "dir/1"], 1).await;
}

#[test]
fn every_key_of_any_server_arrives_once_or_the_listing_fails_by_name() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(Tests {
        cases: 24,
        failure_persistence: None,
        ..Tests::default()
    });
    let keys = proptest::sample::subsequence(KEYS.to_vec(), 1..KEYS.len());
    runner
        .run(&(quirks(), keys, 1..7_usize), |(quirks, keys, page)| {
            // A name with a slash at its end stands for a folder.
            let keys: Vec<&str> = keys.into_iter().filter(|key| !key.ends_with('/')).collect();
            if !keys.is_empty() {
                runtime.block_on(copy_from(&quirks, &keys, page));
            }
            Ok(())
        })
        .unwrap();
}

/// Each quirk by itself, with every key, in small pages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_quirk_by_itself_is_listed_whole() {
    let keys: Vec<&str> = KEYS.into_iter().filter(|key| !key.ends_with('/')).collect();
    for quirk in QUIRKS {
        copy_from(&[quirk], &keys, 4).await;
    }
}

/// One key that nobody can read fails by its place, and hides no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_be_read_fails_alone() {
    let config = Config {
        quirks: vec![Quirk::LatinKeys],
        ..Config::default()
    };
    let world = World::start(config).await;
    world.cloud.add_bucket("odd", "us-east-1");
    for key in ["a", "latin", "z"] {
        world.cloud.put_object("odd", key, Object::bytes(key));
    }
    let done = world.copy("s3://odd/*", "con").run().await;
    assert_eq!(done.code(), Some(1), "{}", done.stderr);
    assert_eq!(done.count("objects_copied"), 2);
    let failed = world.endings(&done, EndingKind::Failed);
    assert_eq!(failed.len(), 1);
    assert!(
        failed[0].key.starts_with("(object 0 of list task "),
        "{failed:?}"
    );
    assert!(failed[0].message.contains("caf%E9"), "{failed:?}");
}

/// Who tells one region and wants another is heard where it refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regions_that_differ_from_call_to_call_are_found_out() {
    let config = Config {
        quirks: vec![Quirk::OtherRegionTold],
        ..Config::default()
    };
    let world = World::start(config).await;
    world.cloud.add_bucket("odd", "eu-west-3");
    for key in KEYS {
        let key = key.trim_end_matches('/');
        world.cloud.put_object("odd", key, Object::bytes("hello"));
    }
    let done = world.copy("s3://odd/*", "con").run().await;
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert_eq!(world.cloud.blobs(ACCOUNT).len(), KEYS.len());
    assert_eq!(done.count("bytes_copied"), 5 * KEYS.len() as u64);
}

/// Optional headers that a server refuses are left out, once for its bucket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_does_not_know_is_left_out() {
    for quirk in [
        Quirk::ChecksumModeRefused,
        Quirk::EncodingTypeRefused,
        Quirk::HeadWithoutLength,
        Quirk::HeadOfNothing,
        Quirk::HeadRefused,
        Quirk::WeakEtags,
        Quirk::NoDates,
        Quirk::DatesWithoutZone,
        Quirk::ClassesAreNames,
        Quirk::NullVersions,
    ] {
        let config = Config {
            quirks: vec![quirk],
            ..Config::default()
        };
        let world = World::start(config).await;
        world.cloud.add_bucket("odd", "us-east-1");
        for number in 0..20 {
            let object = Object::bytes("hello").storage_class("GLACIER");
            let object = match quirk {
                Quirk::ClassesAreNames => object,
                _ => Object::bytes("hello"),
            };
            world.cloud.put_object("odd", &format!("k{number}"), object);
        }
        world.cloud.put_object("odd", "none", Object::bytes(""));
        let done = world.copy("s3://odd/*", "con").run().await;
        assert_eq!(done.code(), Some(0), "{quirk}: {}", done.stderr);
        assert_eq!(world.cloud.blobs(ACCOUNT).len(), 21, "{quirk}");
        assert_eq!(done.count("bytes_copied"), 20 * 5, "{quirk}");
        let heads = world.cloud.refused(OpKind::HeadObject);
        let once = 2 * 16; // By each object that is under way when it is learned, twice.
        assert!(heads <= once, "{quirk}: {heads}");
    }
}
