//! A fleet's job is retried and repaired over a real RabbitMQ, while its roles go on living.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use blobfleet::board;
use blobfleet::broker::amqp::{AmqpBroker, AmqpOptions};
use blobfleet::broker::{Broker, Queue};
use blobfleet::job::JobId;
use blobfleet::message::{Envelope, Headers};
use serde_json::Value;
use simcloud::{ACCOUNT, Action, Object, Op, OpKind};

use super::fleet::{Fleet, SUBMIT, copying, gone, hold, lines};
use crate::bad_input::run::{Ended, Running};
use crate::gate::Gate;

/// Beside the three that are there.
const OBJECTS: u64 = 300;

/// Waits for the job's end as the reporter tells it.
async fn ended(fleet: &Fleet) -> Value {
    let ended = async {
        loop {
            let job = fleet.job().await;
            if job["status"] != "Running" {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(90), ended).await;
    match ended {
        Ok(job) => job,
        Err(_) => panic!("the job does not end: {}", fleet.job().await),
    }
}

fn counts(job: &Value) -> [u64; 5] {
    ["listed", "copied", "skipped", "failed", "open"]
        .map(|name| job[format!("objects_{name}")].as_u64().unwrap())
}

/// The job has ended with everything copied, and every object has arrived as it is.
fn assert_all_copied(fleet: &Fleet, job: &Value, objects: u64) {
    assert_eq!(job["status"], "Completed", "{job}");
    assert_eq!(counts(job), [objects, objects, 0, 0, 0]);
    assert_eq!(job["bytes_copied"], job["bytes_listed"]);
    let objects = fleet.world.cloud.objects("photos");
    let blobs = fleet.world.cloud.blobs(ACCOUNT);
    assert_eq!(blobs.len(), objects.len());
    for ((key, content), (_, blob)) in objects.iter().zip(&blobs) {
        assert!(*key == blob.name && blob.equals(content), "{key}");
    }
}

/// Cuts one copy message of the job short and gives its headers.
async fn truncate_one(broker: &AmqpBroker, job: &JobId) -> Headers {
    let queue = Queue::Copy(job.clone());
    let mut consumer = broker.consume(&queue, 1).await.unwrap();
    let delivery = consumer.next().await.unwrap();
    let Envelope { headers, body } = delivery.message.clone();
    let broken = Envelope {
        headers: headers.clone(),
        body: body.slice(..body.len() / 2),
    };
    broker.publish(&queue, vec![broken]).await.unwrap();
    delivery.ack().await.unwrap();
    headers
}

/// What S3 answers for one object in ten.
fn refusal(op: &Op) -> Option<Action> {
    let asked = matches!(op.kind, OpKind::HeadObject | OpKind::GetObject);
    (asked && op.name.ends_with('7')).then_some(Action::Fail {
        status: 403,
        code: "AccessDenied",
    })
}

/// A fleet with a job that is listed and that nobody copies yet; some of its objects are refused,
/// and the message of another is cut short.
struct Troubled {
    fleet: Fleet,
    reporter: Running,
    broker: Arc<AmqpBroker>,
    id: String,
    broken: Headers,
}

async fn troubled() -> Troubled {
    let (fleet, reporter) = Fleet::start().await;
    let cloud = fleet.world.cloud.clone();
    let objects = (0..OBJECTS).map(|n| (format!("k{n:03}"), Object::generated(n, 300)));
    cloud.put_objects("photos", objects);
    cloud.on_request(|op| refusal(op).unwrap_or_default());
    let submitted = fleet.run(SUBMIT).await;
    assert_eq!(submitted.code, Some(0), "{submitted:?}");
    let id = fleet.job().await["job_id"].as_str().unwrap().to_owned();
    let options = AmqpOptions::default();
    let broker = AmqpBroker::connect(&fleet.node.url(), options)
        .await
        .unwrap();
    let broken = truncate_one(&broker, &JobId::new(&id)).await;
    assert!(!broken.key.is_empty() && !broken.key.ends_with('7'));
    Troubled {
        fleet,
        reporter,
        broker,
        id,
        broken,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_in_a_fleet_is_put_back_when_the_job_has_ended() {
    let Troubled {
        fleet,
        reporter,
        broker,
        id,
        broken,
    } = troubled().await;
    let (lister, copier) = (fleet.role("lister"), fleet.role("copier"));
    let first = ended(&fleet).await;
    let failed = OBJECTS / 10 + 1;
    assert_eq!(first["status"], "CompletedWithErrors");
    assert_eq!(counts(&first), [303, 303 - failed, 0, failed, 0]);
    let shown = lines(&fleet.jobs(&format!("show {id}")).await);
    let undecodable = shown.iter().find(|line| line["reason"] == "undecodable");
    assert_eq!(undecodable.unwrap()["key"], broken.key.as_str());

    // Nobody is told but over the log; the roles that saw the end go on with the job.
    fleet.world.cloud.clear_hook();
    let retried = fleet.jobs(&format!("retry {id}")).await;
    assert_eq!(retried.code, Some(0), "{retried:?}");
    let now = retried.summary();
    assert_eq!(now["objects_failed"], 0, "{now}");
    assert_eq!(now["objects_listed"], 303 - failed, "{now}");
    assert_eq!(now["told"], true, "{now}");
    let log = board::read(&*broker).await.unwrap();
    let known = log.get(&JobId::new(&id)).unwrap();
    assert_eq!(known.round, 1, "the fleet has heard of it: {known:?}");
    // Whoever waits for the job waits for the end of this round.
    let waited = fleet.run(&format!("{SUBMIT} --wait --new=false")).await;
    assert_eq!(waited.code, Some(0), "{waited:?}");
    assert_eq!(waited.totals(), [303, 303, 0, 0], "{waited:?}");
    let last = ended(&fleet).await;

    assert_eq!(last["bytes_listed"], first["bytes_listed"]);
    assert_all_copied(&fleet, &last, 303);
    let (writes, _) = fleet.world.cloud.write_totals(ACCOUNT);
    assert_eq!(writes, 303, "what was copied is not copied again");
    for queue in [Queue::Copy, Queue::Again] {
        gone(&*broker, &queue(JobId::new(&id))).await;
    }
    nothing_left(&fleet, &id).await;
    for (line, role) in [("lister", lister), ("copier", copier)] {
        role.terminate();
        assert_eq!(fleet.world.ended(line, role).await.code, Some(0));
    }
    drop(reporter);
}

/// The log tells the last end, and another retry has nothing to do.
async fn nothing_left(fleet: &Fleet, id: &str) {
    let waited = fleet.run(&format!("{SUBMIT} --wait --new=false")).await;
    assert_eq!(waited.code, Some(0), "{waited:?}");
    let nothing = fleet.jobs(&format!("retry {id}")).await;
    assert_eq!(nothing.code, Some(0), "{nothing:?}");
    assert!(nothing.stderr.contains("nothing failed"), "{nothing:?}");
    assert_eq!(nothing.summary()["status"], "Completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleets_job_is_retried_while_it_runs() {
    let (fleet, reporter) = Fleet::start().await;
    let cloud = fleet.world.cloud.clone();
    let objects = (0..3_000).map(|n| (format!("k{n}"), Object::generated(n, 300)));
    cloud.put_objects("photos", objects);
    let refusing = Arc::new(AtomicBool::new(true));
    let (gate, seen, still) = (Gate::default(), AtomicU64::new(0), refusing.clone());
    let held = gate.clone();
    cloud.on_request(move |op| {
        let refused = refusal(op).filter(|_| still.load(Ordering::SeqCst));
        match (refused, op.kind) {
            (Some(refused), _) => refused,
            (None, OpKind::PutBlobFromUrl) if seen.fetch_add(1, Ordering::SeqCst) >= 200 => {
                held.action()
            }
            _ => Action::Pass,
        }
    });
    let (copier, lister) = (copying(&fleet).await, fleet.role("lister"));
    let id = fleet.job().await["job_id"].as_str().unwrap().to_owned();
    refusing.store(false, Ordering::SeqCst);

    let retried = fleet.jobs(&format!("retry {id}")).await;

    assert_eq!(retried.code, Some(0), "{retried:?}");
    let now = retried.summary();
    assert_eq!(now["status"], "Running");
    assert!(now["put_back"]["objects"].as_u64().unwrap() > 0, "{now}");
    gate.open();
    let mut last = ended(&fleet).await;
    if last["objects_failed"] != 0 {
        // An attempt that was refused before and told of after.
        assert_eq!(fleet.jobs(&format!("retry {id}")).await.code, Some(0));
        last = ended(&fleet).await;
    }
    assert_all_copied(&fleet, &last, 3_003);
    let (writes, _) = cloud.write_totals(ACCOUNT);
    assert!(
        writes <= 3_003 + 2 * 16,
        "only what failed is put back: {writes}"
    );
    drop((copier, lister, reporter));
}

/// Runs a command of `jobs` until its error is as said: the reporter counts once a second.
async fn answered(fleet: &Fleet, command: &str, is_so: impl Fn(&str) -> bool) -> Ended {
    let answered = async {
        loop {
            let answer = fleet.jobs(command).await;
            let error = match answer.code {
                Some(0) => String::new(),
                _ => answer.error().to_owned(),
            };
            if is_so(&error) {
                return answer;
            }
            assert!(error.contains("--force"), "{answer:?}");
        }
    };
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, answered).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_copy_queue_was_purged_is_repaired() {
    let (fleet, reporter) = Fleet::start().await;
    let cloud = fleet.world.cloud.clone();
    let objects = (0..3_000).map(|n| (format!("k{n}"), Object::generated(n, 300)));
    cloud.put_objects("photos", objects);
    let gate = hold(&cloud);
    let copier = copying(&fleet).await;
    let id = fleet.job().await["job_id"].as_str().unwrap().to_owned();
    let repair = format!("repair {id}");
    let refused = answered(&fleet, &repair, |error| {
        error.contains("messages of the job wait")
    })
    .await;
    assert!(refused.error().contains("--force"), "{refused:?}");
    fleet.node.control(&["purge_queue", &format!("copy.{id}")]);
    gate.open();
    let lister = fleet.role("lister");

    let repaired = answered(&fleet, &repair, str::is_empty).await;

    assert_eq!(repaired.code, Some(0), "{repaired:?}");
    let pages = repaired.summary()["put_back"]["pages"].as_u64().unwrap();
    assert!(pages >= 3, "{repaired:?}");
    let said = format!("put back {pages} pages");
    assert!(repaired.stderr.contains(&said), "{repaired:?}");
    assert!(
        repaired.stderr.contains("while a lister runs"),
        "{repaired:?}"
    );
    let last = ended(&fleet).await;
    assert_all_copied(&fleet, &last, 3_003);
    let refused = fleet.jobs(&format!("repair {id}")).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.error().contains("has ended already: Completed"));
    drop((copier, lister, reporter));
}
