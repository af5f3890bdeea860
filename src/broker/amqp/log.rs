//! The job log: a stream, read from its first record.
//!
//! A stream has no end that a reader could be told. So who wants to know how the log stands now
//! appends a marker and reads up to it: every record confirmed before is in front of it. Markers
//! are a few bytes and are filtered out by every reader.
//!
//! RabbitMQ confirms a stream's record when a majority has written it, without a sync: on a single
//! node a loss of power can take the last records. The ledger keeps the jobs it has taken charge of.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use lapin::types::{AMQPValue, FieldTable};
use tokio::task::JoinHandle;

use super::Core;
use super::consumer::{Open, reopen};
use super::envelope::{Outgoing, envelope, marker, offset};
use super::trouble::answer;
use crate::broker::LogReader;
use crate::failure::{Failure, Reason, Result};
use crate::message::Envelope;

/// Records in flight to a reader.
const WINDOW: u16 = 200;

/// Reads the log and then follows it; a lost channel is opened again where it stood.
#[derive(Debug)]
pub(super) struct AmqpLogReader {
    core: Arc<Core>,
    /// Offset of the next record.
    next: i64,
    open: Option<Open>,
    opening: Option<JoinHandle<Result<Open>>>,
}

enum Entry {
    Record(Envelope),
    Marker(String),
}

impl AmqpLogReader {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            next: 0,
            open: None,
            opening: None,
        }
    }

    /// Everything that was confirmed before this call.
    pub(super) async fn read_all(mut self) -> Result<Vec<Envelope>> {
        let token = format!("{:032x}", rand::random::<u128>());
        let log = self.core.topology.log();
        self.core
            .publish_one(&log, Outgoing::marker(&token))
            .await?;
        let mut all = Vec::new();
        loop {
            match self.entry().await? {
                Entry::Record(record) => all.push(record),
                Entry::Marker(found) if found == token => return Ok(all),
                Entry::Marker(_) => {}
            }
        }
    }

    async fn entry(&mut self) -> Result<Entry> {
        loop {
            let open = self.opened().await?;
            match open.arrivals.next().await {
                Some(Ok(arrived)) => {
                    if let Some(entry) = self.accept(arrived).await {
                        return Ok(entry);
                    }
                }
                Some(Err(_)) | None => self.open = None,
            }
        }
    }

    /// A record that is new, and room for the next one.
    async fn accept(&mut self, arrived: Delivery) -> Option<Entry> {
        let at = offset(&arrived.properties).unwrap_or(self.next);
        let fresh = at >= self.next;
        // A stream forgets nothing that is acknowledged; it only sends more. Where that fails the
        // channel is dead, and the next turn opens another.
        let address = &self.core.consuming.address;
        let ack = arrived.acker.ack(BasicAckOptions::default());
        if answer(address, "to read the log", ack).await.is_err() {
            self.open = None;
        }
        if !fresh {
            return None;
        }
        self.next = at + 1;
        Some(match marker(&arrived.properties) {
            Some(token) => Entry::Marker(token),
            None => Entry::Record(envelope(&arrived.properties, arrived.data)),
        })
    }

    async fn opened(&mut self) -> Result<&mut Open> {
        if self.open.is_none() {
            let opening = self.opening.get_or_insert_with(|| {
                let mut from = FieldTable::default();
                let start = match self.next {
                    0 => AMQPValue::LongString("first".into()),
                    next => AMQPValue::LongLongInt(next),
                };
                from.insert("x-stream-offset".into(), start);
                let (core, log) = (Arc::clone(&self.core), self.core.topology.log());
                tokio::spawn(reopen(core, log, WINDOW, from))
            });
            let opened = opening.await;
            self.opening = None;
            let ended = |error| Failure::stop(Reason::Internal, format!("reader ended: {error}"));
            self.open = Some(opened.map_err(ended)??);
        }
        let closed = || Failure::stop(Reason::Internal, "reader is not open");
        self.open.as_mut().ok_or_else(closed)
    }
}

#[async_trait]
impl LogReader for AmqpLogReader {
    async fn next(&mut self) -> Result<Envelope> {
        loop {
            if let Entry::Record(record) = self.entry().await? {
                return Ok(record);
            }
        }
    }
}

impl Drop for AmqpLogReader {
    fn drop(&mut self) {
        if let Some(opening) = &self.opening {
            opening.abort();
        }
    }
}
