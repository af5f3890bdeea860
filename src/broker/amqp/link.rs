//! One connection that is made anew when it is lost.
//!
//! lapin's own recovery stays off: it replays what it remembers of a channel, while we know what a
//! publisher or a consumer needs and can say which deliveries died with the old channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::address::Address;
use super::contact::Contact;
use super::trouble::{answer, failure, silence};
use crate::failure::{Failure, Reason, Remedy, Result};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Growing pauses between attempts, drawn at random so that a fleet does not come back at once.
#[derive(Debug)]
pub(super) struct Pauses(Duration);

impl Pauses {
    pub(super) fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0.mul_f64(rand::random_range(0.5..1.0));
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
        pause
    }
}

/// A connection to the broker for one purpose.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) address: Address,
    name: String,
    contact: Arc<Contact>,
    connection: Mutex<Option<Connection>>,
    /// By us, on purpose: from then on nothing is connected anew.
    closed: AtomicBool,
}

impl Link {
    pub(super) fn new(address: Address, name: String, contact: Arc<Contact>) -> Self {
        Self {
            address,
            name,
            contact,
            connection: Mutex::new(None),
            closed: AtomicBool::new(false),
        }
    }

    /// Opens a channel, connecting first where there is no connection. One attempt.
    pub(super) async fn channel(&self) -> Result<Channel> {
        let opened = self.open_channel().await;
        match &opened {
            Ok(_) => self.contact.note_connected(&self.address),
            Err(failure) => self.contact.note_failure(failure),
        }
        opened
    }

    async fn open_channel(&self) -> Result<Channel> {
        let mut connection = self.connection.lock().await;
        if self.closed.load(Ordering::Relaxed) {
            let text = format!("the connection to {} is closed", self.address);
            return Err(Failure::stop(Reason::BrokerUnavailable, text));
        }
        if let Some(open) = connection.as_ref()
            && open.status().connected()
        {
            let opened = answer(&self.address, "to open a channel", open.create_channel()).await;
            if opened.is_ok() || open.status().connected() {
                return opened;
            }
        }
        *connection = None;
        let fresh = self.connect().await?;
        let opened = answer(&self.address, "to open a channel", fresh.create_channel()).await;
        *connection = Some(fresh);
        opened
    }

    /// Opens a channel, trying again for as long as `limit` where the trouble may pass.
    pub(super) async fn channel_within(&self, limit: Duration) -> Result<Channel> {
        let end = Instant::now() + limit;
        let mut pauses = Pauses::new();
        loop {
            match self.channel().await {
                Err(failure) if failure.remedy == Remedy::Retry => {
                    let pause = pauses.next();
                    if Instant::now() + pause >= end {
                        return Err(failure);
                    }
                    tracing::debug!(%failure, "waiting for the broker");
                    sleep(pause).await;
                }
                other => return other,
            }
        }
    }

    async fn connect(&self) -> Result<Connection> {
        let properties =
            ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let attempt = Connection::connect_uri(self.address.uri(), properties);
        match tokio::time::timeout(CONNECT, attempt).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(failure(&self.address, "the connection", &error)),
            Err(elapsed) => Err(silence(&self.address, "to connect", elapsed)),
        }
    }

    /// Waits while an alarm at the broker blocks this connection: what is sent meanwhile would
    /// only pile up in memory.
    pub(super) async fn unblocked(&self) -> Result<()> {
        let end = Instant::now() + self.address.deadline();
        while self.is_blocked().await {
            if Instant::now() >= end {
                let text = format!(
                    "{} accepts no messages: look for a memory or disk alarm at RabbitMQ",
                    self.address
                );
                return Err(Failure::retry(Reason::BrokerUnavailable, text));
            }
            sleep(FIRST_PAUSE).await;
        }
        Ok(())
    }

    async fn is_blocked(&self) -> bool {
        let connection = self.connection.lock().await;
        connection
            .as_ref()
            .is_some_and(|open| open.status().connected() && open.status().blocked())
    }

    pub(super) async fn close(&self) {
        let mut connection = self.connection.lock().await;
        self.closed.store(true, Ordering::Relaxed);
        if let Some(connection) = connection.take() {
            // A connection that cannot be closed in order is closed by being dropped.
            answer(
                &self.address,
                "to close",
                connection.close(200, "OK".into()),
            )
            .await
            .ok();
        }
    }
}
