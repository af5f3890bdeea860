//! The log of the job that this process works on: everything that is logged, in a file.
//!
//! What is logged before the file is known is kept until then. A file that can be opened no more,
//! or a disk that is full, does not end a job: it is said once, on stderr.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

use crate::failure::{Failure, Reason, Result};
use crate::process::say;

/// What is kept until the file is known; what goes beyond is lost.
const EARLY: usize = 256 * 1024;

/// The one job log of this process.
static LOG: Mutex<Sink> = Mutex::new(Sink::Off);

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
    /// A write has failed, and that was said.
    failing: bool,
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
    let file = begin(path, head, early).map_err(|error| {
        Failure::stop(
            Reason::LocalState,
            format!(
                "the job's log {} cannot be written: {error}: free some space, or choose another \
                 folder with --log-location",
                path.display()
            ),
        )
    })?;
    *sink = Sink::Open(Open {
        file,
        path: path.to_owned(),
        failing: false,
    });
    Ok(true)
}

fn begin(path: &Path, head: &str, early: &[u8]) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = File::options().create(true).append(true).open(path)?;
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
        let trouble = match &mut *lock() {
            Sink::Off => None,
            Sink::Early(early) => {
                if early.len() + line.len() <= EARLY {
                    early.extend_from_slice(line);
                }
                None
            }
            Sink::Open(open) => open.write(line),
        };
        // Not under the lock: this may be logged as well.
        if let Some(trouble) = trouble {
            say(&trouble);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Open {
    /// Gives what is to be said about it, once.
    fn write(&mut self, line: &[u8]) -> Option<String> {
        let error = self.file.write_all(line).err()?;
        let first = !std::mem::replace(&mut self.failing, true);
        let shown = self.path.display();
        first.then(|| format!("the job's log {shown} is incomplete: {error}; the job goes on"))
    }
}
