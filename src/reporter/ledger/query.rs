//! Reads what people ask for: the objects that were skipped or failed, and why, page by page.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use super::{Ledger, failed, places};
use crate::failure::Result;
use crate::job::{JobId, JobSpec};

/// Which objects to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndingKind {
    /// Left out on purpose.
    Skipped,
    /// Could not be copied.
    Failed,
}

impl EndingKind {
    /// The name in the file, in reports and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// One object that was skipped or failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndingLine {
    /// The bucket; empty where a ledger of an older version does not tell.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// Why, from the closed list.
    pub reason: String,
    /// One line for people.
    pub message: String,
    /// URL of the object, without a signature.
    pub source: String,
    /// URL of its blob, without a SAS.
    pub destination: String,
}

/// One range that could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeLine {
    /// Why, from the closed list.
    pub reason: String,
    /// One line for people, naming the bucket.
    pub message: String,
}

/// The place of a line in its job: list task and index, as `12.7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    list_task: i64,
    index: i64,
}

impl Place {
    /// Before every line.
    pub const START: Self = Self {
        list_task: -1,
        index: -1,
    };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.list_task, self.index)
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let parts = text.split_once('.').and_then(|(list_task, index)| {
            Some(Self {
                list_task: list_task.parse().ok()?,
                index: index.parse().ok()?,
            })
        });
        parts.ok_or("a place is two numbers, as in 12.7")
    }
}

/// Some lines, and where the next ones begin; none after the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinePage<T> {
    /// In the order of the listing.
    pub lines: Vec<T>,
    /// The place of the last line, where there may be more.
    pub next: Option<Place>,
}

impl Ledger {
    /// The first `limit` objects of a job that ended so.
    ///
    /// # Errors
    /// The disk.
    pub fn endings(&self, job: &JobId, kind: EndingKind, limit: u32) -> Result<Vec<EndingLine>> {
        Ok(self.endings_after(job, kind, Place::START, limit)?.lines)
    }

    /// The next `limit` objects of a job that ended so.
    ///
    /// # Errors
    /// The disk.
    pub fn endings_after(
        &self,
        job: &JobId,
        kind: EndingKind,
        after: Place,
        limit: u32,
    ) -> Result<LinePage<EndingLine>> {
        let root = if self.has_roots() { "root" } else { "NULL" };
        let sql = format!(
            "SELECT list_task, idx, key, size, reason, message, {root} FROM ending
             WHERE job=?1 AND kind=?2 AND (list_task, idx) > (?3, ?4)
             ORDER BY list_task, idx LIMIT ?5"
        );
        let spec = self.book().jobs.get(job).map(|account| &*account.spec);
        let values = params![
            job.as_str(),
            kind.as_str(),
            after.list_task,
            after.index,
            limit
        ];
        self.page(&sql, values, limit, |row| ending(row, spec))
    }

    /// The next `limit` ranges of a job that could not be listed.
    ///
    /// # Errors
    /// The disk.
    pub fn range_failures_after(
        &self,
        job: &JobId,
        after: Place,
        limit: u32,
    ) -> Result<LinePage<RangeLine>> {
        let sql = "SELECT list_task, 0, reason, message FROM range_failure
                   WHERE job=?1 AND list_task > ?2 ORDER BY list_task LIMIT ?3";
        let values = params![job.as_str(), after.list_task, limit];
        self.page(sql, values, limit, |row| {
            Ok(RangeLine {
                reason: row.get(2).map_err(failed)?,
                message: row.get(3).map_err(failed)?,
            })
        })
    }

    fn page<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        limit: u32,
        read: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<LinePage<T>> {
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(values).map_err(failed)?;
        let mut page = LinePage {
            lines: Vec::new(),
            next: None,
        };
        while let Some(row) = rows.next().map_err(failed)? {
            page.lines.push(read(row)?);
            page.next = Some(Place {
                list_task: row.get(0).map_err(failed)?,
                index: row.get(1).map_err(failed)?,
            });
        }
        let full = u32::try_from(page.lines.len()).is_ok_and(|lines| lines >= limit);
        page.next = page.next.filter(|_| full);
        Ok(page)
    }
}

fn ending(row: &Row<'_>, spec: Option<&JobSpec>) -> Result<EndingLine> {
    let key: String = row.get(2).map_err(failed)?;
    let size: i64 = row.get(3).map_err(failed)?;
    let root: Option<u32> = row.get(6).map_err(failed)?;
    let root = spec.and_then(|spec| places::root(spec, root));
    Ok(EndingLine {
        bucket: root.map(|root| root.bucket.clone()).unwrap_or_default(),
        size: u64::from_ne_bytes(size.to_ne_bytes()),
        reason: row.get(4).map_err(failed)?,
        message: row.get(5).map_err(failed)?,
        source: places::object_url(spec, root, &key),
        destination: places::blob_url(spec, root, &key),
        key,
    })
}
