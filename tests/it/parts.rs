//! Programs nobody here wrote: found where `tests/parts/install.sh` puts them, started on a port
//! of their own choosing, and ended with the test that started them or with the test program.

use std::io::{BufRead, BufReader, PipeReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// How long a server may take to listen; generous, for machines that build at the same time.
const START: Duration = Duration::from_secs(90);

/// How long a script may take, as `timeout` reads it.
const SCRIPT: &str = "5m";

/// Where a part is.
///
/// # Panics
/// It is not installed.
pub(crate) fn path(part: &str) -> PathBuf {
    let root = std::env::var_os("BLOBFLEET_PARTS").unwrap_or("/opt/blobfleet-parts".into());
    let path = Path::new(&root).join(part);
    assert!(
        path.exists(),
        "missing part: {}; run: bash tests/parts/install.sh",
        path.display()
    );
    path
}

/// A program that listens on a loopback port.
#[derive(Debug)]
pub(crate) struct Server {
    child: Arc<Mutex<Child>>,
    /// What it says it listens on, e.g. `http://127.0.0.1:40123`.
    pub(crate) url: String,
}

impl Server {
    /// Starts a program that takes a free port by itself and prints its URL after `marker`.
    ///
    /// # Panics
    /// It ends or stays silent; its output is part of the message.
    pub(crate) fn start(program: &Path, arguments: &[&str], marker: &'static str) -> Self {
        let (ready, started) = mpsc::channel();
        let (program, arguments) = (program.to_owned(), owned(arguments));
        // The kernel ends a child with the thread that made it, not with the process: so it is
        // made by the thread that reads its output to the end.
        thread::spawn(move || {
            let (child, output) = spawn(&program, &arguments);
            let child = Arc::new(Mutex::new(child));
            let mut said = String::new();
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some((_, url)) = line.split_once(marker) {
                    let found = (Arc::clone(&child), url.trim().to_owned());
                    drop(ready.send(Ok(found)));
                }
                said.push_str(&line);
                said.push('\n');
            }
            drop(ready.send(Err(said)));
        });
        match started.recv_timeout(START) {
            Ok(Ok((child, url))) => Self { child, url },
            Ok(Err(said)) => panic!("{marker}: the program ended:\n{said}"),
            Err(error) => panic!("{marker}: {error} after {START:?}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        drop(child.kill());
        drop(child.wait());
    }
}

fn owned(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(ToString::to_string).collect()
}

fn spawn(program: &Path, arguments: &[String]) -> (Child, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
    (child, reader)
}

/// Runs a script of `tests/parts` and gives the JSON it prints, whatever its exit code.
///
/// # Panics
/// It printed no JSON; its complaint is part of the message.
pub(crate) fn script(name: &str, arguments: &[&str]) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parts");
    let output = Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "--", "timeout", SCRIPT])
        .arg(path("venv/bin/python"))
        .arg("-B")
        .arg(folder.join(name))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        panic!("{name} {arguments:?}: {error}\n{complaint}")
    })
}

/// Writes JSON to a file that lives as long as what is returned.
pub(crate) fn json_file(value: &Value) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, value).unwrap();
    file
}
