//! Messages of the embedded queue that are of a newer version, or truncated.

use std::path::{Path, PathBuf};

use blobfleet::broker::embedded::{EmbeddedBroker, FILE};
use blobfleet::broker::{Broker, Queue};
use blobfleet::job::JobId;
use blobfleet::message::{Envelope, Headers};
use rusqlite::Connection;
use simcloud::{ACCOUNT, Action, Object, OpKind};
use tempfile::TempDir;

use super::run::{Ended, World};

const OBJECTS: u64 = 2_000;
/// What one request for a listing gives.
const PAGE: u64 = 1_000;
const COPY: &str = "blobfleet copy s3://many {blob}/cont --recursive --output-type json";
const NEWER: &[u8] = b"\x04newer";

/// A job whose first page is listed and whose second list task waits, with nothing copied.
struct Job {
    world: World,
    home: TempDir,
    id: JobId,
}

impl Job {
    async fn interrupted() -> Self {
        let world = World::start().await;
        world.cloud.add_bucket("many", "eu-west-1");
        let objects = (0..OBJECTS).map(|n| (format!("k{n:04}"), Object::generated(n, 100)));
        world.cloud.put_objects("many", objects);
        let fail = |status, code| Action::Fail { status, code };
        // The first page counts once the second is asked for.
        let mut counted = false;
        world.cloud.on_request(move |op| match op.kind {
            // One to plan, one to probe, one page of the job.
            OpKind::ListObjects if op.number > 3 => {
                counted = true;
                fail(503, "SlowDown")
            }
            OpKind::PutBlobFromUrl if !counted => fail(503, "ServerBusy"),
            OpKind::PutBlobFromUrl => fail(403, "AuthenticationFailed"),
            _ => Action::Pass,
        });
        let home = TempDir::new().unwrap();
        let ended = world.run_in(COPY, &[], home.path()).await;
        assert_eq!(ended.summary()["status"], "Interrupted", "{ended:?}");
        assert_eq!(ended.totals(), [PAGE, 0, 0, 0], "{ended:?}");
        world.cloud.clear_hook();
        let id = JobId::new(ended.summary()["job_id"].as_str().unwrap());
        Self { world, home, id }
    }

    fn folder(&self) -> PathBuf {
        let jobs = Path::new(".local/state/blobfleet/jobs").join(self.id.as_str());
        self.home.path().join(jobs)
    }

    fn broker(&self) -> std::sync::Arc<EmbeddedBroker> {
        EmbeddedBroker::open(&self.folder()).unwrap()
    }

    async fn run(&self) -> Ended {
        self.world.run_in(COPY, &[], self.home.path()).await
    }

    async fn put(&self, queue: &Queue, headers: Headers, body: &'static [u8]) {
        let (broker, body) = (self.broker(), body.into());
        let message = Envelope { headers, body };
        broker.publish(queue, vec![message]).await.unwrap();
        broker.close().await.unwrap();
    }

    /// Takes the message of that body away; all others stay.
    async fn take(&self, queue: &Queue, body: &[u8]) {
        let broker = self.broker();
        assert_eq!(broker.parked(9).await.unwrap(), []);
        let mut consumer = broker.consume(queue, u16::MAX).await.unwrap();
        let mut others = Vec::new();
        loop {
            let delivery = consumer.next().await.unwrap();
            if delivery.message.body == body {
                delivery.ack().await.unwrap();
                break;
            }
            others.push(delivery);
        }
        drop((others, consumer));
        broker.close().await.unwrap();
    }

    /// Cuts the body of one message short; gives its headers.
    async fn truncate_one(&self, queue: &Queue) -> Headers {
        let broker = self.broker();
        let mut consumer = broker.consume(queue, 1).await.unwrap();
        let delivery = consumer.next().await.unwrap();
        let mut message = delivery.message.clone();
        message.body.truncate(message.body.len() / 2);
        let headers = message.headers.clone();
        broker.publish(queue, vec![message]).await.unwrap();
        delivery.ack().await.unwrap();
        drop(consumer);
        broker.close().await.unwrap();
        headers
    }

    fn assert_arrived(&self, count: u64) {
        let blobs = self.world.cloud.blobs(ACCOUNT);
        assert_eq!(blobs.len() as u64, count);
        let objects = self.world.cloud.objects("many");
        for (_, blob) in blobs {
            let (_, content) = objects.iter().find(|(key, _)| *key == blob.name).unwrap();
            assert!(blob.equals(content), "{}", blob.name);
        }
    }
}

fn refused(ended: &Ended) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in ["version 4", "reads up to 3", "upgrade it"] {
        assert!(ended.error().contains(part), "{part}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_newer_version_stop_the_job_and_stay() {
    let job = Job::interrupted().await;
    for queue in [Queue::Again(job.id.clone()), Queue::List, Queue::Outcome] {
        job.put(&queue, Headers::default(), NEWER).await;
        let ended = job.run().await;
        refused(&ended);
        assert_eq!(ended.summary()["status"], "Interrupted", "{ended:?}");
        job.take(&queue, NEWER).await;
    }
    let broker = job.broker();
    let record = Envelope {
        headers: Headers::default(),
        body: NEWER.into(),
    };
    broker.append(record).await.unwrap();
    broker.close().await.unwrap();
    refused(&job.run().await);
    let file = Connection::open(job.folder().join(FILE)).unwrap();
    let removed = file.execute("DELETE FROM log WHERE body = ?1", [NEWER]);
    assert_eq!(removed, Ok(1));
    drop(file);

    let done = job.run().await;

    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.totals(), [OBJECTS, OBJECTS, 0, 0], "{done:?}");
    assert_eq!(done.summary()["job_id"], job.id.as_str());
    job.assert_arrived(OBJECTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_are_truncated_are_an_object_and_a_range_that_failed() {
    let job = Job::interrupted().await;
    let object = job.truncate_one(&Queue::Copy(job.id.clone())).await;
    let range = job.truncate_one(&Queue::List).await;
    job.put(&Queue::Outcome, Headers::default(), b"\x01\x80")
        .await;

    let done = job.run().await;

    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(done.totals(), [PAGE, PAGE - 1, 0, 1], "{done:?}");
    let summary = done.summary();
    assert_eq!(summary["status"], "CompletedWithErrors");
    assert_eq!(summary["ranges_failed"], 1);
    let reasons = serde_json::json!({"undecodable": 1});
    assert_eq!(summary["failed_by_reason"], reasons);
    job.assert_arrived(PAGE - 1);
    let broker = job.broker();
    let mut parked = broker.parked(9).await.unwrap();
    parked.sort_by(|one, other| one.queue.cmp(&other.queue));
    let found: Vec<_> = parked
        .iter()
        .map(|one| (&*one.queue, &one.message.headers))
        .collect();
    let copies = Queue::Copy(job.id.clone()).name();
    let nobodys = Headers::default();
    assert_eq!(
        found,
        [(&*copies, &object), ("list", &range), ("outcome", &nobodys)]
    );
    broker.close().await.unwrap();
    drop(broker);

    let retry = format!("blobfleet jobs retry {} --output-type json", job.id);
    let done = job.world.run_in(&retry, &[], job.home.path()).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.totals(), [OBJECTS, OBJECTS, 0, 0], "{done:?}");
    job.assert_arrived(OBJECTS);
    let left = job.broker().parked(9).await.unwrap();
    let left: Vec<_> = left.iter().map(|one| &*one.queue).collect();
    assert_eq!(left, ["outcome"], "a report is not what a retry puts back");
}
