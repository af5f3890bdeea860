//! `--list-of-versions`: each version to a blob of its own.

use std::collections::BTreeSet;

use blobfleet::reporter::ledger::EndingKind;
use simcloud::{ACCOUNT, Config, Object};

use super::{list, set};
use crate::harness::World;

/// Three versions of `d/k`; the bytes of each are its id.
async fn world() -> World {
    let world = World::start(Config::default()).await;
    world.cloud.add_bucket("bkt", "eu-west-1");
    let object = |version: &str| Object::bytes(version.to_owned()).version(version);
    for version in ["v1", "2020:02", "v3"] {
        world.cloud.put_object("bkt", "d/k", object(version));
    }
    world
}

fn blobs(world: &World) -> BTreeSet<String> {
    let blobs = world.cloud.blobs(ACCOUNT).into_iter();
    blobs
        .map(|(container, blob)| {
            let bytes = blob.bytes.unwrap();
            format!(
                "{container}/{}={}",
                blob.name,
                String::from_utf8_lossy(&bytes)
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_version_goes_to_a_blob_of_its_own() {
    for (to, folder) in [
        ("con", "con/"),
        ("con/to/", "con/to/"),
        ("con/to", "con/to/"),
    ] {
        let world = world().await;
        let lines = list(&world, &["v1", "v3", "2020:02", "v1"]);
        let flag = format!("--list-of-versions={lines}");
        let copy = world.copy("s3://bkt/d/k", to).args([flag.as_str()]);
        for flags in [
            &[][..],
            &["--s2s-preserve-properties=false", "--job-name=2"],
        ] {
            let done = copy.clone().args(flags.iter().copied()).run().await;
            done.assert_all_copied(3);
        }
        let there = ["v1-k=v1", "v3-k=v3", "2020-02-k=2020:02"];
        let there: Vec<String> = there.iter().map(|blob| format!("{folder}{blob}")).collect();
        assert_eq!(
            blobs(&world),
            set(&there.iter().map(String::as_str).collect::<Vec<_>>())
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_gone_fails_by_its_name() {
    let world = world().await;
    // S3 tells an id it never makes (400) from a version that is gone.
    let gone = "x".repeat(32);
    let lines = list(&world, &["v1", &gone]);
    let flag = format!("--list-of-versions={lines}");
    let done = world
        .copy("s3://bkt/d/k", "con")
        .args([flag.as_str()])
        .run()
        .await;
    assert_eq!(done.code(), Some(1), "{}", done.stderr);
    assert_eq!(blobs(&world), set(&["con/v1-k=v1"]));
    let failed = world.endings(&done, EndingKind::Failed);
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (failed[0].key.as_str(), failed[0].reason.as_str()),
        ("d/k", "source_not_found")
    );
    assert!(
        failed[0].message.contains(&format!("version {gone:?}")),
        "{failed:?}"
    );
}
