//! A full disk, at each of the files that a job writes: one line says so, and the job goes on where
//! it stopped once there is space.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use simcloud::{ACCOUNT, Action, Object, OpKind};
use tempfile::TempDir;

use super::run::{Ended, World};
use crate::embedded_durability::shim;
use crate::gate::Gate;

const OBJECTS: u64 = 2_000;
/// Besides: objects that fail, each with a line of the log.
const BAD: u64 = 5;
/// Objects copied before the disk is full.
const BEFORE: u64 = 300;
const COPY: &str = "blobfleet copy s3://many {blob}/cont --recursive --output-type json \
                    --concurrency 32";

/// A job's home, and a disk that can be made full.
struct Disk {
    home: TempDir,
    flag: PathBuf,
}

impl Disk {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let flag = home.path().join("full");
        Self { home, flag }
    }

    /// From now on no file can grow whose path holds `part`.
    fn fill(&self, part: &str) {
        fs::write(&self.flag, part).unwrap();
    }

    fn free(&self) {
        fs::remove_file(&self.flag).unwrap();
    }

    fn env(&self) -> [(&'static str, String); 4] {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        [
            ("LD_PRELOAD", text(shim().to_owned())),
            ("DURABILITY_JOURNAL", "/dev/null".to_owned()),
            ("DURABILITY_FOLDER", text(self.home.path().join(".local"))),
            ("DURABILITY_FULL", text(self.flag.clone())),
        ]
    }
}

async fn world() -> World {
    let world = World::start().await;
    world.cloud.add_bucket("many", "eu-west-1");
    let objects = (0..OBJECTS).map(|n| (format!("k{n:04}"), Object::generated(n, 100)));
    world.cloud.put_objects("many", objects);
    let bad = (0..BAD).map(|n| (format!("k0500-{n}."), Object::bytes("x")));
    world.cloud.put_objects("many", bad);
    world
}

/// Holds every copy after the first [`BEFORE`].
fn hold(world: &World) -> Gate {
    let gate = Gate::default();
    let (held, seen) = (gate.clone(), AtomicU64::new(0));
    world.cloud.on_request(move |op| match op.kind {
        OpKind::PutBlobFromUrl if seen.fetch_add(1, Ordering::Relaxed) >= BEFORE => held.action(),
        _ => Action::Pass,
    });
    gate
}

fn refused(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in parts {
        assert!(ended.error().contains(part), "{part}: {ended:?}");
    }
}

/// Full before the job begins, then in mid-job with everything listed, then free again.
async fn full(part: &str, says: &[&str]) {
    let (world, disk) = (world().await, Disk::new());
    let env = disk.env();
    let env = env.each_ref().map(|(name, value)| (*name, value.as_str()));
    disk.fill(part);
    let ended = world.run_in(COPY, &env, disk.home.path()).await;
    refused(&ended, says);
    assert_eq!(world.cloud.write_totals(ACCOUNT).0, 0, "{ended:?}");
    disk.free();

    let gate = hold(&world);
    let running = world.start_in(COPY, &env, disk.home.path());
    while world.cloud.requests(OpKind::PutBlobFromUrl) <= BEFORE {
        assert!(!running.has_ended());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    disk.fill(part);
    gate.open();
    let ended = world.ended(COPY, running).await;
    refused(&ended, says);
    assert_eq!(ended.summary()["status"], "Interrupted", "{ended:?}");
    let [_, copied, skipped, failed] = ended.totals();
    assert!(
        copied <= OBJECTS && skipped == 0 && failed <= BAD,
        "{ended:?}"
    );
    disk.free();

    let done = world.run_in(COPY, &env, disk.home.path()).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(done.totals(), [OBJECTS + BAD, OBJECTS, 0, BAD], "{done:?}");
    assert_eq!(done.summary()["status"], "CompletedWithErrors");
    assert_eq!(done.summary()["job_id"], ended.summary()["job_id"]);
    let (objects, blobs) = (world.cloud.objects("many"), world.cloud.blobs(ACCOUNT));
    assert_eq!(blobs.len() as u64, OBJECTS);
    let good = objects.iter().filter(|(key, _)| !key.ends_with('.'));
    for ((key, content), (_, blob)) in good.zip(blobs) {
        assert!(*key == blob.name && blob.equals(content), "{key}");
    }
    let (writes, _) = world.cloud.write_totals(ACCOUNT);
    assert!(writes <= OBJECTS + 300, "{writes} writes of {OBJECTS}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_queue() {
    full(
        "queue.db",
        &["the disk is full", "queue.db", "free some space"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_ledger() {
    full(
        "ledger.sqlite",
        &["disk is full", "ledger.sqlite", "free some space"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_log() {
    full("job.log", &["job.log", "No space left", "free some space"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_everything() {
    full("", &["free some space"]).await;
}
