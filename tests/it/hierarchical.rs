//! An account with a hierarchical namespace holds fewer names; it is recognised by asking it, and
//! asked only where the answer matters.

use std::collections::BTreeSet;

use blobfleet::reporter::ledger::EndingKind;
use simcloud::{Config, Content, Object, OpKind};

use crate::harness::{Finished, World};

const LAKE: &str = "lakeaccount";
const AWKWARD: &[&str] = &["a//b", "/lead", "c///d"];
const PLAIN: &[&str] = &["x", "dir/y", "dir/sub/z"];

async fn world(keys: &[&str]) -> World {
    let world = World::start(Config::default()).await;
    world.cloud.add_hierarchical_account(LAKE);
    world.cloud.add_bucket("source", "eu-west-1");
    for (seed, key) in (0..).zip(keys) {
        let object = Object::new(Content::Generated { seed, length: 30 });
        world.cloud.put_object("source", key, object);
    }
    world
}

async fn copy(world: &World, flags: &[&str]) -> Finished {
    let copy = world.copy_to(LAKE, "s3://source", "target");
    copy.args(["--recursive"])
        .args(flags.iter().copied())
        .run()
        .await
}

fn blobs(world: &World) -> BTreeSet<String> {
    let blobs = world.cloud.blobs(LAKE).into_iter();
    blobs.map(|(_, blob)| blob.name).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_without_a_name_fail_or_are_escaped() {
    let world = world(&[AWKWARD, PLAIN].concat()).await;
    let done = copy(&world, &[]).await;
    assert_eq!(
        done.text("status"),
        "CompletedWithErrors",
        "{}",
        done.stderr
    );
    assert_eq!(blobs(&world), names(PLAIN));
    let failed = world.endings(&done, EndingKind::Failed);
    let keys: BTreeSet<_> = failed.iter().map(|line| line.key.clone()).collect();
    assert_eq!(keys, names(AWKWARD));
    for line in failed {
        assert_eq!(line.reason, "name_rejected");
        assert!(line.message.contains("hierarchical"), "{}", line.message);
    }
    assert_eq!(world.cloud.requests(OpKind::GetAccountInformation), 1);

    let done = copy(&world, &["--invalid-name-handle=escape"]).await;
    done.assert_all_copied(6);
    let escaped = ["a%2F/b", "%2Flead", "c%2F%2F/d"];
    assert_eq!(blobs(&world), names(&[&escaped, PLAIN].concat()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_beside_a_folder_of_its_name_fails_alone() {
    let world = world(&["dir/y", "dir", "x"]).await;
    let done = copy(&world, &[]).await;
    assert_eq!(
        done.text("status"),
        "CompletedWithErrors",
        "{}",
        done.stderr
    );
    assert_eq!(done.count("objects_copied"), 2);
    let failed = world.endings(&done, EndingKind::Failed);
    assert_eq!(failed.len(), 1);
    assert!(["dir", "dir/y"].contains(&failed[0].key.as_str()));
    assert_eq!(failed[0].reason, "destination_rejected");
    for part in ["hierarchical", "rename the object or the folder"] {
        assert!(failed[0].message.contains(part), "{}", failed[0].message);
    }
}

/// Whichever is there first stays, and what is in its way fails alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_first_of_an_object_and_a_folder_stays() {
    for (first, refused) in [
        (&["dir"][..], &["dir/sub/z", "dir/y"][..]),
        (&["dir/y", "dir/sub/z"], &["dir"]),
    ] {
        let world = world(first).await;
        copy(&world, &[])
            .await
            .assert_all_copied(first.len() as u64);
        for key in refused {
            world.cloud.put_object("source", key, Object::bytes("late"));
        }
        let done = copy(&world, &["--job-name=again"]).await;
        assert_eq!(done.code(), Some(1), "{}", done.stderr);
        assert_eq!(done.count("objects_copied"), first.len() as u64);
        let failed = world.endings(&done, EndingKind::Failed);
        let keys: BTreeSet<_> = failed.iter().map(|line| line.key.clone()).collect();
        assert_eq!(keys, names(refused));
        for line in failed {
            let remedy = "rename the object or the folder";
            assert!(line.message.contains(remedy), "{}", line.message);
        }
        assert_eq!(blobs(&world), names(first));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_names_are_not_asked_about() {
    let world = world(PLAIN).await;
    copy(&world, &[]).await.assert_all_copied(3);
    assert_eq!(world.cloud.requests(OpKind::GetAccountInformation), 0);
}
