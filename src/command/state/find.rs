//! The jobs there are in a state folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::{lock, unusable};
use crate::failure::{Failure, Reason, Result};
use crate::job::JobId;
use crate::reporter::ledger::{FILE, Ledger};

/// A run of a job in the state folder.
#[derive(Clone, Debug)]
pub(in crate::command) struct FoundJob {
    /// The job.
    pub(in crate::command) id: JobId,
    /// Its folder.
    pub(in crate::command) path: PathBuf,
    pub(super) jobs: PathBuf,
    pub(super) identity: String,
    pub(super) run: u32,
}

impl FoundJob {
    fn read(jobs: &Path, name: &str) -> Option<Self> {
        let (identity, run) = name.rsplit_once('-')?;
        let path = jobs.join(name);
        Some(Self {
            id: JobId::new(name),
            identity: identity.to_owned(),
            run: run.parse().ok()?,
            jobs: jobs.to_owned(),
            path,
        })
    }

    /// Does a process work on the job?
    pub(in crate::command) fn is_held(&self) -> bool {
        lock::is_held(&self.jobs, &self.identity)
    }

    /// The job's ledger, for reading; none where the job was never begun.
    pub(in crate::command) fn ledger(&self) -> Result<Option<Ledger>> {
        if !self.path.join(FILE).exists() {
            return Ok(None);
        }
        let ledger = Ledger::open_read_only(&self.path)?;
        Ok(ledger.book().jobs.contains_key(&self.id).then_some(ledger))
    }
}

/// All runs there are, in no order.
pub(in crate::command) fn all(state: &Path) -> Result<Vec<FoundJob>> {
    let jobs = state.join("jobs");
    let names = names(&jobs)?;
    let found = names.iter().filter_map(|name| FoundJob::read(&jobs, name));
    Ok(found.filter(|job| job.path.is_dir()).collect())
}

/// The one job whose id is or begins with `text`.
pub(in crate::command) fn find(state: &Path, text: &str) -> Result<FoundJob> {
    let mut all = all(state)?;
    let at = pick(all.iter().map(|job| &job.id), text, HERE)?;
    Ok(all.swap_remove(at))
}

/// Where else a job may be that is not on this machine.
const HERE: &str = "blobfleet jobs list shows those of this machine; with --reporter URL a fleet's \
                    are asked for";

/// The place of the one id that is or begins with `text`. `elsewhere` is said where there is none:
/// how to see the jobs that were looked at, and where others may be.
pub(in crate::command) fn pick<'a>(
    ids: impl Iterator<Item = &'a JobId>,
    text: &str,
    elsewhere: &str,
) -> Result<usize> {
    let ids: Vec<&str> = ids.map(JobId::as_str).collect();
    if let Some(at) = ids.iter().position(|id| *id == text) {
        return Ok(at);
    }
    let begun = |id: &&str| !text.is_empty() && id.starts_with(text);
    let mut matches = ids.iter().enumerate().filter(|(_, id)| begun(id));
    match (matches.next(), matches.count()) {
        (None, _) => Err(unknown(text, elsewhere)),
        (Some((at, _)), 0) => Ok(at),
        (Some(_), more) => Err(Failure::stop(
            Reason::LocalState,
            format!("{} jobs begin with {text}: give more of the id", more + 1),
        )),
    }
}

/// A job that has gone since it was found.
pub(super) fn gone(job: &JobId) -> Failure {
    unknown(job.as_str(), HERE)
}

fn unknown(text: &str, elsewhere: &str) -> Failure {
    let why = format!("there is no job {text}: {elsewhere}");
    Failure::stop(Reason::LocalState, why)
}

/// The highest run of a job; 0 where there is none.
pub(super) fn last_run(jobs: &Path, identity: &str) -> Result<u32> {
    let names = names(jobs)?;
    let runs = names
        .iter()
        .filter_map(|name| FoundJob::read(jobs, name))
        .filter(|job| job.identity == identity)
        .map(|job| job.run);
    Ok(runs.max().unwrap_or(0))
}

/// What is in the folder of jobs; nothing where there is no folder.
pub(super) fn names(jobs: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(jobs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unusable(jobs, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| unusable(jobs, &error))?.file_name();
        names.extend(name.into_string());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_by_its_beginning_if_it_is_the_only_one() {
        let ids = ["ab12-1", "ab12-10", "cd34-1"].map(JobId::new);
        let pick = |text| pick(ids.iter(), text, HERE).map_err(|failure| failure.message);
        assert_eq!(pick("cd"), Ok(2));
        assert_eq!(
            pick("ab12-1"),
            Ok(0),
            "the whole id, not the beginning of another"
        );
        assert_eq!(pick("ab12-10"), Ok(1));
        assert!(pick("ab").unwrap_err().contains("2 jobs begin with ab"));
        for text in ["", "b12", "../ab12-1"] {
            assert!(
                pick(text).unwrap_err().contains("there is no job"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_folder_that_is_going_is_no_run() {
        let state = tempfile::tempdir().unwrap();
        let jobs = state.path().join("jobs");
        for name in ["ab12-2", "ab12-3.going", "ab12-x", "ab12"] {
            fs::create_dir_all(jobs.join(name)).unwrap();
        }
        fs::write(jobs.join("ab12-9"), "").unwrap();
        let found: Vec<_> = all(state.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id.as_str(), "ab12-2");
    }
}
