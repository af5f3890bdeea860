//! What the embedded broker holds in memory: a short read-ahead of each queue and what is in
//! hand. Pure bookkeeping, no I/O.
//!
//! Every row of a queue is in one of three places: *unread* on the disk (`seq` above the cursor),
//! in the *buffer*, or *in hand* of a consumer. So `rows - in_hand` is what is ready, and memory
//! is bounded by the buffer and the consumers' windows, however long the queue is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::Notify;

use super::store::QueueRow;
use crate::broker::{Depth, Queue};
use crate::failure::{Failure, Reason, Result};
use crate::job::JobId;
use crate::message::Envelope;

/// Messages read ahead of one queue, at most.
pub(super) const BUFFER: usize = 2000;
/// Bytes of bodies read at once.
pub(super) const BUFFER_BYTES: usize = 4 << 20;

/// A message with the queue it was parked from and the reason.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) message: Envelope,
    pub(super) parked: Option<(String, String)>,
}

#[derive(Debug)]
struct InHand {
    consumer: u64,
    row: Row,
    /// Settled by its consumer, not yet deleted from the disk.
    settled: bool,
}

#[derive(Debug)]
struct QueueState {
    id: i64,
    rows: u64,
    cursor: i64,
    buffer: BTreeMap<i64, Row>,
    in_hand: HashMap<i64, InHand>,
    consumers: u64,
    loading: bool,
    wake: Arc<Notify>,
}

impl QueueState {
    fn new(id: i64, rows: u64) -> Self {
        Self {
            id,
            rows,
            cursor: 0,
            buffer: BTreeMap::new(),
            in_hand: HashMap::new(),
            consumers: 0,
            loading: false,
            wake: Arc::new(Notify::new()),
        }
    }

    fn ready(&self) -> u64 {
        self.rows.saturating_sub(self.in_hand.len() as u64)
    }

    fn unread(&self) -> u64 {
        self.ready().saturating_sub(self.buffer.len() as u64)
    }

    fn wants_load(&mut self) -> Option<Load> {
        if self.loading || self.buffer.len() > BUFFER / 2 || self.unread() == 0 {
            return None;
        }
        self.loading = true;
        Some(Load {
            queue: self.id,
            after: self.cursor,
        })
    }
}

/// A read-ahead to be done.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) queue: i64,
    pub(super) after: i64,
}

/// What a consumer finds.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) next: Option<(i64, Row)>,
    /// The caller must see to it that this is read.
    pub(super) load: Option<Load>,
}

/// All queues.
#[derive(Debug)]
pub(super) struct State {
    queues: HashMap<String, QueueState>,
    /// Why nothing works any more.
    ended: Option<Failure>,
}

impl State {
    pub(super) fn new(rows: Vec<QueueRow>) -> Self {
        let queues = rows
            .into_iter()
            .map(|row| (row.name, QueueState::new(row.id, row.rows)))
            .collect();
        Self {
            queues,
            ended: None,
        }
    }

    /// Nothing works from here on; wakes everyone who waits.
    pub(super) fn end(&mut self, failure: Failure) {
        self.ended.get_or_insert(failure);
        for queue in self.queues.values() {
            queue.wake.notify_waiters();
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        self.ended.clone().map_or(Ok(()), Err)
    }

    pub(super) fn id(&self, queue: &Queue) -> Option<i64> {
        self.queues.get(&queue.name()).map(|state| state.id)
    }

    /// A consumer comes: the queue's id, and what wakes who waits at it.
    pub(super) fn join(&mut self, queue: &Queue) -> Result<(i64, Arc<Notify>)> {
        self.check()?;
        let name = queue.name();
        let state = self.queues.get_mut(&name).ok_or_else(|| missing(&name))?;
        state.consumers += 1;
        Ok((state.id, Arc::clone(&state.wake)))
    }

    /// A consumer goes; what it has in hand is ready again.
    pub(super) fn leave(&mut self, id: i64, consumer: u64) {
        self.give_back(id, consumer, None);
        if let Some(queue) = self.by_id(id) {
            queue.consumers = queue.consumers.saturating_sub(1);
        }
    }

    pub(super) fn depth(&self, queue: &Queue) -> Depth {
        let state = self.queues.get(&queue.name());
        state.map_or_else(Depth::default, |state| Depth {
            ready: state.ready(),
            consumers: state.consumers,
        })
    }

    fn by_id(&mut self, id: i64) -> Option<&mut QueueState> {
        self.queues.values_mut().find(|queue| queue.id == id)
    }

    pub(super) fn declare(&mut self, name: &str, id: i64) {
        self.queues
            .entry(name.to_owned())
            .or_insert_with(|| QueueState::new(id, 0));
    }

    /// The ids of a job's queues.
    pub(super) fn job_queues(&self, job: &JobId) -> Vec<i64> {
        [Queue::Copy(job.clone()), Queue::Again(job.clone())]
            .iter()
            .filter_map(|queue| self.id(queue))
            .collect()
    }

    pub(super) fn remove(&mut self, id: i64) {
        self.queues.retain(|_, queue| {
            if queue.id == id {
                queue.wake.notify_waiters();
            }
            queue.id != id
        });
    }

    /// A committed message. It goes straight into the buffer where nothing older is unread.
    pub(super) fn inserted(&mut self, id: i64, seq: i64, row: Row) {
        let Some(queue) = self.by_id(id) else { return };
        if queue.unread() == 0 && !queue.loading && queue.buffer.len() < BUFFER {
            queue.cursor = seq;
            queue.buffer.insert(seq, row);
        }
        queue.rows += 1;
        queue.wake.notify_waiters();
    }

    /// A committed deletion.
    pub(super) fn deleted(&mut self, id: i64, seq: i64) {
        if let Some(queue) = self.by_id(id) {
            queue.rows = queue.rows.saturating_sub(1);
            queue.in_hand.remove(&seq);
        }
    }

    pub(super) fn loaded(&mut self, id: i64, rows: Vec<(i64, Row)>) {
        let Some(queue) = self.by_id(id) else { return };
        queue.loading = false;
        for (seq, row) in rows {
            queue.cursor = queue.cursor.max(seq);
            queue.buffer.insert(seq, row);
        }
        queue.wake.notify_waiters();
    }

    /// Hands the oldest ready message of a queue to a consumer.
    pub(super) fn take(&mut self, id: i64, name: &str, consumer: u64) -> Result<Taken> {
        self.check()?;
        let queue = self.by_id(id).ok_or_else(|| missing(name))?;
        let next = queue.buffer.pop_first();
        if let Some((seq, row)) = &next {
            let held = InHand {
                consumer,
                row: row.clone(),
                settled: false,
            };
            queue.in_hand.insert(*seq, held);
        }
        let load = queue.wants_load();
        Ok(Taken { next, load })
    }

    /// Marks a delivery as settled by its consumer; `false` where it was given back meanwhile.
    pub(super) fn settle(&mut self, id: i64, seq: i64, consumer: u64) -> bool {
        let Some(queue) = self.by_id(id) else {
            return true;
        };
        match queue.in_hand.get_mut(&seq) {
            Some(held) if held.consumer == consumer && !held.settled => {
                held.settled = true;
                true
            }
            _ => false,
        }
    }

    /// Makes what a consumer has in hand ready again, unless it is settled.
    pub(super) fn give_back(&mut self, id: i64, consumer: u64, seqs: Option<i64>) {
        let Some(queue) = self.by_id(id) else { return };
        let mine = |held: &InHand| held.consumer == consumer && !held.settled;
        let back: Vec<i64> = match seqs {
            Some(seq) => queue
                .in_hand
                .get(&seq)
                .filter(|held| mine(held))
                .map(|_| seq)
                .into_iter()
                .collect(),
            None => queue
                .in_hand
                .iter()
                .filter(|(_, held)| mine(held))
                .map(|(seq, _)| *seq)
                .collect(),
        };
        for seq in back {
            queue.return_to_buffer(seq);
        }
    }

    /// A settlement that could not be committed: the message is ready again.
    pub(super) fn unsettle(&mut self, id: i64, seq: i64) {
        if let Some(queue) = self.by_id(id) {
            queue.return_to_buffer(seq);
        }
    }
}

impl QueueState {
    fn return_to_buffer(&mut self, seq: i64) {
        if let Some(held) = self.in_hand.remove(&seq) {
            self.buffer.insert(seq, held.row);
            self.wake.notify_waiters();
        }
    }
}

/// The failure for a queue that is not there.
pub(super) fn missing(name: &str) -> Failure {
    Failure::give_up(
        Reason::BrokerRejected,
        format!("queue {name} does not exist: its job has ended or was never submitted"),
    )
}
