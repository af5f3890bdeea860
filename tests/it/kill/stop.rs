//! Stopping and resuming, and two processes on one state folder.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use simcloud::{ACCOUNT, Action, Config, Content, Object, OpKind};

use crate::gate::Gate;
use crate::harness::{Finished, Running, World};

const OBJECTS: u64 = 3_000;
const LENGTH: u64 = 300;
/// Objects copied before the copy is stopped in these tests.
const BEFORE: u64 = 200;
/// A process that was stopped at once ends within this time; draining takes longer.
const AT_ONCE: Duration = Duration::from_secs(10);

async fn world(buckets: &[&str]) -> World {
    let world = World::start(Config::default()).await;
    for bucket in buckets {
        world.cloud.add_bucket(bucket, "us-west-2");
        let objects = (0..OBJECTS).map(|n| (format!("k{n}"), Object::generated(n, LENGTH)));
        world.cloud.put_objects(bucket, objects);
    }
    world
}

fn assert_contents(world: &World, bucket: &str) {
    for seed in 0..OBJECTS {
        let blob = world.cloud.blob(ACCOUNT, bucket, &format!("k{seed}"));
        let content = Content::Generated {
            seed,
            length: LENGTH,
        };
        assert!(blob.is_some_and(|blob| blob.equals(&content)), "k{seed}");
    }
}

/// Holds every Put Blob From URL after the first `before`.
fn hold_after(world: &World, before: u64) -> Gate {
    let gate = Gate::default();
    let held = gate.clone();
    let seen = AtomicU64::new(0);
    world.cloud.on_request(move |op| match op.kind {
        OpKind::PutBlobFromUrl if seen.fetch_add(1, Ordering::Relaxed) >= before => held.action(),
        _ => Action::Pass,
    });
    gate
}

/// Waits until the copy is held, which is in the middle of the job.
async fn held(world: &World, running: &mut Running) {
    let waiting = async {
        while world.cloud.requests(OpKind::PutBlobFromUrl) <= BEFORE {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        () = waiting => {}
        () = running.must_not_end() => {}
    }
}

fn assert_interrupted(done: &Finished) {
    assert_eq!(done.code(), Some(1), "{}", done.stderr);
    assert_eq!(done.text("status"), "Interrupted");
    assert_eq!(done.count("objects_failed"), 0);
    assert!(done.count("objects_copied") < OBJECTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_was_stopped_is_resumed_and_repeats_nothing() {
    let world = world(&["stopped"]).await;
    let copy = world.copy("s3://stopped", "stopped");
    let gate = hold_after(&world, BEFORE);
    let mut running = copy.start();
    held(&world, &mut running).await;
    running.terminate().await;
    running.says("SIGTERM: stopping").await;
    gate.open();

    let stopped = running.finish().await;

    assert_interrupted(&stopped);
    let (writes, blobs) = world.cloud.write_totals(ACCOUNT);
    assert!(stopped.count("objects_copied") <= blobs && blobs < OBJECTS);
    assert_eq!(writes, blobs);

    let done = copy.run().await;

    done.assert_all_copied(OBJECTS);
    assert_eq!(done.text("job_id"), stopped.text("job_id"));
    assert_contents(&world, "stopped");
    let (writes, blobs) = world.cloud.write_totals(ACCOUNT);
    assert_eq!((writes, blobs), (OBJECTS, OBJECTS), "no blob twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_at_once_and_loses_nothing() {
    let world = world(&["twice"]).await;
    let copy = world.copy("s3://twice", "twice").args(["--concurrency=16"]);
    let gate = hold_after(&world, BEFORE);
    let mut running = copy.start();
    held(&world, &mut running).await;
    running.terminate().await;
    running.says("SIGTERM: stopping").await;
    running.terminate().await;

    let stopped = tokio::time::timeout(AT_ONCE, running.finish()).await;

    let stopped = stopped.expect("the second signal did not stop it at once");
    assert_eq!(stopped.code(), Some(1), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("run the same command again"));
    world.cloud.clear_hook();
    gate.open();

    let done = copy.run().await;

    done.assert_all_copied(OBJECTS);
    assert_contents(&world, "twice");
    let (writes, _) = world.cloud.write_totals(ACCOUNT);
    println!("{} objects written again", writes - OBJECTS);
    assert!(writes - OBJECTS <= 4 * 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_copies_share_a_state_folder_side_by_side() {
    let world = world(&["one", "two"]).await;
    let gate = hold_after(&world, BEFORE);
    let mut first = world.copy("s3://one", "one").start();
    held(&world, &mut first).await;
    let mut second = world.copy("s3://two", "two").start();
    let submitted = async {
        let has = |log: &String| log.contains("job submitted");
        while world.job_logs().iter().filter(|log| has(log)).count() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = submitted => {}
        () = second.must_not_end() => {}
    }
    gate.open();

    let (first, second) = tokio::join!(first.finish(), second.finish());

    for done in [&first, &second] {
        done.assert_all_copied(OBJECTS);
    }
    assert_ne!(first.text("job_id"), second.text("job_id"));
    assert_contents(&world, "one");
    assert_contents(&world, "two");
    let (writes, blobs) = world.cloud.write_totals(ACCOUNT);
    assert_eq!((writes, blobs), (2 * OBJECTS, 2 * OBJECTS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_job_is_refused() {
    let world = world(&["same"]).await;
    let copy = world.copy("s3://same", "same");
    let gate = hold_after(&world, BEFORE);
    let mut first = copy.start();
    held(&world, &mut first).await;

    let refused = copy.run().await;

    assert_eq!(refused.code(), Some(1));
    assert_eq!(refused.stdout, "");
    assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("working on this job"),
        "{}",
        refused.stderr
    );
    gate.open();
    let done = first.finish().await;
    done.assert_all_copied(OBJECTS);
    assert_contents(&world, "same");
    assert_eq!(world.cloud.write_totals(ACCOUNT), (OBJECTS, OBJECTS));
}
