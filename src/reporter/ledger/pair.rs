//! Whether the ledger's file and the write-ahead log beside it are of one state.
//!
//! SQLite applies any log that is whole in itself, also to a file that it was not written for: an
//! older copy, or a newer one. So each of the ledger's transactions counts one up in the file's
//! header (its application id). A log is begun when all before it is in the file, so the file must
//! have come to one below the log's first count at least, and to its last at most.
//! Format: <https://www.sqlite.org/fileformat2.html>.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::failed;
use crate::failure::{Failure, Reason, Result};

/// Bytes before the first frame of a log.
const HEADER: usize = 32;
/// Bytes before the page of a frame.
const FRAME: usize = 24;
/// Where the count is in the first page.
const COUNT: usize = 68;

/// Counts one up, within a transaction.
pub(super) fn count_up(db: &Connection) -> Result<()> {
    let count: i32 = db
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(failed)?;
    db.pragma_update(None, "application_id", count.wrapping_add(1))
        .map_err(failed)
}

/// Refuses a file whose log is of another state; nobody may write to either.
pub(super) fn check(path: &Path) -> Result<()> {
    let log = log_of(path);
    // What cannot be read is found out by opening it, which says why.
    let Ok(Some((first, last))) = counts(&log) else {
        return Ok(());
    };
    let file = match count_of(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Err(refusal(&log)),
        Err(_) => return Ok(()),
    };
    let is_older = first.wrapping_sub(file) > 1;
    let is_newer = last.wrapping_sub(file) < 0;
    match is_older || is_newer {
        true => Err(refusal(&log)),
        false => Ok(()),
    }
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// There is no file, or an empty one: SQLite would remove the log.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
    )
}

fn refusal(log: &Path) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!(
            "the write-ahead log beside it is of another state: restore both as they were at one \
             moment, or move {} away to go on from the file's own state, and run blobfleet jobs \
             repair for each running job",
            log.display()
        ),
    )
}

fn count_of(path: &Path) -> io::Result<i32> {
    let mut header = [0; COUNT + 4];
    File::open(path)?.read_exact(&mut header)?;
    Ok(number(&header, COUNT))
}

/// The first and the last count among the transactions of a log; none where it has none.
fn counts(log: &Path) -> io::Result<Option<(i32, i32)>> {
    let mut log = BufReader::new(File::open(log)?);
    let mut header = [0; HEADER];
    log.read_exact(&mut header)?;
    let mut sum = Sum::of(&header);
    if !sum.is_told_by(&header, HEADER - 8) {
        return Ok(None);
    }
    let size = usize::try_from(number(&header, 8)).unwrap_or_default();
    let mut frame = vec![0; FRAME + size];
    let (mut committed, mut begun): (Option<(i32, i32)>, _) = (None, None);
    while log.read_exact(&mut frame).is_ok() {
        sum.add(&frame[..8]);
        sum.add(&frame[FRAME..]);
        if frame[8..16] != header[16..24] || !sum.is_told_by(&frame, 16) {
            break;
        }
        if number(&frame, 0) == 1 && size >= COUNT + 4 {
            begun = Some(number(&frame, FRAME + COUNT));
        }
        let is_last_of_transaction = number(&frame, 4) != 0;
        if is_last_of_transaction && let Some(count) = begun.take() {
            let first = committed.map_or(count, |(first, _)| first);
            committed = Some((first, count));
        }
    }
    Ok(committed)
}

fn number(bytes: &[u8], at: usize) -> i32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    i32::from_be_bytes(four.unwrap_or_default())
}

/// The running sum over a log, by which SQLite knows how far it is whole.
struct Sum {
    read: fn([u8; 4]) -> u32,
    sums: [u32; 2],
}

impl Sum {
    fn of(header: &[u8; HEADER]) -> Self {
        let is_big_endian = header[3] & 1 == 1;
        let mut sum = Self {
            read: match is_big_endian {
                true => u32::from_be_bytes,
                false => u32::from_le_bytes,
            },
            sums: [0; 2],
        };
        sum.add(&header[..HEADER - 8]);
        sum
    }

    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks_exact(8) {
            let [a, b, c, d, e, f, g, h] = *pair else {
                continue;
            };
            let [first, second] = &mut self.sums;
            *first = first
                .wrapping_add((self.read)([a, b, c, d]))
                .wrapping_add(*second);
            *second = second
                .wrapping_add((self.read)([e, f, g, h]))
                .wrapping_add(*first);
        }
    }

    fn is_told_by(&self, bytes: &[u8], at: usize) -> bool {
        let told = [number(bytes, at), number(bytes, at + 4)];
        told.map(i32::cast_unsigned) == self.sums
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A ledger's files after each of a few transactions; the log is begun anew in between.
    fn states() -> Vec<(Vec<u8>, Vec<u8>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        let mut db = Connection::open(&path).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        db.execute_batch("CREATE TABLE t(x)").unwrap();
        let mut states = Vec::new();
        for number in 0..12 {
            let transaction = db.transaction().unwrap();
            count_up(&transaction).unwrap();
            transaction
                .execute("INSERT INTO t VALUES(?1)", [number])
                .unwrap();
            transaction.commit().unwrap();
            // One that does not count.
            db.execute("INSERT INTO t VALUES(-1)", []).unwrap();
            states.push((fs::read(&path).unwrap(), fs::read(log_of(&path)).unwrap()));
            if number % 4 == 3 {
                let sql = "PRAGMA wal_checkpoint(FULL)";
                db.query_row(sql, [], |_| Ok(())).unwrap();
                states.push((fs::read(&path).unwrap(), fs::read(log_of(&path)).unwrap()));
            }
        }
        states
    }

    fn checked(file: Option<&[u8]>, log: &[u8]) -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        if let Some(file) = file {
            fs::write(&path, file).unwrap();
        }
        fs::write(log_of(&path), log).unwrap();
        check(&path)
    }

    #[test]
    fn a_file_and_its_own_log_belong_together() {
        for (number, (file, log)) in states().iter().enumerate() {
            checked(Some(file), log).unwrap_or_else(|failure| panic!("{number}: {failure}"));
            // The last transaction was not written to its end.
            let torn = &log[..log.len() - 100];
            checked(Some(file), torn).unwrap_or_else(|failure| panic!("{number}: {failure}"));
            checked(Some(file), b"").unwrap();
            checked(Some(file), &[7; 200]).unwrap();
        }
    }

    #[test]
    fn a_log_of_another_state_is_refused() {
        let states = states();
        // Transactions 0 to 3 and what was written through; 4 to 7; 8 to 11.
        let (first, second, third) = (&states[2], &states[7], &states[12]);
        for (name, file, log) in [
            ("an older file", &first.0, &third.1),
            ("an older file by one log", &first.0, &second.1),
            ("a newer file", &third.0, &first.1),
            ("a newer file by one log", &second.0, &states[1].1),
        ] {
            let refused = checked(Some(file), log).unwrap_err();
            assert!(refused.message.contains("l-wal away"), "{name}: {refused}");
        }
        checked(None, &first.1).unwrap_err();
        checked(Some(b""), &first.1).unwrap_err();
    }
}
