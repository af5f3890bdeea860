//! What must be sent because a transaction said so: sent again until it is confirmed.

use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};

use super::restore::{blob, rows};
use super::{Ledger, failed, named};
use crate::failure::Result;
use crate::job::{JobEnd, JobId};
use crate::message::{ListTask, decode, encode};

/// One thing to send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Parcel {
    /// Into the list queue.
    List(ListTask),
    /// Into the job log, with the round.
    ListedIn(JobId, u32),
    /// The same, as an older version wrote it: of the first round.
    Listed(JobId),
    /// The job's queues are made.
    Declare(JobId),
    /// The job's queues are made; then into the job log, with the round: one that begins, or the
    /// one the job is in, so that what waits of it is tried at once.
    Reopened(JobId, u32),
    /// Into the job log; then the job's queues are removed.
    Ended(JobEnd),
}

/// A parcel and its place in the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Place; ascending.
    pub seq: i64,
    /// What to send.
    pub parcel: Parcel,
}

/// How many parcels are sent at a time.
const BATCH: usize = 500;

pub(super) fn put(db: &Transaction<'_>, parcel: &Parcel) -> Result<()> {
    let mut statement = db
        .prepare_cached("INSERT INTO outbox(body) VALUES(?1)")
        .map_err(failed)?;
    statement.execute([&encode(parcel)?[..]]).map_err(failed)?;
    Ok(())
}

impl Ledger {
    /// The oldest parcels not yet confirmed.
    ///
    /// # Errors
    /// The disk.
    pub fn outgoing(&self) -> Result<Vec<Outgoing>> {
        let sql = format!("SELECT seq, body FROM outbox ORDER BY seq LIMIT {BATCH}");
        rows(&self.db, &sql, |row| {
            let seq = row.get(0).map_err(failed)?;
            Ok(Outgoing {
                seq,
                parcel: decode(&blob(row, 1)?)?,
            })
        })
        .map_err(|failure| named(&self.path, failure))
    }

    /// The place of the last parcel that is not confirmed yet; none where all are.
    ///
    /// # Errors
    /// The disk.
    pub fn last_outgoing(&self) -> Result<Option<i64>> {
        self.seq("SELECT MAX(seq) FROM outbox")
    }

    /// The place of the first of them.
    ///
    /// # Errors
    /// The disk.
    pub fn first_outgoing(&self) -> Result<Option<i64>> {
        self.seq("SELECT MIN(seq) FROM outbox")
    }

    fn seq(&self, sql: &str) -> Result<Option<i64>> {
        let seq = self.db.query_row(sql, [], |row| row.get(0));
        seq.map_err(|error| named(&self.path, failed(error)))
    }

    /// Forgets parcels that are confirmed.
    ///
    /// # Errors
    /// The disk; they will be sent again, which is harmless.
    pub fn sent(&mut self, seqs: &[i64]) -> Result<()> {
        let transaction = self.db.transaction().map_err(failed)?;
        {
            let mut statement = transaction
                .prepare_cached("DELETE FROM outbox WHERE seq=?1")
                .map_err(failed)?;
            for seq in seqs {
                statement.execute(params![seq]).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }
}
