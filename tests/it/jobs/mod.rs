//! `blobfleet jobs`: what a job came to is found again, and what is told to a job happens.

mod anew;
mod azcopy;
mod cancel;
mod fleet;
mod fleet_again;
mod fleet_before;
mod fleet_own;
mod fleet_rate;
mod fleet_refused;
mod here;
mod log;
mod repair;
mod resume;
mod retry;
mod unread;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use simcloud::{ACCOUNT, Action, Config, Content, Object, OpKind};

use crate::gate::Gate;
use crate::harness::{Finished, Running, World};

/// Length of every object.
const LENGTH: u64 = 300;
/// Requests to copy before a copy is held; the first of them may find no container yet.
const BEFORE: u64 = 200;

/// A moment that has not come after this long never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// A bucket of so many objects `k0`, `k1`, …
async fn world(bucket: &str, objects: u64) -> World {
    let world = World::start(Config::default()).await;
    fill(&world, bucket, objects);
    world
}

fn fill(world: &World, bucket: &str, objects: u64) {
    world.cloud.add_bucket(bucket, "us-west-2");
    let objects = (0..objects).map(|n| (format!("k{n}"), Object::generated(n, LENGTH)));
    world.cloud.put_objects(bucket, objects);
}

/// How many of a bucket's objects have arrived; what has arrived is as it was.
fn arrived(world: &World, bucket: &str, objects: u64) -> u64 {
    let blob = |seed: u64| {
        let blob = world.cloud.blob(ACCOUNT, bucket, &format!("k{seed}"))?;
        let length = LENGTH;
        assert!(blob.equals(&Content::Generated { seed, length }), "k{seed}");
        Some(blob)
    };
    (0..objects).filter_map(blob).count() as u64
}

/// Holds every Put Blob From URL after the first [`BEFORE`].
fn hold(world: &World) -> Gate {
    let gate = Gate::default();
    let held = gate.clone();
    let seen = AtomicU64::new(0);
    world.cloud.on_request(move |op| match op.kind {
        OpKind::PutBlobFromUrl if seen.fetch_add(1, Ordering::Relaxed) >= BEFORE => held.action(),
        _ => Action::Pass,
    });
    gate
}

/// Waits until the copy is held in the middle of its job and the ledger knows of some copies.
async fn held(world: &World, running: &mut Running) {
    let waiting = async {
        let copied = || {
            let ledger = world.ledger()?;
            let account = ledger.book().jobs.values().next()?;
            Some(account.totals.copied)
        };
        while copied().unwrap_or(0) < BEFORE / 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        came = tokio::time::timeout(PATIENCE, waiting) => came.expect("it never came so far"),
        () = running.must_not_end() => {}
    }
}

/// Runs `blobfleet jobs ARGUMENTS` and gives what it printed.
async fn jobs(world: &World, arguments: &[&str]) -> Finished {
    let command = [&["jobs"], arguments].concat();
    world.command(&command).run().await
}

/// The JSON objects of stdout, one a line.
fn lines(done: &Finished) -> Vec<Value> {
    let read =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    done.stdout.lines().map(read).collect()
}

/// Asserts that a command was refused with one line that holds these parts.
fn assert_refused(done: &Finished, code: i32, parts: &[&str]) {
    assert_eq!(done.code(), Some(code), "{done:?}");
    assert_eq!(done.stdout, "", "{done:?}");
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    for part in parts {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
}

/// Where the one job stands by `jobs list`.
async fn listed_status(world: &World) -> String {
    let listed = jobs(world, &["list"]).await;
    assert_eq!(listed.code(), Some(0), "{listed:?}");
    let [job] = &lines(&listed)[..] else {
        panic!("{listed:?}");
    };
    job["status"].as_str().unwrap().to_owned()
}
