//! A fleet's jobs, over its reporter's API and a real RabbitMQ.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blobfleet::board;
use blobfleet::broker::amqp::{AmqpBroker, AmqpOptions};
use blobfleet::broker::{Broker, Queue};
use blobfleet::http::{Roots, client};
use blobfleet::job::{JobId, JobStatus};
use blobfleet::message::{Envelope, Headers};
use serde_json::Value;
use simcloud::{ACCOUNT, Action, Object, OpKind, SimCloud};
use tempfile::TempDir;

use crate::bad_input::run::{Ended, Running, World};
use crate::gate::Gate;
use crate::rabbitmq::{Node, free_port};

pub(super) const SUBMIT: &str = "lister s3://photos {blob}/cont --recursive --output-type json";
/// Requests to copy before copying is held; the first of them may find no container yet.
const BEFORE: u64 = 200;
/// Objects that fail, more than a page of the API.
const FAILING: u64 = 1_050;

/// A reporter, and what it needs.
pub(super) struct Fleet {
    pub(super) world: World,
    pub(super) node: Node,
    home: TempDir,
    reporter: String,
}

impl Fleet {
    pub(super) async fn start() -> (Self, Running) {
        let fleet = Self::prepare().await;
        let reporter = fleet.reporter("reporter");
        (fleet, reporter)
    }

    /// Clouds and broker; nothing of the fleet runs yet.
    pub(super) async fn prepare() -> Self {
        Self {
            world: World::start().await,
            node: Node::start(),
            home: TempDir::new().unwrap(),
            reporter: format!("http://127.0.0.1:{}", free_port()),
        }
    }

    /// Its reporter by that program, as ever with the same ledger.
    pub(super) fn reporter(&self, program: &str) -> Running {
        let address = self.reporter.trim_start_matches("http://");
        self.role(&format!("{program} --listen {address}"))
    }

    pub(super) fn role(&self, line: &str) -> Running {
        let broker = self.node.url();
        let env = [("BLOBFLEET_BROKER", broker.as_str())];
        self.world.start_in(line, &env, self.home.path())
    }

    pub(super) async fn run(&self, line: &str) -> Ended {
        self.world.ended(line, self.role(line)).await
    }

    /// `blobfleet jobs COMMAND --reporter URL`.
    pub(super) async fn jobs(&self, command: &str) -> Ended {
        let line = format!(
            "blobfleet jobs {command} --reporter {} --output-type json",
            self.reporter
        );
        self.run(&line).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.ask(path).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    async fn ask(&self, path: &str) -> (u16, String) {
        let answer = self.send(path).await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.text().await.unwrap())
    }

    /// What the reporter says at a path.
    pub(super) async fn text(&self, path: &str) -> String {
        self.ask(path).await.1
    }

    async fn send(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        let http = client(&Roots::Only(Vec::new()), Duration::from_secs(30)).unwrap();
        http.get(format!("{}{path}", self.reporter)).send().await
    }

    /// The status of the reporter's `/readyz`; none where nobody answers.
    pub(super) async fn ready(&self) -> Option<u16> {
        let answer = self.send("/readyz").await.ok()?;
        Some(answer.status().as_u16())
    }

    /// A job by its id.
    pub(super) async fn job_named(&self, id: &str) -> Value {
        let (status, body) = self.get(&format!("/api/jobs/{id}")).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The newest job.
    pub(super) async fn job(&self) -> Value {
        let (_, body) = self.get("/api/jobs").await;
        body["jobs"][0].clone()
    }
}

/// Waits until a queue is there no more.
pub(super) async fn gone(broker: &dyn Broker, queue: &Queue) {
    let message = Envelope::new(Headers::default(), &"nobody's").unwrap();
    let gone = async {
        while broker.publish(queue, vec![message.clone()]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(20), gone).await;
    gone.unwrap_or_else(|_| panic!("{queue:?} is still there"));
}

pub(super) fn lines(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let read = |line: &str| serde_json::from_str(line).unwrap();
    ended.stdout.lines().map(read).collect()
}

/// Holds copies after the first [`BEFORE`] requests.
pub(super) fn hold(cloud: &SimCloud) -> Gate {
    let gate = Gate::default();
    let (held, seen) = (gate.clone(), AtomicU64::new(0));
    cloud.on_request(move |op| match op.kind {
        OpKind::PutBlobFromUrl if seen.fetch_add(1, Ordering::Relaxed) >= BEFORE => held.action(),
        _ => Action::Pass,
    });
    gate
}

/// Submits the job and copies as far as it is let; gives the copier.
pub(super) async fn copying(fleet: &Fleet) -> Running {
    let submitted = fleet.run(SUBMIT).await;
    assert_eq!(submitted.code, Some(0), "{submitted:?}");
    let copier = fleet.role("copier --concurrency 16");
    while fleet.job().await["objects_copied"].as_u64().unwrap() < BEFORE / 2 {
        assert!(!copier.has_ended());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    copier
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleets_job_is_cancelled_and_its_tasks_go_away() {
    let (fleet, reporter) = Fleet::start().await;
    let cloud = fleet.world.cloud.clone();
    let objects = (0..3_000).map(|n| (format!("k{n}"), Object::generated(n, 300)));
    cloud.put_objects("photos", objects);
    let gate = hold(&cloud);
    let copier = copying(&fleet).await;
    let id = fleet.job().await["job_id"].as_str().unwrap().to_owned();

    let cancelled = fleet
        .jobs(&format!("cancel {}", id.split('-').next().unwrap()))
        .await;
    let summary = lines(&cancelled).pop().unwrap();
    let wait = format!("{SUBMIT} --wait --new=false");
    let waited = fleet.run(&wait).await;
    gate.open();

    assert_eq!(summary["status"], "Cancelled");
    assert_eq!(summary["objects_listed"], 3_003);
    let copied = summary["objects_copied"].as_u64().unwrap();
    assert!((BEFORE / 2..=BEFORE).contains(&copied), "{summary}");
    assert_eq!(summary["objects_open"], 3_003 - copied);
    assert_eq!(waited.code, Some(1), "{waited:?}");
    for field in ["status", "objects_copied", "objects_open", "ended_at_ms"] {
        assert_eq!(waited.summary()[field], summary[field], "{field}");
    }
    let twice = fleet.jobs(&format!("cancel {id}")).await;
    assert_eq!(twice.code, Some(1), "{twice:?}");
    assert!(twice.error().contains("has ended already: Cancelled"));

    // The copier goes on living; it has nothing left to do.
    copier.terminate();
    assert_eq!(fleet.world.ended("copier", copier).await.code, Some(0));
    let (writes, blobs) = cloud.write_totals(ACCOUNT);
    assert!(writes == blobs && writes <= BEFORE + 2 * 16, "{writes}");
    let options = AmqpOptions::default();
    let broker = AmqpBroker::connect(&fleet.node.url(), options)
        .await
        .unwrap();
    let log = board::read(&*broker).await.unwrap();
    let end = log.get(&JobId::new(&id)).unwrap().end.clone().unwrap();
    assert_eq!(
        (end.status, end.totals.copied),
        (JobStatus::Cancelled, copied)
    );
    for queue in [Queue::Copy, Queue::Again] {
        gone(&*broker, &queue(JobId::new(&id))).await;
    }
    assert_eq!(fleet.job().await["objects_copied"], copied, "it stays so");

    // A new run of the same command copies all of it.
    cloud.clear_hook();
    let copier = fleet.role("copier");
    let line = format!("{SUBMIT} --wait");
    let again = fleet.run(&line).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(again.totals(), [3_003, 3_003, 0, 0]);
    let said = format!("job {id} has ended (Cancelled 2");
    assert!(again.stderr.contains(&said), "{again:?}");
    assert_eq!(cloud.blobs(ACCOUNT).len(), 3_003);
    drop((copier, reporter));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleets_jobs_are_listed_and_shown() {
    let (fleet, reporter) = Fleet::start().await;
    let bad = (0..FAILING).map(|n| (format!("bad/{n:04}/../x"), Object::bytes("x")));
    fleet.world.cloud.put_objects("photos", bad);
    fleet
        .world
        .cloud
        .put_object("photos", "folder/", Object::bytes(""));
    let copier = fleet.role("copier");
    let ended = fleet.run(&format!("{SUBMIT} --wait")).await;
    assert_eq!(ended.totals(), [FAILING + 4, 3, 1, FAILING], "{ended:?}");
    let summary = ended.summary();
    let id = summary["job_id"].as_str().unwrap();

    let listed = lines(&fleet.jobs("list").await);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["job_id"], id);
    assert_eq!(listed[0]["status"], "CompletedWithErrorsAndSkipped");
    let none = fleet.jobs("list --with-status Completed").await;
    assert_eq!((none.code, &*none.stdout), (Some(0), ""));
    let shown = lines(&fleet.jobs(&format!("show {id} --with-status All")).await);
    assert_eq!(shown[0], summary);
    let mut keys: Vec<_> = shown[1..]
        .iter()
        .filter(|object| object["status"] == "failed")
        .map(|object| object["key"].as_str().unwrap())
        .collect();
    keys.sort_unstable();
    let expected: Vec<_> = (0..FAILING).map(|n| format!("bad/{n:04}/../x")).collect();
    assert_eq!(keys, expected);
    let last = shown.last().unwrap();
    assert_eq!(
        (&last["status"], &last["key"]),
        (&"skipped".into(), &"folder/".into())
    );

    next_steps(&fleet, id).await;
    pages(&fleet, id).await;
    refusals(&fleet, id).await;
    drop((copier, reporter));
}

/// People are told how to try again what failed.
async fn next_steps(fleet: &Fleet, id: &str) {
    let again = format!("\nTry the failed ones again: blobfleet jobs retry {id} --reporter");
    let text = SUBMIT.replace("json", "text");
    let ended = fleet.run(&format!("{text} --wait --new=false")).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stdout.ends_with(&format!("{again} URL\n")),
        "{ended:?}"
    );
    let reporter = &fleet.reporter;
    let line = format!("blobfleet jobs show {id} --reporter {reporter}");
    let shown = fleet.run(&line).await;
    let again = format!("{again} {reporter}\n");
    assert!(shown.stdout.contains(&again), "{again}: {shown:?}");
}

/// The API's pages, and what it says to questions it does not understand.
async fn pages(fleet: &Fleet, id: &str) {
    let page = format!("/api/jobs/{id}/objects?status=failed&limit=2");
    let (code, first) = fleet.get(&page).await;
    assert_eq!((code, first["objects"].as_array().unwrap().len()), (200, 2));
    let (_, second) = fleet
        .get(&format!("{page}&after={}", first["next"].as_str().unwrap()))
        .await;
    assert_ne!(first["objects"], second["objects"]);
    assert_eq!(
        fleet.get(&format!("/api/jobs/{id}/ranges")).await.1["ranges"],
        Value::Array(vec![])
    );
    for (path, code, part) in [
        ("objects", 400, "failed or skipped"),
        ("objects?status=copied", 400, "failed or skipped"),
        ("objects?status=failed&after=x", 400, "12.7"),
        ("objects?status=failed&limit=x", 400, "a number"),
        ("objects?page=1", 400, "status, after and limit"),
    ] {
        let (status, body) = fleet.get(&format!("/api/jobs/{id}/{path}")).await;
        assert_eq!(status, code, "{path}: {body}");
        assert!(
            body["error"].as_str().unwrap().contains(part),
            "{path}: {body}"
        );
    }
    for path in ["objects?status=failed", "ranges"] {
        assert_eq!(fleet.get(&format!("/api/jobs/x-1/{path}")).await.0, 404);
    }
}

/// What a fleet does by itself, and jobs that are not there.
async fn refusals(fleet: &Fleet, id: &str) {
    for command in ["resume", "remove", "clean", "show", "cancel"] {
        let line = match command {
            "clean" => command.to_owned(),
            "show" | "cancel" => format!("{command} xyz"),
            _ => format!("{command} {id}"),
        };
        let refused = fleet.jobs(&line).await;
        let (code, part) = match command {
            "resume" => (2, "go on by themselves"),
            "remove" | "clean" => (2, "stay in its reporter's ledger"),
            _ => (1, "there is no job xyz: blobfleet jobs list --reporter URL"),
        };
        assert_eq!(refused.code, Some(code), "{refused:?}");
        assert!(refused.error().contains(part), "{refused:?}");
    }
}

#[tokio::test]
async fn a_reporter_that_does_not_answer_is_named() {
    let world = World::start().await;
    let s3 = world.cloud.s3_url();
    for (url, code, part) in [
        (
            "http://user:S3CR3T@127.0.0.1:1",
            1,
            "the reporter at http://127.0.0.1:1:",
        ),
        (s3.as_str(), 1, "the reporter at http://127.0.0.1:"),
        ("127.0.0.1:8080", 2, "--reporter"),
        ("ftp://127.0.0.1", 2, "--reporter"),
    ] {
        let ended = world
            .run(&format!("blobfleet jobs list --reporter {url}"), &[])
            .await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.error().contains(part), "{part}: {ended:?}");
    }
}
