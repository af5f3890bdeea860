//! Writes the changes of the book in one transaction.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::failed;
use super::outbox::{self, Parcel};
use super::pair;
use super::restore::rows;
use super::schema::WITH_CURSORS;
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobId, JobStatus, Totals};
use crate::message::{Ending, ListTask, Outcome, RangeFailed, encode};
use crate::reporter::book::{Book, Change, EndingRow, JobAccount, OpenPage, Rows, Task};

/// What of an account is stored as one value.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredAccount {
    pub(super) status: JobStatus,
    pub(super) ended_at_ms: Option<i64>,
    pub(super) totals: Totals,
    pub(super) listed: bool,
    pub(super) next_task: u64,
    #[serde(default)]
    pub(super) round: u32,
}

/// The same 64 bits as SQLite's signed integer.
pub(super) fn bits(value: u64) -> i64 {
    i64::from_ne_bytes(value.to_ne_bytes())
}

/// The id of this ledger's state; drawn when the file is new.
pub(super) fn ledger_id(db: &Connection) -> Result<String> {
    let known: Option<String> = db
        .query_row("SELECT value FROM meta WHERE key='ledger'", [], |row| {
            row.get(0)
        })
        .optional()
        .map_err(failed)?;
    if let Some(id) = known {
        return Ok(id);
    }
    let id = format!("{:016x}", rand::random::<u64>());
    db.execute("INSERT INTO meta(key, value) VALUES('ledger', ?1)", [&id])
        .map_err(failed)?;
    Ok(id)
}

/// Counts one more start of a reporter.
pub(super) fn count_start(db: &Connection) -> Result<u64> {
    let sql = "INSERT INTO meta(key, value) VALUES('starts', '1')
        ON CONFLICT(key) DO UPDATE SET value = CAST(value AS INTEGER) + 1 RETURNING value";
    let count: String = db.query_row(sql, [], |row| row.get(0)).map_err(failed)?;
    Ok(count.parse().unwrap_or(1))
}

/// How many rows there are of each job that tell how its objects and ranges ended.
pub(super) fn count_rows(db: &Connection) -> Result<HashMap<JobId, Rows>> {
    let mut counts: HashMap<JobId, Rows> = HashMap::new();
    for (job, count) in counted(db, "ending")? {
        counts.entry(job).or_default().endings = count;
    }
    for (job, count) in counted(db, "range_failure")? {
        counts.entry(job).or_default().ranges = count;
    }
    Ok(counts)
}

fn counted(db: &Connection, table: &str) -> Result<Vec<(JobId, u64)>> {
    let sql = format!("SELECT job, count(*) FROM {table} GROUP BY job");
    rows(db, &sql, |row| {
        let job: String = row.get(0).map_err(failed)?;
        let count: i64 = row.get(1).map_err(failed)?;
        Ok((JobId::new(job), u64::try_from(count).unwrap_or_default()))
    })
}

/// What a batch of changes touched; rows that hold sums are written once, at its end.
#[derive(Debug, Default)]
struct Touched<'a> {
    accounts: BTreeSet<&'a JobId>,
    pages: BTreeSet<(&'a JobId, u64)>,
    closed: BTreeSet<(&'a JobId, u64)>,
}

/// Writes all changes, or none.
pub(super) fn changes(db: &mut Connection, book: &Book, changes: &[Change]) -> Result<()> {
    let transaction = db.transaction().map_err(failed)?;
    let mut touched = Touched::default();
    for change in changes {
        write(&transaction, book, change, &mut touched)?;
    }
    for (job, id) in &touched.closed {
        let place = (job.as_str(), bits(*id));
        run(
            &transaction,
            "DELETE FROM list_task WHERE job=?1 AND id=?2",
            place,
        )?;
    }
    for (job, id) in touched.pages.difference(&touched.closed) {
        if let Some(Task::Open(page)) = account(book, job)?.tasks.get(id) {
            update_page(&transaction, job, *id, page)?;
        }
    }
    for job in touched.accounts {
        update_account(&transaction, account(book, job)?)?;
    }
    pair::count_up(&transaction)?;
    transaction.commit().map_err(failed)
}

fn write<'a>(
    db: &Transaction<'_>,
    book: &Book,
    change: &'a Change,
    touched: &mut Touched<'a>,
) -> Result<()> {
    match change {
        Change::Opened(job) => insert_job(db, book, job)?,
        Change::Issued(task) => {
            issue(db, task)?;
            touched.accounts.insert(&task.job);
        }
        Change::Ending(row) => insert_ending(db, row)?,
        Change::Waiting(outcome) => insert_waiting(db, outcome)?,
        Change::WaitingTaken(job, id) => {
            let place = (job.as_str(), bits(*id));
            run(
                db,
                "DELETE FROM waiting WHERE job=?1 AND list_task=?2",
                place,
            )?;
        }
        Change::RangeFailed(range, task) => insert_range_failure(db, range, task)?,
        Change::Listed(job, round) => outbox::put(db, &Parcel::ListedIn(job.clone(), *round))?,
        Change::Reopened(job, round) | Change::Woken(job, round) => {
            outbox::put(db, &Parcel::Reopened(job.clone(), *round))?;
        }
        Change::PutBack(..) | Change::RangePutBack(..) | Change::Withdrawn(..) => {
            forgotten(db, change)?
        }
        Change::Forgotten(job) => forget_work(db, job)?,
        Change::QueuesLost(job) => outbox::put(db, &Parcel::Declare(job.clone()))?,
        Change::Resent(task) => outbox::put(db, &Parcel::List(task.clone()))?,
        Change::Ended(end) => {
            for table in ["list_task", "waiting"] {
                let sql = format!("DELETE FROM {table} WHERE job=?1");
                run(db, &sql, [end.job.as_str()])?;
            }
            outbox::put(db, &Parcel::Ended(end.clone()))?;
        }
        Change::Totals(_) | Change::Marked(..) | Change::Closed(..) => {}
    }
    match change {
        Change::Totals(job) | Change::Listed(job, _) => {
            touched.accounts.insert(job);
        }
        Change::Ended(end) => {
            touched.accounts.insert(&end.job);
        }
        Change::Marked(job, id) => {
            touched.pages.insert((job, *id));
        }
        Change::Closed(job, id) => {
            touched.closed.insert((job, *id));
            touched.accounts.insert(job);
        }
        _ => {}
    }
    Ok(())
}

/// Forgets how objects or a range ended.
fn forgotten(db: &Transaction<'_>, change: &Change) -> Result<()> {
    let (job, list_task, sql) = match change {
        Change::PutBack(job, list_task, index) => {
            let sql = "DELETE FROM ending WHERE job=?1 AND list_task=?2 AND idx=?3";
            return run(db, sql, (job.as_str(), bits(*list_task), *index));
        }
        Change::RangePutBack(job, list_task) => {
            let sql = "DELETE FROM range_failure WHERE job=?1 AND list_task=?2";
            (job, list_task, sql)
        }
        Change::Withdrawn(job, list_task) => {
            let sql = "DELETE FROM ending WHERE job=?1 AND list_task=?2";
            (job, list_task, sql)
        }
        _ => return Ok(()),
    };
    run(db, sql, (job.as_str(), bits(*list_task)))
}

fn insert_range_failure(db: &Transaction<'_>, range: &RangeFailed, task: &ListTask) -> Result<()> {
    let place = (range.job.as_str(), bits(range.list_task));
    let why = (range.reason.as_str(), &range.message);
    run(
        db,
        "INSERT OR REPLACE INTO range_failure VALUES(?1,?2,?3,?4,?5)",
        (place.0, place.1, why.0, why.1, &encode(task)?[..]),
    )
}

/// Forgets what was to be done of a job, and how anything of it ended.
fn forget_work(db: &Transaction<'_>, job: &JobId) -> Result<()> {
    for table in ["list_task", "waiting", "ending", "range_failure"] {
        let sql = format!("DELETE FROM {table} WHERE job=?1");
        run(db, &sql, [job.as_str()])?;
    }
    Ok(())
}

/// Removes every trace of a job.
pub(super) fn forget(db: &mut Connection, job: &JobId) -> Result<()> {
    let transaction = db.transaction().map_err(failed)?;
    forget_work(&transaction, job)?;
    run(&transaction, "DELETE FROM job WHERE id=?1", [job.as_str()])?;
    transaction.commit().map_err(failed)
}

fn account<'a>(book: &'a Book, job: &JobId) -> Result<&'a JobAccount> {
    book.jobs
        .get(job)
        .ok_or_else(|| Failure::stop(Reason::Internal, format!("job {job} has no account")))
}

fn insert_job(db: &Transaction<'_>, book: &Book, job: &JobId) -> Result<()> {
    let account = account(book, job)?;
    run(
        db,
        "INSERT INTO job(id, number, spec, account, closed)
         VALUES(?1, (SELECT COALESCE(MAX(number), 0) + 1 FROM job), ?2, ?3, ?4)",
        (
            job.as_str(),
            &encode(&*account.spec)?[..],
            &stored(account)?[..],
            closed(account)?,
        ),
    )
}

fn update_account(db: &Transaction<'_>, account: &JobAccount) -> Result<()> {
    run(
        db,
        "UPDATE job SET account=?2, closed=?3 WHERE id=?1",
        (
            account.spec.id.as_str(),
            &stored(account)?[..],
            closed(account)?,
        ),
    )
}

fn stored(account: &JobAccount) -> Result<bytes::Bytes> {
    encode(&StoredAccount {
        status: account.status,
        ended_at_ms: account.ended_at_ms,
        totals: account.totals.clone(),
        listed: account.listed,
        next_task: account.next_task,
        round: account.round,
    })
}

fn closed(account: &JobAccount) -> Result<Vec<u8>> {
    let mut bitmap = account.closed.clone();
    bitmap.optimize();
    let mut bytes = Vec::new();
    bitmap
        .serialize_into(&mut bytes)
        .map_err(|error| unwritable(&error))?;
    Ok(bytes)
}

fn issue(db: &Transaction<'_>, task: &ListTask) -> Result<()> {
    if task.range.is_unsorted() {
        db.pragma_update(None, "user_version", WITH_CURSORS)
            .map_err(failed)?;
    }
    run(
        db,
        "INSERT INTO list_task(job, id, body) VALUES(?1, ?2, ?3)",
        (task.job.as_str(), bits(task.id), &encode(task)?[..]),
    )?;
    outbox::put(db, &Parcel::List(task.clone()))
}

fn update_page(db: &Transaction<'_>, job: &JobId, id: u64, page: &OpenPage) -> Result<()> {
    let mut done = Vec::new();
    page.done
        .serialize_into(&mut done)
        .map_err(|error| unwritable(&error))?;
    let tally = page.tally.as_ref().map(encode).transpose()?;
    run(
        db,
        "UPDATE list_task SET nonce=?3, objects=?4, round=?5, done=?6, tally=?7
         WHERE job=?1 AND id=?2",
        (
            job.as_str(),
            bits(id),
            bits(page.nonce),
            page.objects,
            page.task.round,
            done,
            tally.as_deref(),
        ),
    )
}

fn insert_ending(db: &Transaction<'_>, row: &EndingRow) -> Result<()> {
    let (kind, reason, message) = match &row.ending {
        Ending::Copied { .. } => return Ok(()),
        Ending::Skipped { reason, message } => ("skipped", reason.as_str(), message.as_str()),
        Ending::Failed { reason, message } => ("failed", reason.as_str(), message.as_str()),
    };
    let place = (row.job.as_str(), bits(row.list_task), row.index);
    run(
        db,
        "INSERT OR REPLACE INTO ending VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            place.0,
            place.1,
            place.2,
            kind,
            row.key,
            bits(row.size),
            reason,
            message,
            row.root,
            row.whole
        ],
    )
}

fn insert_waiting(db: &Transaction<'_>, outcome: &Outcome) -> Result<()> {
    run(
        db,
        "INSERT INTO waiting VALUES(?1, ?2,
           (SELECT COALESCE(MAX(seq), 0) + 1 FROM waiting WHERE job=?1 AND list_task=?2), ?3)",
        (
            outcome.id.job.as_str(),
            bits(outcome.id.list_task),
            &encode(outcome)?[..],
        ),
    )
}

fn run(db: &Transaction<'_>, sql: &str, values: impl rusqlite::Params) -> Result<()> {
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    statement.execute(values).map_err(failed)?;
    Ok(())
}

fn unwritable(error: &std::io::Error) -> Failure {
    Failure::stop(Reason::Internal, format!("cannot write a bitmap: {error}"))
}
