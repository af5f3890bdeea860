//! One writer at a time takes everything that is pending and commits it in one transaction.
//!
//! Order: durable, then the reply, then visible to consumers. While one batch waits for the disk
//! the next one gathers, so thousands of operations a second share a sync. The writer is a
//! blocking task that lives as long as there is work: a paused clock does not run ahead of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::apply::Apply;
use super::change::{Change, Question};
use super::delay::Delays;
use super::state::{BUFFER, BUFFER_BYTES, Load, Row, State};
use super::store::{Store, WriteFailure, local, sql};
use crate::broker::{Parked, Queue};
use crate::failure::Result;

/// Operations taken into one transaction, at most.
const BATCH: usize = 4096;
/// Bytes of bodies after which no further operation is taken into a transaction.
const BATCH_BYTES: usize = 8 << 20;
/// How long acknowledgements wait on a full disk where nobody else asks for anything.
const FULL_DISK_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Pending {
    changes: VecDeque<Change>,
    questions: Vec<Question>,
    active: bool,
}

/// What the broker, its consumers and its writer share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    pending: Mutex<Pending>,
    file: Mutex<File>,
    pub(super) copy_bound: u64,
    pub(super) appended: Notify,
    pub(super) delays: Delays,
}

#[derive(Debug)]
struct File {
    /// `None` once closed.
    store: Option<Store>,
    next_seq: i64,
    /// Held as long as the file is open.
    lock: Option<std::fs::File>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        store: Store,
        state: State,
        next_seq: i64,
        held: std::fs::File,
        copy_bound: u64,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            state: Mutex::new(state),
            pending: Mutex::default(),
            file: Mutex::new(File {
                store: Some(store),
                next_seq,
                lock: Some(held),
            }),
            copy_bound,
            appended: Notify::new(),
            delays: Delays::new(this.clone()),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn change(self: &Arc<Self>, change: Change) {
        self.submit(|pending| pending.changes.push_back(change));
    }

    pub(super) fn ask(self: &Arc<Self>, question: Question) {
        self.submit(|pending| pending.questions.push(question));
    }

    /// Puts something into the queue and sees to it that a writer runs.
    fn submit(self: &Arc<Self>, put: impl FnOnce(&mut Pending)) {
        {
            let mut pending = lock(&self.pending);
            put(&mut pending);
            if std::mem::replace(&mut pending.active, true) {
                return;
            }
        }
        let shift = Shift {
            shared: Arc::clone(self),
            over: false,
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || shift.work())),
            Err(_) => shift.work(),
        }
    }

    /// Writes what is left and closes the file; everything fails from here on.
    pub(super) fn close(&self) -> Result<()> {
        self.state()
            .end(local("the queue is closed: open it again".into()));
        let mut file = lock(&self.file);
        let mut result = Ok(());
        while result.is_ok() && !lock(&self.pending).changes.is_empty() {
            result = self.round(&mut file);
        }
        file.store = None;
        file.lock = None;
        self.appended.notify_waiters();
        result
    }

    /// Commits one batch and answers.
    fn round(&self, file: &mut File) -> Result<()> {
        let (changes, questions) = self.next_batch();
        let result = self.commit(file, changes);
        for question in questions {
            self.answer(file, question);
        }
        result
    }

    /// Ends the shift where nothing is left to do.
    ///
    /// After a failure acknowledgements alone are nothing: they were refused by a full disk and
    /// wait, or the writer would spin.
    fn nothing_left(self: &Arc<Self>, failed: bool) -> bool {
        let mut pending = lock(&self.pending);
        let refused = failed && pending.changes.iter().all(Change::is_lazy);
        let none = pending.questions.is_empty() && (refused || pending.changes.is_empty());
        pending.active = !none;
        if none && !pending.changes.is_empty() {
            self.try_again_later();
        }
        none
    }

    fn try_again_later(self: &Arc<Self>) {
        let shared = Arc::downgrade(self);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(async move {
                tokio::time::sleep(FULL_DISK_WAIT).await;
                if let Some(shared) = shared.upgrade() {
                    shared.submit(|_| ());
                }
            }));
        }
    }

    /// Puts refused acknowledgements back in front of what is pending.
    pub(super) fn keep(&self, changes: Vec<Change>) {
        let mut pending = lock(&self.pending);
        for change in changes.into_iter().rev() {
            pending.changes.push_front(change);
        }
    }

    fn next_batch(&self) -> (Vec<Change>, Vec<Question>) {
        let mut pending = lock(&self.pending);
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            let alone = pending.changes.front().is_some_and(Change::is_structural);
            if alone && !batch.is_empty() {
                break;
            }
            let Some(change) = pending.changes.pop_front() else {
                break;
            };
            bytes += change.bytes();
            batch.push(change);
            if alone {
                break;
            }
        }
        // A question waits for the changes before it; asking later than needed does no harm.
        let questions = if pending.changes.is_empty() {
            std::mem::take(&mut pending.questions)
        } else {
            Vec::new()
        };
        (batch, questions)
    }

    fn commit(&self, file: &mut File, changes: Vec<Change>) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let File {
            store, next_seq, ..
        } = file;
        let Some(store) = store else {
            let closed = local("the queue is closed: open it again".into());
            self.fail(changes, &closed);
            return Err(closed);
        };
        let durable = !changes.iter().all(Change::is_lazy);
        let written = store.write(durable, |on| {
            let mut apply = Apply {
                shared: self,
                on,
                next_seq,
                rows: HashMap::new(),
            };
            let done = changes
                .iter()
                .map(|change| apply.change(change))
                .collect::<rusqlite::Result<Vec<_>>>()?;
            for (queue, delta) in apply.rows {
                sql::add_rows(on, queue, delta)?;
            }
            Ok(done)
        });
        match written {
            Ok(done) => {
                for (change, done) in changes.into_iter().zip(done) {
                    self.finish(change, done);
                }
                Ok(())
            }
            Err(WriteFailure { failure, passing }) => {
                if !passing {
                    self.state().end(failure.clone());
                    self.appended.notify_waiters();
                }
                self.fail(changes, &failure);
                Err(failure)
            }
        }
    }

    fn answer(&self, file: &File, question: Question) {
        let Some(store) = &file.store else { return };
        match question {
            Question::Load(Load { queue, after }) => {
                match store.load(queue, after, BUFFER, BUFFER_BYTES) {
                    Ok(rows) => self.state().loaded(queue, rows),
                    Err(failure) => self.state().end(failure),
                }
            }
            Question::Log {
                after,
                count,
                reply,
            } => {
                reply.send(store.log(after, count)).ok();
            }
            Question::Parked { limit, reply } => {
                let id = self.state().id(&Queue::Parked).unwrap_or_default();
                let rows = store.load(id, 0, limit, usize::MAX);
                reply
                    .send(rows.map(|rows| rows.into_iter().map(as_parked).collect()))
                    .ok();
            }
        }
    }
}

fn as_parked((_, row): (i64, Row)) -> Parked {
    let (queue, reason) = row.parked.unwrap_or_default();
    Parked {
        message: row.message,
        queue,
        reason,
    }
}

/// A writer at work; however it ends, the next submission starts another.
struct Shift {
    shared: Arc<Shared>,
    /// Ended in good order: somebody else may be the writer already.
    over: bool,
}

impl Shift {
    fn work(mut self) {
        while !self.over {
            // A failure has been told to whoever asked; what is left does not concern it.
            let result = self.shared.round(&mut lock(&self.shared.file));
            self.over = self.shared.nothing_left(result.is_err());
        }
    }
}

impl Drop for Shift {
    fn drop(&mut self) {
        if !self.over {
            lock(&self.shared.pending).active = false;
        }
    }
}
