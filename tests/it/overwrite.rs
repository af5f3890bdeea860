//! Where there is a blob already: each mode replaces exactly what it should, and says of the rest
//! why it was left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use blobfleet::reporter::ledger::EndingKind;
use simcloud::{ACCOUNT, Action, Config, Content, Object, OpKind};
use tokio::sync::Notify;

use crate::gate::Gate;
use crate::harness::{Finished, World};

const BUCKET: &str = "source";

fn content(seed: u64, length: u64) -> Content {
    Content::Generated { seed, length }
}

fn put(world: &World, key: &str, content: &Content, modified: SystemTime) {
    let object = Object::new(content.clone()).modified(modified);
    world.cloud.put_object(BUCKET, key, object);
}

/// A bucket that has been copied, then changed: what each key's blob had, and what its object has.
async fn copied_and_changed(first: &[&str]) -> World {
    let world = World::start(Config::default()).await;
    world.cloud.add_bucket(BUCKET, "eu-west-1");
    let old = world.cloud.now() - Duration::from_secs(3600);
    for key in ["same", "touched", "older", "grown"] {
        put(&world, key, &content(1, 10), old);
    }
    let copy = world
        .copy("s3://source", "target")
        .args(first.iter().copied());
    copy.run().await.assert_all_copied(4);
    // Later than any blob here.
    let new = world.cloud.now() + Duration::from_secs(60);
    put(&world, "touched", &content(2, 10), new);
    put(&world, "older", &content(3, 10), old);
    put(&world, "grown", &content(4, 11), old);
    put(&world, "new", &content(5, 10), old);
    world
}

/// Seeds of the blobs' contents by name.
fn seeds(world: &World) -> BTreeMap<String, u64> {
    let blobs = world.cloud.blobs(ACCOUNT).into_iter();
    blobs
        .map(|(_, blob)| {
            let seed = (1..=5).find(|seed| {
                [10, 11]
                    .iter()
                    .any(|length| blob.equals(&content(*seed, *length)))
            });
            (blob.name.clone(), seed.unwrap())
        })
        .collect()
}

fn skipped(world: &World, done: &Finished) -> BTreeMap<String, String> {
    let lines = world.endings(done, EndingKind::Skipped).into_iter();
    lines.map(|line| (line.key, line.reason)).collect()
}

fn names<T: Clone>(pairs: &[(&str, T)]) -> BTreeMap<String, T> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

async fn again(world: &World, flags: &[&str]) -> (Finished, BTreeMap<String, String>) {
    let copy = world
        .copy("s3://source", "target")
        .args(flags.iter().copied());
    let done = copy.run().await;
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert_eq!(done.count("objects_listed"), 5);
    let skipped = skipped(world, &done);
    (done, skipped)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn false_leaves_every_blob_and_makes_the_missing_one() {
    let world = copied_and_changed(&[]).await;
    let (done, skipped) = again(&world, &["--overwrite=false"]).await;
    assert_eq!(done.text("status"), "CompletedWithSkipped");
    let exists = "destination_exists".to_owned();
    let left = ["same", "touched", "older", "grown"].map(|key| (key, exists.clone()));
    assert_eq!(skipped, names(&left));
    assert_eq!(
        seeds(&world),
        names(&[
            ("same", 1),
            ("touched", 1),
            ("older", 1),
            ("grown", 1),
            ("new", 5)
        ])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn if_source_newer_replaces_what_is_younger_at_the_source() {
    let world = copied_and_changed(&[]).await;
    let (_, skipped) = again(&world, &["--overwrite=ifSourceNewer"]).await;
    let newer = "destination_newer".to_owned();
    let left = ["same", "older", "grown"].map(|key| (key, newer.clone()));
    assert_eq!(skipped, names(&left));
    assert_eq!(
        seeds(&world),
        names(&[
            ("same", 1),
            ("touched", 2),
            ("older", 1),
            ("grown", 1),
            ("new", 5)
        ])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_replaces_what_differs_as_far_as_it_can_tell() {
    let unchanged = "unchanged".to_owned();
    let etag = "--s2s-source-metadata=etag";
    let blocks = "--put-blob-size-mb=0";
    // By the MD5 that Azure keeps of whole blobs, or the ETag kept at the first copy.
    for first in [&[][..], &[etag], &[etag, blocks]] {
        let world = copied_and_changed(first).await;
        let (_, skipped) = again(&world, &["--overwrite=changed", etag]).await;
        assert_eq!(skipped, names(&[("same", unchanged.clone())]));
        assert_eq!(
            seeds(&world),
            names(&[
                ("same", 1),
                ("touched", 2),
                ("older", 3),
                ("grown", 4),
                ("new", 5)
            ])
        );
    }
    // Blocks without an ETag: size and time are all there is, and `older` looks the same.
    let world = copied_and_changed(&[blocks]).await;
    let (_, skipped) = again(&world, &["--overwrite=changed"]).await;
    let left = ["same", "older"].map(|key| (key, unchanged.clone()));
    assert_eq!(skipped, names(&left));
    assert_eq!(
        seeds(&world),
        names(&[
            ("same", 1),
            ("touched", 2),
            ("older", 1),
            ("grown", 4),
            ("new", 5)
        ])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn true_replaces_everything() {
    let world = copied_and_changed(&[]).await;
    let (done, _) = again(&world, &["--overwrite=True"]).await;
    done.assert_all_copied(5);
    assert_eq!(
        seeds(&world),
        names(&[
            ("same", 1),
            ("touched", 2),
            ("older", 3),
            ("grown", 4),
            ("new", 5)
        ])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prompt_without_a_terminal_is_refused() {
    let world = World::start(Config::default()).await;
    let copy = world
        .copy("s3://source", "target")
        .args(["--overwrite=prompt"]);
    let done = copy.run().await;
    assert_eq!(done.code(), Some(2));
    assert!(
        done.stderr.contains("--overwrite=prompt needs a terminal"),
        "{}",
        done.stderr
    );
    assert_eq!(world.job_folders().len(), 0);
}

/// At a terminal of its own: one blob is kept, one replaced, and the rest replaced for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prompt_asks_blob_by_blob_until_told_for_all() {
    let world = copied_and_changed(&[]).await;
    // Objects in turn, so that the questions come in the order of keys.
    let flags = [
        "--overwrite=prompt",
        "--concurrency=1",
        "--output-type=text",
    ];
    let copy = world.copy("s3://source", "target").args(flags);
    let said = copy.at_terminal("what\nn\ny\na\n").await;
    assert_eq!(said.matches("is there. Replace it?").count(), 4, "{said}");
    assert!(said.contains("CompletedWithSkipped"), "{said}");
    let grown_kept = [
        ("same", 1),
        ("touched", 2),
        ("older", 3),
        ("grown", 1),
        ("new", 5),
    ];
    assert_eq!(seeds(&world), names(&grown_kept));
}

/// A world whose first Put Blob From URL is held, with a job that has come to it.
async fn held_at_its_write() -> (World, Gate, crate::harness::Running) {
    let world = World::start(Config::default()).await;
    for (bucket, seed) in [("late", 1), ("users", 2)] {
        world.cloud.add_bucket(bucket, "eu-west-1");
        let object = Object::new(content(seed, 10));
        world.cloud.put_object(bucket, "k", object);
    }
    let (gate, arrived) = (Gate::default(), Arc::new(Notify::new()));
    let (held, told) = (gate.clone(), arrived.clone());
    world.cloud.on_request(move |op| {
        if op.kind != OpKind::PutBlobFromUrl || op.number > 1 {
            return Action::Pass;
        }
        told.notify_one();
        held.action()
    });
    let running = world.copy("s3://late", "target").start();
    arrived.notified().await;
    // Whole seconds are what a blob tells of its time.
    world.cloud.set_clock_ahead(10);
    (world, gate, running)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_arrives_after_the_jobs_end_replaces_nothing() {
    let (world, gate, running) = held_at_its_write().await;
    let id = world.job_folders()[0].file_name().unwrap().to_owned();
    let cancel = ["jobs", "cancel", id.to_str().unwrap()];
    assert_eq!(world.command(&cancel).run().await.code(), Some(0));
    let users = world.copy("s3://users", "target").run().await;
    users.assert_all_copied(1);

    gate.open();
    let done = running.finish().await;
    assert_eq!(done.text("status"), "Cancelled");
    assert_eq!(seeds(&world), names(&[("k", 2)]));
    assert_eq!(world.cloud.writes(ACCOUNT, "target", "k"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_writes_while_the_job_runs_is_replaced() {
    let (world, gate, running) = held_at_its_write().await;
    let users = world.copy("s3://users", "target").run().await;
    users.assert_all_copied(1);

    gate.open();
    running.finish().await.assert_all_copied(1);
    assert_eq!(seeds(&world), names(&[("k", 1)]));
    assert_eq!(world.cloud.writes(ACCOUNT, "target", "k"), 2);
}
