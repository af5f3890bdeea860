//! Rebuilds the book from the file. It refuses what it cannot read rather than guess.

use std::collections::HashMap;
use std::sync::Arc;

use roaring::{RoaringBitmap, RoaringTreemap};
use rusqlite::{Connection, Row};

use super::failed;
use super::schema::WITH_TALLIES;
use super::write::StoredAccount;
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobId, JobSpec};
use crate::message::{ListTask, Outcome, decode};
use crate::reporter::book::{Book, JobAccount, OpenPage, Task};

/// Reads every account.
pub(super) fn book(db: &Connection, version: i64) -> Result<Book> {
    let mut book = Book::default();
    for account in rows(db, "SELECT spec, account, closed FROM job", account)? {
        book.jobs.insert(account.spec.id.clone(), account);
    }
    let tally = if version >= WITH_TALLIES {
        "tally"
    } else {
        "NULL"
    };
    let sql = format!("SELECT body, nonce, objects, {tally}, done FROM list_task");
    for (id, task) in rows(db, &sql, task)? {
        let account = account_of(&mut book, &id.0)?;
        account.tasks.insert(id.1, task);
    }
    let sql = "SELECT body FROM waiting ORDER BY job, list_task, seq";
    for outcome in rows(db, sql, |row| decode::<Outcome>(&blob(row, 0)?))? {
        let account = account_of(&mut book, &outcome.id.job)?;
        if let Some(Task::Issued { waiting, .. }) = account.tasks.get_mut(&outcome.id.list_task) {
            waiting.push(outcome);
        }
    }
    Ok(book)
}

/// Runs a query and reads each row.
pub(super) fn rows<T>(
    db: &Connection,
    sql: &str,
    read: impl Fn(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = db.prepare(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut values = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        values.push(read(row)?);
    }
    Ok(values)
}

fn account_of<'a>(book: &'a mut Book, job: &JobId) -> Result<&'a mut JobAccount> {
    book.jobs
        .get_mut(job)
        .ok_or_else(|| damaged(&format!("job {job} is missing")))
}

fn account(row: &Row<'_>) -> Result<JobAccount> {
    let spec: JobSpec = decode(&blob(row, 0)?)?;
    let stored: StoredAccount = decode(&blob(row, 1)?)?;
    let closed = RoaringTreemap::deserialize_from(&blob(row, 2)?[..])
        .map_err(|error| damaged(&error.to_string()))?;
    Ok(JobAccount {
        spec: Arc::new(spec),
        status: stored.status,
        ended_at_ms: stored.ended_at_ms,
        totals: stored.totals,
        listed: stored.listed,
        met_unknown: false,
        next_task: stored.next_task,
        round: stored.round,
        tasks: HashMap::new(),
        closed,
    })
}

fn task(row: &Row<'_>) -> Result<((JobId, u64), Task)> {
    let task: ListTask = decode(&blob(row, 0)?)?;
    let id = (task.job.clone(), task.id);
    let nonce: Option<i64> = row.get(1).map_err(failed)?;
    let Some(nonce) = nonce else {
        return Ok((
            id,
            Task::Issued {
                task,
                waiting: Vec::new(),
            },
        ));
    };
    let done = RoaringBitmap::deserialize_from(&blob(row, 4)?[..])
        .map_err(|error| damaged(&error.to_string()))?;
    let tally: Option<Vec<u8>> = row.get(3).map_err(failed)?;
    let page = OpenPage {
        nonce: u64::from_ne_bytes(nonce.to_ne_bytes()),
        objects: row.get(2).map_err(failed)?,
        done,
        tally: tally.map(|tally| decode(&tally)).transpose()?.map(Box::new),
        task,
    };
    Ok((id, Task::Open(page)))
}

pub(super) fn blob(row: &Row<'_>, column: usize) -> Result<Vec<u8>> {
    row.get(column).map_err(failed)
}

fn damaged(what: &str) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!("the ledger is damaged ({what}): restore it or begin with another --state folder"),
    )
}
