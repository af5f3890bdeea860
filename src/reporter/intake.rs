//! Takes reports in batches, so that one transaction serves many.

use std::time::Duration;

use tokio::time::timeout;

use crate::broker::{Consumer, Delivery};
use crate::failure::{Reason, Remedy, Result};
use crate::message::{Ending, Report};
use crate::text::short;

/// Most messages folded at once.
const LIMIT: usize = 100;
/// How long a batch waits for more; short beside a disk's sync.
const LINGER: Duration = Duration::from_millis(3);

/// Gathers deliveries into batches. A batch begun is kept when [`Intake::next`] is cancelled.
#[derive(Debug)]
pub(super) struct Intake {
    consumer: Box<dyn Consumer>,
    begun: Batch,
}

/// Reports and the deliveries they came in.
#[derive(Debug, Default)]
pub(super) struct Batch {
    reports: Vec<Report>,
    deliveries: Vec<Delivery>,
}

impl Intake {
    pub(super) fn new(consumer: Box<dyn Consumer>) -> Self {
        Self {
            consumer,
            begun: Batch::default(),
        }
    }

    /// The next batch; waits for its first report. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<Batch> {
        while self.begun.deliveries.is_empty() {
            let delivery = self.consumer.next().await?;
            self.begun.add(delivery).await?;
        }
        while self.begun.deliveries.len() < LIMIT {
            match timeout(LINGER, self.consumer.next()).await {
                Ok(delivery) => self.begun.add(delivery?).await?,
                Err(_elapsed) => break,
            }
        }
        Ok(std::mem::take(&mut self.begun))
    }
}

impl Batch {
    /// Reports that cannot be read are parked; one of a newer version stops the reporter.
    async fn add(&mut self, delivery: Delivery) -> Result<()> {
        match delivery.message.decode::<Report>() {
            Ok(report) => {
                self.reports.push(report);
                self.deliveries.push(delivery);
            }
            Err(failure) if failure.reason == Reason::NewerVersion => return Err(failure),
            Err(failure) => {
                tracing::error!(
                    job.id = short(&delivery.message.headers.job),
                    %failure,
                    "a report cannot be read and is parked"
                );
                match delivery.park(&failure.message).await {
                    // It comes again.
                    Err(failure) if failure.remedy == Remedy::Retry => {
                        tracing::warn!(%failure, "it could not be parked");
                    }
                    parked => parked?,
                }
            }
        }
        Ok(())
    }

    /// The outcomes in it, as metrics name them.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = &'static str> {
        let copied = self.reports.iter().filter_map(|report| match report {
            Report::Outcomes(outcomes) => Some(outcomes.iter().map(|outcome| &outcome.ending)),
            _ => None,
        });
        let decided = self.reports.iter().filter_map(|report| match report {
            Report::Page(page) => Some(page.decided.iter().map(|decided| &decided.ending)),
            _ => None,
        });
        copied
            .flatten()
            .chain(decided.flatten())
            .map(|ending| match ending {
                Ending::Copied { .. } => "copied",
                Ending::Skipped { .. } => "skipped",
                Ending::Failed { .. } => "failed",
            })
    }

    pub(super) fn into_parts(self) -> (Vec<Report>, Vec<Delivery>) {
        (self.reports, self.deliveries)
    }
}
