//! Lets requests through as the limit allows, first come, first served; but the blocks of large
//! objects leave a quarter of the places to small ones, as long as there are any, and no line
//! takes the last places from the others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntGauge;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::failure::{Failure, Reason, Result};
use crate::limit::line::Line;
use crate::limit::usage::Usage;
use crate::limit::window::{Answer, Window};

/// How long after the last small object the blocks may take all places.
const QUIET: Duration = Duration::from_secs(1);

/// A limit on requests in flight; clones share it.
#[derive(Clone, Debug)]
pub struct Limit {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    semaphore: Arc<Semaphore>,
    state: Mutex<State>,
    /// A permit was given back.
    freed: Notify,
    gauge: IntGauge,
}

#[derive(Debug)]
struct State {
    window: Window,
    /// Permits there are, in use or not.
    permits: usize,
    /// Small objects that wait for one.
    waiting: u32,
    /// Blocks of large objects that have one or wait for it.
    blocks: usize,
    /// When a small object last asked for one, got it, or gave it back; at first it is expected.
    small: Instant,
    usage: Usage,
}

impl Limit {
    /// A limit that may grow up to `most`; `gauge` shows the sum of the limits that share it.
    pub fn new(most: u16, gauge: IntGauge) -> Self {
        let window = Window::new(most);
        let permits = window.limit();
        gauge.add(signed(permits));
        Self {
            shared: Arc::new(Shared {
                semaphore: Arc::new(Semaphore::new(permits)),
                state: Mutex::new(State {
                    window,
                    permits,
                    waiting: 0,
                    blocks: 0,
                    small: Instant::now(),
                    usage: Usage::new(Instant::now()),
                }),
                freed: Notify::new(),
                gauge,
            }),
        }
    }

    /// Waits for a small object's place among the requests in flight. Safe to cancel.
    ///
    /// # Errors
    /// A fault of this program.
    pub async fn permit(&self) -> Result<Permit> {
        let ((), permit) = self.permit_in_turn(std::future::ready(())).await?;
        Ok(permit)
    }

    /// The same once it is its turn; it waits in the meantime. Safe to cancel if `turn` is.
    ///
    /// # Errors
    /// A fault of this program.
    pub async fn permit_in_turn<T>(&self, turn: impl Future<Output = T>) -> Result<(T, Permit)> {
        let _waiting = Waiting::new(&self.shared);
        let turn = turn.await;
        Ok((turn, self.acquire(None).await?))
    }

    /// The same for a block of a large object. Safe to cancel.
    ///
    /// # Errors
    /// A fault of this program.
    pub async fn permit_block(&self) -> Result<Permit> {
        loop {
            let mut freed = std::pin::pin!(self.shared.freed.notified());
            freed.as_mut().enable();
            if let Some(block) = Block::begin(&self.shared) {
                return self.acquire(Some(block)).await;
            }
            // Whether there are small objects still is looked at again after a while.
            timeout(QUIET, freed).await.ok();
        }
    }

    async fn acquire(&self, block: Option<Block>) -> Result<Permit> {
        let semaphore = self.shared.semaphore.clone();
        let permit = semaphore.acquire_owned().await.map_err(|error| {
            Failure::stop(
                Reason::Internal,
                format!("no permits are given any more: {error}"),
            )
        })?;
        let since = Instant::now();
        self.shared.state().usage.taken(since);
        Ok(Permit {
            permit: Some(permit),
            shared: self.shared.clone(),
            block,
            since,
        })
    }

    /// Waits until the line may take one place more. Safe to cancel.
    pub async fn room(&self, line: &Line) {
        loop {
            let mut freed = std::pin::pin!(self.shared.freed.notified());
            freed.as_mut().enable();
            let (limit, in_use) = {
                let state = self.shared.state();
                (state.window.limit(), state.usage.in_use())
            };
            if line.may_take(limit, in_use) {
                return;
            }
            // How many there are may change meanwhile.
            timeout(QUIET, freed).await.ok();
        }
    }

    /// Takes note of a request that began at `begun` and has just ended.
    pub fn answered(&self, begun: Instant, answer: Answer) {
        let mut state = self.shared.state();
        let free = self.shared.semaphore.available_permits();
        let in_flight = state.permits.saturating_sub(free);
        state
            .window
            .answered(begun, Instant::now(), in_flight, answer);
        self.shared.adjust(&mut state);
    }

    /// Requests that may be in flight now.
    pub fn now(&self) -> usize {
        self.shared.state().window.limit()
    }

    /// How long one more may have to wait for its place, as far as is known.
    pub fn wait(&self) -> Duration {
        let state = self.shared.state();
        let limit = u32::try_from(state.window.limit()).unwrap_or(u32::MAX);
        let turns = f64::from(state.waiting) / f64::from(limit);
        let seconds = turns * state.usage.seconds(Instant::now());
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
}

impl State {
    /// Blocks take all places only where no small object has asked for one of late.
    fn may_take_block(&self) -> bool {
        let quiet = self.small.elapsed() > QUIET;
        let alone = self.waiting == 0 && quiet;
        alone || self.blocks < (self.window.limit() * 3 / 4).max(1)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes as many permits as the limit says; those in use go when they are given back.
    fn adjust(&self, state: &mut State) {
        let wanted = state.window.limit();
        if wanted > state.permits {
            self.semaphore.add_permits(wanted - state.permits);
            self.gauge.add(signed(wanted - state.permits));
            state.permits = wanted;
        } else if wanted < state.permits {
            let gone = self.semaphore.forget_permits(state.permits - wanted);
            self.gauge.sub(signed(gone));
            state.permits -= gone;
        }
    }
}

/// Counts a small object that waits, however the waiting ends.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut state = shared.state();
        state.waiting += 1;
        state.small = Instant::now();
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting -= 1;
        state.small = Instant::now();
    }
}

/// Counts a block from the moment it may wait for its place.
#[derive(Debug)]
struct Block(Arc<Shared>);

impl Block {
    fn begin(shared: &Arc<Shared>) -> Option<Self> {
        let mut state = shared.state();
        state.may_take_block().then(|| {
            state.blocks += 1;
            Self(shared.clone())
        })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.0.state().blocks -= 1;
        self.0.freed.notify_waiters();
    }
}

/// A place among the requests in flight; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    shared: Arc<Shared>,
    block: Option<Block>,
    since: Instant,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.usage.given_back(self.since, Instant::now());
        self.shared.freed.notify_waiters();
        if self.block.is_none() {
            state.small = Instant::now();
        }
        if state.permits > state.window.limit()
            && let Some(permit) = self.permit.take()
        {
            permit.forget();
            state.permits -= 1;
            self.shared.gauge.dec();
        }
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
