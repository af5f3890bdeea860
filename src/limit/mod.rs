//! How many requests may be in flight: for each destination account, and for each source bucket.
//!
//! - `window` the rule, `gate` who may go, `line` in which order, `usage` for how long; `scenarios`
//!   shows what the rule comes to.

mod gate;
mod line;
#[cfg(test)]
mod scenarios;
mod usage;
mod window;

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub use gate::{Limit, Permit};
pub use line::{InFlight, Line};
pub use window::Answer;

use crate::metrics::Metrics;

/// The limits of this process.
#[derive(Clone, Debug)]
pub struct Limits {
    most: u16,
    metrics: Metrics,
    made: Arc<Mutex<HashMap<(&'static str, String), Limit>>>,
    accounts: Arc<Mutex<HashMap<String, Account>>>,
}

/// The lines to one account, by region and bucket.
#[derive(Debug, Default)]
struct Account {
    count: Arc<AtomicUsize>,
    lines: HashMap<String, Weak<Line>>,
}

impl Limits {
    /// Limits that may each grow up to `most`.
    pub fn new(most: u16, metrics: Metrics) -> Self {
        Self {
            most,
            metrics,
            made: Arc::default(),
            accounts: Arc::default(),
        }
    }

    /// Of requests to a storage account, by its service URL.
    pub fn destination(&self, account: &str) -> Limit {
        self.of("destination", account.to_owned())
    }

    /// Of requests for a bucket's objects, our own and those Azure makes for us.
    pub fn source(&self, bucket: &str, region: &str) -> Limit {
        self.of("source", format!("{region}/{bucket}"))
    }

    /// The line of those who copy from that bucket into that account; it ends with its last user.
    pub fn line(&self, bucket: &str, region: &str, account: &str) -> Arc<Line> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.entry(account.to_owned()).or_default();
        let name = format!("{region}/{bucket}");
        if let Some(line) = account.lines.get(&name).and_then(Weak::upgrade) {
            return line;
        }
        let line = Line::new(account.count.clone());
        account.lines.retain(|_, line| line.strong_count() > 0);
        account.lines.insert(name, Arc::downgrade(&line));
        line
    }

    fn of(&self, side: &'static str, name: String) -> Limit {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry((side, name))
            .or_insert_with(|| {
                let gauge = self.metrics.in_flight_limit.with_label_values(&[side]);
                Limit::new(self.most, gauge)
            })
            .clone()
    }
}
