//! Objects of many blocks: taken up where they were left, never mixed, never in the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blobfleet::clock::Clock;
use blobfleet::destination::auth::Auth;
use blobfleet::destination::client::{BlobName, Destination};
use blobfleet::http::{self, Roots};
use bytes::Bytes;
use simcloud::{ACCOUNT, Action, Config, Content, Fetch, Keep, Object, OpKind};
use std::time::Duration;
use tokio::sync::Notify;

use crate::harness::World;

const BUCKET: &str = "source";
const TEBIBYTE: u64 = 1 << 40;

/// Answers `action` to the `nth` request of a kind from now on, and tells when it came.
fn at(world: &World, kind: OpKind, nth: u64, action: Action) -> Arc<Notify> {
    let came = Arc::new(Notify::new());
    let (seen, told) = (AtomicU64::new(0), came.clone());
    world.cloud.on_request(move |op| {
        if op.kind != kind || seen.fetch_add(1, Ordering::SeqCst) + 1 != nth {
            return Action::Pass;
        }
        told.notify_one();
        action.clone()
    });
    came
}

/// Ten tebibytes in 10,240 blocks, of which nothing is ever moved; killed three times on the way
/// and once between commit and outcome.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_tebibytes_killed_four_times_stage_two_in_a_hundred_blocks_twice_at_most() {
    let config = Config {
        keep: Keep::Digest,
        fetch: Fetch::Computed,
        ..Config::default()
    };
    let world = World::start(config).await;
    world.cloud.add_bucket(BUCKET, "eu-west-1");
    let content = Content::Generated {
        seed: 10,
        length: 10 * TEBIBYTE,
    };
    let object = Object::new(content.clone()).checksum();
    world.cloud.put_object(BUCKET, "huge", object);
    // No request is wasted on a missing container.
    world.cloud.add_container(ACCOUNT, "target");
    let copy = world.copy("s3://source", "target");
    let copy = copy.args(["--block-size-mb=1024", "--log-level=WARNING"]);
    let commit = (OpKind::PutBlockList, 1, Action::SilentAfter);
    let block = |nth| (OpKind::PutBlockFromUrl, nth, Action::Pass);
    let mut peak = 0;
    for (kind, nth, action) in [block(2_500), block(2_600), block(2_700), commit] {
        let came = at(&world, kind, nth, action);
        let mut running = copy.start();
        tokio::select! {
            () = came.notified() => {}
            _ = running.must_not_end() => {}
        }
        if kind == OpKind::PutBlockList {
            // Carried out, but not answered.
            while world.cloud.blob(ACCOUNT, "target", "huge").is_none() {
                tokio::task::yield_now().await;
            }
        }
        peak = peak.max(running.peak_memory_kib());
        assert!(running.kill().await);
    }
    world.cloud.clear_hook();
    let done = copy.run().await;

    done.assert_all_copied(1);
    let blob = world.cloud.blob(ACCOUNT, "target", "huge").unwrap();
    assert!(blob.equals(&content), "other bytes");
    assert_eq!(blob.blocks.len(), 10_240);
    let staged = world.cloud.requests(OpKind::PutBlockFromUrl);
    assert!(staged <= 10_240 * 102 / 100, "{staged} blocks staged");
    assert!(peak < 100 * 1024, "{peak} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_staged_is_not_staged_again() {
    let world = World::start(Config::default()).await;
    world.cloud.add_bucket(BUCKET, "eu-west-1");
    let content = Content::Generated {
        seed: 1,
        length: 400 * 1024,
    };
    world
        .cloud
        .put_object(BUCKET, "k", Object::new(content.clone()));
    // No request is wasted on a missing container.
    world.cloud.add_container(ACCOUNT, "target");
    let flags = [
        "--put-blob-size-mb=0",
        "--block-size-mb=0.0009765625",
        "--concurrency=4",
    ];
    let copy = world.copy("s3://source", "target").args(flags);
    let came = at(&world, OpKind::PutBlockFromUrl, 200, Action::Pass);
    let mut running = copy.start();
    tokio::select! {
        () = came.notified() => {}
        _ = running.must_not_end() => {}
    }
    assert!(running.kill().await);
    world.cloud.clear_hook();

    copy.run().await.assert_all_copied(1);

    let blob = world.cloud.blob(ACCOUNT, "target", "k").unwrap();
    assert!(blob.equals(&content), "other bytes");
    let staged = world.cloud.requests(OpKind::PutBlockFromUrl);
    assert!((400..=404).contains(&staged), "{staged} blocks staged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_changes_on_the_way_is_copied_anew_and_never_mixed() {
    let world = World::start(Config::default()).await;
    world.cloud.add_bucket(BUCKET, "eu-west-1");
    let content = |seed| Content::Generated {
        seed,
        length: 300 * 1024,
    };
    world.cloud.put_object(BUCKET, "k", Object::new(content(1)));
    let gate = Arc::new(Notify::new());
    let came = at(
        &world,
        OpKind::PutBlockFromUrl,
        150,
        Action::Hold(gate.clone()),
    );
    let flags = [
        "--put-blob-size-mb=0",
        "--block-size-mb=0.0009765625",
        "--concurrency=4",
    ];
    let copy = world.copy("s3://source", "target").args(flags);
    let running = copy.start();
    came.notified().await;
    world.cloud.put_object(BUCKET, "k", Object::new(content(2)));
    gate.notify_one();
    let done = running.finish().await;

    done.assert_all_copied(1);
    let blob = world.cloud.blob(ACCOUNT, "target", "k").unwrap();
    assert!(blob.equals(&content(2)), "mixed, or the old bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staged_blocks_of_another_writer_are_cleared() {
    let world = World::start(Config::default()).await;
    world.cloud.add_bucket(BUCKET, "eu-west-1");
    let content = Content::Generated {
        seed: 1,
        length: 20 * 1024,
    };
    world
        .cloud
        .put_object(BUCKET, "new", Object::new(content.clone()));
    world
        .cloud
        .put_object(BUCKET, "old", Object::new(content.clone()));
    let flags = ["--put-blob-size-mb=0", "--block-size-mb=0.0009765625"];
    let copy = world.copy("s3://source", "target").args(flags);
    world.cloud.add_container(ACCOUNT, "target");
    let auth = Auth::from_key(ACCOUNT, &world.cloud.account_key(ACCOUNT), Clock::system());
    let url = world.cloud.blob_url(ACCOUNT);
    let client = http::client(&Roots::Only(Vec::new()), Duration::from_secs(20)).unwrap();
    let account = Destination::new(&url, auth.unwrap(), client, Clock::system()).unwrap();
    copy.run().await.assert_all_copied(2);
    account
        .delete_blob(&BlobName::new("target", "new"), &Default::default())
        .await
        .unwrap();
    for name in ["new", "old"] {
        let blob = BlobName::new("target", name);
        // An id of another length than ours.
        account
            .put_block(&blob, "QUFB", Bytes::from_static(b"foreign"))
            .await
            .unwrap();
    }

    let done = copy.args(["--job-name=again"]).run().await;

    done.assert_all_copied(2);
    for name in ["new", "old"] {
        let blob = world.cloud.blob(ACCOUNT, "target", name).unwrap();
        assert!(blob.equals(&content), "{name}");
        assert_eq!(world.cloud.uncommitted(ACCOUNT, "target", name), []);
    }
}
