//! A fleet of an older version that was killed in mid-job goes on by this one's programs, and an
//! older copier beside them. By hand, with the older programs: `tests/upgrade.sh`.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blobfleet::config::environment;
use serde_json::Value;
use simcloud::{ACCOUNT, Action, Object, OpKind, SimCloud};
use tempfile::TempDir;

use super::fleet::{Fleet, SUBMIT};
use super::fleet_refused::until;
use crate::bad_input::run::{Ended, World};
use crate::gate::Gate;

/// Names the folder of the older programs; without it there is nothing to do.
const OLDER: &str = "BLOBFLEET_OLDER";
const OBJECTS: u64 = 20_000;
/// Beside them, as every world has them.
const MORE: u64 = 3;
/// Pages listed and requests to copy before either is held.
const BEFORE: (u64, u64) = (8, 400);

/// The older program of that name.
fn older(name: &str) -> Option<String> {
    let folder = environment(OLDER)?;
    let path = Path::new(&folder).join(name);
    assert!(path.is_absolute() && path.exists(), "no {}", path.display());
    Some(path.to_str().unwrap().to_owned())
}

fn fill(cloud: &SimCloud) {
    let objects = (0..OBJECTS).map(|n| (format!("d{}/n{n}", n % 7), Object::generated(n, 300)));
    cloud.put_objects("photos", objects);
}

/// Holds listing and copying half-way.
fn hold(cloud: &SimCloud) -> Gate {
    let gate = Gate::default();
    let (held, pages, copies) = (gate.clone(), AtomicU64::new(0), AtomicU64::new(0));
    cloud.on_request(move |op| {
        let (seen, most) = match op.kind {
            OpKind::ListObjects => (&pages, BEFORE.0),
            OpKind::PutBlobFromUrl => (&copies, BEFORE.1),
            _ => return Action::Pass,
        };
        match seen.fetch_add(1, Ordering::Relaxed) < most {
            true => Action::Pass,
            false => held.action(),
        }
    });
    gate
}

fn number(job: &Value, name: &str) -> u64 {
    job[format!("objects_{name}")].as_u64().unwrap()
}

fn is_half_done(job: &Value) -> bool {
    number(job, "copied") >= BEFORE.1 / 4 && number(job, "listed") >= 1_000
}

/// The job has ended with every object once, each byte of it.
fn assert_all(cloud: &SimCloud, ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = ended.summary();
    let all = OBJECTS + MORE;
    assert_eq!(ended.totals(), [all, all, 0, 0], "{summary}");
    assert_eq!(summary["objects_open"], 0, "{summary}");
    assert_eq!(summary["bytes_copied"], summary["bytes_listed"]);
    let (objects, blobs) = (cloud.objects("photos"), cloud.blobs(ACCOUNT));
    assert_eq!(blobs.len(), objects.len());
    for ((key, content), (_, blob)) in objects.iter().zip(&blobs) {
        assert!(*key == blob.name && blob.equals(content), "{key}");
    }
}

/// Waits until the only job has come so far; gives it.
async fn half_done(fleet: &Fleet) -> Value {
    let end = tokio::time::Instant::now() + Duration::from_secs(120);
    loop {
        if fleet.ready().await.is_some() {
            let job = fleet.job().await;
            if job.is_object() && is_half_done(&job) {
                return job;
            }
            assert!(tokio::time::Instant::now() < end, "not so far: {job}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A fleet of the older version, killed with its queues full; gives its job.
async fn killed_half_way(fleet: &Fleet) -> Option<Value> {
    let (reporter, lister, copier) = (older("reporter")?, older("lister")?, older("copier")?);
    fill(&fleet.world.cloud);
    let gate = hold(&fleet.world.cloud);
    let roles = [
        fleet.reporter(&reporter),
        fleet.role(&SUBMIT.replacen("lister", &lister, 1)),
        fleet.role(&copier),
    ];
    let job = half_done(fleet).await;
    for role in roles {
        role.die().await;
    }
    fleet.world.cloud.clear_hook();
    gate.open();
    Some(job)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_of_before_goes_on() {
    let fleet = Fleet::prepare().await;
    let Some(before) = killed_half_way(&fleet).await else {
        return;
    };
    let listed = number(&before, "listed");
    assert!((1_000..OBJECTS).contains(&listed), "half listed: {before}");

    let roles = [fleet.reporter("reporter"), fleet.role("copier")];
    let joined = fleet.run(&format!("{SUBMIT} --wait")).await;

    assert_eq!(joined.summary()["job_id"], before["job_id"]);
    assert_all(&fleet.world.cloud, &joined);
    assert!(!roles.iter().any(|role| role.has_ended()));
    println!("{before}\n{}", joined.summary());
}

/// The older copier alone copies, for a reporter and a lister of now; `jobs retry` is no end of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copier_of_before_copies_beside_others() {
    let Some(copier) = older("copier") else {
        return;
    };
    let (fleet, _reporter) = Fleet::start().await;
    fill(&fleet.world.cloud);
    let copier = fleet.role(&copier);
    let job = super::fleet_refused::submitted(&fleet, SUBMIT).await;
    until(&fleet, &job, |job| number(job, "copied") > 100).await;
    let retried = fleet.jobs(&format!("retry {job}")).await;
    assert_eq!(retried.code, Some(0), "{retried:?}");

    let joined = fleet.run(&format!("{SUBMIT} --wait")).await;

    assert_all(&fleet.world.cloud, &joined);
    copier.terminate();
    let ended = fleet.world.ended("copier", copier).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// The same of one process and its state folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_folder_of_before_goes_on() {
    let Some(older) = older("blobfleet") else {
        return;
    };
    let (world, home) = (World::start().await, TempDir::new().unwrap());
    fill(&world.cloud);
    let gate = hold(&world.cloud);
    let line = "blobfleet copy s3://photos {blob}/cont --recursive --output-type json";
    let running = world.start_in(&line.replacen("blobfleet", &older, 1), &[], home.path());
    while world.cloud.write_totals(ACCOUNT).0 < BEFORE.1 {
        assert!(!running.has_ended());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.die().await;
    world.cloud.clear_hook();
    gate.open();
    let list = "blobfleet jobs list --output-type json";
    let listed = world.run_in(list, &[], home.path()).await;
    let before: Value = serde_json::from_str(listed.stdout.trim()).unwrap();
    assert_eq!(before["status"], "Interrupted", "{before}");

    let ended = world.run_in(line, &[], home.path()).await;

    assert_eq!(ended.summary()["job_id"], before["job_id"]);
    assert_all(&world.cloud, &ended);
    println!("{before}\n{}", ended.summary());
}
