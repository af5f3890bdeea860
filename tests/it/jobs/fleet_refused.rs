//! A destination that refuses, a broker that is away: a fleet says so and goes on, over a real
//! RabbitMQ.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use blobfleet::broker::amqp::{AmqpBroker, AmqpOptions};
use blobfleet::broker::{Broker, MAX_WAIT, Queue};
use blobfleet::job::JobId;
use serde_json::Value;
use simcloud::{ACCOUNT, Action, Content, Object, OpKind, SimCloud};
use tokio::time::Instant;

use super::fleet::{Fleet, SUBMIT};
use crate::bad_input::run::Running;

const REFUSED: u64 = 400;
const OTHERS: u64 = 600;
/// Refusals that hold a container, and a few more.
const MANY: u64 = 130;
/// Objects that would wait for long if nobody asked for them.
const WAITING: u16 = 20;

/// Waits until a job is so, as the reporter tells it.
pub(super) async fn until(fleet: &Fleet, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let come = async {
        loop {
            let job = fleet.job_named(id).await;
            if is_so(&job) {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let come = tokio::time::timeout(Duration::from_secs(120), come).await;
    match come {
        Ok(job) => job,
        Err(_) => panic!("it does not come: {}", fleet.job_named(id).await),
    }
}

/// Submits a job and lists it; gives its id.
pub(super) async fn submitted(fleet: &Fleet, line: &str) -> String {
    let submitted = fleet.run(line).await;
    assert_eq!(submitted.code, Some(0), "{submitted:?}");
    let mut words = submitted.stderr.split("job.id=").skip(1);
    let id = words.next().unwrap().split_whitespace().next().unwrap();
    id.to_owned()
}

/// Has the first messages of a job wait for an hour.
async fn put_off(fleet: &Fleet, job: &str) {
    // Nobody kills this broker, so that nothing is lost of a queue just made.
    let options = AmqpOptions {
        settle: Duration::ZERO,
        ..AmqpOptions::default()
    };
    let broker = AmqpBroker::connect(&fleet.node.url(), options)
        .await
        .unwrap();
    let queue = Queue::Copy(JobId::new(job));
    let mut consumer = broker.consume(&queue, WAITING).await.unwrap();
    for _ in 0..WAITING {
        let delivery = consumer.next().await.unwrap();
        let message = delivery.message.clone();
        delivery.again(message, MAX_WAIT).await.unwrap();
    }
    drop(consumer);
    broker.close().await.unwrap();
}

pub(super) fn assert_arrived(fleet: &Fleet, container: &str, objects: u64) {
    let blobs = fleet.world.cloud.blobs(ACCOUNT).into_iter();
    let mut arrived = 0;
    for (_, blob) in blobs.filter(|(name, _)| name == container) {
        if let Some(number) = blob.name.strip_prefix('n') {
            let content = Content::Generated {
                seed: number.parse().unwrap(),
                length: 300,
            };
            assert!(blob.equals(&content), "{container}/{}", blob.name);
            arrived += 1;
        }
    }
    assert_eq!(arrived, objects, "{container}");
}

/// The container `cont` refuses writes as long as the first says so; the second counts them.
fn refuse_writes(cloud: &SimCloud) -> (Arc<AtomicBool>, Arc<AtomicU64>) {
    let (refusing, refused) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let (refuses, count) = (refusing.clone(), refused.clone());
    cloud.on_request(move |op| {
        let here = op.kind == OpKind::PutBlobFromUrl && op.place.ends_with("/cont");
        if here && refuses.load(Ordering::SeqCst) {
            count.fetch_add(1, Ordering::SeqCst);
            return Action::Fail {
                status: 403,
                code: "AuthorizationPermissionMismatch",
            };
        }
        Action::Pass
    });
    (refusing, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_refuses_writes_holds_its_own_job_alone() {
    let (fleet, reporter) = Fleet::start().await;
    let cloud = fleet.world.cloud.clone();
    cloud.add_bucket("films", "eu-west-1");
    for (bucket, objects) in [("photos", REFUSED), ("films", OTHERS)] {
        let objects = (0..objects).map(|n| (format!("n{n}"), Object::generated(n, 300)));
        cloud.put_objects(bucket, objects);
    }
    let (refusing, refused) = refuse_writes(&cloud);
    let first = submitted(&fleet, SUBMIT).await;
    let first = first.as_str();
    put_off(&fleet, first).await;
    let copiers = [fleet.role("copier"), fleet.role("copier")];
    while refused.load(Ordering::SeqCst) < 2 * MANY {
        assert!(!copiers.iter().any(|copier| copier.has_ended()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let line = "lister s3://films {blob}/films --recursive --output-type json";

    let second = submitted(&fleet, line).await;
    let second = second.as_str();
    until(&fleet, second, |job| {
        job["objects_copied"].as_u64() > Some(100)
    })
    .await;
    copiers[0].kill();
    reporter.die().await;
    let reporter = until_ready(&fleet, fleet.reporter("reporter"), 200).await;
    let other = until(&fleet, second, |job| job["status"] != "Running").await;

    assert_eq!(other["status"], "Completed", "{other}");
    assert_eq!(other["objects_copied"], OTHERS);
    assert_arrived(&fleet, "films", OTHERS);
    assert_waits(&fleet, first).await;
    wake(&fleet, first).await;
    refusing.store(false, Ordering::SeqCst);
    // It goes on by itself, but for what waits for longer than anybody wants to.
    wake(&fleet, first).await;
    let last = until(&fleet, first, |job| job["status"] != "Running").await;
    assert_eq!(last["status"], "Completed", "{last}");
    assert_eq!(last["objects_copied"], REFUSED + 3, "{last}");
    assert_arrived(&fleet, "cont", REFUSED);
    let [_, copier] = copiers;
    assert_told(&fleet, copier).await;
    drop(reporter);
}

/// Has what is held, or waits, of a job tried at once.
async fn wake(fleet: &Fleet, job: &str) {
    let woken = fleet.jobs(&format!("retry {job}")).await;
    assert_eq!(woken.code, Some(0), "{woken:?}");
    let said = "or waits to be tried again, is tried at once";
    assert!(woken.stderr.contains(said), "{woken:?}");
}

/// The job goes on, nothing of it has failed, and what waits was not lost.
async fn assert_waits(fleet: &Fleet, job: &str) {
    let held = fleet.job_named(job).await;
    assert_eq!(held["status"], "Running", "{held}");
    assert_eq!(held["objects_failed"], 0, "{held}");
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let repair = fleet.jobs(&format!("repair {job}")).await;
        let refusal = repair.error();
        if refusal.contains("messages of the job wait") {
            return;
        }
        // A reporter that has just begun has not looked yet.
        let unknown = refusal.contains("have not been counted yet");
        assert!(unknown && Instant::now() < end, "{repair:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The copier goes on living and says what it held.
async fn assert_told(fleet: &Fleet, copier: Running) {
    copier.terminate();
    let ended = fleet.world.ended("copier", copier).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for said in [
        "is held: 100 objects",
        "is tried again at once, as it was asked for",
        "can be written again",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {ended:?}");
    }
}

/// A broker that is away is told of once, and once when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_is_told_of_once() {
    let (fleet, reporter) = Fleet::start().await;
    let id = submitted(&fleet, SUBMIT).await;
    let copier = fleet.role("copier");
    let is_copied = |job: &Value| job["status"] == "Completed";
    until(&fleet, &id, is_copied).await;
    assert_eq!(fleet.ready().await, Some(200));

    // In order: a RabbitMQ 3.10 killed soon after it deleted a queue may not start the others again.
    fleet.node.control(&["stop_app"]);

    let reporter = until_ready(&fleet, reporter, 503).await;
    let metrics = fleet.text("/metrics").await;
    assert!(
        metrics.contains("blobfleet_broker_connected 0"),
        "{metrics}"
    );
    assert_eq!(fleet.text("/healthz").await, "ok\n");
    fleet.node.control(&["start_app"]);
    let reporter = until_ready(&fleet, reporter, 200).await;
    let metrics = fleet.text("/metrics").await;
    assert!(
        metrics.contains("blobfleet_broker_connected 1"),
        "{metrics}"
    );
    // Whoever works on is one that came back, and one that declares again what was deleted.
    for queue in ["list", "outcome"] {
        fleet.node.control(&["delete_queue", queue]);
    }
    let again = submitted(&fleet, &format!("{SUBMIT} --new")).await;
    until(&fleet, &again, is_copied).await;
    for (line, role) in [("copier", copier), ("reporter", reporter)] {
        role.terminate();
        let ended = fleet.world.ended(line, role).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for said in ["nothing is lost, what is in hand waits", "is back after"] {
            let times = ended.stderr.matches(said).count();
            assert_eq!(times, 1, "{line}: {said}: {ended:?}");
        }
        let warnings = ended.stderr.matches(" WARN ").count();
        assert_eq!(warnings, 3, "and that it is stopping: {ended:?}");
    }
}

async fn until_ready(fleet: &Fleet, reporter: Running, status: u16) -> Running {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if reporter.has_ended() {
            panic!("{:?}", fleet.world.ended("reporter", reporter).await);
        }
        if fleet.ready().await == Some(status) {
            return reporter;
        }
        assert!(Instant::now() < end, "/readyz never answers {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
