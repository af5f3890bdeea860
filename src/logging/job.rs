//! The log of the job that this process works on: everything that is logged, in a file.
//!
//! What is logged before the file is known is kept until then. A file that can be written no more,
//! because its disk is full above all, stops the job: it is resumed once there is space again.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use tokio::sync::watch;
use tracing_subscriber::fmt::MakeWriter;

use crate::failure::{Failure, Reason, Result};
use crate::private;

/// What is kept until the file is known; what goes beyond is lost.
const EARLY: usize = 256 * 1024;

/// The one job log of this process.
static LOG: Mutex<Sink> = Mutex::new(Sink::Off);
/// Why it is written no more.
static BROKEN: LazyLock<watch::Sender<Option<Failure>>> = LazyLock::new(watch::Sender::default);

#[derive(Debug)]
enum Sink {
    /// There is none.
    Off,
    /// The file is not known yet.
    Early(Vec<u8>),
    /// The file.
    Open(Open),
}

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
}

/// Keeps what is logged from now on for the job's log.
pub(super) fn expect() {
    *lock() = Sink::Early(Vec::new());
}

/// Opens the job's log and writes what was kept; `head` is its first line. A log that is there
/// already goes on. False where nothing is to be logged.
///
/// # Errors
/// The file cannot be written: its folder, or the disk.
pub(crate) fn open(path: &Path, head: &str) -> Result<bool> {
    let mut sink = lock();
    let Sink::Early(early) = &*sink else {
        return Ok(false);
    };
    let file = begin(path, head, early).map_err(|error| unwritable(path, &error))?;
    *sink = Sink::Open(Open {
        file,
        path: path.to_owned(),
    });
    Ok(true)
}

/// Waits until the job's log cannot be written any more; gives why.
pub(crate) async fn broken() -> Failure {
    let mut broken = BROKEN.subscribe();
    match broken.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(failure)) => failure.clone(),
        // Its sender lives as long as the process.
        _ => std::future::pending().await,
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!(
            "the job's log {} cannot be written: {error}: free some space, or choose another \
             folder with --log-location, and run again",
            path.display()
        ),
    )
}

fn begin(path: &Path, head: &str, early: &[u8]) -> io::Result<File> {
    // One that is there is the user's own affair.
    if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
        private::create_folder(folder)?;
    }
    let mut file = private::file_options()
        .create(true)
        .append(true)
        .open(path)?;
    writeln!(file, "{head}")?;
    file.write_all(early)?;
    Ok(file)
}

fn lock() -> std::sync::MutexGuard<'static, Sink> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes to the job's log, wherever that has got to.
#[derive(Clone, Copy, Debug)]
pub(super) struct JobLog;

impl<'a> MakeWriter<'a> for JobLog {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        *self
    }
}

impl Write for JobLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut *lock() {
            Sink::Off => {}
            Sink::Early(early) => {
                if early.len() + line.len() <= EARLY {
                    early.extend_from_slice(line);
                }
            }
            Sink::Open(open) => {
                if let Err(error) = open.file.write_all(line) {
                    BROKEN.send_if_modified(|broken| {
                        let first = broken.is_none();
                        broken.get_or_insert_with(|| unwritable(&open.path, &error));
                        first
                    });
                }
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
