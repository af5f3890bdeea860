//! Awkward keys through `blobfleet copy`: each object arrives under its own name, or fails with a
//! reason, and no other blob is ever written.

mod random;
mod relayed;
mod rewritten;

use std::collections::{BTreeMap, BTreeSet};

use blobfleet::reporter::ledger::{EndingKind, EndingLine};
use simcloud::{ACCOUNT, Config, Content, Object};

use crate::harness::{Invocation, World};

const BUCKET: &str = "awkward";

/// Keys that arrive as they are.
const GOOD: &[&str] = &[
    "plain",
    "a b  c",
    " leading and trailing ",
    "a+b",
    "100%",
    "%",
    "%2F%2e%2E/%zz",
    "%252F",
    "a#b",
    "a?b=c&d=e",
    "?",
    "#",
    "a&b",
    "a=b",
    "it's \"quoted\"",
    "`back`",
    "<a href=\"x\">&amp;</a>",
    "]]>",
    "\u{e9}t\u{e9}",
    "e\u{301}te\u{301}",
    "日本語/キー",
    "😀/🏳\u{fe0f}\u{200d}🌈",
    "\u{202e}right to left",
    "İstanbul ß ſ K",
    "a//b",
    "a///b//c",
    "/leading",
    "//leading twice",
    "a;b;v=1",
    "a*b",
    "a:b",
    "a@b",
    "s3://awkward/key",
    "http://example.com/x?y#z",
    "$root",
    "~user/-._~!'()*,",
    "{x}[y]|^",
    "a,b",
    "case",
    "Case",
    "CASE",
    "cas\u{e9}",
    "CAS\u{c9}",
    ".hidden",
    "..hidden/...so",
    "comp=blocklist",
    "x-amz-meta",
    "versionId=1?versionId=2",
];

/// A key of exactly 1,024 bytes, S3's limit.
fn longest() -> String {
    format!("long/{}", "x".repeat(1024 - 5))
}

fn put(world: &World, keys: impl IntoIterator<Item = String>) -> BTreeMap<String, Content> {
    world.cloud.add_bucket(BUCKET, "eu-west-1");
    let mut contents = BTreeMap::new();
    for (seed, key) in (1_u64..).zip(keys) {
        let content = Content::Generated {
            seed,
            // A folder's marker holds nothing.
            length: if key.ends_with('/') { 0 } else { 20 + seed },
        };
        world
            .cloud
            .put_object(BUCKET, &key, Object::new(content.clone()));
        assert!(contents.insert(key, content).is_none(), "a key twice");
    }
    contents
}

/// Asserts that exactly these blobs are in the container, with these contents.
fn assert_blobs(world: &World, expected: &BTreeMap<String, Content>) {
    let blobs: BTreeMap<_, _> = world
        .cloud
        .blobs(ACCOUNT)
        .into_iter()
        .map(|(container, blob)| {
            assert_eq!(container, BUCKET);
            (blob.name.clone(), blob)
        })
        .collect();
    let there: BTreeSet<_> = blobs.keys().collect();
    assert_eq!(there, expected.keys().collect());
    for (key, content) in expected {
        assert!(blobs[key].equals(content), "{key:?} has other bytes");
        assert_eq!(blobs[key].writes, 1, "{key:?}");
    }
}

fn by_key(lines: Vec<EndingLine>) -> BTreeMap<String, EndingLine> {
    let lines = lines.into_iter().map(|line| (line.key.clone(), line));
    lines.collect()
}

/// As whom the destination is written to: the canonical resource of a shared key's signature holds
/// the name, that of a SAS does not.
fn logins(world: &World) -> [Invocation; 2] {
    [
        world.copy("s3://awkward", BUCKET),
        world.copy_with_sas("s3://awkward", BUCKET),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn awkward_keys_arrive_unaltered() {
    for login in 0..2 {
        let world = World::start(Config::default()).await;
        let keys = GOOD.iter().map(|key| (*key).to_owned());
        let contents = put(&world, keys.chain([longest()]));

        let done = logins(&world)[login].run().await;

        done.assert_all_copied(contents.len() as u64);
        assert_blobs(&world, &contents);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn awkward_keys_arrive_unaltered_by_blocks_and_without_a_head() {
    for flags in [
        &[
            "--put-blob-size-mb=0",
            "--block-size-mb=0.00000762939453125",
        ][..],
        &["--s2s-preserve-properties=false"],
    ] {
        let world = World::start(Config::default()).await;
        let contents = put(&world, GOOD.iter().map(|key| (*key).to_owned()));

        let done = logins(&world)[0].clone().args(flags.iter().copied());
        let done = done.run().await;

        done.assert_all_copied(contents.len() as u64);
        assert_blobs(&world, &contents);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folder_markers_are_skipped_and_counted() {
    let world = World::start(Config::default()).await;
    let markers = ["folder/", "folder/sub/", "/", "a//", "../", "./", "é/"];
    let keys = markers.iter().chain(&["folder/file", "folder"]);
    let mut contents = put(&world, keys.map(|key| (*key).to_owned()));
    contents.retain(|key, _| !key.ends_with('/'));

    let done = logins(&world)[0].run().await;

    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert_eq!(done.text("status"), "CompletedWithSkipped");
    assert_eq!(done.count("objects_copied"), 2);
    assert_eq!(done.count("objects_skipped"), markers.len() as u64);
    assert_blobs(&world, &contents);
    let skipped = by_key(world.endings(&done, EndingKind::Skipped));
    assert_eq!(skipped.len(), markers.len());
    for marker in markers {
        assert_eq!(skipped[marker].reason, "folder_marker", "{marker}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_azure_cannot_hold_fail_by_name() {
    let world = World::start(Config::default()).await;
    let deepest = vec!["d"; 254].join("/");
    let too_deep = vec!["d"; 255].join("/");
    let mut contents = put(&world, [deepest, too_deep.clone()]);
    contents.remove(&too_deep);

    let done = logins(&world)[0].run().await;

    assert_eq!(done.text("status"), "CompletedWithErrors");
    assert_blobs(&world, &contents);
    let failed = by_key(world.endings(&done, EndingKind::Failed));
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[&too_deep].reason, "name_rejected");
}
