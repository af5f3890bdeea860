//! Holds requests of the simulated clouds until a test lets them go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use simcloud::Action;
use tokio::sync::Notify;

/// A gate that requests can be held at; it opens once and for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    waiting: Arc<Notify>,
    open: Arc<AtomicBool>,
}

impl Gate {
    /// What a hook answers with: held until the gate opens.
    pub(crate) fn action(&self) -> Action {
        if self.open.load(Ordering::SeqCst) {
            return Action::Pass;
        }
        Action::Hold(self.waiting.clone())
    }

    /// Lets everything pass. Requests that were told to wait and do not wait yet are woken too.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
        let waiting = Arc::downgrade(&self.waiting);
        tokio::spawn(async move {
            while let Some(waiting) = waiting.upgrade() {
                waiting.notify_waiters();
                drop(waiting);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
}
