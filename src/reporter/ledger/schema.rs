//! The ledger's file: tables and their version.
//!
//! WAL and `synchronous=FULL`: what a transaction committed survives a loss of power
//! (<https://www.sqlite.org/pragma.html#pragma_synchronous>).

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::failed;
use crate::failure::{Failure, Reason, Result};

/// Written into `user_version` of a new file.
const VERSION: i64 = 3;
/// Written there once it holds a part of an unsorted listing, which older versions would list by
/// key; nothing else is different.
pub(super) const WITH_CURSORS: i64 = 4;

/// How long another process may hold the file.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE job(
  id TEXT PRIMARY KEY, number INTEGER NOT NULL,
  spec BLOB NOT NULL, account BLOB NOT NULL, closed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE list_task(
  job TEXT NOT NULL, id INTEGER NOT NULL, body BLOB NOT NULL,
  nonce INTEGER, objects INTEGER, round INTEGER, done BLOB, tally BLOB,
  PRIMARY KEY(job, id)) WITHOUT ROWID;
CREATE TABLE waiting(
  job TEXT NOT NULL, list_task INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY(job, list_task, seq)) WITHOUT ROWID;
CREATE TABLE ending(
  job TEXT NOT NULL, list_task INTEGER NOT NULL, idx INTEGER NOT NULL,
  kind TEXT NOT NULL, key TEXT NOT NULL, size INTEGER NOT NULL,
  reason TEXT NOT NULL, message TEXT NOT NULL, root INTEGER, whole INTEGER,
  PRIMARY KEY(job, list_task, idx)) WITHOUT ROWID;
CREATE TABLE range_failure(
  job TEXT NOT NULL, list_task INTEGER NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL,
  body BLOB, PRIMARY KEY(job, list_task)) WITHOUT ROWID;
CREATE TABLE outbox(seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
";

/// Since then an ending has its root.
pub(super) const WITH_ROOTS: i64 = 2;
/// Since then an open page has its tally, and a range that failed its list task.
pub(super) const WITH_TALLIES: i64 = 3;

/// From a version to the next.
const STEPS: [(i64, &str); 2] = [
    (1, "ALTER TABLE ending ADD COLUMN root INTEGER;"),
    (
        2,
        "ALTER TABLE list_task ADD COLUMN tally BLOB;
         ALTER TABLE ending ADD COLUMN whole INTEGER;
         ALTER TABLE range_failure ADD COLUMN body BLOB;",
    ),
];

/// Sets the connection up, makes the tables of a new file and brings an older one up to date;
/// gives the version.
pub(super) fn prepare(db: &Connection) -> Result<i64> {
    db.busy_timeout(PATIENCE).map_err(failed)?;
    // Before anything is written: a file of a newer version is left as it is.
    let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    db.set_db_config(keep, true).map_err(failed)?;
    let version = version(db)?;
    db.set_db_config(keep, false).map_err(failed)?;
    db.pragma_update(None, "journal_mode", "WAL")
        .map_err(failed)?;
    db.pragma_update(None, "synchronous", "FULL")
        .map_err(failed)?;
    let steps: String = match version {
        0 => TABLES.to_owned(),
        current @ (VERSION | WITH_CURSORS) => return Ok(current),
        old => STEPS
            .iter()
            .filter(|(from, _)| *from >= old)
            .map(|(_, step)| *step)
            .collect(),
    };
    let all = format!("BEGIN;{steps}PRAGMA user_version={VERSION};COMMIT;");
    db.execute_batch(&all).map_err(failed)?;
    Ok(VERSION)
}

/// Refuses a file of a newer version.
pub(super) fn version(db: &Connection) -> Result<i64> {
    let version: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    if version > WITH_CURSORS {
        return Err(Failure::stop(
            Reason::NewerVersion,
            format!(
                "the ledger has version {version}, this program knows {WITH_CURSORS}: upgrade blobfleet"
            ),
        ));
    }
    Ok(version)
}
