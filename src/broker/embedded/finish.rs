//! After the commit: make a change visible and answer it, or say that it did not take place.

use super::apply::Done;
use super::change::{Change, Then};
use super::state::{Row, missing};
use super::writer::Shared;
use crate::broker::{PublishFailure, Queue};
use crate::failure::{Failure, Reason, Result};
use crate::message::Envelope;

impl Shared {
    /// Tells everyone that a batch did not take place. Acknowledgements wait for the next batch.
    pub(super) fn fail(&self, changes: Vec<Change>, failure: &Failure) {
        let mut kept = Vec::new();
        for change in changes {
            match change {
                Change::Publish { reply, .. } => {
                    let failure = failure.clone();
                    reply
                        .send(Err(PublishFailure {
                            confirmed: 0,
                            failure,
                        }))
                        .ok();
                }
                Change::Settle { queue, seq, then } => match then {
                    Then::Again { reply, .. } | Then::Park { reply, .. } => {
                        self.state().unsettle(queue, seq);
                        reply.send(Err(failure.clone())).ok();
                    }
                    Then::Nothing => kept.push(Change::Settle { queue, seq, then }),
                },
                Change::Promote { .. } => kept.push(change),
                Change::Append { reply, .. }
                | Change::Declare { reply, .. }
                | Change::Delete { reply, .. }
                | Change::Flush { reply } => {
                    reply.send(Err(failure.clone())).ok();
                }
            }
        }
        let works = self.state().check().is_ok();
        if works {
            self.keep(kept);
        }
    }

    /// Makes a committed change visible and answers it.
    pub(super) fn finish(&self, change: Change, done: Done) {
        match change {
            Change::Publish {
                queue,
                messages,
                reply,
            } => {
                reply.send(self.published(&queue, messages, done)).ok();
            }
            Change::Settle { queue, seq, then } => self.settled(queue, seq, then, done),
            Change::Promote { .. } => {
                if let Done::Promoted(rows) = done {
                    self.show(rows);
                }
            }
            Change::Declare { reply, .. } => {
                self.restructure(done);
                reply.send(Ok(())).ok();
            }
            Change::Delete { job, reply } => {
                self.restructure(done);
                self.delays.forget(&Queue::Again(job));
                reply.send(Ok(())).ok();
            }
            Change::Append { reply, .. } => {
                self.appended.notify_waiters();
                reply.send(Ok(())).ok();
            }
            Change::Flush { reply } => {
                reply.send(Ok(())).ok();
            }
        }
    }

    fn show(&self, messages: impl IntoIterator<Item = (i64, i64, Envelope)>) {
        let mut state = self.state();
        for (queue, seq, message) in messages {
            let parked = None;
            state.inserted(queue, seq, Row { message, parked });
        }
    }

    fn published(
        &self,
        queue: &Queue,
        mut messages: Vec<Envelope>,
        done: Done,
    ) -> Result<(), PublishFailure> {
        let Done::Published {
            queue: id,
            first,
            room,
        } = done
        else {
            return Err(PublishFailure {
                confirmed: 0,
                failure: missing(&queue.name()),
            });
        };
        let refused = messages.split_off(room).len();
        self.show(
            (first..)
                .zip(messages)
                .map(|(seq, message)| (id, seq, message)),
        );
        if refused == 0 {
            return Ok(());
        }
        let text = format!("queue {} is full: wait until it has drained", queue.name());
        Err(PublishFailure {
            confirmed: room,
            failure: Failure::retry(Reason::QueueFull, text),
        })
    }

    fn restructure(&self, done: Done) {
        let mut state = self.state();
        match done {
            Done::Declared(made) => made.iter().for_each(|(name, id)| state.declare(name, *id)),
            Done::Deleted(ids) => ids.into_iter().for_each(|id| state.remove(id)),
            _ => {}
        }
    }

    fn settled(&self, queue: i64, seq: i64, then: Then, done: Done) {
        if let Done::NoQueue(name) = done {
            self.state().unsettle(queue, seq);
            if let Then::Again { reply, .. } | Then::Park { reply, .. } = then {
                reply.send(Err(missing(&name))).ok();
            }
            return;
        }
        let inserted = match done {
            Done::Settled { inserted } => inserted,
            _ => None,
        };
        let mut state = self.state();
        state.deleted(queue, seq);
        match then {
            Then::Nothing => {}
            Then::Again {
                target,
                message,
                wait,
                reply,
            } => {
                if let Some((id, seq)) = inserted {
                    if wait.is_zero() {
                        state.inserted(
                            id,
                            seq,
                            Row {
                                message,
                                parked: None,
                            },
                        );
                    } else {
                        self.delays.add(target, seq, wait);
                    }
                }
                reply.send(Ok(())).ok();
            }
            Then::Park {
                message,
                origin,
                reason,
                reply,
            } => {
                if let Some((id, seq)) = inserted {
                    let parked = Some((origin, reason));
                    state.inserted(id, seq, Row { message, parked });
                }
                reply.send(Ok(())).ok();
            }
        }
    }
}
