//! Runs one of the programs and watches its memory.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use simcloud::{ACCESS_KEY, SECRET_KEY};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) endpoint: String,
    pub(crate) destination: String,
    pub(crate) state: TempDir,
    pub(crate) concurrency: u64,
    /// Where the programs are; this build's own otherwise.
    pub(crate) programs: Option<PathBuf>,
}

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    child: Child,
    started: Instant,
}

impl Program {
    pub(crate) fn start(
        name: &'static str,
        arguments: &[&str],
        places: &Places,
        broker: Option<&str>,
    ) -> Self {
        let path = match name {
            "blobfleet" => env!("CARGO_BIN_EXE_blobfleet"),
            "lister" => env!("CARGO_BIN_EXE_lister"),
            "copier" => env!("CARGO_BIN_EXE_copier"),
            _ => env!("CARGO_BIN_EXE_reporter"),
        };
        let path = match &places.programs {
            Some(folder) => folder.join(name),
            None => path.into(),
        };
        let child = Command::new(path)
            .args(arguments)
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("BLOBFLEET_SOURCE", "s3://bench")
            .env("BLOBFLEET_DESTINATION", &places.destination)
            .env("BLOBFLEET_RECURSIVE", "true")
            .env("BLOBFLEET_S3_ENDPOINT", &places.endpoint)
            .env("BLOBFLEET_STATE", places.state.path())
            .env("BLOBFLEET_CONCURRENCY", places.concurrency.to_string())
            .env("BLOBFLEET_LOG_LEVEL", "warning")
            .envs(broker.map(|url| ("BLOBFLEET_BROKER", url)))
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        Self {
            name,
            child,
            started: Instant::now(),
        }
    }

    /// Waits for its end, prints the most memory it had, and gives the seconds it took.
    pub(crate) async fn ended(mut self) -> f64 {
        let mut peak = 0;
        let status = loop {
            peak = peak.max(self.resident_kib());
            let wait = tokio::time::timeout(Duration::from_millis(100), self.child.wait());
            if let Ok(status) = wait.await {
                break status.expect("it can be waited for");
            }
        };
        assert!(status.success(), "{} ended with {status}", self.name);
        self.print(peak);
        self.started.elapsed().as_secs_f64()
    }

    /// Asks it to stop and waits for that.
    pub(crate) async fn stop(self) {
        let peak = self.resident_kib();
        let id = self.child.id().expect("it runs").to_string();
        Command::new("kill").arg(id).status().await.expect("kill");
        let mut child = self.child;
        let status = child.wait().await.expect("it can be waited for");
        assert!(status.success(), "{} ended with {status}", self.name);
        println!("{}: at most {} MiB resident", self.name, peak / 1024);
    }

    fn print(&self, peak: u64) {
        println!("{}: at most {} MiB resident", self.name, peak / 1024);
    }

    /// The most it has had resident so far, in KiB (`VmHWM`).
    fn resident_kib(&self) -> u64 {
        let Some(id) = self.child.id() else { return 0 };
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }
}
