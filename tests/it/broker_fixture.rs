//! Brokers for tests, and messages to tell apart.

use std::sync::Arc;
use std::time::Duration;

use blobfleet::broker::amqp::{AmqpBroker, AmqpOptions};
use blobfleet::broker::embedded::EmbeddedBroker;
use blobfleet::broker::{Broker, Consumer, Delivery, Queue};
use blobfleet::job::JobId;
use blobfleet::message::{self, Envelope, Headers};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::rabbitmq;

/// Long enough for anything that must happen.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// How long we look for what must not happen.
pub(crate) const NEVER: Duration = Duration::from_millis(300);

/// Where a broker keeps its messages, so that it can be opened again.
enum Home {
    Folder(TempDir),
    Server { prefix: String },
}

/// A broker, and how to open it again.
pub(crate) struct Fixture {
    home: Home,
    copy_bound: u64,
    broker: Option<Arc<dyn Broker>>,
}

impl Fixture {
    pub(crate) async fn embedded(copy_bound: u64) -> Self {
        Self::new(Home::Folder(tempfile::tempdir().unwrap()), copy_bound).await
    }

    pub(crate) async fn amqp(copy_bound: u64) -> Self {
        let prefix = rabbitmq::prefix();
        Self::new(Home::Server { prefix }, copy_bound).await
    }

    async fn new(home: Home, copy_bound: u64) -> Self {
        let mut new = Self {
            home,
            copy_bound,
            broker: None,
        };
        new.open().await;
        new
    }

    async fn open(&mut self) {
        self.broker = Some(match &self.home {
            Home::Folder(dir) => EmbeddedBroker::open_with(dir.path(), self.copy_bound).unwrap(),
            Home::Server { prefix } => {
                let options = AmqpOptions {
                    prefix: prefix.clone(),
                    settle: Duration::ZERO,
                    copy_bound: self.copy_bound,
                    ..AmqpOptions::default()
                };
                AmqpBroker::connect(&rabbitmq::url(), options)
                    .await
                    .unwrap()
            }
        });
    }

    /// Ends the broker in order and opens it again.
    pub(crate) async fn reopen(&mut self) {
        self.broker().close().await.unwrap();
        self.broker = None;
        self.open().await;
    }

    pub(crate) fn broker(&self) -> &dyn Broker {
        self.broker.as_deref().unwrap()
    }
}

pub(crate) fn job() -> JobId {
    JobId::new("5f0c9a3e71b2-1")
}

/// A message that differs from every other in headers and body.
pub(crate) fn message(number: u32) -> Envelope {
    Envelope {
        headers: Headers {
            job: job().to_string(),
            list_task: u64::MAX - u64::from(number),
            nonce: u64::MAX,
            index: number,
            round: 2,
            attempt: number % 7,
            since_ms: i64::from(number),
            key: format!("key {number}"),
            size: u64::from(number),
        },
        body: message::encode(&format!("body {number}")).unwrap(),
    }
}

pub(crate) fn messages(range: std::ops::Range<u32>) -> Vec<Envelope> {
    range.map(message).collect()
}

pub(crate) async fn next(consumer: &mut Box<dyn Consumer>) -> Delivery {
    timeout(SOON, consumer.next())
        .await
        .expect("a delivery")
        .unwrap()
}

/// Takes and acks that many, and says what they were.
pub(crate) async fn drain(broker: &dyn Broker, queue: &Queue, count: usize) -> Vec<Envelope> {
    let mut consumer = broker.consume(queue, 100).await.unwrap();
    let mut found = Vec::new();
    for _ in 0..count {
        let delivery = next(&mut consumer).await;
        found.push(delivery.message.clone());
        delivery.ack().await.unwrap();
    }
    found
}

/// Looks for what must not come.
pub(crate) async fn nothing_more(consumer: &mut Box<dyn Consumer>) {
    let found = timeout(NEVER, consumer.next()).await;
    assert!(found.is_err(), "{found:?}");
}
