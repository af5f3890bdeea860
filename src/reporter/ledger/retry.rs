//! `jobs retry` and `jobs repair`: what failed, or what the broker lost, is taken out of the
//! totals and issued again, in one transaction.

use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use super::{Ledger, failed, named, places};
use crate::failure::Result;
use crate::job::{JobId, JobSpec, JobStatus};
use crate::message::{ListTask, decode, nameless};
use crate::reporter::book::{FailedObject, Repaired};

/// What was put back, and what could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutBack {
    /// Objects put back.
    pub objects: u64,
    /// Ranges put back.
    pub ranges: u64,
    /// Objects left as they are: the ledger does not know their key or bucket.
    pub objects_left: u64,
    /// Ranges left as they are: an older version wrote them down without their keys.
    pub ranges_left: u64,
    /// The job runs: what is held of it, or waits to be tried again, is tried at once. Versions
    /// before did not do that.
    #[serde(default)]
    pub woken: bool,
}

impl Ledger {
    /// Puts back every failed object and every range that could not be listed, and has what waits
    /// of a running job tried at once; durable on return. Of a job that was cancelled, or is not known, nothing is.
    ///
    /// # Errors
    /// The disk; nothing was changed.
    pub fn retry(&mut self, job: &JobId, now_ms: i64) -> Result<PutBack> {
        let read = self.failures(job);
        let (objects, ranges, put_back) = read.map_err(|failure| named(&self.path, failure))?;
        self.commit(now_ms, |book| book.retry(job, objects, ranges))?;
        Ok(put_back)
    }

    /// Lists anew what is open of a running job, as the broker lost its messages; durable on
    /// return. None for a job that is not running.
    ///
    /// # Errors
    /// The disk; nothing was changed.
    pub fn repair(&mut self, job: &JobId, now_ms: i64) -> Result<Option<Repaired>> {
        let mut repaired = None;
        self.commit(now_ms, |book| {
            let (changes, done) = book.repair(job);
            repaired = done;
            changes
        })?;
        Ok(repaired)
    }

    fn failures(&self, job: &JobId) -> Result<(Vec<FailedObject>, Vec<ListTask>, PutBack)> {
        let Some(account) = self.book.jobs.get(job) else {
            return Ok(Default::default());
        };
        let mut put_back = PutBack {
            woken: account.status == JobStatus::Running,
            ..PutBack::default()
        };
        let mut objects = Vec::new();
        for object in self.rows_of(job, OBJECTS, |row| object(row, &account.spec))? {
            match object {
                Some(object) => objects.push(object),
                None => put_back.objects_left += 1,
            }
        }
        let mut ranges = Vec::new();
        for range in self.rows_of(job, RANGES, range)? {
            match range {
                Some(range) => ranges.push(range),
                None => put_back.ranges_left += 1,
            }
        }
        put_back.objects = u64::try_from(objects.len()).unwrap_or(u64::MAX);
        put_back.ranges = u64::try_from(ranges.len()).unwrap_or(u64::MAX);
        Ok((objects, ranges, put_back))
    }

    fn rows_of<T>(
        &self,
        job: &JobId,
        sql: &str,
        read: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params![job.as_str()]).map_err(failed)?;
        let mut values = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            values.push(read(row)?);
        }
        Ok(values)
    }
}

const OBJECTS: &str = "SELECT list_task, idx, root, key, size, reason, whole FROM ending
                       WHERE job=?1 AND kind='failed' ORDER BY list_task, idx";
const RANGES: &str = "SELECT body FROM range_failure WHERE job=?1 ORDER BY list_task";

/// None for one that cannot be named to a lister.
fn object(row: &Row<'_>, spec: &JobSpec) -> Result<Option<FailedObject>> {
    let unsigned = |column| -> Result<u64> {
        let number: i64 = row.get(column).map_err(failed)?;
        Ok(u64::from_ne_bytes(number.to_ne_bytes()))
    };
    let list_task = unsigned(0)?;
    let index = row.get(1).map_err(failed)?;
    let root: Option<u32> = row.get(2).map_err(failed)?;
    let key: String = row.get(3).map_err(failed)?;
    let Some(root) = places::place(spec, root) else {
        return Ok(None);
    };
    if key == nameless(list_task, index) {
        return Ok(None);
    }
    let whole: Option<bool> = row.get(6).map_err(failed)?;
    Ok(Some(FailedObject {
        list_task,
        index,
        root,
        key,
        size: unsigned(4)?,
        reason: row.get(5).map_err(failed)?,
        whole: whole.unwrap_or(false),
    }))
}

fn range(row: &Row<'_>) -> Result<Option<ListTask>> {
    let body: Option<Vec<u8>> = row.get(0).map_err(failed)?;
    body.map(|body| decode(&body)).transpose()
}
