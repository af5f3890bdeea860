//! A small fleet of real processes: RabbitMQ, a simulated cloud, and the roles with `--listen`.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use simcloud::{ACCESS_KEY, ACCOUNT, Config, Faults, Object, OpKind, SECRET_KEY, SimCloud};
use tempfile::TempDir;

use crate::prometheus::Scrape;
use crate::rabbitmq::Node;

const BUCKET: &str = "bucket-0";
/// Pause between two looks at something that another process changes.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// One process of the fleet.
#[derive(Debug)]
struct Role {
    name: &'static str,
    address: String,
    child: Child,
}

/// The fleet and its surroundings; all of it ends with its owner.
#[derive(Debug)]
pub(super) struct Fleet {
    roles: Vec<Role>,
    client: reqwest::Client,
    folder: TempDir,
    destination: String,
    cloud: SimCloud,
    rabbit: Node,
}

impl Fleet {
    /// A reporter, two copiers and a lister that joins whatever is submitted.
    pub(super) async fn start(objects: u64) -> Self {
        let cloud = cloud(objects).await;
        let sas = cloud.sas(ACCOUNT, "rwdlact", cloud.now() + Duration::from_secs(3600));
        let mut fleet = Self {
            roles: Vec::new(),
            client: reqwest::Client::new(),
            folder: tempfile::tempdir().unwrap(),
            destination: format!("{}?{sas}", cloud.blob_url(ACCOUNT)),
            cloud,
            rabbit: Node::start(),
        };
        let state = fleet.folder.path().join("state").display().to_string();
        fleet.join(
            "reporter",
            env!("CARGO_BIN_EXE_reporter"),
            &["--state", &state],
        );
        for _ in 0..2 {
            fleet.join(
                "copier",
                env!("CARGO_BIN_EXE_copier"),
                &["--concurrency=16"],
            );
        }
        fleet.join("lister", env!("CARGO_BIN_EXE_lister"), &[]);
        fleet.until_healthy().await;
        fleet
    }

    async fn until_healthy(&mut self) {
        for at in 0..self.roles.len() {
            let url = format!("http://{}/healthz", self.roles[at].address);
            while self.client.get(&url).send().await.is_err() {
                let ended = self.roles[at].child.try_wait().unwrap();
                assert!(
                    ended.is_none(),
                    "{}: {ended:?}\n{}",
                    self.roles[at].name,
                    self.said()
                );
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// What Prometheus is to scrape.
    pub(super) fn scrapes(&self) -> Vec<Scrape> {
        let mut jobs: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        for role in &self.roles {
            jobs.entry(role.name)
                .or_default()
                .push(role.address.clone());
        }
        let scrape = |(job, targets)| Scrape { job, targets };
        jobs.into_iter().map(scrape).collect()
    }

    /// Submits the bucket as a job, with another lister that ends by itself.
    pub(super) fn submit(&self) -> Child {
        let source = format!("s3://{BUCKET}");
        let mut command = self.command("submit", env!("CARGO_BIN_EXE_lister"));
        command.args([&source, &self.destination, "--recursive"]);
        command.spawn().unwrap()
    }

    /// The newest job as the reporter tells it, once there is one.
    pub(super) async fn job(&self) -> Option<Value> {
        let reporter = self
            .roles
            .iter()
            .find(|role| role.name == "reporter")
            .unwrap();
        let url = format!("http://{}/api/jobs", reporter.address);
        let text = self
            .client
            .get(url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        Some(answer["jobs"].get_mut(0)?.take())
    }

    /// How many blobs there are in the destination.
    pub(super) fn blobs(&self) -> u64 {
        self.cloud.write_totals(ACCOUNT).1
    }

    /// Ends every process with SIGTERM; each has to drain and exit with 0.
    pub(super) fn stop(mut self) {
        for role in &mut self.roles {
            let pid = role.child.id().to_string();
            assert!(
                Command::new("kill")
                    .args(["-TERM", &pid])
                    .status()
                    .unwrap()
                    .success()
            );
        }
        for mut role in std::mem::take(&mut self.roles) {
            let status = role.child.wait().unwrap();
            assert!(status.success(), "{}: {status}\n{}", role.name, self.said());
        }
    }

    /// What all processes wrote.
    pub(super) fn said(&self) -> String {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let logs = entries.map(|entry| entry.unwrap().path());
        let logs = logs.filter(|path| path.extension().is_some_and(|kind| kind == "log"));
        logs.map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            format!("== {}\n{text}", path.display())
        })
        .collect()
    }

    fn join(&mut self, name: &'static str, program: &str, arguments: &[&str]) {
        let address = free_address();
        let log = format!("{name}-{}", self.roles.len());
        let mut command = self.command(&log, program);
        let child = command
            .args(["--listen", &address])
            .args(arguments)
            .spawn()
            .unwrap();
        self.roles.push(Role {
            name,
            address,
            child,
        });
    }

    fn command(&self, log: &str, program: &str) -> Command {
        let log = File::create(self.folder.path().join(format!("{log}.log"))).unwrap();
        // A test program that is killed must not leave them behind.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", program])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .env("BLOBFLEET_BROKER", self.rabbit.url())
            .env("BLOBFLEET_DESTINATION", &self.destination)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_ENDPOINT_URL_S3", self.cloud.s3_url())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for role in &mut self.roles {
            drop(role.child.kill());
            drop(role.child.wait());
        }
    }
}

/// One bucket: `objects` that can be copied, slowly and with a few throttled answers, and one each
/// that is skipped and that fails.
async fn cloud(objects: u64) -> SimCloud {
    let faults = Faults {
        seed: 1,
        throttle: 0.01,
        only: vec![OpKind::HeadObject, OpKind::PutBlobFromUrl],
        latency: BTreeMap::from([(OpKind::PutBlobFromUrl, Duration::from_millis(100))]),
        ..Faults::default()
    };
    let cloud = SimCloud::start(Config {
        faults,
        ..Config::default()
    })
    .await
    .unwrap();
    cloud.add_bucket(BUCKET, "us-east-1");
    let copied = (0..objects).map(|n| (format!("object-{n:06}"), Object::generated(n, n % 3000)));
    let others = ["folder/", "a/../b"].map(|key| (key.to_owned(), Object::bytes("")));
    cloud.put_objects(BUCKET, copied.chain(others));
    cloud
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
