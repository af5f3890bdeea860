//! The ledger on disk: the one place that decides what counts.
//!
//! Constraint: everything that lets a message be acknowledged is in the transaction that
//! [`Ledger::fold`] commits before it returns. The rules are in [`super::book`]; this module only
//! stores and restores them. Numbers above `i64::MAX` (nonces) are stored as the same 64 bits.

mod outbox;
mod pair;
mod places;
mod query;
mod restore;
mod retry;
mod schema;
#[cfg(test)]
mod tests;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

pub use outbox::{Outgoing, Parcel};
pub use query::{EndingKind, EndingLine, LinePage, Place, RangeLine};
pub use retry::PutBack;

use super::book::{Behind, Book, Change, EndingRow, InLog};
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobId, JobSpec, JobStatus};
use crate::logging::OBJECTS;
use crate::message::{Ending, Report};
use crate::private;

/// The file's name within a state folder.
pub const FILE: &str = "ledger.sqlite";

/// The ledger, opened for writing.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    db: Connection,
    book: Book,
    id: String,
    version: i64,
    waiting: HashMap<JobId, Counted>,
}

/// How many messages wait in a job's own queues.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// The messages.
    pub messages: u64,
    /// Pages the ledger had accepted before they were counted.
    pub pages: u64,
}

impl Ledger {
    /// Opens or makes the ledger in `dir`.
    ///
    /// # Errors
    /// The folder or file cannot be read or written, is corrupt, or is of a newer version.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        pair::check(&path).map_err(|failure| named(&path, failure))?;
        // What cannot be made cannot be opened either, which says why.
        private::create_file(&path).unwrap_or_default();
        let db = Connection::open(&path)
            .map_err(failed)
            .map_err(|failure| named(&path, failure))?;
        let version = schema::prepare(&db).map_err(|failure| named(&path, failure))?;
        let id = write::ledger_id(&db).map_err(|failure| named(&path, failure))?;
        let mut book = restore::book(&db, version).map_err(|failure| named(&path, failure))?;
        let rows = write::count_rows(&db).map_err(|failure| named(&path, failure))?;
        book.note_contradictions(&rows);
        Ok(Self {
            path,
            db,
            book,
            id,
            version,
            waiting: HashMap::new(),
        })
    }

    /// Opens a ledger for reading only, beside a process that writes it.
    ///
    /// # Errors
    /// As [`Ledger::open`]; there must be a ledger already.
    pub fn open_read_only(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags)
            .map_err(failed)
            .map_err(|failure| named(&path, failure))?;
        db.busy_timeout(schema::PATIENCE).map_err(failed)?;
        let version = schema::version(&db).map_err(|failure| named(&path, failure))?;
        let book = restore::book(&db, version).map_err(|failure| named(&path, failure))?;
        Ok(Self {
            path,
            db,
            book,
            id: String::new(),
            version,
            waiting: HashMap::new(),
        })
    }

    /// Notes how many messages wait in each running job's own queues.
    pub fn note_waiting(&mut self, waiting: HashMap<JobId, Counted>) {
        self.waiting = waiting;
    }

    /// How many messages wait in a job's own queues, as they were counted last; none where they
    /// were not yet, or where the messages of a page may have come since none were found.
    pub fn waiting(&self, job: &JobId) -> Option<u64> {
        let Counted { messages, pages } = *self.waiting.get(job)?;
        let accepted = self.book.jobs.get(job)?.totals.pages;
        (messages > 0 || pages == accepted).then_some(messages)
    }

    /// Draws the numbers of this process's list tasks; once, before anything is done.
    pub fn number_anew(&mut self, random: u64) {
        self.book.number_anew(random);
    }

    /// Takes over the rounds the job log has come to; durable on return. Gives the jobs whose account
    /// is of an older state.
    ///
    /// # Errors
    /// The disk; nothing was changed.
    pub fn catch_up(&mut self, log: &[InLog], now_ms: i64) -> Result<Vec<(JobId, Behind)>> {
        let mut behind = Vec::new();
        self.commit(now_ms, |book| {
            let (changes, found) = book.catch_up(log);
            behind = found;
            changes
        })?;
        Ok(behind)
    }

    /// How often a reporter has begun with this ledger, this time included; durable on return.
    ///
    /// # Errors
    /// The disk.
    pub fn count_start(&mut self) -> Result<u64> {
        write::count_start(&self.db).map_err(|failure| named(&self.path, failure))
    }

    /// Random id of this ledger's state, the same for its whole life.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Does the file say under which root an object was listed?
    fn has_roots(&self) -> bool {
        self.version >= schema::WITH_ROOTS
    }

    /// The accounts as last committed.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Opens a job's account and issues its first list tasks; durable on return.
    ///
    /// # Errors
    /// The disk; nothing was changed.
    pub fn submit(&mut self, spec: &JobSpec, now_ms: i64) -> Result<()> {
        self.submit_in(spec, 0, now_ms)
    }

    /// The same for a job whose log has come to a later round.
    ///
    /// # Errors
    /// The disk; nothing was changed.
    pub fn submit_in(&mut self, spec: &JobSpec, round: u32, now_ms: i64) -> Result<()> {
        self.commit(now_ms, |book| book.submit(spec, round))
    }

    /// Takes reports into account, all of them or none; durable on return.
    ///
    /// # Errors
    /// The disk; nothing was changed, and the reports may be given again.
    pub fn fold(&mut self, reports: Vec<Report>, now_ms: i64) -> Result<()> {
        self.commit(now_ms, |book| {
            reports.into_iter().flat_map(|r| book.apply(r)).collect()
        })
    }

    /// Ends a running job as cancelled; durable on return. False where it is not running.
    ///
    /// # Errors
    /// The disk; nothing was changed.
    pub fn cancel(&mut self, job: &JobId, now_ms: i64) -> Result<bool> {
        let running = |book: &Book| {
            let account = book.jobs.get(job);
            account.is_some_and(|account| account.status == JobStatus::Running)
        };
        let before = running(&self.book);
        self.commit(now_ms, |book| book.cancel(job, now_ms))?;
        Ok(before)
    }

    /// Forgets a job's account altogether, so that it can be submitted afresh.
    ///
    /// # Errors
    /// The disk; nothing was changed.
    pub fn forget(&mut self, job: &JobId) -> Result<()> {
        write::forget(&mut self.db, job).map_err(|failure| named(&self.path, failure))?;
        self.book.jobs.remove(job);
        Ok(())
    }

    fn commit(&mut self, now_ms: i64, apply: impl FnOnce(&mut Book) -> Vec<Change>) -> Result<()> {
        let mut changes = apply(&mut self.book);
        changes.extend(self.book.settle(now_ms));
        if changes.is_empty() {
            return Ok(());
        }
        let written = write::changes(&mut self.db, &self.book, &changes);
        if let Err(failure) = written {
            let restored = restore::book(&self.db, self.version);
            let mut restored = restored.map_err(|failure| named(&self.path, failure))?;
            restored.go_on_after(std::mem::take(&mut self.book));
            self.book = restored;
            return Err(named(&self.path, failure));
        }
        for change in &changes {
            if let Change::Ending(row) = change {
                self.log(row);
            }
        }
        Ok(())
    }

    /// One line for an object that did not arrive, now that it is certain.
    fn log(&self, row: &EndingRow) {
        let spec = self.book.jobs.get(&row.job).map(|account| &account.spec);
        let root = spec.and_then(|spec| places::root(spec, Some(row.root)));
        let bucket = root.map_or("", |root| &root.bucket);
        let (key, size) = (&row.key, row.size);
        match &row.ending {
            Ending::Copied { .. } => {}
            Ending::Skipped { reason, message } => tracing::info!(
                target: OBJECTS,
                { object.bucket = bucket, object.key = key, object.size = size, reason, why = message },
                "object skipped"
            ),
            Ending::Failed { reason, message } => tracing::warn!(
                target: OBJECTS,
                { object.bucket = bucket, object.key = key, object.size = size, %reason, why = message },
                "object failed"
            ),
        }
    }
}

/// What a failure of SQLite means.
pub(crate) fn failed(error: rusqlite::Error) -> Failure {
    use rusqlite::ErrorCode;
    let remedy = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "free some space and start again",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "choose a folder that can be written with --state"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the file is damaged; restore it or begin with another --state folder"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process holds it; wait for it or stop it"
        }
        _ => "look at the disk",
    };
    Failure::stop(Reason::LocalState, format!("{error}: {remedy}"))
}

fn named(path: &Path, mut failure: Failure) -> Failure {
    failure.message = format!("{}: {}", path.display(), failure.message);
    failure
}
