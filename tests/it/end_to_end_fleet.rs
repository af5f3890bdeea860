//! The same copies by a fleet: two listers, two copiers and a reporter as processes of their own,
//! with a real RabbitMQ between them.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::Duration;

use blobfleet::http::{Roots, client};
use serde_json::Value;

use crate::bridge::{self, Bridge};
use crate::end_to_end_cases::{CASES, Case, Shape};
use crate::end_to_end_check::{LIMITS, expect_all, product, run, verdict};
use crate::moto::{self, Moto};
use crate::rabbitmq;

const LISTER: &str = env!("CARGO_BIN_EXE_lister");
const COPIER: &str = env!("CARGO_BIN_EXE_copier");
const REPORTER: &str = env!("CARGO_BIN_EXE_reporter");

/// How long a program may take to end after SIGTERM.
const DRAIN: Duration = Duration::from_secs(60);

/// A program that runs until it is told to end.
struct Running {
    name: String,
    child: Child,
}

/// The programs that serve; a further lister is started for each job.
struct Fleet {
    running: Vec<Running>,
    broker: String,
    reporter: String,
    home: tempfile::TempDir,
}

impl Fleet {
    fn start(broker: String, moto: &Moto, bridge: &Bridge) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let reporter = listener.local_addr().unwrap().to_string();
        drop(listener);
        let home = tempfile::tempdir().unwrap();
        let mut fleet = Self {
            running: Vec::new(),
            broker,
            reporter,
            home,
        };
        let state = fleet.home.path().join("state");
        let address = fleet.reporter.clone();
        let flags = ["--state", state.to_str().unwrap(), "--listen", &address];
        fleet.spawn("reporter", REPORTER, &flags, bridge);
        for name in ["copier-1", "copier-2"] {
            fleet.spawn(name, COPIER, &[], bridge);
        }
        fleet.spawn("lister-2", LISTER, &["--s3-endpoint", moto.url()], bridge);
        fleet
    }

    fn spawn(&mut self, name: &str, program: &str, flags: &[&str], bridge: &Bridge) {
        let log = File::create(self.log(name)).unwrap();
        let before = ["--pdeathsig", "KILL", "--"];
        let child = product(&before, program, self.home.path())
            .args(flags)
            .env("BLOBFLEET_BROKER", &self.broker)
            .env("BLOBFLEET_DESTINATION", bridge.destination(""))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running.push(Running {
            name: name.into(),
            child,
        });
    }

    fn log(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(format!("{name}.log"))
    }

    fn logs(&self) -> String {
        let read = |running: &Running| fs::read_to_string(self.log(&running.name)).unwrap();
        let logs = self
            .running
            .iter()
            .map(|it| format!("--- {}\n{}", it.name, read(it)));
        logs.collect()
    }

    /// Submits a case's job with a lister of its own, waits for its end, and compares.
    fn copy(&self, case: &Case, moto: &Moto, bridge: &Bridge) -> Value {
        let destination = bridge.destination(case.destination);
        let mut arguments = vec![case.source, &destination, "--s3-endpoint", moto.url()];
        arguments.extend(["--wait", "--output-type", "json"]);
        arguments.extend(LIMITS.iter().chain(case.flags));
        let ended = run(LISTER, &arguments, &[("BLOBFLEET_BROKER", &self.broker)]);
        assert_eq!(
            ended.code,
            Some(0),
            "{}: {}\n{}",
            case.source,
            ended.stderr,
            self.logs()
        );
        let verdict = verdict(moto, &bridge.azurite(), case.rules, false);
        expect_all(case.source, &ended.summary, &verdict);
        ended.summary
    }

    async fn jobs(&self) -> Vec<Value> {
        let client = client(&Roots::Only(Vec::new()), Duration::from_secs(30)).unwrap();
        let url = format!("http://{}/api/jobs", self.reporter);
        let answer = client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        body["jobs"].as_array().unwrap().clone()
    }

    /// Tells every program to end and waits until it has.
    fn stop(&mut self) {
        for running in &self.running {
            let pid = running.child.id().to_string();
            let told = std::process::Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap();
            assert!(told.success(), "{} has ended before", running.name);
        }
        let pause = Duration::from_millis(50);
        for running in &mut self.running {
            let log = self.home.path().join(format!("{}.log", running.name));
            let code = ended_within(&mut running.child, DRAIN, pause);
            assert_eq!(code, Some(0), "{}: {}", running.name, text(&log));
        }
        for running in &self.running {
            let log = text(&self.log(&running.name));
            assert!(
                !log.contains("sig=") && !log.contains("X-Amz-Signature"),
                "{log}"
            );
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for running in &mut self.running {
            drop(running.child.kill());
            drop(running.child.wait());
        }
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn ended_within(child: &mut Child, limit: Duration, pause: Duration) -> Option<i32> {
    for _ in 0..limit.as_millis() / pause.as_millis() {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        thread::sleep(pause);
    }
    None
}

/// Jobs of the fleet share one account, so of those that go to its root only one is run.
fn cases() -> impl Iterator<Item = &'static Case> {
    CASES
        .iter()
        .filter(|case| !case.destination.is_empty() || case.shape == Shape::Pattern)
}

#[tokio::test]
async fn a_fleet_copies_every_shape_of_source() {
    let (moto, bridge, node) = (moto::seeded(), bridge::start(), rabbitmq::Node::start());
    let mut fleet = Fleet::start(node.url(), moto, &bridge);
    let mut summaries: Vec<Value> = cases()
        .map(|case| fleet.copy(case, moto, &bridge))
        .collect();
    let jobs = fleet.jobs().await;
    summaries.reverse();
    assert_eq!(jobs.len(), summaries.len());
    for (job, summary) in jobs.iter().zip(&summaries) {
        for field in [
            "job_id",
            "status",
            "objects_listed",
            "objects_copied",
            "objects_skipped",
        ] {
            assert_eq!(job[field], summary[field], "{field}");
        }
    }
    fleet.stop();
}
