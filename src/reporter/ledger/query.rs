//! Reads what people ask for: the objects that were skipped or failed, and why.

use rusqlite::params;

use super::{Ledger, failed};
use crate::failure::Result;
use crate::job::JobId;

/// Which objects to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndingKind {
    /// Left out on purpose.
    Skipped,
    /// Could not be copied.
    Failed,
}

impl EndingKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// One object that was skipped or failed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EndingLine {
    /// The key.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// Why, from the closed list.
    pub reason: String,
    /// One line for people.
    pub message: String,
}

/// One range that could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RangeLine {
    /// Why, from the closed list.
    pub reason: String,
    /// One line for people, naming the bucket.
    pub message: String,
}

impl Ledger {
    /// The first `limit` objects of a job that ended so.
    ///
    /// # Errors
    /// The disk.
    pub fn endings(&self, job: &JobId, kind: EndingKind, limit: u32) -> Result<Vec<EndingLine>> {
        let sql = "SELECT key, size, reason, message FROM ending
                   WHERE job=?1 AND kind=?2 ORDER BY list_task, idx LIMIT ?3";
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement
            .query(params![job.as_str(), kind.as_str(), limit])
            .map_err(failed)?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let size: i64 = row.get(1).map_err(failed)?;
            lines.push(EndingLine {
                key: row.get(0).map_err(failed)?,
                size: u64::from_ne_bytes(size.to_ne_bytes()),
                reason: row.get(2).map_err(failed)?,
                message: row.get(3).map_err(failed)?,
            });
        }
        Ok(lines)
    }

    /// The first `limit` ranges of a job that could not be listed.
    ///
    /// # Errors
    /// The disk.
    pub fn range_failures(&self, job: &JobId, limit: u32) -> Result<Vec<RangeLine>> {
        let sql = "SELECT reason, message FROM range_failure WHERE job=?1
                   ORDER BY list_task LIMIT ?2";
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement
            .query(params![job.as_str(), limit])
            .map_err(failed)?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            lines.push(RangeLine {
                reason: row.get(0).map_err(failed)?,
                message: row.get(1).map_err(failed)?,
            });
        }
        Ok(lines)
    }
}
