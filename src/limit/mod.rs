//! How many requests may be in flight: for each destination account, and for each source bucket.
//!
//! - `window` the rule, `gate` who may go, [`Turns`] in which order; `scenarios` shows what the rule comes to.

mod gate;
#[cfg(test)]
mod scenarios;
mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub use gate::{Limit, Permit};
pub use window::Answer;

use crate::metrics::Metrics;

/// A bucket and an account.
type Pair = (String, String);

/// The limits of this process.
#[derive(Clone, Debug)]
pub struct Limits {
    most: u16,
    metrics: Metrics,
    made: Arc<Mutex<HashMap<(&'static str, String), Limit>>>,
    turns: Arc<Mutex<HashMap<Pair, Arc<Turns>>>>,
}

/// The lines of those who need a place at one bucket and at one account: only their first takes
/// one at the bucket while it waits for the account, so that the bucket's others do not wait too.
#[derive(Debug, Default)]
pub struct Turns {
    /// Small objects.
    pub small: tokio::sync::Mutex<()>,
    /// Blocks of large ones.
    pub blocks: tokio::sync::Mutex<()>,
}

impl Limits {
    /// Limits that may each grow up to `most`.
    pub fn new(most: u16, metrics: Metrics) -> Self {
        Self {
            most,
            metrics,
            made: Arc::default(),
            turns: Arc::default(),
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

    /// Of those who copy from that bucket into that account.
    pub fn turns(&self, (bucket, region): (&str, &str), account: &str) -> Arc<Turns> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (format!("{region}/{bucket}"), account.to_owned());
        turns.entry(pair).or_default().clone()
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
