//! How fast a job is copied beside one whose container refuses every write, against alone. By hand:
//! `tests/rate.sh`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blobfleet::config::environment;
use simcloud::{Action, Object, OpKind};
use tokio::time::Instant;

use super::fleet::Fleet;
use super::fleet_refused::{submitted, until};

/// Objects of the job that is measured; without it there is nothing to do.
const OBJECTS: &str = "BLOBFLEET_RATE_OBJECTS";
const TURNS: u64 = 5;
const REFUSED: u64 = 20_000;
/// What the rate beside it must come to, of that alone.
const LEAST: f64 = 0.9;

fn objects() -> Option<u64> {
    let text = environment(OBJECTS)?;
    Some(text.parse().unwrap())
}

/// Copies a job of its own and gives the objects a second between its first and its last tenth.
async fn rate(fleet: &Fleet, name: &str, objects: u64) -> f64 {
    let line = format!("lister s3://films {{blob}}/{name} --recursive --output-type json");
    let id = submitted(fleet, &line).await;
    let copied =
        |least| move |job: &serde_json::Value| job["objects_copied"].as_u64() >= Some(least);
    until(fleet, &id, copied(objects / 10)).await;
    let begun = Instant::now();
    until(fleet, &id, copied(objects - objects / 10)).await;
    let took = begun.elapsed();
    let ended = until(fleet, &id, |job| job["status"] != "Running").await;
    assert_eq!(ended["status"], "Completed", "{ended}");
    assert_eq!(ended["objects_copied"], objects, "{ended}");
    (objects - objects / 5) as f64 / took.as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_beside_a_refused_one_keeps_its_rate() {
    let Some(objects) = objects() else {
        return;
    };
    let (fleet, reporter) = Fleet::start().await;
    let cloud = fleet.world.cloud.clone();
    cloud.add_bucket("films", "eu-west-1");
    for (bucket, count) in [("photos", REFUSED), ("films", objects)] {
        let all = (0..count).map(|n| (format!("n{n}"), Object::generated(n, 300)));
        cloud.put_objects(bucket, all);
    }
    let refused = Arc::new(AtomicU64::new(0));
    let count = refused.clone();
    cloud.on_request(move |op| {
        if op.kind != OpKind::PutBlobFromUrl || !op.place.contains("/refused") {
            return Action::Pass;
        }
        count.fetch_add(1, Ordering::SeqCst);
        Action::Fail {
            status: 403,
            code: "AuthorizationPermissionMismatch",
        }
    });
    let copiers = [fleet.role("copier"), fleet.role("copier")];
    let mut ratios = Vec::new();
    for turn in 0..TURNS {
        let alone = rate(&fleet, &format!("alone{turn}"), objects).await;
        refused.store(0, Ordering::SeqCst);
        let line = format!("lister s3://photos {{blob}}/refused{turn} --recursive");
        let first = submitted(&fleet, &line).await;
        while refused.load(Ordering::SeqCst) < 260 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let beside = rate(&fleet, &format!("beside{turn}"), objects).await;
        let job = fleet.job_named(&first).await;
        assert_eq!(job["status"], "Running", "{job}");
        assert_eq!(job["objects_failed"], 0, "{job}");
        let cancelled = fleet.jobs(&format!("cancel {first}")).await;
        assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
        println!(
            "turn {turn}: alone {alone:.0}/s, beside {beside:.0}/s: {:.2}",
            beside / alone
        );
        ratios.push(beside / alone);
    }
    assert!(!copiers.iter().any(|copier| copier.has_ended()));
    ratios.sort_by(f64::total_cmp);
    let middle = ratios[ratios.len() / 2];
    println!("median {middle:.2}");
    assert!(middle >= LEAST, "{ratios:?}");
    drop(reporter);
}
