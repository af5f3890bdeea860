//! A fleet's bad input: a broker that refuses, and messages nobody can read.

use std::path::Path;
use std::time::Duration;

use blobfleet::board;
use blobfleet::broker::amqp::{AmqpBroker, AmqpOptions};
use blobfleet::broker::{Broker, Queue};
use blobfleet::job::JobId;
use blobfleet::message::{Envelope, Headers, JobEvent};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use super::run::{Running, World};
use crate::rabbitmq::{self, Node};

const SUBMIT: &str = "lister s3://photos {blob}/cont --recursive --output-type json";

#[tokio::test]
async fn a_broker_that_refuses_is_named_at_once() {
    let world = World::start().await;
    let right = rabbitmq::url();
    let host = right.strip_prefix("amqp://guest:guest@").unwrap();
    let host = host.strip_suffix("/%2f").unwrap();
    for (url, parts) in [
        (
            format!("amqp://guest:S3CR3T@{host}/%2f"),
            ["refuses", "check user, password and permissions of guest"],
        ),
        (
            format!("amqp://guest:guest@{host}/nowhere"),
            ["nowhere", "check that the vhost nowhere exists"],
        ),
        (
            format!("amqp://guest:guest@{host}/"),
            ["ends in /", "write %2f"],
        ),
    ] {
        for role in [
            "lister s3://photos {blob}/cont --recursive",
            "lister",
            "copier",
            "reporter",
        ] {
            // What the libraries log of their talk with the broker holds the password.
            let line = format!("{role} --log-level info,lapin=trace,blobfleet=trace");
            let ended = world.run(&line, &[("BLOBFLEET_BROKER", &url)]).await;
            assert_eq!(ended.code, Some(1), "{role}: {ended:?}");
            for part in parts {
                assert!(ended.error().contains(part), "{part}: {ended:?}");
            }
            assert!(ended.took < Duration::from_secs(15), "{ended:?}");
        }
    }
}

/// A fleet of its own: the programs' queues have fixed names.
struct Fleet {
    world: World,
    node: Node,
    broker: std::sync::Arc<AmqpBroker>,
    home: TempDir,
}

impl Fleet {
    async fn start() -> Self {
        let (world, node) = (World::start().await, Node::start());
        let options = AmqpOptions::default();
        let broker = AmqpBroker::connect(&node.url(), options).await.unwrap();
        Self {
            world,
            node,
            broker,
            home: TempDir::new().unwrap(),
        }
    }

    fn role(&self, line: &str) -> Running {
        let home: &Path = self.home.path();
        let env = [("BLOBFLEET_BROKER", self.node.url())];
        self.world.start_in(line, &[(env[0].0, &env[0].1)], home)
    }

    /// Submits a job while nobody copies, and waits until it is listed.
    async fn listed(&self, line: &str) -> JobId {
        let ended = self.world.ended(line, self.role(line)).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let jobs = board::read(&*self.broker).await.unwrap();
        let last = jobs.iter().last().unwrap();
        last.spec.id.clone()
    }

    async fn publish(&self, queue: &Queue, headers: Headers, body: &'static [u8]) {
        let message = Envelope {
            headers,
            body: body.into(),
        };
        self.broker.publish(queue, vec![message]).await.unwrap();
    }

    /// Spoils one message of a queue and gives its headers.
    async fn spoil_one(&self, queue: &Queue) -> Headers {
        let mut consumer = self.broker.consume(queue, 1).await.unwrap();
        let delivery = consumer.next().await.unwrap();
        let headers = delivery.message.headers.clone();
        self.publish(queue, headers.clone(), b"\x01garbage").await;
        delivery.ack().await.unwrap();
        headers
    }

    async fn parked(&self, count: usize) -> Vec<String> {
        for _ in 0..200 {
            let parked = self.broker.parked(100).await.unwrap();
            if parked.len() >= count {
                return parked.into_iter().map(|parked| parked.queue).collect();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{:?}", self.broker.parked(100).await);
    }

    async fn stopped(&self, line: &str, running: Running) {
        running.terminate();
        let ended = self.world.ended(line, running).await;
        assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
    }

    /// A role that meets a message of a newer version says so and ends; the message stays.
    async fn refuses_newer(&self, line: &str, queue: &Queue) {
        self.publish(queue, Headers::default(), b"\x04newer").await;
        let ended = self.world.ended(line, self.role(line)).await;
        assert_eq!(ended.code, Some(1), "{line}: {ended:?}");
        for part in ["version 4", "reads up to 3", "upgrade it"] {
            assert!(ended.error().contains(part), "{part}: {ended:?}");
        }
        for _ in 0..100 {
            if self.broker.depth(queue).await.unwrap().ready > 0 {
                return self.take_newer(queue).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{line}: the message is gone");
    }

    fn arrived(&self) {
        let blobs = self.world.cloud.blobs(simcloud::ACCOUNT);
        let objects = self.world.cloud.objects("photos");
        assert_eq!(blobs.len(), objects.len());
        for ((key, content), (_, blob)) in objects.iter().zip(&blobs) {
            assert!(*key == blob.name && blob.equals(content), "{key}");
        }
    }

    /// Takes the message of a newer version away, as an upgraded role would; all others stay.
    async fn take_newer(&self, queue: &Queue) {
        let mut consumer = self.broker.consume(queue, 100).await.unwrap();
        let mut others = Vec::new();
        loop {
            let delivery = timeout(Duration::from_secs(60), consumer.next()).await;
            let delivery = delivery.unwrap().unwrap();
            if delivery.message.body[..] == b"\x04newer"[..] {
                delivery.ack().await.unwrap();
                return;
            }
            others.push(delivery);
        }
    }

    /// The job goes on to its end with exact totals and nothing parked.
    async fn completes(&self) {
        let roles = ["reporter", "copier", "lister"].map(|line| (line, self.role(line)));
        let wait = format!("{SUBMIT} --wait");
        let ended = self.world.ended(&wait, self.role(&wait)).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.totals(), [3, 3, 0, 0], "{ended:?}");
        assert_eq!(self.broker.parked(9).await.unwrap(), []);
        self.arrived();
        for (line, running) in roles {
            self.stopped(line, running).await;
        }
    }
}

#[tokio::test]
async fn messages_nobody_can_read_are_parked_and_counted_once() {
    let fleet = Fleet::start().await;
    let reporter = fleet.role("reporter");
    let job = fleet.listed(SUBMIT).await;
    let copies = Queue::Copy(job.clone());

    let real = fleet.spoil_one(&copies).await;
    assert_eq!(real.job, job.to_string());
    let unknown = Headers {
        nonce: real.nonce ^ 1,
        ..real.clone()
    };
    let beyond = Headers {
        index: 1000,
        ..real.clone()
    };
    fleet.publish(&copies, unknown, b"").await;
    fleet.publish(&copies, beyond, b"\x01\xc1").await;
    fleet.publish(&copies, Headers::default(), b"{}").await;
    fleet.publish(&copies, real.clone(), b"\x01garbage").await;
    for queue in [Queue::List, Queue::Outcome] {
        fleet.publish(&queue, Headers::default(), b"garbage").await;
        fleet.publish(&queue, real.clone(), b"\x01\x80").await;
    }

    let serving = fleet.role("lister");
    let copier = fleet.role("copier");
    let wait = format!("{SUBMIT} --wait");
    let ended = fleet.world.ended(&wait, fleet.role(&wait)).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.totals(), [3, 2, 0, 1], "{ended:?}");
    let summary = ended.summary();
    assert_eq!(
        summary["failed_by_reason"],
        serde_json::json!({"undecodable": 1})
    );
    assert_eq!(summary["status"], "CompletedWithErrors");
    assert_eq!(fleet.world.cloud.blobs(simcloud::ACCOUNT).len(), 2);

    let mut parked = fleet.parked(9).await;
    parked.sort();
    let copies = copies.name();
    let mut expected = vec![copies.as_str(); 5];
    expected.extend(["list", "list", "outcome", "outcome"]);
    assert_eq!(parked, expected);
    for (line, running) in [
        ("lister", serving),
        ("copier", copier),
        ("reporter", reporter),
    ] {
        assert!(!running.has_ended(), "{line}");
        fleet.stopped(line, running).await;
    }
}

#[tokio::test]
async fn messages_of_a_newer_version_stop_a_role_and_stay() {
    let fleet = Fleet::start().await;
    let reporter = fleet.role("reporter");
    let job = fleet.listed(SUBMIT).await;
    fleet.stopped("reporter", reporter).await;
    fleet
        .refuses_newer("copier", &Queue::Again(job.clone()))
        .await;
    fleet.refuses_newer("copier", &Queue::Copy(job)).await;
    fleet.refuses_newer("lister", &Queue::List).await;
    fleet.refuses_newer("reporter", &Queue::Outcome).await;
    fleet.completes().await;
    let record = Envelope {
        headers: Headers::default(),
        body: b"\x04newer".as_slice().into(),
    };
    fleet.broker.append(record).await.unwrap();
    for line in ["copier", "lister", "reporter"] {
        let ended = fleet.world.ended(line, fleet.role(line)).await;
        assert_eq!(ended.code, Some(1), "{line}: {ended:?}");
        assert!(ended.error().contains("upgrade it"), "{line}: {ended:?}");
    }
}

/// Whoever waits for a job is told that no reporter is there, and what to do; done, the job ends.
#[tokio::test]
async fn a_job_that_no_reporter_takes_is_told_of() {
    let fleet = Fleet::start().await;
    let id = "lost-ledger".to_owned();
    let other = JobEvent::Ledger {
        id,
        starts: 1,
        start: 1,
    };
    board::append(&*fleet.broker, None, &other).await.unwrap();
    let refused = fleet.world.ended("reporter", fleet.role("reporter")).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for part in ["lost-ledger", "--adopt"] {
        assert!(refused.error().contains(part), "{part}: {refused:?}");
    }

    let wait = format!("{SUBMIT} --wait --broker {}", fleet.node.url());
    let mut lister = fleet.world.command(&wait, &[], fleet.home.path());
    let mut lister = lister.spawn().unwrap();
    let mut lines = BufReader::new(lister.stderr.take().unwrap()).lines();
    let told = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it is told");
            if line.contains("WARN") {
                return line;
            }
        }
    };
    let told = timeout(Duration::from_secs(120), told).await.unwrap();
    for part in ["no reporter is at work", "start one", "--adopt"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let adopting = fleet.role("reporter --adopt");
    let copier = fleet.role("copier");
    let ended = async { while lines.next_line().await.unwrap().is_some() {} };
    timeout(Duration::from_secs(120), ended).await.unwrap();
    let ended = lister.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    fleet.arrived();
    for (line, running) in [("copier", copier), ("reporter", adopting)] {
        fleet.stopped(line, running).await;
    }
}
