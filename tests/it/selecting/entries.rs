//! Lists of paths: `--include-path` and `--list-of-files`.

use std::collections::BTreeMap;

use blobfleet::reporter::ledger::EndingKind;
use simcloud::{Action, OpKind};

use super::{arrived, list, listings, objects, set, world};
use crate::harness::{Invocation, World};

const KEYS: &[&str] = &[
    "top",
    "d",
    "d/a",
    "d/a/inner",
    "d/b",
    "d/sub/",
    "d/sub/x",
    "d/sub/deep/y",
    "d/subway",
    "d/only/below/z",
    "other/file",
];

fn flat(copy: Invocation) -> Invocation {
    copy.without_arg("--recursive")
}

/// Blobs keep their path relative to the source, as if all of it were copied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_objects_or_folders_and_keep_their_relative_path() {
    for (source, to, paths, there) in [
        (
            "s3://bkt",
            "con",
            "d/b;d/sub",
            &["con/d/b", "con/d/sub/x", "con/d/sub/deep/y"][..],
        ),
        (
            "s3://bkt/d/",
            "con",
            "b;sub/",
            &["con/d/b", "con/d/sub/x", "con/d/sub/deep/y"],
        ),
        (
            "s3://bkt/d/*",
            "con/to",
            "b;sub/deep",
            &["con/to/b", "con/to/sub/deep/y"],
        ),
        ("s3://bkt/other", "con/to", "file", &["con/to/other/file"]),
        (
            "s3://bkt/*",
            "con/to",
            "top;other",
            &["con/to/top", "con/to/other/file"],
        ),
        ("s3://bkt", "", "d/subway", &["bkt/d/subway"]),
        // An object and the folder of its name, as with a source of that name.
        ("s3://bkt", "con", "d/a", &["con/d/a", "con/d/a/inner"]),
        ("s3://bkt/d", "con", "a", &["con/d/a", "con/d/a/inner"]),
        // No key twice, none lost.
        (
            "s3://bkt",
            "con",
            "d/a;d/b;d/a;d/a/inner;d/subway",
            &["con/d/a", "con/d/a/inner", "con/d/b", "con/d/subway"],
        ),
        (
            "s3://bkt/d/*",
            "con",
            "sub/x;a/inner;sub;a;a/",
            &["con/a", "con/a/inner", "con/sub/x", "con/sub/deep/y"],
        ),
        (
            "s3://bkt/d/*",
            "con",
            "sub;sub/x;sub/deep/y;sub/",
            &["con/sub/x", "con/sub/deep/y"],
        ),
        ("s3://bkt/d/*", "con", "a;a/", &["con/a", "con/a/inner"]),
    ] {
        let world = world(KEYS).await;
        let name = format!("{source} {paths}");
        let done = world
            .copy(source, to)
            .args(["--include-path", paths])
            .run()
            .await;
        assert_eq!(places(&world), set(there), "{name}: {}", done.stderr);
        assert_eq!(objects(&world).len(), there.len(), "{name}");
        assert_eq!(done.code(), Some(0), "{name}: {}", done.stderr);
    }
}

fn places(world: &World) -> std::collections::BTreeSet<String> {
    let blobs = world.cloud.blobs(simcloud::ACCOUNT).into_iter();
    blobs
        .map(|(container, blob)| format!("{container}/{}", blob.name))
        .collect()
}

/// Without --recursive a folder stands for its top level, and needs no /* on the source.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_recursive_a_folder_is_its_top_level() {
    for (source, paths, there) in [
        ("s3://bkt", "d/sub;top", &["con/d/sub/x", "con/top"][..]),
        (
            "s3://bkt/d/*",
            "sub;sub/x;sub/deep/y;b",
            &["con/sub/x", "con/sub/deep/y", "con/b"],
        ),
        // An object hides the folder of its name.
        ("s3://bkt", "d;d/a", &["con/d", "con/d/a"]),
        // Nothing at its top level, but a folder all the same.
        ("s3://bkt/d/*", "only", &[]),
    ] {
        let world = world(KEYS).await;
        let name = format!("{source} {paths}");
        let copy = flat(world.copy(source, "con")).args(["--include-path", paths]);
        let done = copy.run().await;
        let failed = world.endings(&done, EndingKind::Failed);
        assert_eq!(done.code(), Some(0), "{name}: {failed:?} {}", done.stderr);
        assert_eq!(places(&world), set(there), "{name}");
        assert_eq!(done.count("objects_copied"), there.len() as u64, "{name}");
    }
}

/// What a list names and nothing is there for fails by its name; all else is copied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_nothing_is_a_failed_object() {
    let world = world(KEYS).await;
    let lines = [
        "nowhere",
        "d/b\r",
        "notthere/else/",
        "d/su",
        "a/../b",
        "nowhere",
    ];
    let flag = format!("--list-of-files={}", list(&world, &lines));
    for copy in [
        world.copy("s3://bkt", "con"),
        flat(world.copy("s3://bkt", "con")),
    ] {
        let done = copy.args([flag.as_str()]).run().await;
        assert_eq!(done.code(), Some(1), "{}", done.stderr);
        assert_eq!(done.text("status"), "CompletedWithErrors");
        assert_eq!(done.count("objects_listed"), 5);
        assert_eq!(done.count("objects_copied"), 1);
        assert_eq!(done.count("ranges_failed"), 0);
        let failed = world.endings(&done, EndingKind::Failed);
        let failed: BTreeMap<_, _> = failed
            .iter()
            .map(|line| (line.key.as_str(), line))
            .collect();
        assert_eq!(failed.len(), 4);
        for key in ["nowhere", "notthere/else/", "d/su", "a/../b"] {
            assert_eq!(failed[key].reason, "source_not_found", "{key}");
            assert!(
                failed[key].message.contains("check the list's entry"),
                "{key}"
            );
        }
    }
    assert_eq!(places(&world), set(&["con/d/b"]));
}

/// Submitting asks nothing per entry, and listing a single HEAD per object where no folder of its
/// name was asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_costs_one_request_an_entry() {
    const MANY: usize = 1500;
    let keys: Vec<String> = (0..MANY).map(|n| format!("{}/{n:05}", n % 7)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let world = world(&keys).await;
    let flag = format!("--list-of-files={}", list(&world, &keys));
    let copy = flat(world.copy("s3://bkt", "con")).args(["--s2s-preserve-properties=false"]);
    let done = copy.args([flag.as_str()]).run().await;
    done.assert_all_copied(MANY as u64);
    assert_eq!(objects(&world), set(&keys));
    // The first is looked at once more, for the probe of its bucket.
    assert_eq!(world.cloud.requests(OpKind::HeadObject), MANY as u64 + 1);
    assert_eq!(listings(&world), 0);
}

/// Objects may be readable for whom a listing is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_objects_needs_no_listing() {
    let world = world(KEYS).await;
    world.cloud.on_request(|op| match op.kind {
        OpKind::ListObjects => Action::Fail {
            status: 403,
            code: "AccessDenied",
        },
        OpKind::HeadObject if op.name == "d/nothing" => Action::Fail {
            status: 403,
            code: "AccessDenied",
        },
        _ => Action::Pass,
    });
    let copy = world
        .copy("s3://bkt/d/*", "con")
        .args(["--include-path=b;nothing;subway"]);
    let done = copy.run().await;
    assert_eq!(done.code(), Some(1), "{}", done.stderr);
    assert_eq!(
        arrived(&world, |place| place.replace("con/", "d/")),
        set(&["con/b", "con/subway"])
    );
    let failed = world.endings(&done, EndingKind::Failed);
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (failed[0].key.as_str(), failed[0].reason.as_str()),
        ("d/nothing", "source_denied")
    );
}

/// Filters see the path relative to the source, not to the entry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_apply_to_entries() {
    let world = world(KEYS).await;
    let copy = world
        .copy("s3://bkt", "con")
        .args(["--include-path=d/sub;top;d/b"]);
    let done = copy
        .args(["--include-regex=^d/", "--exclude-path=d/sub/deep;d/b"])
        .run()
        .await;
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert_eq!(places(&world), set(&["con/d/sub/x"]));
    assert_eq!(done.count("keys_filtered"), 3);
}
