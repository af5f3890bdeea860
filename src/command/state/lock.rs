//! Who works on a job: at most one process, as long as it lives.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::unusable;
use crate::failure::Result;
use crate::private;

/// Somebody who only looks whether a lock is held has it for a moment: so it is tried again.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// A lock held by this process.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes a job's lock; none where another process holds it.
    pub(super) fn take(jobs: &Path, identity: &str) -> Result<Option<Self>> {
        let path = path(jobs, identity);
        let taken = attempt(&path).map_err(|error| unusable(&path, &error))?;
        Ok(taken.map(|file| Self { _file: file, path }))
    }

    /// Removes the lock's file. Whoever waits for it will notice, and make another.
    pub(super) fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "a lock file stays behind");
        }
    }
}

fn path(jobs: &Path, identity: &str) -> PathBuf {
    jobs.join(format!("{identity}.lock"))
}

fn attempt(path: &Path) -> io::Result<Option<File>> {
    for _ in 0..TRIES {
        let file = private::file_options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path)? => return Ok(Some(file)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(None)
}

/// Is this still the file of that name? One that was removed meanwhile keeps nobody out.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let here = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Does a process work on the job? Shared, so that two who look do not see each other.
pub(super) fn is_held(jobs: &Path, identity: &str) -> bool {
    File::open(path(jobs, identity))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
