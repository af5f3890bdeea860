//! A state folder as an older version left it: a job that was killed with its queues full, and one
//! that ended with a failure. Both go on.
//!
//! It was written by `blobfleet copy s3://bucket-0 …` of the version that knew messages up to 2, of
//! 1,500 objects as simcloud's example `serve` makes them, killed in mid-job; and by a copy of a list
//! of three entries, one of which was not there.

use std::path::Path;
use std::process::Command;

use simcloud::{ACCOUNT, Config, Object, Ports, SimCloud};

use crate::harness::{Finished, World};

const STATE: &str = "tests/it/fixtures/state-of-message-version-2.tar.gz";
const OBJECTS: u64 = 1500;

/// The clouds where the jobs have them, and the state folder.
async fn world() -> World {
    let config = Config {
        ports: Ports {
            s3: 28_731,
            blob: 28_732,
            tls: 0,
        },
        ..Config::default()
    };
    let world = World::start(config).await;
    fill(&world.cloud);
    let home = world.state();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join(STATE);
    let unpacked = Command::new("tar")
        .args(["xzf", archive.to_str().unwrap(), "-C"])
        .arg(home.parent().unwrap())
        .status();
    assert!(unpacked.unwrap().success());
    world
}

fn fill(cloud: &SimCloud) {
    cloud.add_bucket("bucket-0", "us-east-1");
    cloud.put_objects(
        "bucket-0",
        (0..OBJECTS).map(|index| {
            let key = format!("folder-{}/{index:08}", index % 16);
            (key, Object::generated(index, 64))
        }),
    );
    cloud.put_object("bucket-0", "nowhere", Object::bytes("now it is there"));
}

fn counts(done: &Finished) -> [u64; 4] {
    ["listed", "copied", "skipped", "failed"].map(|what| done.count(&format!("objects_{what}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_older_version_left_goes_on_with_the_same_counts() {
    let world = world().await;
    let listed = world.command(&["jobs", "list"]).run().await;
    let jobs: Vec<(String, String)> = listed
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|job| {
            let text = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
            (text("job_id"), text("status"))
        })
        .collect();
    assert_eq!(jobs.len(), 2, "{}", listed.stdout);
    let job = |status: &str| {
        let found = jobs.iter().find(|(_, one)| one == status);
        found
            .unwrap_or_else(|| panic!("{status}: {jobs:?}"))
            .0
            .clone()
    };

    // The same command joins the job that was killed, and counts what it had copied.
    let half = world.copy("s3://bucket-0", "half").run().await;
    assert_eq!(half.code(), Some(0), "{}", half.stderr);
    assert_eq!(half.text("job_id"), job("Interrupted"));
    // The listing was complete then; the object that came later is of no page of it.
    assert_eq!(counts(&half), [OBJECTS, OBJECTS, 0, 0], "{}", half.stdout);
    let there = world.cloud.blobs(ACCOUNT);
    let objects = world.cloud.objects("bucket-0");
    assert!(
        !there.is_empty() && (there.len() as u64) < OBJECTS,
        "some were copied before"
    );
    for (_, blob) in &there {
        let key = blob.name.strip_prefix("bucket-0/").unwrap_or(&blob.name);
        let object = objects.iter().find(|(name, _)| name == key);
        let (_, content) = object.unwrap_or_else(|| panic!("{key}"));
        assert!(blob.equals(content), "{key}");
    }

    // The one that had failed is put back and arrives.
    let failed = job("CompletedWithErrors");
    let retried = world.command(&["jobs", "retry", &failed]).run().await;
    assert_eq!(retried.code(), Some(0), "{}", retried.stderr);
    let resumed = world.command(&["jobs", "resume", &failed]).run().await;
    let shown = world.command(&["jobs", "show", &failed]).run().await;
    let text = format!("{}{}{}", retried.stdout, resumed.stdout, shown.stdout);
    assert!(text.contains("\"objects_copied\":3"), "{text}");
    assert!(text.contains("\"objects_failed\":0"), "{text}");
}
