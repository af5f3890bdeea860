//! The state folder of `blobfleet copy`: one folder per run of a job, one lock per job.
//!
//! `STATE/jobs/IDENTITY.lock` is held by the process that works on the job; it goes away with the
//! process, however that ends. `STATE/jobs/IDENTITY-RUN/` holds the queue, the ledger, `job.log`,
//! and a file `cancel` once somebody has asked the process to end the job.

mod find;
mod lock;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::lock::Lock;
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobId, JobStatus};
use crate::private;
use crate::reporter::ledger::{self, Ledger};
use crate::reporter::summary::Summary;

pub(super) use find::{FoundJob, all, find, pick};

/// The file that asks the process at work to end the job.
const CANCEL: &str = "cancel";
/// What a folder is called while it is removed; no run is called so.
const GOING: &str = "going";
/// How often a process at work looks whether it is asked to end the job.
const LOOK: Duration = Duration::from_secs(1);

/// A job's place on disk, locked for this process.
#[derive(Debug)]
pub(super) struct JobFolder {
    /// The run to work on, from 1.
    pub(super) run: u32,
    /// Its folder.
    pub(super) path: PathBuf,
    /// What the run before it came to, where that has ended.
    pub(super) ended: Option<Summary>,
    identity: String,
    lock: Lock,
}

/// Locks the job and finds the run to work on: the last one if it has not ended, else a new one.
pub(super) fn open(state: &Path, identity: &str) -> Result<JobFolder> {
    let jobs = state.join("jobs");
    private::create_folder(&jobs).map_err(|error| unusable(&jobs, &error))?;
    let lock = Lock::take(&jobs, identity)?.ok_or_else(busy)?;
    let last = find::last_run(&jobs, identity)?;
    let ended = match last {
        0 => None,
        run => ended(&jobs.join(format!("{identity}-{run}")))?,
    };
    let run = last + u32::from(last == 0 || ended.is_some());
    Ok(JobFolder {
        ended,
        ..JobFolder::make(&jobs, identity, run, lock)?
    })
}

impl JobFolder {
    fn make(jobs: &Path, identity: &str, run: u32, lock: Lock) -> Result<Self> {
        let path = jobs.join(format!("{identity}-{run}"));
        private::create_folder(&path).map_err(|error| unusable(&path, &error))?;
        Ok(Self {
            run,
            path,
            ended: None,
            identity: identity.to_owned(),
            lock,
        })
    }

    /// Locks a job that was found; none where a process works on it.
    pub(super) fn take(found: &FoundJob) -> Result<Option<Self>> {
        let Some(lock) = Lock::take(&found.jobs, &found.identity)? else {
            return Ok(None);
        };
        if !found.path.is_dir() {
            return Err(find::gone(&found.id));
        }
        Ok(Some(Self {
            run: found.run,
            path: found.path.clone(),
            ended: None,
            identity: found.identity.clone(),
            lock,
        }))
    }

    /// The job's id.
    pub(super) fn id(&self) -> JobId {
        JobId::new(format!("{}-{}", self.identity, self.run))
    }

    /// The same run, which nobody asks to end any more.
    pub(super) fn anew(self) -> Result<Self> {
        self.forget_cancel()?;
        Ok(self)
    }

    /// Nobody asks to end the run any more.
    pub(super) fn forget_cancel(&self) -> Result<()> {
        let path = self.path.join(CANCEL);
        fs::remove_file(&path).map_err(|error| unusable(&path, &error))
    }

    /// The folder of the run after this one, under the same lock.
    pub(super) fn next_run(self) -> Result<Self> {
        let jobs = self.path.parent().unwrap_or(Path::new(".")).to_owned();
        let ended = ended(&self.path)?;
        Ok(Self {
            ended,
            ..Self::make(&jobs, &self.identity, self.run + 1, self.lock)?
        })
    }

    /// Was this process, or one before it, asked to end the job?
    pub(super) fn cancel_asked(&self) -> bool {
        self.path.join(CANCEL).exists()
    }

    /// Removes the run with all that is kept of it, and its lock where no other run is left.
    ///
    /// It takes another name first: half a folder must never be taken for a run.
    pub(super) fn remove(self) -> Result<()> {
        let going = self.path.with_extension(GOING);
        let result = if going.exists() {
            fs::remove_dir_all(&going)
        } else {
            Ok(())
        };
        result
            .and_then(|()| fs::rename(&self.path, &going))
            .and_then(|()| fs::remove_dir_all(&going))
            .map_err(|error| unusable(&going, &error))?;
        let jobs = self.path.parent().unwrap_or(Path::new("."));
        if find::last_run(jobs, &self.identity)? == 0 {
            self.lock.remove();
        }
        Ok(())
    }
}

impl JobFolder {
    /// Removes the run if no account was ever opened for it.
    pub(super) fn discard_unless_begun(self) {
        if self.path.join(ledger::FILE).exists() {
            return;
        }
        if let Err(failure) = self.remove() {
            tracing::debug!(%failure, "an empty job folder stays behind");
        }
    }
}

/// Removes what is left of removals that did not come to their end.
pub(super) fn sweep(state: &Path) -> Result<()> {
    let jobs = state.join("jobs");
    for name in find::names(&jobs)? {
        let path = jobs.join(name);
        if path.extension().is_some_and(|kind| kind == GOING) {
            fs::remove_dir_all(&path).map_err(|error| unusable(&path, &error))?;
        }
    }
    Ok(())
}

/// Asks the process that works on a job to end it.
pub(super) fn ask_to_cancel(job: &FoundJob) -> Result<()> {
    let path = job.path.join(CANCEL);
    File::create(&path)
        .and_then(|file| file.sync_all())
        .map_err(|error| unusable(&path, &error))
}

/// Waits until somebody has asked for the end of the job in this folder; a moment at least.
pub(super) async fn cancel_asked(folder: PathBuf) {
    let path = folder.join(CANCEL);
    loop {
        tokio::time::sleep(LOOK).await;
        if path.exists() {
            return;
        }
    }
}

/// What the job in this folder came to, if it has ended.
fn ended(folder: &Path) -> Result<Option<Summary>> {
    if !folder.join(ledger::FILE).exists() {
        return Ok(None);
    }
    let ledger = Ledger::open(folder)?;
    let mut accounts = ledger.book().jobs.values();
    let ended = accounts.find(|account| account.status != JobStatus::Running);
    Ok(ended.map(|account| Summary::of(account, account.ended_at_ms.unwrap_or_default())))
}

/// Another process holds the lock.
pub(super) fn busy() -> Failure {
    Failure::stop(
        Reason::LocalState,
        "another process is working on this job: wait for it, stop it, or give another --job-name",
    )
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
