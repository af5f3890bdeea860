//! Keys and metadata nobody thought of: each object arrives identical, or is reported with the
//! reason that is true of it.

use std::collections::{BTreeMap, BTreeSet};

use blobfleet::reporter::ledger::{EndingKind, EndingLine};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestCaseError, TestRunner};
use simcloud::{ACCOUNT, BlobView, Config, Content, Object};

use super::{BUCKET, by_key, logins};
use crate::harness::{Finished, World};

/// S3's limit on keys, in bytes of UTF-8.
const LONGEST_KEY: usize = 1024;
type Metadata = BTreeMap<String, String>;

/// What URLs, XML, paths and file systems treat specially.
const SPECIAL: &[&str] = &[
    "/", "//", ".", "..", "/./", "/../", "%", "%2F", "%2e", "+", " ", "#", "?", "&", "=", "\"",
    "'", "<", ">", ";", ":", "@", "*", "\\", "~", "$", "!", "\t", "\n", "\u{7f}", "\u{85}",
    "e\u{301}", "\u{feff}", "\u{200d}", "\u{2028}", "\u{fffd}", "a", "B", "0",
];

/// Pieces of keys: what is special, and anything else.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(SPECIAL).prop_map(str::to_owned),
        3 => "[a-zA-Z0-9]{1,8}",
        2 => any::<char>().prop_map(String::from),
        1 => "\\PC{1,12}",
        1 => (select(vec!["x", "é", "/y", "😀"]), 100..400_usize)
            .prop_map(|(text, times)| text.repeat(times)),
    ]
}

/// Any legal key: 1 to 1,024 bytes of UTF-8.
fn key() -> impl Strategy<Value = String> {
    vec(piece(), 1..8).prop_map(|pieces| {
        let mut key = pieces.concat();
        while key.len() > LONGEST_KEY {
            key.pop();
        }
        key
    })
}

/// Legal user metadata: names are header names, values ASCII without control characters or white
/// space at their ends.
fn metadata() -> impl Strategy<Value = Metadata> {
    let name = "[a-z0-9_-][a-z0-9_.!#$-]{0,10}";
    btree_map(name, "([!-~]([ -~]{0,20}[!-~])?)?", 0..4)
}

/// The metadata that a blob can hold: names that are C# identifiers.
fn kept(metadata: &Metadata) -> Vec<(String, String)> {
    let pairs = metadata.iter();
    pairs
        .filter(|(name, _)| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn content(key: &str) -> Content {
    let seed = key.bytes().fold(7, |hash: u64, byte| {
        hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte)
    });
    // A folder's marker holds nothing.
    let length = if key.ends_with('/') { 0 } else { 99 };
    Content::Generated { seed, length }
}

async fn copied(objects: &BTreeMap<String, Metadata>) -> (World, Finished) {
    let world = World::start(Config::default()).await;
    world.cloud.add_bucket(BUCKET, "eu-west-1");
    for (key, metadata) in objects {
        let object = Object::new(content(key));
        let object = metadata
            .iter()
            .fold(object, |object, (name, value)| object.metadata(name, value));
        world.cloud.put_object(BUCKET, key, object);
    }
    let done = logins(&world)[0].run().await;
    (world, done)
}

/// Is the reason true of the key?
fn deserved(key: &str, reason: &str) -> bool {
    let rewritten = key.contains('\\') || key.split('/').any(|segment| segment.ends_with('.'));
    let unheard_of = |c: char| {
        c.is_control()
            || matches!(c, '\u{fdd1}'..='\u{fdef}' | '\u{fff0}'..='\u{ffff}')
            || u32::from(c) & 0xfffe == 0xfffe
    };
    match reason {
        "name_rejected" => rewritten || key.split('/').count() > 254 || key.chars().any(unheard_of),
        "" => !rewritten,
        _ => false,
    }
}

fn check(
    objects: &BTreeMap<String, Metadata>,
    world: &World,
    done: &Finished,
) -> Result<(), TestCaseError> {
    let blobs = world.cloud.blobs(ACCOUNT).into_iter();
    let mut blobs: BTreeMap<String, BlobView> =
        blobs.map(|(_, blob)| (blob.name.clone(), blob)).collect();
    let endings = |kind| by_key(world.endings(done, kind));
    let skipped: BTreeSet<String> = endings(EndingKind::Skipped).into_keys().collect();
    let failed: BTreeMap<String, EndingLine> = endings(EndingKind::Failed);
    let log = world.job_logs().concat();
    for (key, metadata) in objects {
        if key.ends_with('/') {
            prop_assert!(skipped.contains(key), "{key:?} is not skipped");
            continue;
        }
        let reason = failed.get(key).map_or("", |line| &line.reason);
        prop_assert!(deserved(key, reason), "{key:?} ended with {reason:?}");
        if !reason.is_empty() {
            continue;
        }
        let blob = blobs.remove(key);
        let blob = blob.ok_or_else(|| TestCaseError::fail(format!("{key:?} is not there")))?;
        prop_assert!(blob.equals(&content(key)), "{key:?} has other bytes");
        let kept = kept(metadata);
        prop_assert_eq!(&blob.metadata, &kept, "metadata of {:?}", key);
        for name in metadata.keys() {
            let named = log.contains(&format!("{name:?}"));
            let there = kept.iter().any(|(kept, _)| kept == name);
            prop_assert!(there || named, "{name} of {key:?} is left out in silence");
        }
    }
    let copied = done.count("objects_copied");
    prop_assert!(
        copied >= 100,
        "only {copied} of these keys are worth trying"
    );
    prop_assert!(blobs.is_empty(), "nobody asked for {:?}", blobs.keys());
    prop_assert_eq!(done.count("objects_listed"), objects.len() as u64);
    Ok(())
}

#[test]
fn any_key_and_metadata_arrive_or_are_reported() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let config = ProptestConfig {
        cases: 4,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let objects = vec((key(), metadata()), 400).prop_map(BTreeMap::from_iter);
    TestRunner::new(config)
        .run(&objects, |objects| {
            runtime.block_on(async {
                let (world, done) = copied(&objects).await;
                check(&objects, &world, &done)
            })
        })
        .unwrap();
}
