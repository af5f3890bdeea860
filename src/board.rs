//! What this process knows about jobs, from the job log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::failure::{Reason, Result};
use crate::job::{JobEnd, JobId, JobSpec};
use crate::message::{Envelope, JobEvent};
use crate::text::short;

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
    /// The round it is in.
    pub round: u32,
    /// How often it has gone on after an end.
    pub reopened: u32,
    /// The round of its last end: every task of it or before is done with, whatever has come since.
    pub over: Option<u32>,
    /// How often it was asked for that what is held or waits is tried at once.
    pub wakes: u32,
    /// A record of it could not be read, which may have been its end: nothing is done for it.
    pub unreadable: bool,
}

impl KnownJob {
    fn new(spec: Arc<JobSpec>) -> Self {
        Self {
            spec,
            listed: false,
            end: None,
            round: 0,
            reopened: 0,
            over: None,
            wakes: 0,
            unreadable: false,
        }
    }

    /// The outbox sends at least once, so an event may come again after a round has begun: one of
    /// a round before changes nothing.
    fn is_now(&self, round: u32) -> bool {
        round >= self.round
    }

    fn is_over(&self, round: u32) -> bool {
        self.over.is_some_and(|over| round <= over)
    }

    fn reopen(&mut self, round: u32) {
        // One of the round it is in tells no more than this.
        self.wakes = self.wakes.wrapping_add(1);
        if round <= self.round {
            return;
        }
        self.round = round;
        self.listed = false;
        self.unreadable = false;
        self.reopened += u32::from(self.end.take().is_some());
    }
}

/// All jobs of the log, in the order they were submitted.
#[derive(Clone, Debug, Default)]
pub struct Jobs {
    by_id: BTreeMap<JobId, KnownJob>,
    order: Vec<JobId>,
    /// Id of the ledger that took charge last.
    pub ledger: Option<String>,
    /// How often a reporter had begun with it by then.
    pub ledger_starts: u64,
    /// Every start of a reporter by its random name, in their order.
    pub reporters: Vec<u64>,
}

impl Jobs {
    /// Takes one event into account.
    pub fn apply(&mut self, event: JobEvent) {
        match event {
            JobEvent::Submitted(spec) => {
                if !self.by_id.contains_key(&spec.id) {
                    self.order.push(spec.id.clone());
                    let id = spec.id.clone();
                    self.by_id.insert(id, KnownJob::new(Arc::from(spec)));
                }
            }
            JobEvent::Listed { job, round } => {
                if let Some(job) = self.by_id.get_mut(&job) {
                    job.listed |= job.is_now(round);
                }
            }
            JobEvent::Ended(end) => {
                if let Some(job) = self.by_id.get_mut(&end.job)
                    && job.is_now(end.round)
                {
                    job.over = Some(end.round);
                    job.end = Some(end);
                }
            }
            JobEvent::Reopened { job, round } => {
                if let Some(job) = self.by_id.get_mut(&job) {
                    job.reopen(round);
                }
            }
            JobEvent::Ledger { id, starts, start } => {
                self.ledger = Some(id);
                self.ledger_starts = starts;
                self.reporters.push(start);
            }
        }
    }

    /// One job.
    pub fn get(&self, id: &JobId) -> Option<&KnownJob> {
        self.by_id.get(id)
    }

    /// Is there such a job?
    pub fn contains(&self, id: &JobId) -> bool {
        self.by_id.contains_key(id)
    }

    /// All jobs, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &KnownJob> {
        self.order.iter().filter_map(|id| self.by_id.get(id))
    }

    /// Jobs that have not ended, oldest first.
    pub fn running(&self) -> impl Iterator<Item = &KnownJob> {
        self.iter()
            .filter(|job| job.end.is_none() && !job.unreadable)
    }

    /// Takes a record of the log into account. One that cannot be read is named: it stops the job
    /// that its headers name, as it may have been its end, and no other.
    ///
    /// # Errors
    /// A record of a newer version.
    fn apply_record(&mut self, record: &Envelope) -> Result<()> {
        match record.decode() {
            Ok(event) => self.apply(event),
            Err(failure) if failure.reason == Reason::NewerVersion => return Err(failure),
            Err(failure) => {
                let name = JobId::new(&record.headers.job);
                tracing::error!(
                    job.id = short(&record.headers.job),
                    %failure,
                    "a record of the job log cannot be read: its job is not worked on any more; \
                     blobfleet jobs cancel ends it"
                );
                if let Some(job) = self.by_id.get_mut(&name) {
                    job.unreadable = true;
                }
            }
        }
        Ok(())
    }
}

/// Reads the whole log as it stands.
///
/// # Errors
/// The broker, or a record this program cannot read.
pub async fn read(broker: &dyn Broker) -> Result<Jobs> {
    let mut jobs = Jobs::default();
    for record in broker.read_log().await? {
        jobs.apply_record(&record)?;
    }
    Ok(jobs)
}

/// Appends an event to the log.
///
/// # Errors
/// The broker.
pub async fn append(broker: &dyn Broker, job: Option<&JobId>, event: &JobEvent) -> Result<()> {
    broker.append(event.message(job)?).await
}

/// Does a task belong to a job that has ended?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It has ended.
    Yes,
    /// It goes on.
    No,
    /// The task is newer than all this process has heard of the job.
    Unknown,
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
                let mut applied = Ok(());
                sender.send_modify(|jobs| applied = jobs.apply_record(&record));
                applied?;
            }
        });
        Ok((Self { jobs }, handle))
    }

    /// A picture that does not change.
    #[cfg(test)]
    pub(crate) fn standing(jobs: Jobs) -> Self {
        Self {
            jobs: watch::channel(jobs).1,
        }
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
    /// One that has gone on since (it was reopened more than `reopened` times) had ended too.
    pub async fn ends_soon(&mut self, id: &JobId, reopened: u32) -> bool {
        let ended = |jobs: &Jobs| {
            jobs.get(id)
                .is_some_and(|job| job.end.is_some() || job.reopened > reopened)
        };
        let ended = self.jobs.wait_for(ended);
        matches!(tokio::time::timeout(NEWS, ended).await, Ok(Ok(_)))
    }

    /// Is a task of this round one of a job that has ended? A job ends with all its rounds; where
    /// the task is of a later one, the log has more to tell, and it is waited for a moment.
    pub async fn is_over(&mut self, id: &JobId, round: u32) -> Over {
        let told = |jobs: &Jobs| {
            jobs.get(id)
                .is_none_or(|job| job.is_over(round) || (job.end.is_none() && !job.unreadable))
        };
        match tokio::time::timeout(NEWS, self.jobs.wait_for(told)).await {
            Ok(Ok(jobs)) if jobs.get(id).is_some_and(|job| job.is_over(round)) => Over::Yes,
            Ok(Ok(_)) => Over::No,
            _ => Over::Unknown,
        }
    }

    /// Has the job ended with all tasks of this round, as far as this process knows?
    pub fn has_ended_in(&self, id: &JobId, round: u32) -> bool {
        self.jobs().get(id).is_some_and(|job| job.is_over(round))
    }

    /// Has the job ended, as far as this process knows?
    pub fn has_ended(&self, id: &JobId) -> bool {
        self.jobs().get(id).is_some_and(|job| job.end.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobStatus, Totals};

    fn spec() -> JobSpec {
        JobSpec::sample(0)
    }

    fn listed(round: u32) -> JobEvent {
        let job = JobId::new("j-1");
        JobEvent::Listed { job, round }
    }

    fn ended(round: u32) -> JobEvent {
        JobEvent::Ended(JobEnd {
            job: JobId::new("j-1"),
            status: JobStatus::CompletedWithErrors,
            ended_at_ms: 1,
            totals: Totals::default(),
            round,
        })
    }

    fn reopened(round: u32) -> JobEvent {
        let job = JobId::new("j-1");
        JobEvent::Reopened { job, round }
    }

    /// Has it ended, is it listed, its round, and how often it went on.
    fn after(events: Vec<JobEvent>) -> (bool, bool, u32, u32) {
        let mut jobs = Jobs::default();
        jobs.apply(JobEvent::Submitted(Box::new(spec())));
        events.into_iter().for_each(|event| jobs.apply(event));
        let job = jobs.get(&JobId::new("j-1")).unwrap();
        (job.end.is_some(), job.listed, job.round, job.reopened)
    }

    #[test]
    fn a_job_that_is_reopened_goes_on() {
        let first = vec![listed(0), ended(0), reopened(1)];
        assert_eq!(after(first.clone()), (false, false, 1, 1));
        let whole = [first, vec![listed(1), ended(1)]].concat();
        assert_eq!(after(whole), (true, true, 1, 1));
        assert_eq!(after(vec![listed(0), reopened(1)]), (false, false, 1, 0));
    }

    /// Tasks of rounds that have ended are done with after a reopening too; those of a round the
    /// log has not told of wait for it.
    #[tokio::test(start_paused = true)]
    async fn a_task_is_over_with_its_round() {
        let job = JobId::new("j-1");
        let (sender, receiver) = watch::channel(Jobs::default());
        let mut board = Board { jobs: receiver };
        let tell = |event| sender.send_modify(|jobs| jobs.apply(event));
        tell(JobEvent::Submitted(Box::new(spec())));
        assert_eq!(board.is_over(&job, 0).await, Over::No);
        tell(ended(0));
        assert_eq!(board.is_over(&job, 0).await, Over::Yes);
        assert_eq!(board.is_over(&job, 1).await, Over::Unknown);
        let waiting = async {
            tokio::time::sleep(NEWS / 2).await;
            tell(reopened(1));
        };
        let (over, ()) = tokio::join!(board.is_over(&job, 1), waiting);
        assert_eq!(over, Over::No);
        assert_eq!(board.is_over(&job, 0).await, Over::Yes);
        assert!(board.has_ended_in(&job, 0) && !board.has_ended_in(&job, 1));
        assert!(!board.has_ended(&job));
    }

    #[test]
    fn what_is_told_again_of_a_round_before_changes_nothing() {
        let twice = vec![
            listed(0),
            ended(0),
            reopened(1),
            listed(0),
            ended(0),
            reopened(1),
        ];
        assert_eq!(after(twice), (false, false, 1, 1));
        let late = vec![ended(0), reopened(1), listed(1), ended(1), reopened(1)];
        assert_eq!(after(late), (true, true, 1, 1));
    }
}
