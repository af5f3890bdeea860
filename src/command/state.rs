//! The state folder of `blobfleet copy`: one folder per run of a job, one lock per job.
//!
//! `STATE/jobs/IDENTITY.lock` is held by the process that works on the job; it goes away with the
//! process, however that ends. `STATE/jobs/IDENTITY-RUN/` holds the queue and the ledger.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Reason, Result};
use crate::job::JobStatus;
use crate::reporter::ledger::{self, Ledger};

/// A job's place on disk, locked for this process.
#[derive(Debug)]
pub(super) struct JobFolder {
    /// The run to work on, from 1.
    pub(super) run: u32,
    /// Its folder.
    pub(super) path: PathBuf,
    _lock: File,
}

/// Locks the job and finds the run to work on: the last one if it has not ended, else a new one.
pub(super) fn open(state: &Path, identity: &str) -> Result<JobFolder> {
    let jobs = state.join("jobs");
    fs::create_dir_all(&jobs).map_err(|error| unusable(&jobs, &error))?;
    let lock = lock(&jobs.join(format!("{identity}.lock")))?;
    let last = last_run(&jobs, identity)?;
    let run = match last {
        0 => 1,
        run if has_ended(&jobs.join(format!("{identity}-{run}")))? => run + 1,
        run => run,
    };
    let path = jobs.join(format!("{identity}-{run}"));
    fs::create_dir_all(&path).map_err(|error| unusable(&path, &error))?;
    Ok(JobFolder {
        run,
        path,
        _lock: lock,
    })
}

fn lock(path: &Path) -> Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| unusable(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::stop(
            Reason::LocalState,
            "another process is working on this job: wait for it, stop it, or give another \
             --job-name",
        )),
        Err(TryLockError::Error(error)) => Err(unusable(path, &error)),
    }
}

/// The highest run there is; 0 where there is none.
fn last_run(jobs: &Path, identity: &str) -> Result<u32> {
    let entries = fs::read_dir(jobs).map_err(|error| unusable(jobs, &error))?;
    let mut last = 0;
    for entry in entries {
        let name = entry.map_err(|error| unusable(jobs, &error))?.file_name();
        let run = name
            .to_str()
            .and_then(|name| name.strip_prefix(identity)?.strip_prefix('-')?.parse().ok());
        last = last.max(run.unwrap_or(0));
    }
    Ok(last)
}

fn has_ended(folder: &Path) -> Result<bool> {
    if !folder.join(ledger::FILE).exists() {
        return Ok(false);
    }
    let ledger = Ledger::open(folder)?;
    let mut accounts = ledger.book().jobs.values();
    Ok(accounts.any(|account| account.status != JobStatus::Running))
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!(
            "{}: {error}: choose a folder that can be written with --state",
            path.display()
        ),
    )
}
