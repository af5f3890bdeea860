//! The ledger shared between the fold and those who read it, kept off the async threads.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::ledger::Ledger;
use super::summary::Summary;
use crate::failure::{Failure, Reason, Result};
use crate::job::JobId;

/// How often it is looked whether the outbox has been sent.
const LOOK: Duration = Duration::from_millis(50);

/// A ledger that several tasks may use, one at a time.
#[derive(Clone, Debug)]
pub struct LedgerHandle(Arc<Mutex<Ledger>>);

impl LedgerHandle {
    /// Opens the ledger in `dir`.
    ///
    /// # Errors
    /// See [`Ledger::open`].
    pub fn open(dir: &Path) -> Result<Self> {
        let mut ledger = Ledger::open(dir)?;
        ledger.number_anew(rand::random());
        Ok(Self(Arc::new(Mutex::new(ledger))))
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

    /// Waits until what the outbox holds now has been sent; false where that takes longer than
    /// `patience`, as while the broker is away.
    ///
    /// # Errors
    /// The disk, or see [`LedgerHandle::with`].
    pub async fn sent(&self, patience: Duration) -> Result<bool> {
        match self.with(|ledger| ledger.last_outgoing()).await?? {
            Some(last) => self.sent_up_to(last, patience).await,
            None => Ok(true),
        }
    }

    async fn sent_up_to(&self, last: i64, patience: Duration) -> Result<bool> {
        let until = Instant::now() + patience;
        loop {
            let first = self.with(|ledger| ledger.first_outgoing()).await??;
            if first.is_none_or(|first| first > last) {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobSpec;

    fn spec() -> JobSpec {
        JobSpec::sample(1)
    }

    #[tokio::test]
    async fn what_waits_to_be_sent_is_waited_for_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = LedgerHandle::open(dir.path()).unwrap();
        assert!(ledger.sent(Duration::ZERO).await.unwrap(), "nothing waits");
        let submitted = ledger.with(|ledger| ledger.submit(&spec(), 1)).await;
        submitted.unwrap().unwrap();
        assert!(!ledger.sent(LOOK).await.unwrap());

        let last = ledger.with(|ledger| {
            let waiting = ledger.outgoing().unwrap();
            let seqs: Vec<i64> = waiting.iter().map(|one| one.seq).collect();
            assert!(ledger.cancel(&JobId::new("j-1"), 2).unwrap());
            ledger.sent(&seqs).unwrap();
            *seqs.last().unwrap()
        });
        let last = last.await.unwrap();
        assert!(ledger.sent_up_to(last, Duration::ZERO).await.unwrap());
        assert!(!ledger.sent(Duration::ZERO).await.unwrap(), "the end waits");
    }
}
