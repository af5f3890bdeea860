//! The broker of one process: queues and log in one SQLite file.
//!
//! Files in the folder: `queue.db` with its write-ahead log `queue.db-wal`, and `queue.lock`,
//! which one process holds as long as the broker is open. Durable, then `publish` returns: the
//! write-ahead log is synced in every transaction that somebody waits for. An acknowledgement is
//! written with the next transaction and may be lost with the power; the message then comes again.
//!
//! - `store` the file, `change` what can be asked of it, `writer` group commit,
//!   `apply` inside a transaction, `finish` after it;
//! - `state` what is in memory, `delay` the timers, `consumer` the handles.

mod apply;
mod change;
mod consumer;
mod delay;
mod finish;
mod state;
mod store;
mod writer;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use tokio::sync::oneshot;

use self::change::{Change, Question, Reply};
use self::consumer::{EmbeddedConsumer, EmbeddedLogReader};
use self::state::State;
use self::store::{Opened, Store, local};
use self::writer::Shared;
use super::{Broker, Consumer, Depth, LogReader, Parked, PublishFailure, Queue};
use crate::failure::{Failure, Result};
use crate::job::JobId;
use crate::message::Envelope;
use crate::private;

/// Messages a copy queue holds before it refuses more, unless told otherwise.
pub const COPY_BOUND: u64 = 100_000;

/// The file's name within its folder.
pub const FILE: &str = "queue.db";

/// Records of the log read at once.
const LOG_BATCH: usize = 500;

/// The embedded broker. One process owns a folder at a time.
#[derive(Debug)]
pub struct EmbeddedBroker {
    shared: Arc<Shared>,
    consumers: AtomicU64,
}

impl EmbeddedBroker {
    /// Opens the queues in `dir`, making the folder and the file where they are missing.
    ///
    /// # Errors
    /// The folder cannot be written, is in use, or its file is damaged or of a newer version.
    pub fn open(dir: &Path) -> Result<Arc<Self>> {
        Self::open_with(dir, COPY_BOUND)
    }

    /// Opens with a bound of its own on the messages ready in each copy queue.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn open_with(dir: &Path, copy_bound: u64) -> Result<Arc<Self>> {
        let held = lock_folder(dir)?;
        let Opened {
            store,
            queues,
            next_seq,
        } = Store::open(&dir.join(FILE))?;
        sync_folder(dir)?;
        let state = State::new(queues);
        Ok(Arc::new(Self {
            shared: Shared::new(store, state, next_seq, held, copy_bound),
            consumers: AtomicU64::new(0),
        }))
    }

    async fn change(&self, make: impl FnOnce(Reply<()>) -> Change) -> Result<()> {
        self.shared.state().check()?;
        let (reply, answer) = oneshot::channel();
        self.shared.change(make(reply));
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn lock_folder(dir: &Path) -> Result<File> {
    let path = dir.join("queue.lock");
    let unusable = |error| {
        local(format!(
            "cannot write {}: {error}: choose another --state folder",
            path.display()
        ))
    };
    private::create_folder(dir).map_err(unusable)?;
    let file = private::file_options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(local(format!(
            "{} is in use by another process: wait for it to end or stop it",
            dir.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// A new file is there after a loss of power only when its folder is synced.
fn sync_folder(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| local(format!("cannot sync {}: {error}", dir.display())))
}

/// The writer went away with its runtime.
fn gone() -> Failure {
    local("the program is ending".into())
}

#[async_trait]
impl Broker for EmbeddedBroker {
    async fn declare_job(&self, job: &JobId) -> Result<()> {
        let job = job.clone();
        self.change(|reply| Change::Declare { job, reply }).await
    }

    async fn delete_job(&self, job: &JobId) -> Result<()> {
        let job = job.clone();
        self.change(|reply| Change::Delete { job, reply }).await
    }

    async fn publish(&self, queue: &Queue, messages: Vec<Envelope>) -> Result<(), PublishFailure> {
        let refuse = |failure| PublishFailure {
            confirmed: 0,
            failure,
        };
        self.shared.state().check().map_err(refuse)?;
        let (reply, answer) = oneshot::channel();
        self.shared.change(Change::Publish {
            queue: queue.clone(),
            messages,
            reply,
        });
        answer.await.unwrap_or_else(|_| Err(refuse(gone())))
    }

    async fn consume(&self, queue: &Queue, window: u16) -> Result<Box<dyn Consumer>> {
        let number = self.consumers.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::clone(&self.shared);
        let consumer = EmbeddedConsumer::new(shared, queue.clone(), number, window)?;
        Ok(Box::new(consumer))
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>> {
        self.shared.state().check()?;
        let (reply, answer) = oneshot::channel();
        self.shared.ask(Question::Parked { limit, reply });
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn depth(&self, queue: &Queue) -> Result<Depth> {
        let state = self.shared.state();
        state.check()?;
        Ok(state.depth(queue))
    }

    async fn again(&self, job: &JobId) -> Result<u64> {
        let queue = Queue::Again(job.clone());
        let ready = self.depth(&queue).await?.ready;
        Ok(ready + self.shared.delays.waiting(&queue))
    }

    async fn wake(&self, job: &JobId) -> Result<u64> {
        self.shared.state().check()?;
        Ok(self.shared.delays.wake(&Queue::Again(job.clone())))
    }

    async fn append(&self, record: Envelope) -> Result<()> {
        self.change(|reply| Change::Append { record, reply }).await
    }

    async fn read_log(&self) -> Result<Vec<Envelope>> {
        let mut reader = EmbeddedLogReader::new(Arc::clone(&self.shared));
        reader.read_all().await
    }

    async fn follow_log(&self) -> Result<Box<dyn LogReader>> {
        self.shared.state().check()?;
        Ok(Box::new(EmbeddedLogReader::new(Arc::clone(&self.shared))))
    }

    async fn close(&self) -> Result<()> {
        let open = self.shared.state().check().is_ok();
        let flushed = if open {
            self.change(|reply| Change::Flush { reply }).await
        } else {
            Ok(())
        };
        let shared = Arc::clone(&self.shared);
        let closed = tokio::task::spawn_blocking(move || shared.close()).await;
        flushed.and(closed.unwrap_or_else(|_| Err(gone())))
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        // What cannot be written now will be delivered again.
        self.shared.close().ok();
    }
}
