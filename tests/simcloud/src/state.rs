//! What all connections share.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::blob::store::{Stamp, Store as BlobStore};
use crate::clock::{Clock, unix_millis};
use crate::config::{Fetch, Keep};
use crate::faults::Schedule;
use crate::fetch::Fetcher;
use crate::lock;
use crate::op::{Action, Counters, Hook, Op, OpKind};
use crate::quirks::Quirks;
use crate::s3::auth::Secrets;
use crate::s3::store::Store as S3Store;

/// Refusals remembered for the sake of whoever reads a failed test.
const REMEMBERED: usize = 64;

/// Where simcloud listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) s3: SocketAddr,
    pub(crate) blob: SocketAddr,
    pub(crate) tls: Option<SocketAddr>,
}

impl Addresses {
    pub(crate) fn s3_localhost(&self) -> String {
        format!("localhost:{}", self.s3.port())
    }
}

pub(crate) struct State {
    pub(crate) keep: Keep,
    pub(crate) fetch: Fetch,
    pub(crate) addresses: Addresses,
    /// The Blob service's.
    pub(crate) clock: Clock,
    pub(crate) s3_clock: Clock,
    pub(crate) s3: Mutex<S3Store>,
    pub(crate) secrets: Mutex<Secrets>,
    pub(crate) blob: Mutex<BlobStore>,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) counters: Counters,
    pub(crate) schedule: Mutex<Arc<Schedule>>,
    pub(crate) hook: Mutex<Option<Hook>>,
    pub(crate) refused: Mutex<VecDeque<String>>,
    /// The most keys in a page of a listing.
    pub(crate) page_keys: AtomicUsize,
    marks: AtomicU64,
    /// In what S3 differs from Amazon's, and what troubles the accounts have.
    pub(crate) quirks: Quirks,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("addresses", &self.addresses)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn new(
        keep: Keep,
        fetch: Fetch,
        addresses: Addresses,
        fetcher: Fetcher,
        schedule: Schedule,
    ) -> Self {
        Self {
            keep,
            fetch,
            addresses,
            clock: Clock::default(),
            s3_clock: Clock::default(),
            s3: Mutex::default(),
            secrets: Mutex::default(),
            blob: Mutex::default(),
            fetcher: Arc::new(fetcher),
            counters: Counters::default(),
            schedule: Mutex::new(Arc::new(schedule)),
            hook: Mutex::default(),
            refused: Mutex::default(),
            page_keys: AtomicUsize::new(1000),
            marks: AtomicU64::new(1),
            quirks: Quirks::default(),
        }
    }

    pub(crate) fn with_quirks(self, quirks: Quirks) -> Self {
        Self { quirks, ..self }
    }

    /// Now, with a mark no other change has.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp {
            modified: unix_millis(self.clock.now()),
            mark: self.next_mark(),
        }
    }

    pub(crate) fn next_mark(&self) -> u64 {
        self.marks.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a request and decides how it fares: the hook first, then the faults.
    pub(crate) fn admit(&self, kind: OpKind, place: String, name: &str) -> (Op, Action) {
        let op = Op {
            kind,
            place,
            name: name.to_owned(),
            number: self.counters.count(kind),
        };
        let action = match lock(&self.hook).as_mut() {
            Some(hook) => hook(&op),
            None => Action::Pass,
        };
        let action = match action {
            Action::Pass => self.schedule().draw(&op),
            action => action,
        };
        (op, action)
    }

    pub(crate) fn schedule(&self) -> Arc<Schedule> {
        Arc::clone(&lock(&self.schedule))
    }

    /// Remembers a refusal.
    pub(crate) fn remember(&self, line: String) {
        let mut refused = lock(&self.refused);
        if refused.len() == REMEMBERED {
            refused.pop_front();
        }
        refused.push_back(line);
    }
}
