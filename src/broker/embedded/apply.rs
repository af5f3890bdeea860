//! One transaction in the making: what each change does to the file.

use std::collections::HashMap;

use rusqlite::Connection;

use super::change::{Change, Then};
use super::store::sql;
use super::writer::Shared;
use crate::broker::Queue;
use crate::job::JobId;
use crate::message::Envelope;

/// What a change did, to be told once it is committed.
#[derive(Debug)]
pub(super) enum Done {
    Published { queue: i64, first: i64, room: usize },
    NoQueue(String),
    Settled { inserted: Option<(i64, i64)> },
    Promoted(Vec<(i64, i64, Envelope)>),
    Appended,
    Declared(Vec<(String, i64)>),
    Deleted(Vec<i64>),
    Nothing,
}

/// One transaction in the making.
pub(super) struct Apply<'a> {
    pub(super) shared: &'a Shared,
    pub(super) on: &'a Connection,
    pub(super) next_seq: &'a mut i64,
    /// By how much each queue grew.
    pub(super) rows: HashMap<i64, i64>,
}

impl Apply<'_> {
    pub(super) fn change(&mut self, change: &Change) -> rusqlite::Result<Done> {
        match change {
            Change::Publish {
                queue, messages, ..
            } => self.publish(queue, messages),
            Change::Settle { queue, seq, then } => self.settle(*queue, *seq, then),
            Change::Promote { seqs } => self.promote(seqs),
            Change::Append { record, .. } => {
                let seq = self.seq();
                sql::append(self.on, seq, record)?;
                Ok(Done::Appended)
            }
            Change::Declare { job, .. } => self.declare(job),
            Change::Delete { job, .. } => self.delete(job),
            Change::Flush { .. } => Ok(Done::Nothing),
        }
    }

    fn declare(&self, job: &JobId) -> rusqlite::Result<Done> {
        let mut made = Vec::new();
        for queue in [Queue::Copy(job.clone()), Queue::Again(job.clone())] {
            if let Some(id) = sql::declare(self.on, &queue.name())? {
                made.push((queue.name(), id));
            }
        }
        Ok(Done::Declared(made))
    }

    fn delete(&self, job: &JobId) -> rusqlite::Result<Done> {
        let ids = self.shared.state().job_queues(job);
        for id in &ids {
            sql::drop_queue(self.on, *id)?;
        }
        Ok(Done::Deleted(ids))
    }

    fn seq(&mut self) -> i64 {
        let seq = *self.next_seq;
        *self.next_seq += 1;
        seq
    }

    fn insert(
        &mut self,
        queue: i64,
        message: &Envelope,
        parked: Option<(&str, &str)>,
    ) -> rusqlite::Result<i64> {
        let seq = self.seq();
        sql::insert(self.on, queue, seq, message, parked)?;
        *self.rows.entry(queue).or_default() += 1;
        Ok(seq)
    }

    fn publish(&mut self, queue: &Queue, messages: &[Envelope]) -> rusqlite::Result<Done> {
        let (id, ready) = {
            let state = self.shared.state();
            (state.id(queue), state.depth(queue).ready)
        };
        let Some(id) = id else {
            return Ok(Done::NoQueue(queue.name()));
        };
        let mut room = messages.len();
        if matches!(queue, Queue::Copy(_)) {
            let grown = self
                .rows
                .get(&id)
                .copied()
                .unwrap_or(0)
                .max(0)
                .unsigned_abs();
            let free = self.shared.copy_bound.saturating_sub(ready + grown);
            room = room.min(usize::try_from(free).unwrap_or(usize::MAX));
        }
        let first = *self.next_seq;
        for message in messages.iter().take(room) {
            self.insert(id, message, None)?;
        }
        Ok(Done::Published {
            queue: id,
            first,
            room,
        })
    }

    fn settle(&mut self, queue: i64, seq: i64, then: &Then) -> rusqlite::Result<Done> {
        let inserted = match then {
            Then::Nothing => None,
            Then::Again {
                target,
                message,
                wait,
                ..
            } => {
                let Some(id) = self.shared.state().id(target) else {
                    return Ok(Done::NoQueue(target.name()));
                };
                if wait.is_zero() {
                    Some((id, self.insert(id, message, None)?))
                } else {
                    let later = self.seq();
                    sql::delay(self.on, id, later, message)?;
                    Some((id, later))
                }
            }
            Then::Park {
                message,
                origin,
                reason,
                ..
            } => {
                let id = self.shared.state().id(&Queue::Parked).unwrap_or_default();
                Some((id, self.insert(id, message, Some((origin, reason)))?))
            }
        };
        if sql::delete(self.on, queue, seq)? {
            *self.rows.entry(queue).or_default() -= 1;
        }
        Ok(Done::Settled { inserted })
    }

    fn promote(&mut self, seqs: &[(Queue, i64)]) -> rusqlite::Result<Done> {
        let mut rows = Vec::new();
        for (queue, seq) in seqs {
            let Some(id) = self.shared.state().id(queue) else {
                continue;
            };
            if let Some(message) = sql::take_delayed(self.on, *seq)? {
                let seq = self.insert(id, &message, None)?;
                rows.push((id, seq, message));
            }
        }
        Ok(Done::Promoted(rows))
    }
}
