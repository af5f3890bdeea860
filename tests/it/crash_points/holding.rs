//! A broker that goes to the real one, up to a point at which it never answers again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use blobfleet::broker::{
    Broker, Consumer, Delivery, Depth, LogReader, Parked, PublishFailure, Queue, Settle,
};
use blobfleet::failure::Result;
use blobfleet::job::JobId;
use blobfleet::message::Envelope;

use super::Point;

/// Counts steps, and tells when the point is reached.
#[derive(Debug)]
struct Watch {
    point: Point,
    seen: AtomicU64,
    held: AtomicBool,
    tell: fn(),
}

impl Watch {
    /// Stops here, if the point was reached before: the process is about to be killed.
    async fn pass(&self) {
        if self.held.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    async fn hold(&self) -> ! {
        self.held.store(true, Ordering::SeqCst);
        (self.tell)();
        std::future::pending().await
    }

    /// Takes note of steps at a queue; gives how many of them come before the point, if it is
    /// among them.
    fn count(&self, queue: &Queue, (prefix, nth): (&str, u64), steps: usize) -> Option<usize> {
        if !queue.name().starts_with(prefix) {
            return None;
        }
        let steps = steps as u64;
        let before = self.seen.fetch_add(steps, Ordering::SeqCst);
        let reached = before < nth && nth <= before + steps;
        reached.then(|| usize::try_from(nth - before - 1).unwrap())
    }
}

/// The broker.
#[derive(Debug)]
pub(super) struct Holding {
    real: Arc<dyn Broker>,
    watch: Arc<Watch>,
}

impl Holding {
    /// Forwards to `real`; at the point calls `tell`.
    pub(super) fn new(real: Arc<dyn Broker>, point: Point, tell: fn()) -> Self {
        let watch = Watch {
            point,
            seen: AtomicU64::new(0),
            held: AtomicBool::new(false),
            tell,
        };
        Self {
            real,
            watch: Arc::new(watch),
        }
    }
}

#[async_trait]
impl Broker for Holding {
    async fn declare_job(&self, job: &JobId) -> Result<()> {
        self.watch.pass().await;
        self.real.declare_job(job).await
    }

    async fn delete_job(&self, job: &JobId) -> Result<()> {
        self.watch.pass().await;
        self.real.delete_job(job).await
    }

    async fn publish(
        &self,
        queue: &Queue,
        mut messages: Vec<Envelope>,
    ) -> Result<(), PublishFailure> {
        self.watch.pass().await;
        let count = messages.len();
        match self.watch.point {
            Point::Publish(prefix, nth) => {
                if let Some(kept) = self.watch.count(queue, (prefix, nth), count) {
                    messages.truncate(kept);
                    self.real.publish(queue, messages).await?;
                    self.watch.hold().await;
                }
            }
            Point::Confirm(prefix, nth) => {
                if self.watch.count(queue, (prefix, nth), count).is_some() {
                    self.real.publish(queue, messages).await?;
                    self.watch.hold().await;
                }
            }
            Point::Ack(..) => {}
        }
        self.real.publish(queue, messages).await
    }

    async fn consume(&self, queue: &Queue, window: u16) -> Result<Box<dyn Consumer>> {
        self.watch.pass().await;
        Ok(Box::new(HoldingConsumer {
            real: self.real.consume(queue, window).await?,
            queue: queue.clone(),
            watch: self.watch.clone(),
        }))
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>> {
        self.real.parked(limit).await
    }

    async fn depth(&self, queue: &Queue) -> Result<Depth> {
        self.watch.pass().await;
        self.real.depth(queue).await
    }

    async fn again(&self, job: &JobId) -> Result<u64> {
        self.real.again(job).await
    }

    async fn wake(&self, job: &JobId) -> Result<u64> {
        self.watch.pass().await;
        self.real.wake(job).await
    }

    async fn append(&self, record: Envelope) -> Result<()> {
        self.watch.pass().await;
        self.real.append(record).await
    }

    async fn read_log(&self) -> Result<Vec<Envelope>> {
        self.real.read_log().await
    }

    async fn follow_log(&self) -> Result<Box<dyn LogReader>> {
        self.real.follow_log().await
    }

    async fn close(&self) -> Result<()> {
        self.real.close().await
    }
}

#[derive(Debug)]
struct HoldingConsumer {
    real: Box<dyn Consumer>,
    queue: Queue,
    watch: Arc<Watch>,
}

#[async_trait]
impl Consumer for HoldingConsumer {
    async fn next(&mut self) -> Result<Delivery> {
        self.watch.pass().await;
        let real = self.real.next().await?;
        let message = real.message.clone();
        let held = Held {
            real,
            queue: self.queue.clone(),
            watch: self.watch.clone(),
        };
        Ok(Delivery::new(message, Box::new(held)))
    }
}

#[derive(Debug)]
struct Held {
    real: Delivery,
    queue: Queue,
    watch: Arc<Watch>,
}

#[async_trait]
impl Settle for Held {
    async fn ack(self: Box<Self>) -> Result<()> {
        self.watch.pass().await;
        if let Point::Ack(prefix, nth) = self.watch.point
            && self.watch.count(&self.queue, (prefix, nth), 1).is_some()
        {
            self.watch.hold().await;
        }
        self.real.ack().await
    }

    async fn again(self: Box<Self>, message: Envelope, wait: Duration) -> Result<()> {
        self.watch.pass().await;
        self.real.again(message, wait).await
    }

    async fn park(self: Box<Self>, message: Envelope, reason: &str) -> Result<()> {
        self.watch.pass().await;
        assert_eq!(message, self.real.message);
        self.real.park(reason).await
    }
}
