//! Buckets that deny, accounts that throttle: the others go on, and nothing fails that need not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use blobfleet::reporter::ledger::EndingKind;
use simcloud::{ACCOUNT, Action, Config, Content, Faults, Object, Op, OpKind};
use tokio::sync::Notify;

use crate::harness::World;

const CLOSED: u64 = 300;
const OPEN: u64 = 400;

fn fill(world: &World, bucket: &str, count: u64) {
    world.cloud.add_bucket(bucket, "eu-west-1");
    let objects = (0..count).map(|n| (format!("k{n:04}"), Object::generated(n, 100 + n)));
    world.cloud.put_objects(bucket, objects);
}

/// Blobs of a container by name; each must be what its key's number says.
fn assert_arrived(world: &World, container: &str) -> u64 {
    let blobs = world.cloud.blobs(ACCOUNT).into_iter();
    let mut arrived = 0;
    for (_, blob) in blobs.filter(|(name, _)| name == container) {
        let number: u64 = blob.name.trim_start_matches('k').parse().unwrap();
        let content = Content::Generated {
            seed: number,
            length: 100 + number,
        };
        assert!(blob.equals(&content), "{container}/{}", blob.name);
        arrived += 1;
    }
    arrived
}

/// Objects that the process' own log names as failed.
fn told_failed(stderr: &str) -> usize {
    stderr.matches("object failed").count()
}

fn reads(op: &Op) -> bool {
    matches!(op.kind, OpKind::HeadObject | OpKind::GetObject)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_denies_everything_is_held_and_the_others_go_on() {
    let world = World::start(Config::default()).await;
    fill(&world, "closed", CLOSED);
    fill(&world, "open", OPEN);
    let (closed, copied) = (Arc::new(AtomicBool::new(true)), Arc::new(Notify::new()));
    let (denies, done, order) = (closed.clone(), copied.clone(), Arc::new(AtomicU64::new(0)));
    let mut put = 0;
    world.cloud.on_request(move |op| {
        if op.kind == OpKind::PutBlobFromUrl && op.place.ends_with("/open") {
            put += 1;
            if put == OPEN {
                done.notify_one();
            }
        }
        order.fetch_add(1, Ordering::SeqCst);
        if reads(op) && op.place == "closed" && denies.load(Ordering::SeqCst) {
            return Action::Fail {
                status: 403,
                code: "AccessDenied",
            };
        }
        Action::Pass
    });
    let mut running = world.copy("s3://", "").start();
    running
        .says("bucket closed: Azure cannot fetch its first object")
        .await;
    running.says("bucket closed is held: 100 objects").await;
    copied.notified().await;
    closed.store(false, Ordering::SeqCst);
    running.says("bucket closed can be read again").await;
    let ended = running.finish().await;

    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert_eq!(ended.text("status"), "CompletedWithErrors");
    let count = |field| ended.count(field);
    assert_eq!(count("objects_failed"), 99, "those before it was held");
    assert_eq!(count("objects_copied"), CLOSED + OPEN - 99);
    assert_eq!(ended.summary()["failed_by_reason"]["source_denied"], 99);
    assert_eq!(assert_arrived(&world, "closed"), CLOSED - 99);
    assert_eq!(assert_arrived(&world, "open"), OPEN);
    let named = ended
        .stderr
        .find("bucket closed: Azure cannot fetch")
        .unwrap();
    let held = ended.stderr.find("bucket closed is held").unwrap();
    assert!(named < held, "{}", ended.stderr);
    assert!(!ended.stderr.contains("bucket open"), "{}", ended.stderr);
    assert_eq!(told_failed(&ended.stderr), 5, "{}", ended.stderr);
    let failed = world.endings(&ended, EndingKind::Failed);
    assert_eq!(failed.len(), 99, "each is in the report all the same");
    let log = world.job_logs().concat();
    for object in failed {
        let line = format!("object.key={:?}", object.key);
        assert!(log.contains(&line), "{line}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_patience_all_its_objects_fail_at_once() {
    let world = World::start(Config::default()).await;
    fill(&world, "closed", CLOSED);
    world.cloud.on_request(|op| match reads(op) {
        true => Action::Fail {
            status: 403,
            code: "AccessDenied",
        },
        false => Action::Pass,
    });
    let ended = world
        .copy("s3://closed", "cont")
        .args(["--hold-denied", "0", "--log-level", "DEBUG"])
        .run()
        .await;
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert_eq!(ended.text("status"), "Failed");
    assert_eq!(ended.count("objects_failed"), CLOSED);
    assert!(!ended.stderr.contains("is held"), "{}", ended.stderr);
    let levels = ["WARN", "DEBUG"].map(|level| {
        let lines = ended.stderr.lines().filter(|line| line.contains(level));
        lines.filter(|line| told_failed(line) == 1).count()
    });
    assert_eq!(levels, [5, 295], "{}", ended.stderr);
    let told = ended.stderr.matches("bucket closed goes on denying");
    assert_eq!(told.count(), 1, "{}", ended.stderr);
    let log = world.job_logs().concat();
    assert_eq!(told_failed(&log) as u64, CLOSED, "once each: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttling_on_both_sides_slows_a_job_down_and_fails_nothing() {
    let world = World::start(Config {
        faults: Faults {
            seed: 5,
            throttle: 0.2,
            only: vec![
                OpKind::HeadObject,
                OpKind::GetObject,
                OpKind::PutBlobFromUrl,
                OpKind::ListObjects,
            ],
            ..Faults::default()
        },
        ..Config::default()
    })
    .await;
    fill(&world, "busy", OPEN);
    let ended = world.copy("s3://busy", "busy").run().await;
    ended.assert_all_copied(OPEN);
    assert_eq!(assert_arrived(&world, "busy"), OPEN);
    let refused: BTreeMap<_, _> = [OpKind::HeadObject, OpKind::PutBlobFromUrl]
        .into_iter()
        .map(|kind| (kind, world.cloud.refused(kind)))
        .collect();
    assert!(refused.values().all(|count| *count > 50), "{refused:?}");
}
