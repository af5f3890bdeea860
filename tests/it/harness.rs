//! Runs the built `blobfleet` against simulated clouds, as a user would: a child process with an
//! environment of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use blobfleet::job::JobId;
use blobfleet::reporter::ledger::{EndingKind, EndingLine, FILE, Ledger};
use serde_json::Value;
use simcloud::{ACCESS_KEY, ACCOUNT, Config, SECRET_KEY, SimCloud};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// No command here takes as long, on a busy machine either; one that does hangs.
const LONGEST: Duration = Duration::from_secs(240);

/// Two clouds in this process, and a folder that is home and state of the children.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) cloud: SimCloud,
    home: TempDir,
}

impl World {
    /// Starts the clouds on the runtime this is called in.
    pub(crate) async fn start(config: Config) -> Self {
        Self {
            cloud: SimCloud::start(config).await.unwrap(),
            home: tempfile::Builder::new().prefix("fleet").tempdir().unwrap(),
        }
    }

    /// `--state` of every copy here.
    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// `blobfleet COMMAND… --state STATE`, printing JSON unless it says otherwise, with both
    /// clouds' credentials in the environment: AWS keys, and the account's name and key.
    pub(crate) fn command(&self, command: &[&str]) -> Invocation {
        self.command_into(ACCOUNT, command)
    }

    fn command_into(&self, account: &str, command: &[&str]) -> Invocation {
        let state = self.state();
        let mut invocation = Invocation::new(self.home.path());
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_ENDPOINT_URL_S3", &self.cloud.s3_url()),
            ("AZURE_STORAGE_ACCOUNT", account),
            ("AZURE_STORAGE_KEY", &self.cloud.account_key(account)),
        ] {
            invocation = invocation.env(name, value);
        }
        invocation
            .env("BLOBFLEET_OUTPUT_TYPE", "json")
            .args(command.iter().copied())
            .args(["--state", state.to_str().unwrap()])
    }

    /// `blobfleet copy SOURCE BLOB_URL/TO --recursive`. `to` is a container and path, or empty.
    pub(crate) fn copy(&self, source: &str, to: &str) -> Invocation {
        let to = to.trim_end_matches('/');
        self.copy_as_is(source, to).args(["--recursive"])
    }

    /// The same without `--recursive`, and with a slash at the destination's end kept.
    pub(crate) fn copy_as_is(&self, source: &str, to: &str) -> Invocation {
        self.copy_to(ACCOUNT, source, to)
    }

    /// The same into any account.
    pub(crate) fn copy_to(&self, account: &str, source: &str, to: &str) -> Invocation {
        let to = format!("{}/{to}", self.cloud.blob_url(account));
        self.command_into(account, &["copy", source, &to])
    }

    /// The same, with an account SAS in the destination instead of the account's key.
    pub(crate) fn copy_with_sas(&self, source: &str, to: &str) -> Invocation {
        let expiry = self.cloud.now() + Duration::from_secs(3600);
        let sas = self.cloud.sas(ACCOUNT, "rwdlac", expiry);
        self.copy(source, &format!("{to}?{sas}"))
            .without("AZURE_STORAGE_ACCOUNT")
            .without("AZURE_STORAGE_KEY")
    }

    /// Folders of all jobs' runs in the state folder, in the order of their names.
    pub(crate) fn job_folders(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.state().join("jobs")) else {
            return Vec::new();
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut folders: Vec<_> = paths.filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    }

    /// What is in the logs of all jobs.
    pub(crate) fn job_logs(&self) -> Vec<String> {
        let folders = self.job_folders().into_iter();
        let logs = folders.filter_map(|folder| fs::read_to_string(folder.join("job.log")).ok());
        logs.collect()
    }

    /// The one job's ledger as last committed; none before there is one.
    pub(crate) fn ledger(&self) -> Option<Ledger> {
        let [folder] = &self.job_folders()[..] else {
            return None;
        };
        folder.join(FILE).exists().then_some(())?;
        Ledger::open_read_only(folder).ok()
    }

    /// Every object of a finished job that ended so, from the ledger.
    pub(crate) fn endings(&self, done: &Finished, kind: EndingKind) -> Vec<EndingLine> {
        let job = done.text("job_id");
        let ledger = Ledger::open_read_only(&self.state().join("jobs").join(&job)).unwrap();
        ledger.endings(&JobId::new(job), kind, u32::MAX).unwrap()
    }
}

/// A command to be run; running it leaves it to be run again.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    args: Vec<String>,
    env: BTreeMap<String, String>,
    files: Option<u32>,
}

impl Invocation {
    fn new(home: &Path) -> Self {
        let mut env = BTreeMap::new();
        env.insert("HOME".to_owned(), home.to_str().unwrap().to_owned());
        env.insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        Self {
            args: Vec::new(),
            env,
            files: None,
        }
    }

    /// Adds arguments.
    pub(crate) fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.args.extend(args.into_iter().map(str::to_owned));
        self
    }

    /// Removes an argument.
    pub(crate) fn without_arg(mut self, arg: &str) -> Self {
        self.args.retain(|given| given != arg);
        self
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Removes a variable.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// Lets the process have so many files open and no more.
    pub(crate) fn with_files(mut self, most: u32) -> Self {
        self.files = Some(most);
        self
    }

    /// The program, to be given its arguments.
    fn program(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_blobfleet");
        let Some(most) = self.files else {
            return Command::new(program);
        };
        let mut shell = Command::new("/bin/sh");
        let script = format!("ulimit -n {most}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script, program]);
        shell
    }

    /// Starts the command.
    pub(crate) fn start(&self) -> Running {
        self.start_into(Stdio::piped())
    }

    /// Runs the command to its end; whoever was to read stdout has gone before it begins.
    pub(crate) async fn run_unread(&self) -> Finished {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        self.start_into(writer.into()).finish().await
    }

    fn start_into(&self, stdout: Stdio) -> Running {
        let mut child = self
            .program()
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdout = match child.stdout.take() {
            Some(stdout) => Lines::read(stdout),
            None => Lines::read(tokio::io::empty()),
        };
        let stderr = Lines::read(child.stderr.take().unwrap());
        Running {
            child,
            stdout,
            stderr,
        }
    }

    /// Runs the command at a terminal of its own, where somebody types; gives what stood there.
    pub(crate) async fn at_terminal(&self, typed: &str) -> String {
        let quoted = |text: &String| format!("'{}'", text.replace('\'', "'\\''"));
        let program = env!("CARGO_BIN_EXE_blobfleet").to_owned();
        let words: Vec<_> = std::iter::once(&program)
            .chain(&self.args)
            .map(quoted)
            .collect();
        let mut child = Command::new("script")
            .args([
                "--quiet",
                "--return",
                "--command",
                &words.join(" "),
                "/dev/null",
            ])
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(typed.as_bytes()).await.unwrap();
        let ended = tokio::time::timeout(LONGEST, child.wait_with_output()).await;
        drop(stdin);
        String::from_utf8_lossy(&ended.unwrap().unwrap().stdout).into_owned()
    }

    /// Runs the command to its end.
    pub(crate) async fn run(&self) -> Finished {
        self.start().finish().await
    }
}

/// A child process; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Running {
    /// Waits for the process to end by itself.
    pub(crate) async fn finish(mut self) -> Finished {
        let ended = tokio::time::timeout(LONGEST, self.child.wait()).await;
        let Ok(status) = ended else {
            let (stdout, stderr) = (self.stdout.so_far.borrow(), self.stderr.so_far.borrow());
            panic!("the process hangs; it said\n{}{}", *stdout, *stderr);
        };
        let status = status.unwrap();
        Finished {
            status,
            stdout: self.stdout.all().await,
            stderr: self.stderr.all().await,
        }
    }

    /// Waits for the process to end by itself, unless it is to be killed before: none then.
    pub(crate) async fn finish_or_kill(
        mut self,
        kill: impl Future<Output = ()>,
    ) -> Option<Finished> {
        tokio::select! {
            biased;
            () = kill => {
                self.kill().await;
                return None;
            }
            ended = tokio::time::timeout(LONGEST, self.child.wait()) => drop(ended),
        }
        Some(self.finish().await)
    }

    /// Kills the process (-9) and reaps it; tells whether it was still alive.
    pub(crate) async fn kill(mut self) -> bool {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap().signal() == Some(9)
    }

    /// Waits for the process to end, which it should not do yet.
    pub(crate) async fn must_not_end(&mut self) -> ! {
        let status = self.child.wait().await.unwrap();
        let said = self.stderr.so_far.borrow();
        panic!("the process has ended before its time: {status}\n{}", *said);
    }

    /// The most memory the process has had resident, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let id = self.child.id().expect("the child was reaped");
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }

    /// Sends SIGTERM.
    pub(crate) async fn terminate(&self) {
        let id = self.child.id().expect("the child was reaped");
        let sent = Command::new("/bin/sh")
            .args(["-c", &format!("kill -TERM {id}")])
            .status();
        assert!(sent.await.unwrap().success());
    }

    /// Waits until stderr holds `text`.
    pub(crate) async fn says(&mut self, text: &str) {
        let seen = self.stderr.so_far.wait_for(|lines| lines.contains(text));
        assert!(seen.await.is_ok(), "the process never said {text}");
    }
}

/// What a pipe has given so far.
#[derive(Debug)]
struct Lines {
    so_far: watch::Receiver<String>,
    reading: JoinHandle<()>,
}

impl Lines {
    fn read(pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (sender, so_far) = watch::channel(String::new());
        let reading = tokio::spawn(async move {
            let mut lines = BufReader::new(pipe).lines();
            while let Some(line) = lines.next_line().await.unwrap() {
                sender.send_modify(|all| {
                    all.push_str(&line);
                    all.push('\n');
                });
            }
        });
        Self { so_far, reading }
    }

    async fn all(self) -> String {
        self.reading.await.unwrap();
        self.so_far.borrow().clone()
    }
}

/// A process that has ended, and what it said.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// The exit code; none after a signal.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The JSON summary: the last line of stdout.
    pub(crate) fn summary(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last)
            .unwrap_or_else(|error| panic!("no summary: {error}: {last}\n{}", self.stderr))
    }

    /// A text of the summary.
    pub(crate) fn text(&self, field: &str) -> String {
        let summary = self.summary();
        let text = summary[field].as_str().map(str::to_owned);
        text.unwrap_or_else(|| panic!("no text {field} in {summary}"))
    }

    /// A count of the summary.
    pub(crate) fn count(&self, field: &str) -> u64 {
        let summary = self.summary();
        let count = summary[field].as_u64();
        count.unwrap_or_else(|| panic!("no count {field} in {summary}"))
    }

    /// Asserts that the job has ended with all of `objects` copied and nothing else.
    pub(crate) fn assert_all_copied(&self, objects: u64) {
        assert_eq!(self.text("status"), "Completed", "{}", self.stderr);
        assert_eq!(self.code(), Some(0), "{}", self.stderr);
        assert_eq!(self.count("objects_listed"), objects);
        assert_eq!(self.count("objects_copied"), objects);
        assert_eq!(self.count("objects_skipped"), 0);
        assert_eq!(self.count("objects_failed"), 0);
        assert_eq!(self.count("bytes_copied"), self.count("bytes_listed"));
    }
}
