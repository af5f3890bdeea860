//! What this process knows about jobs, from the job log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::failure::Result;
use crate::job::{JobEnd, JobId, JobSpec};
use crate::message::{Envelope, Headers, JobEvent};

/// How long news of a job's end may take to reach this process.
const NEWS: Duration = Duration::from_secs(5);

/// One job as the log tells it.
#[derive(Clone, Debug)]
pub struct KnownJob {
    /// What was submitted; the first submission of an id counts.
    pub spec: Arc<JobSpec>,
    /// Every range has been listed, or given up.
    pub listed: bool,
    /// How it ended, once it has.
    pub end: Option<JobEnd>,
}

/// All jobs of the log, in the order they were submitted.
#[derive(Clone, Debug, Default)]
pub struct Jobs {
    by_id: BTreeMap<JobId, KnownJob>,
    order: Vec<JobId>,
    /// Id of the ledger that took charge last.
    pub ledger: Option<String>,
}

impl Jobs {
    /// Takes one event into account.
    pub fn apply(&mut self, event: JobEvent) {
        match event {
            JobEvent::Submitted(spec) => {
                if !self.by_id.contains_key(&spec.id) {
                    self.order.push(spec.id.clone());
                    let id = spec.id.clone();
                    self.by_id.insert(
                        id,
                        KnownJob {
                            spec: Arc::from(spec),
                            listed: false,
                            end: None,
                        },
                    );
                }
            }
            JobEvent::Listed { job } => {
                if let Some(job) = self.by_id.get_mut(&job) {
                    job.listed = true;
                }
            }
            JobEvent::Ended(end) => {
                if let Some(job) = self.by_id.get_mut(&end.job) {
                    job.end = Some(end);
                }
            }
            JobEvent::Ledger { id } => self.ledger = Some(id),
        }
    }

    /// One job.
    pub fn get(&self, id: &JobId) -> Option<&KnownJob> {
        self.by_id.get(id)
    }

    /// All jobs, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &KnownJob> {
        self.order.iter().filter_map(|id| self.by_id.get(id))
    }

    /// Jobs that have not ended, oldest first.
    pub fn running(&self) -> impl Iterator<Item = &KnownJob> {
        self.iter().filter(|job| job.end.is_none())
    }
}

/// Reads the whole log as it stands.
///
/// # Errors
/// The broker, or a record this program cannot read.
pub async fn read(broker: &dyn Broker) -> Result<Jobs> {
    let mut jobs = Jobs::default();
    for record in broker.read_log().await? {
        jobs.apply(record.decode()?);
    }
    Ok(jobs)
}

/// Appends an event to the log.
///
/// # Errors
/// The broker.
pub async fn append(broker: &dyn Broker, job: Option<&JobId>, event: &JobEvent) -> Result<()> {
    let job = job.map(ToString::to_string).unwrap_or_default();
    broker
        .append(Envelope::new(
            Headers {
                job,
                ..Headers::default()
            },
            event,
        )?)
        .await
}

/// Follows the log; the receiver always holds the newest picture.
#[derive(Clone, Debug)]
pub struct Board {
    jobs: watch::Receiver<Jobs>,
}

impl Board {
    /// Reads the log and goes on following it in a task, until `shutdown`.
    ///
    /// The task's failure, if it has one, comes out of the returned handle.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn follow(
        broker: Arc<dyn Broker>,
        shutdown: CancellationToken,
    ) -> Result<(Self, tokio::task::JoinHandle<Result<()>>)> {
        let (sender, jobs) = watch::channel(read(&*broker).await?);
        let mut reader = broker.follow_log().await?;
        let handle = tokio::spawn(async move {
            loop {
                let record = tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    record = reader.next() => record?,
                };
                let event = record.decode()?;
                sender.send_modify(|jobs| jobs.apply(event));
            }
        });
        Ok((Self { jobs }, handle))
    }

    /// The picture now.
    pub fn jobs(&self) -> watch::Ref<'_, Jobs> {
        self.jobs.borrow()
    }

    /// Waits until the picture changes; false when nobody follows the log any more.
    pub async fn changed(&mut self) -> bool {
        self.jobs.changed().await.is_ok()
    }

    /// Waits for a job to be known.
    pub async fn wait_for(&mut self, id: &JobId) -> Option<KnownJob> {
        let jobs = self
            .jobs
            .wait_for(|jobs| jobs.get(id).is_some())
            .await
            .ok()?;
        jobs.get(id).cloned()
    }

    /// Waits a moment for news of the job's end: its queues go away just after the log tells it.
    pub async fn ends_soon(&mut self, id: &JobId) -> bool {
        let ended = self
            .jobs
            .wait_for(|jobs| jobs.get(id).is_some_and(|job| job.end.is_some()));
        matches!(tokio::time::timeout(NEWS, ended).await, Ok(Ok(_)))
    }

    /// Has the job ended, as far as this process knows?
    pub fn has_ended(&self, id: &JobId) -> bool {
        self.jobs().get(id).is_some_and(|job| job.end.is_some())
    }
}
