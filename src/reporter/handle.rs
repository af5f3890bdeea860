//! The ledger shared between the fold and those who read it, kept off the async threads.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::ledger::Ledger;
use super::summary::Summary;
use crate::failure::{Failure, Reason, Result};
use crate::job::JobId;

/// A ledger that several tasks may use, one at a time.
#[derive(Clone, Debug)]
pub struct LedgerHandle(Arc<Mutex<Ledger>>);

impl LedgerHandle {
    /// Opens the ledger in `dir`.
    ///
    /// # Errors
    /// See [`Ledger::open`].
    pub fn open(dir: &Path) -> Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Ledger::open(dir)?))))
    }

    /// Runs `work` on the ledger, on a thread that may block.
    ///
    /// # Errors
    /// The work panicked.
    pub async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ledger) -> T + Send + 'static,
    ) -> Result<T> {
        let shared = self.0.clone();
        tokio::task::spawn_blocking(move || {
            work(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(|error| Failure::stop(Reason::Internal, format!("the ledger failed: {error}")))
    }

    /// One job's summary.
    ///
    /// # Errors
    /// See [`LedgerHandle::with`].
    pub async fn summary(&self, job: JobId, now_ms: i64) -> Result<Option<Summary>> {
        self.with(move |ledger| {
            ledger
                .book()
                .jobs
                .get(&job)
                .map(|account| Summary::of(account, now_ms))
        })
        .await
    }

    /// Every job's summary, newest first.
    ///
    /// # Errors
    /// See [`LedgerHandle::with`].
    pub async fn summaries(&self, now_ms: i64) -> Result<Vec<Summary>> {
        self.with(move |ledger| {
            let accounts = ledger.book().jobs.values();
            let mut all: Vec<_> = accounts
                .map(|account| Summary::of(account, now_ms))
                .collect();
            all.sort_by_key(|summary| std::cmp::Reverse(summary.submitted_at_ms));
            all
        })
        .await
    }
}
