//! The programs of a fleet as processes of their own, made to be killed.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use simcloud::{ACCESS_KEY, ACCOUNT, SECRET_KEY, SimCloud};
use tempfile::TempDir;

/// Between two looks at something that another process changes.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Where roles run: a folder, and both clouds' credentials in the environment.
#[derive(Debug)]
pub(crate) struct Site {
    home: TempDir,
    env: Vec<(&'static str, String)>,
    started: AtomicU32,
}

impl Site {
    pub(crate) fn new(cloud: &SimCloud) -> Self {
        let text = str::to_owned;
        Self {
            home: tempfile::Builder::new().prefix("roles").tempdir().unwrap(),
            env: vec![
                ("PATH", text("/usr/bin:/bin")),
                ("AWS_ACCESS_KEY_ID", text(ACCESS_KEY)),
                ("AWS_SECRET_ACCESS_KEY", text(SECRET_KEY)),
                ("AWS_ENDPOINT_URL_S3", cloud.s3_url()),
                ("AZURE_STORAGE_ACCOUNT", text(ACCOUNT)),
                ("AZURE_STORAGE_KEY", cloud.account_key(ACCOUNT)),
            ],
            started: AtomicU32::new(0),
        }
    }

    /// `--state` of the reporter.
    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// The folder of the reporter's ledger.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.state().join("reporter")
    }

    /// Starts `copier`, or a lister that lists what others submit.
    pub(crate) fn worker(&self, program: &'static str, broker: &str, args: &[&str]) -> Role {
        let mut all = vec!["--broker", broker];
        all.extend(args);
        self.start(program, &all)
    }

    /// Starts the reporter.
    pub(crate) fn reporter(&self, broker: &str) -> Role {
        let state = self.state();
        let args = ["--state", state.to_str().unwrap()];
        self.worker("reporter", broker, &args)
    }

    /// Starts any of the programs.
    pub(crate) fn start(&self, program: &'static str, args: &[&str]) -> Role {
        self.start_with(program, args, &[])
    }

    /// Runs a test of this program as a process of its own, which the variables tell what to do.
    pub(crate) fn start_test(&self, name: &str, env: &[(&str, &str)]) -> Role {
        self.start_with("test", &["--exact", name, "--nocapture"], env)
    }

    fn start_with(&self, program: &'static str, args: &[&str], env: &[(&str, &str)]) -> Role {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let path = |kind| {
            let name = format!("{number:03}-{program}.{kind}");
            self.home.path().join(name)
        };
        let (out, log) = (path("out"), path("log"));
        // A test program that is killed must not leave them behind.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(executable(program))
            .args(args)
            .env_clear()
            .env("HOME", self.home.path())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Role {
            program,
            child,
            out,
            log,
        }
    }

    /// The last lines of all logs.
    pub(crate) fn said(&self) -> String {
        let entries = fs::read_dir(self.home.path()).unwrap();
        let mut logs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        logs.retain(|path| path.extension().is_some_and(|kind| kind == "log"));
        logs.sort();
        logs.iter().map(|path| tail(path)).collect()
    }
}

fn executable(program: &str) -> PathBuf {
    match program {
        "blobfleet" => env!("CARGO_BIN_EXE_blobfleet").into(),
        "lister" => env!("CARGO_BIN_EXE_lister").into(),
        "copier" => env!("CARGO_BIN_EXE_copier").into(),
        "reporter" => env!("CARGO_BIN_EXE_reporter").into(),
        "test" => std::env::current_exe().unwrap(),
        other => panic!("no program {other}"),
    }
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(25)..];
    format!("== {}\n{}\n", path.display(), last.join("\n"))
}

/// A process; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) program: &'static str,
    child: Child,
    out: PathBuf,
    log: PathBuf,
}

impl Role {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process (-9), which must not have ended by itself.
    pub(crate) fn kill(mut self) {
        self.must_be_alive();
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "{}", tail(&self.log));
    }

    /// Asks the process to end.
    pub(crate) fn terminate(&self) {
        let pid = self.pid().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.unwrap().success());
    }

    /// Waits for the process to end by itself; gives its exit code, stdout and stderr.
    pub(crate) async fn leave(mut self, within: Duration) -> (Option<i32>, String, String) {
        let status = self.wait(within).await;
        let read = |path| fs::read_to_string(path).unwrap();
        (status.code(), read(&self.out), read(&self.log))
    }

    /// Stops the process where it is (SIGSTOP): it does nothing more, and holds what it holds.
    pub(crate) fn freeze(&self) {
        let pid = self.pid().to_string();
        let told = Command::new("kill").args(["-STOP", &pid]).status();
        assert!(told.unwrap().success());
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(crate) fn must_be_alive(&mut self) {
        if let Some(status) = self.ended() {
            panic!(
                "{} ended by itself: {status}\n{}",
                self.program,
                tail(&self.log)
            );
        }
    }

    /// Whether the process has written this to stdout.
    pub(crate) fn has_said(&self, text: &str) -> bool {
        fs::read_to_string(&self.out).unwrap().contains(text)
    }

    /// Whether the process has written this to its log.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        fs::read_to_string(&self.log).unwrap().contains(text)
    }

    /// The last line of stdout, which is a summary.
    pub(crate) fn summary(&self) -> Value {
        let text = fs::read_to_string(&self.out).unwrap();
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", tail(&self.log)))
    }

    /// Waits for the process to end by itself; gives its exit code and its summary.
    pub(crate) async fn finish(mut self, within: Duration) -> (Option<i32>, Value) {
        let status = self.wait(within).await;
        (status.code(), self.summary())
    }

    async fn wait(&mut self, within: Duration) -> ExitStatus {
        let ended = async {
            loop {
                if let Some(status) = self.ended() {
                    return status;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let status = tokio::time::timeout(within, ended).await;
        status.unwrap_or_else(|_| panic!("it hangs: {}", tail(&self.log)))
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
