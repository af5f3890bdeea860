//! Takes deliveries of one queue, through a window that grows with the limit.

use std::sync::Arc;

use futures_util::future::select_all;

use crate::broker::{Broker, Consumer, Delivery, Queue};
use crate::failure::Result;

/// Deliveries in hand at first, as a rule.
pub(super) const FIRST: u16 = 64;

/// One queue's deliveries. A window cannot be changed once it is open: more are opened beside it.
#[derive(Debug)]
pub(super) struct Intake {
    broker: Arc<dyn Broker>,
    queue: Queue,
    consumers: Vec<Box<dyn Consumer>>,
    window: u16,
    most: u16,
}

impl Intake {
    /// Begins to take deliveries, `first` at first; never more than `most` are in hand.
    ///
    /// # Errors
    /// The broker.
    pub(super) async fn open(
        broker: Arc<dyn Broker>,
        queue: Queue,
        (first, most): (u16, u16),
    ) -> Result<Self> {
        let window = first.min(most);
        let first = broker.consume(&queue, window).await?;
        Ok(Self {
            broker,
            queue,
            consumers: vec![first],
            window,
            most,
        })
    }

    /// Doubles the window where `limit` objects may be worked on and it is hardly larger.
    ///
    /// # Errors
    /// The broker.
    pub(super) async fn grow(&mut self, limit: usize) -> Result<()> {
        let window = usize::from(self.window);
        if limit * 4 < window * 3 || self.window >= self.most {
            return Ok(());
        }
        let more = self.window.min(self.most - self.window);
        let another = self.broker.consume(&self.queue, more).await?;
        self.consumers.push(another);
        self.window += more;
        tracing::debug!(queue = %self.queue.name(), window = self.window, "window grown");
        Ok(())
    }

    /// Waits for the next delivery. Safe to cancel.
    ///
    /// # Errors
    /// See [`Consumer::next`].
    pub(super) async fn next(&mut self) -> Result<Delivery> {
        let waiting = self.consumers.iter_mut().map(|consumer| consumer.next());
        select_all(waiting).await.0
    }
}
