//! Whether a job has room for more copy tasks: its listing pauses while there is enough to copy,
//! and while too much of it waits to be tried again, so that no queue grows with the bucket.
//!
//! Where there are other jobs, only half of a lister's tasks wait here for room; the rest goes back
//! to the queue, so that jobs which have it are listed meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, Queue};
use crate::failure::Result;
use crate::job::JobId;

/// Copy tasks a job may have waiting before its listing pauses.
const COPY: u64 = 20_000;
/// The same of those that wait to be tried again.
const AGAIN: u64 = 200_000;
/// How long a list task waits for room.
const HOLD: Duration = Duration::from_secs(120);
/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(200);
/// For so long it is known how many wait to be tried again: to count them takes many questions.
const COUNTED: Duration = Duration::from_secs(5);

/// The room each job has, as far as a lister with so many tasks at a time looks for it.
#[derive(Clone, Debug)]
pub(super) struct Room {
    broker: Arc<dyn Broker>,
    copy: u64,
    again: u64,
    /// Places to wait at.
    waiting: Arc<Semaphore>,
    counted: Arc<Mutex<HashMap<JobId, (Instant, u64)>>>,
}

impl Room {
    pub(super) fn new(broker: Arc<dyn Broker>, tasks: u16) -> Self {
        Self::up_to(broker, tasks, (COPY, AGAIN))
    }

    fn up_to(broker: Arc<dyn Broker>, tasks: u16, (copy, again): (u64, u64)) -> Self {
        Self {
            broker,
            copy,
            again,
            waiting: Arc::new(Semaphore::new(usize::from(tasks / 2))),
            counted: Arc::default(),
        }
    }

    /// Waits until the job has room; false where others should have their turn first. `alone` is the
    /// only job there is.
    ///
    /// # Errors
    /// The broker.
    pub(super) async fn wait(
        &self,
        job: &JobId,
        alone: bool,
        shutdown: &CancellationToken,
    ) -> Result<bool> {
        if self.is_there(job).await? {
            return Ok(true);
        }
        let place = self.waiting.try_acquire();
        if place.is_err() && !alone {
            return Ok(false);
        }
        let until = Instant::now() + HOLD;
        while Instant::now() < until && !shutdown.is_cancelled() {
            sleep(LOOK).await;
            if self.is_there(job).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_there(&self, job: &JobId) -> Result<bool> {
        let depth = self.broker.depth(&Queue::Copy(job.clone())).await?;
        Ok(depth.ready < self.copy && self.again(job).await? < self.again)
    }

    /// Tasks that wait to be tried again, as of a moment ago.
    async fn again(&self, job: &JobId) -> Result<u64> {
        let counted = || self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counted().get(job).copied();
        if let Some((at, count)) = known
            && at.elapsed() < COUNTED
        {
            return Ok(count);
        }
        let count = self.broker.again(job).await?;
        let now = Instant::now();
        let mut counted = counted();
        counted.retain(|_, (at, _)| now - *at < COUNTED);
        counted.insert(job.clone(), (now, count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::broker::embedded::EmbeddedBroker;
    use crate::message::{Envelope, Headers};

    async fn job_with(copy: u32) -> (Arc<EmbeddedBroker>, JobId, TempDir) {
        let folder = TempDir::new().unwrap();
        let broker = EmbeddedBroker::open(folder.path()).unwrap();
        let job = JobId::new("j-1");
        broker.declare_job(&job).await.unwrap();
        let message = || Envelope::new(Headers::default(), &0).unwrap();
        let messages = (0..copy).map(|_| message()).collect();
        broker
            .publish(&Queue::Copy(job.clone()), messages)
            .await
            .unwrap();
        (broker, job, folder)
    }

    async fn take(broker: &EmbeddedBroker, job: &JobId, wait: Option<Duration>) {
        let queue = Queue::Copy(job.clone());
        let mut consumer = broker.consume(&queue, 1).await.unwrap();
        let delivery = consumer.next().await.unwrap();
        let message = delivery.message.clone();
        match wait {
            Some(wait) => delivery.again(message, wait).await.unwrap(),
            None => delivery.ack().await.unwrap(),
        }
    }

    #[tokio::test]
    async fn half_of_the_tasks_wait_and_the_others_go_back() {
        let (broker, job, _folder) = job_with(3).await;
        let room = Room::up_to(broker.clone(), 4, (3, 10));
        let never = CancellationToken::new();
        let wait = || {
            let (room, job, never) = (room.clone(), job.clone(), never.clone());
            move |alone| tokio::spawn(async move { room.wait(&job, alone, &never).await.unwrap() })
        };
        let waiting = [wait()(false), wait()(false)];
        while room.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(!wait()(false).await.unwrap(), "the others");
        let alone = wait()(true);
        take(&broker, &job, None).await;
        for one in waiting {
            assert!(one.await.unwrap());
        }
        assert!(alone.await.unwrap());
        assert!(wait()(false).await.unwrap());
    }

    #[tokio::test]
    async fn what_waits_to_be_tried_again_counts_whether_its_time_has_come_or_not() {
        let (broker, job, _folder) = job_with(3).await;
        let room = || Room::up_to(broker.clone(), 1, (3, 2));
        let never = CancellationToken::new();
        take(&broker, &job, Some(Duration::from_secs(3600))).await;
        assert!(room().wait(&job, false, &never).await.unwrap());
        take(&broker, &job, Some(Duration::ZERO)).await;
        assert!(!room().wait(&job, false, &never).await.unwrap());
        assert!(
            room()
                .wait(&JobId::new("j-2"), false, &never)
                .await
                .unwrap()
        );
    }
}
