//! Blobs and containers with troubles of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blobfleet::reporter::ledger::EndingKind;
use simcloud::{ACCOUNT, Action, Config, Content, Object, OpKind, Quirk};

use crate::harness::{Finished, World};

async fn world(quirk: Quirk) -> World {
    let config = Config {
        quirks: vec![quirk],
        ..Config::default()
    };
    let world = World::start(config).await;
    world.cloud.add_bucket("src", "eu-west-1");
    world
}

/// Copies an object whose blob is found wrong, and that is archived before it is sent again.
async fn archived_between_tries(delete: Action) -> (Arc<World>, Finished) {
    let world = Arc::new(world(Quirk::OtherMd5Told).await);
    let object = || Object::bytes("content of the object");
    world.cloud.put_object("src", "astray", object());
    world.cloud.put_object("src", "well", object());
    let (clouds, puts) = (world.clone(), AtomicU64::new(0));
    world.cloud.on_request(move |op| {
        if op.kind == OpKind::DeleteBlob {
            return delete.clone();
        }
        let puts_it = op.kind == OpKind::PutBlobFromUrl && op.name == "astray";
        if puts_it && puts.fetch_add(1, Ordering::SeqCst) == 1 {
            let archived = object().storage_class("GLACIER");
            clouds.cloud.put_object("src", "astray", archived);
        }
        Action::Pass
    });
    let done = world.copy("s3://src/*", "cont").run().await;
    world.cloud.clear_hook();
    assert_eq!(
        world.cloud.requests(OpKind::DeleteBlob),
        1,
        "{}",
        done.stderr
    );
    assert_eq!(done.count("objects_copied"), 1, "{}", done.stderr);
    let well = world.cloud.blob(ACCOUNT, "cont", "well").unwrap();
    assert!(well.equals(&Content::Bytes("content of the object".into())));
    (world, done)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_blob_is_deleted_where_its_object_is_skipped_in_the_end() {
    let (world, done) = archived_between_tries(Action::Pass).await;
    assert_eq!(done.count("objects_skipped"), 1, "{}", done.stderr);
    let skipped = world.endings(&done, EndingKind::Skipped);
    assert_eq!(
        (skipped[0].key.as_str(), skipped[0].reason.as_str()),
        ("astray", "archived")
    );
    assert_eq!(world.cloud.blob(ACCOUNT, "cont", "astray"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_blob_that_cannot_be_deleted_is_named() {
    let refused = Action::Fail {
        status: 409,
        code: "SnapshotsPresent",
    };
    let (world, done) = archived_between_tries(refused).await;
    assert_eq!(done.code(), Some(1), "{}", done.stderr);
    let failed = world.endings(&done, EndingKind::Failed);
    assert_eq!((failed.len(), failed[0].key.as_str()), (1, "astray"));
    for part in [
        "archived",
        "cont/astray is wrong and is still there",
        "SnapshotsPresent",
        "delete it",
    ] {
        assert!(
            failed[0].message.contains(part),
            "{part}: {}",
            failed[0].message
        );
    }
    assert!(world.cloud.blob(ACCOUNT, "cont", "astray").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_is_being_deleted_is_waited_for() {
    let world = world(Quirk::ContainersBeingDeleted).await;
    for number in 0..4 {
        let object = Object::generated(number, 100);
        world.cloud.put_object("src", &format!("k{number}"), object);
    }
    let done = world.copy("s3://src/*", "cont").run().await;
    done.assert_all_copied(4);
    assert!(world.cloud.requests(OpKind::CreateContainer) > 10);
    assert!(!done.stderr.contains("account "), "{}", done.stderr);
    for seed in 0..4 {
        let blob = world
            .cloud
            .blob(ACCOUNT, "cont", &format!("k{seed}"))
            .unwrap();
        assert!(
            blob.equals(&Content::Generated { seed, length: 100 }),
            "{seed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_container_refuses_to_many_objects_is_one_line() {
    let world = World::start(Config::default()).await;
    world.cloud.add_bucket("src", "eu-west-1");
    for number in 0..30 {
        let object = Object::generated(number, 100);
        world
            .cloud
            .put_object("src", &format!("k{number:02}"), object);
    }
    let expiry = world.cloud.now() + Duration::from_secs(3600);
    // It may write blobs, and neither see nor make containers.
    let sas = world.cloud.container_sas(ACCOUNT, "cont", "rcw", expiry);
    let done = world
        .copy("s3://src/*", &format!("cont?{sas}"))
        // Otherwise one byte is tried before, and ends the command.
        .args(["--relay=always"])
        .without("AZURE_STORAGE_ACCOUNT")
        .without("AZURE_STORAGE_KEY")
        .run()
        .await;
    assert_eq!(done.count("objects_failed"), 30, "{}", done.stderr);
    let lines = |part: &str| {
        done.stderr
            .lines()
            .filter(|line| line.contains(part))
            .count()
    };
    assert_eq!(lines("object failed"), 1, "{}", done.stderr);
    assert_eq!(lines("container cont does not exist"), 1, "{}", done.stderr);
    assert_eq!(lines("29 more of container"), 1, "{}", done.stderr);
    assert_eq!(world.endings(&done, EndingKind::Failed).len(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_blob_in_the_way_is_called_one() {
    let world = world(Quirk::PageBlobs).await;
    let copy = |name: &'static str| {
        let copy = world.copy("s3://src/*", "cont");
        let sizes = ["--put-blob-size-mb=1", "--block-size-mb=1", "--job-name"];
        copy.args(sizes).args([name])
    };
    world
        .cloud
        .put_object("src", "disk.vhd", Object::generated(1, 512));
    copy("first").run().await.assert_all_copied(1);
    let large = Object::generated(2, 3 << 20);
    world.cloud.put_object("src", "disk.vhd", large);
    let done = copy("second").run().await;
    assert_eq!(done.code(), Some(1), "{}", done.stderr);
    let failed = world.endings(&done, EndingKind::Failed);
    assert_eq!((failed.len(), failed[0].key.as_str()), (1, "disk.vhd"));
    for part in [
        "a page blob of 512 bytes",
        "x-ms-blob-type: PageBlob",
        "delete it",
    ] {
        assert!(
            failed[0].message.contains(part),
            "{part}: {}",
            failed[0].message
        );
    }
    let blob = world.cloud.blob(ACCOUNT, "cont", "disk.vhd").unwrap();
    assert!(
        blob.equals(&Content::Generated {
            seed: 1,
            length: 512
        }),
        "left as it is"
    );
}
