//! Runs the real programs against simulated clouds and watches what they say.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use simcloud::{ACCESS_KEY, ACCOUNT, Config, Object, SECRET_KEY, SimCloud};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// No case may take longer; most end in a fraction of a second.
const HANG: Duration = Duration::from_secs(120);

/// Two clouds with something in them, and what may never be printed.
pub(crate) struct World {
    pub(crate) cloud: Arc<SimCloud>,
    pub(crate) secrets: Vec<String>,
    sas: String,
    other: String,
}

impl World {
    /// Buckets `photos` (three objects) and `empty` in one region, `papers` (two) in another.
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    /// The same in clouds of that kind.
    pub(crate) async fn with(config: Config) -> Self {
        let cloud = SimCloud::start(config).await.unwrap();
        for (bucket, region, keys) in [
            ("photos", "eu-west-1", &["a.jpg", "b.jpg", "dir/c.jpg"][..]),
            ("papers", "us-east-1", &["p1", "p2"]),
            ("empty", "eu-west-1", &[]),
        ] {
            cloud.add_bucket(bucket, region);
            for (seed, key) in (1..).zip(keys) {
                cloud.put_object(bucket, key, Object::generated(seed, 1000));
            }
        }
        let end = cloud.now() + Duration::from_secs(3600);
        let sas = cloud.sas(ACCOUNT, "rcwl", end);
        cloud.add_account("other");
        let other = cloud.sas("other", "rcwl", end);
        let secrets = vec![
            SECRET_KEY.to_owned(),
            cloud.account_key(ACCOUNT),
            signature(&sas),
            signature(&other),
            "S3CR3T".to_owned(),
        ];
        Self {
            cloud: Arc::new(cloud),
            secrets,
            sas,
            other,
        }
    }

    /// Puts addresses and credentials into a text.
    pub(crate) fn fill(&self, text: &str) -> String {
        let sas = |permissions: &str, seconds: i64| {
            let now = self.cloud.now();
            let end = if seconds < 0 {
                now - Duration::from_secs(seconds.unsigned_abs())
            } else {
                now + Duration::from_secs(seconds.unsigned_abs())
            };
            self.cloud.sas(ACCOUNT, permissions, end)
        };
        [
            ("{s3}", self.cloud.s3_url()),
            ("{blob}", self.cloud.blob_url(ACCOUNT)),
            (
                "{blob-host}",
                self.cloud.blob_url("").trim_end_matches('/').to_owned(),
            ),
            ("{sas}", self.sas.clone()),
            ("{sas-expired}", sas("rcw", -60)),
            ("{sas-read}", sas("rl", 600)),
            ("{sas-no-read}", sas("cw", 600)),
            ("{sas-of-cont}", self.of_container("rcw")),
            ("{sas-other}", self.other.clone()),
            ("{key}", self.cloud.account_key(ACCOUNT)),
            ("{wrong-key}", wrong(&self.cloud.account_key(ACCOUNT))),
            ("{wrong-secret}", wrong(SECRET_KEY)),
        ]
        .iter()
        .fold(text.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    }

    fn of_container(&self, permissions: &str) -> String {
        let end = self.cloud.now() + Duration::from_secs(600);
        self.cloud.container_sas(ACCOUNT, "cont", permissions, end)
    }

    /// The program of a command line, in an environment of its own: the right credentials, unless
    /// `env` says otherwise (`-` unsets).
    pub(crate) fn command(&self, line: &str, env: &[(&str, &str)], home: &Path) -> Command {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let mut command = Command::new(program(words.next().unwrap()));
        let good = [
            ("PATH", "/usr/bin:/bin"),
            ("HOME", home.to_str().unwrap()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_ENDPOINT_URL_S3", "{s3}"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1"),
            ("AZURE_STORAGE_ACCOUNT", ACCOUNT),
            ("AZURE_STORAGE_KEY", "{key}"),
        ];
        command
            .env_clear()
            .current_dir(home)
            .args(words.map(|word| self.fill(word)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for (name, value) in good.iter().chain(env) {
            match *value {
                "-" => command.env_remove(name),
                value => command.env(name, self.fill(value)),
            };
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, line: &str, env: &[(&str, &str)]) -> Ended {
        let home = TempDir::new().unwrap();
        let mut ended = self.run_in(line, env, home.path()).await;
        ended.log = job_logs(home.path());
        ended.check(line, &self.secrets);
        ended
    }

    /// The same in a given home folder.
    pub(crate) async fn run_in(&self, line: &str, env: &[(&str, &str)], home: &Path) -> Ended {
        let running = self.start_in(line, env, home);
        self.ended(line, running).await
    }

    /// Starts a program that goes on.
    pub(crate) fn start_in(&self, line: &str, env: &[(&str, &str)], home: &Path) -> Running {
        let child = self.command(line, env, home).spawn().unwrap();
        let pid = child.id().unwrap();
        let begun = Instant::now();
        let output = async move { (child.wait_with_output().await.unwrap(), begun.elapsed()) };
        Running {
            pid,
            output: tokio::spawn(output),
        }
    }

    /// Waits for a program's end and checks what must hold for every one.
    pub(crate) async fn ended(&self, line: &str, mut running: Running) -> Ended {
        let output = match tokio::time::timeout(HANG, &mut running.output).await {
            Ok(output) => output,
            Err(_) => {
                running.terminate();
                let output = tokio::time::timeout(HANG, &mut running.output).await;
                panic!("{line}: hangs, and when it was told to end: {output:?}");
            }
        };
        let (output, took) = output.unwrap();
        let ended = Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            log: String::new(),
            took,
        };
        ended.check(line, &self.secrets);
        ended
    }
}

/// A program under way; it ends with the test at the latest.
#[derive(Debug)]
pub(crate) struct Running {
    pid: u32,
    output: JoinHandle<(Output, Duration)>,
}

impl Running {
    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Kills it without warning.
    pub(crate) fn kill(&self) {
        self.signal("-KILL");
    }

    /// Kills it and waits until it is gone, with its locks and its port.
    pub(crate) async fn die(mut self) {
        self.kill();
        drop((&mut self.output).await.unwrap());
    }

    /// The most memory it has had resident, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.pid.to_string();
        let told = std::process::Command::new("kill")
            .args([name, &pid])
            .status();
        assert!(told.unwrap().success(), "{pid} has ended before");
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.output.is_finished()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.output.abort();
    }
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The logs of its jobs, where it had a home of its own.
    pub(crate) log: String,
    pub(crate) took: Duration,
}

impl Ended {
    fn check(&self, line: &str, secrets: &[String]) {
        // An object that failed is named, whatever its name.
        let unnamed = self
            .log
            .lines()
            .filter(|line| !line.contains("object.key="));
        let log: String = unnamed.collect();
        let all = format!("{}{}{log}", self.stdout, self.stderr);
        assert!(!all.contains("panicked"), "{line}: {all}");
        for signed in [
            "X-Amz-Signature",
            "X-Amz-Security-Token",
            "sig=",
            "SharedKey ",
            "Bearer ",
        ] {
            assert!(!all.contains(signed), "{line}: prints {signed}: {all}");
        }
        for secret in secrets {
            assert!(!all.contains(secret), "{line}: prints {secret}: {all}");
            let encoded = secret.replace('+', "%2B").replace('/', "%2F");
            let encoded = encoded.replace('=', "%3D");
            assert!(!all.contains(&encoded), "{line}: prints {encoded}: {all}");
        }
    }

    /// The one line that says what went wrong.
    pub(crate) fn error(&self) -> &str {
        let mut lines = self
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("blobfleet: "));
        let line = lines.next().unwrap_or_default();
        assert_eq!(lines.next(), None, "one line is enough: {self:?}");
        line
    }

    /// The JSON summary.
    pub(crate) fn summary(&self) -> serde_json::Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Listed, copied, skipped, failed.
    pub(crate) fn totals(&self) -> [u64; 4] {
        let summary = self.summary();
        ["listed", "copied", "skipped", "failed"]
            .map(|name| summary[format!("objects_{name}")].as_u64().unwrap())
    }
}

/// What is in the logs of all jobs of a home folder.
fn job_logs(home: &Path) -> String {
    let jobs = home.join(".local/state/blobfleet/jobs");
    let folders = std::fs::read_dir(jobs).into_iter().flatten();
    folders
        .filter_map(|folder| std::fs::read_to_string(folder.unwrap().path().join("job.log")).ok())
        .collect()
}

/// A program of this build, or any by its path.
fn program(name: &str) -> &str {
    match name {
        "blobfleet" => env!("CARGO_BIN_EXE_blobfleet"),
        "lister" => env!("CARGO_BIN_EXE_lister"),
        "copier" => env!("CARGO_BIN_EXE_copier"),
        "reporter" => env!("CARGO_BIN_EXE_reporter"),
        path if path.starts_with('/') => path,
        other => panic!("no program {other}"),
    }
}

/// The signature of a SAS, decoded.
fn signature(sas: &str) -> String {
    let (_, rest) = sas.split_once("sig=").unwrap();
    let signature = rest.split('&').next().unwrap();
    signature
        .replace("%2B", "+")
        .replace("%2F", "/")
        .replace("%3D", "=")
}

/// The same with its first letter changed.
fn wrong(secret: &str) -> String {
    let mut letters = secret.chars();
    let other = if letters.next() == Some('x') {
        'y'
    } else {
        'x'
    };
    std::iter::once(other).chain(letters).collect()
}
