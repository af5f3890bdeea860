//! The SQLite file behind the embedded broker: schema, opening, statements, error texts.
//!
//! One connection in exclusive locking mode, so the write-ahead log needs no shared-memory file
//! and a second opener is refused. `seq` numbers are drawn from one counter for the whole file
//! and only ever rise, so a queue's order is the order of its `seq`.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior};

use super::state::Row;
use crate::failure::{Failure, Reason, Result};
use crate::message::{Envelope, Headers};

/// Marks the file as ours (`PRAGMA application_id`): "bfq1".
const APPLICATION_ID: i32 = 0x6266_7131;
/// Schema version this program writes (`PRAGMA user_version`).
const SCHEMA_VERSION: i32 = 1;

/// `rows` counts a queue's messages without the delayed ones, kept in every transaction: counting
/// millions of rows at start would take minutes.
const SCHEMA: &str = "
CREATE TABLE queues (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, rows INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE messages (
    queue INTEGER NOT NULL, seq INTEGER NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL,
    origin TEXT, reason TEXT, PRIMARY KEY (queue, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE delayed (
    seq INTEGER PRIMARY KEY, queue INTEGER NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TABLE log (
    seq INTEGER PRIMARY KEY, headers TEXT NOT NULL, body BLOB NOT NULL
) STRICT;
INSERT INTO queues (name) VALUES ('list'), ('outcome'), ('parked');
";

/// A queue as the file knows it.
#[derive(Debug)]
pub(super) struct QueueRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) rows: u64,
}

/// What is known after opening.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) queues: Vec<QueueRow>,
    pub(super) next_seq: i64,
}

/// A transaction that did not take place.
#[derive(Debug)]
pub(super) struct WriteFailure {
    pub(super) failure: Failure,
    /// The disk is full: later ones may succeed. After anything else (a failed sync above all)
    /// it is unknown what the disk holds, and only opening anew tells.
    pub(super) passing: bool,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    path: PathBuf,
}

impl Store {
    /// Opens or makes the file; what was delayed becomes ready.
    pub(super) fn open(path: &Path) -> Result<Opened> {
        let fail = |error| failure(path, &error);
        // What cannot be made cannot be opened either, which says why.
        crate::private::create_file(path).unwrap_or_default();
        let mut connection = Connection::open(path).map_err(fail)?;
        begin(&connection).map_err(fail)?;
        check_version(path, &connection)?;
        configure(&connection).map_err(fail)?;
        let (queues, next_seq) = prepare(&mut connection).map_err(fail)?;
        let store = Self {
            connection,
            path: path.to_path_buf(),
        };
        Ok(Opened {
            store,
            queues,
            next_seq,
        })
    }

    /// Runs `work` in one transaction; `durable` waits for the disk.
    ///
    /// Without `durable` the transaction is written but not synced: it survives the end of the
    /// process, and a loss of power can only undo it whole, never leave a part of it.
    pub(super) fn write<T>(
        &mut self,
        durable: bool,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, WriteFailure> {
        let run = || {
            let level = if durable { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|error| WriteFailure {
            failure: failure(&self.path, &error),
            passing: error.sqlite_error_code() == Some(ErrorCode::DiskFull),
        })
    }

    /// Up to `count` messages, or `bytes` of bodies, of a queue after `after`, oldest first.
    pub(super) fn load(
        &self,
        queue: i64,
        after: i64,
        count: usize,
        bytes: usize,
    ) -> Result<Vec<(i64, Row)>> {
        self.read_rows(queue, after, count, bytes)
            .map_err(|error| failure(&self.path, &error))
    }

    fn read_rows(
        &self,
        queue: i64,
        after: i64,
        count: usize,
        bytes: usize,
    ) -> rusqlite::Result<Vec<(i64, Row)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT seq, headers, body, origin, reason FROM messages
             WHERE queue = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        )?;
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        let mut found = statement.query((queue, after, limit))?;
        let (mut rows, mut held) = (Vec::new(), 0);
        while held < bytes
            && let Some(row) = found.next()?
        {
            let message = envelope(&row.get::<_, String>(1)?, row.get(2)?);
            held += message.body.len();
            let parked = match (row.get(3)?, row.get(4)?) {
                (Some(origin), Some(reason)) => Some((origin, reason)),
                _ => None,
            };
            rows.push((row.get(0)?, Row { message, parked }));
        }
        Ok(rows)
    }

    /// Up to `count` records of the log after `after`.
    pub(super) fn log(&self, after: i64, count: usize) -> Result<Vec<(i64, Envelope)>> {
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT seq, headers, body FROM log WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            )?;
            let limit = i64::try_from(count).unwrap_or(i64::MAX);
            let records = statement.query_map((after, limit), |row| {
                Ok((
                    row.get(0)?,
                    envelope(&row.get::<_, String>(1)?, row.get(2)?),
                ))
            })?;
            records.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| failure(&self.path, &error))
    }
}

/// The statements of a transaction.
pub(super) mod sql {
    use super::*;

    pub(in super::super) fn insert(
        on: &Connection,
        queue: i64,
        seq: i64,
        message: &Envelope,
        parked: Option<(&str, &str)>,
    ) -> rusqlite::Result<()> {
        on.prepare_cached(
            "INSERT INTO messages (queue, seq, headers, body, origin, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            queue,
            seq,
            headers(message),
            &message.body[..],
            parked.map(|(origin, _)| origin),
            parked.map(|(_, reason)| reason),
        ))?;
        Ok(())
    }

    pub(in super::super) fn delete(
        on: &Connection,
        queue: i64,
        seq: i64,
    ) -> rusqlite::Result<bool> {
        let gone = on
            .prepare_cached("DELETE FROM messages WHERE queue = ?1 AND seq = ?2")?
            .execute((queue, seq))?;
        Ok(gone > 0)
    }

    pub(in super::super) fn delay(
        on: &Connection,
        queue: i64,
        seq: i64,
        message: &Envelope,
    ) -> rusqlite::Result<()> {
        on.prepare_cached(
            "INSERT INTO delayed (queue, seq, headers, body) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((queue, seq, headers(message), &message.body[..]))?;
        Ok(())
    }

    /// Takes a delayed message out; `None` where its queue was deleted meanwhile.
    pub(in super::super) fn take_delayed(
        on: &Connection,
        seq: i64,
    ) -> rusqlite::Result<Option<Envelope>> {
        on.prepare_cached("DELETE FROM delayed WHERE seq = ?1 RETURNING headers, body")?
            .query_row([seq], |row| {
                Ok(envelope(&row.get::<_, String>(0)?, row.get(1)?))
            })
            .optional()
    }

    pub(in super::super) fn append(
        on: &Connection,
        seq: i64,
        record: &Envelope,
    ) -> rusqlite::Result<()> {
        on.prepare_cached("INSERT INTO log (seq, headers, body) VALUES (?1, ?2, ?3)")?
            .execute((seq, headers(record), &record.body[..]))?;
        Ok(())
    }

    pub(in super::super) fn add_rows(
        on: &Connection,
        queue: i64,
        delta: i64,
    ) -> rusqlite::Result<()> {
        on.prepare_cached("UPDATE queues SET rows = rows + ?2 WHERE id = ?1")?
            .execute((queue, delta))?;
        Ok(())
    }

    /// Makes a queue and gives its id; `None` where it is there already.
    pub(in super::super) fn declare(on: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
        on.prepare_cached(
            "INSERT INTO queues (name) VALUES (?1) ON CONFLICT (name) DO NOTHING RETURNING id",
        )?
        .query_row([name], |row| row.get(0))
        .optional()
    }

    pub(in super::super) fn drop_queue(on: &Connection, id: i64) -> rusqlite::Result<()> {
        on.execute("DELETE FROM messages WHERE queue = ?1", [id])?;
        on.execute("DELETE FROM delayed WHERE queue = ?1", [id])?;
        on.execute("DELETE FROM queues WHERE id = ?1", [id])?;
        Ok(())
    }
}

/// As far as a file may be touched that is perhaps not ours.
fn begin(connection: &Connection) -> rusqlite::Result<()> {
    // Exclusive before WAL: then the index of the log lives in memory, not in a shared file.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Pages of 4 KiB: the log is copied back every 8 MiB and is cut to 32 MiB after a burst.
    connection.pragma_update(None, "wal_autocheckpoint", 2000)?;
    connection.pragma_update_and_check(None, "journal_size_limit", 32 << 20, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -8000)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

fn check_version(path: &Path, connection: &Connection) -> Result<()> {
    let read = |name| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
            .map_err(|error| failure(path, &error))
    };
    let (application, version) = (read("application_id")?, read("user_version")?);
    let shown = path.display();
    match (application, version) {
        (0, 0) | (APPLICATION_ID, SCHEMA_VERSION) => Ok(()),
        (APPLICATION_ID, newer) if newer > SCHEMA_VERSION => Err(local(format!(
            "{shown} has version {newer}, this program reads up to {SCHEMA_VERSION}: upgrade it"
        ))),
        _ => Err(local(format!(
            "{shown} is not a queue of blobfleet: choose another --state folder"
        ))),
    }
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<(Vec<QueueRow>, i64)> {
    let on = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i32 = on.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        on.execute_batch(SCHEMA)?;
        on.pragma_update(None, "application_id", APPLICATION_ID)?;
        on.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    on.execute_batch(
        "UPDATE queues SET rows = rows + (SELECT count(*) FROM delayed WHERE queue = queues.id);
         INSERT INTO messages (queue, seq, headers, body)
             SELECT queue, seq, headers, body FROM delayed;
         DELETE FROM delayed;",
    )?;
    let mut queues = Vec::new();
    let mut next_seq: i64 =
        on.query_row("SELECT ifnull(max(seq), 0) FROM log", [], |row| row.get(0))?;
    {
        let mut statement = on.prepare(
            "SELECT id, name, rows,
                    ifnull((SELECT max(seq) FROM messages WHERE queue = queues.id), 0)
             FROM queues",
        )?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            queues.push(QueueRow {
                id: row.get(0)?,
                name: row.get(1)?,
                rows: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
            });
            next_seq = next_seq.max(row.get(3)?);
        }
    }
    on.commit()?;
    Ok((queues, next_seq + 1))
}

fn headers(message: &Envelope) -> String {
    serde_json::to_string(&message.headers).unwrap_or_default()
}

/// Headers that cannot be read are empty ones: the body is handed on untouched all the same.
fn envelope(headers: &str, body: Vec<u8>) -> Envelope {
    Envelope {
        headers: serde_json::from_str::<Headers>(headers).unwrap_or_default(),
        body: Bytes::from(body),
    }
}

/// A failure of local state; nothing this process does will mend it.
pub(super) fn local(message: String) -> Failure {
    Failure::stop(Reason::LocalState, message)
}

/// Says in one line what is wrong with the file and what to do.
fn failure(path: &Path, error: &rusqlite::Error) -> Failure {
    let shown = path.display();
    local(match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            format!("the disk is full, cannot write {shown}: free some space and run again")
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => format!(
            "{shown} is damaged ({error}): move its folder away and run again to start the job anew"
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            format!("cannot write {shown} ({error}): choose another --state folder")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("{shown} is in use by another process: wait for it to end")
        }
        _ => format!("cannot use {shown}: {error}"),
    })
}
