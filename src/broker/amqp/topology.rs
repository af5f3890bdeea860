//! Names and arguments of every queue at RabbitMQ, and their declaration.
//!
//! All work queues are quorum queues with an explicit, very large delivery limit (4.x counts every
//! requeue against a default of 20 and then drops the message) and a dead-letter to `parked`.
//! A limit of -1 would not be one: older versions read it as "at once".

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lapin::Channel;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use tokio::time::sleep;

use super::AmqpOptions;
use super::link::Link;
use super::trouble::{answer, declare_failure, is_denied};
use crate::broker::{Depth, Queue};
use crate::failure::{Failure, Reason, Remedy, Result};
use crate::job::JobId;

/// Deliveries of one message before RabbitMQ parks it.
const DELIVERY_LIMIT: i64 = 1_000_000_000;
/// The waits there are queues for, in seconds; the last is [`crate::broker::MAX_WAIT`].
const WAITS: [u64; 10] = [1, 2, 5, 10, 30, 60, 120, 300, 900, 3600];
/// AMQP's longest queue name, in bytes.
const LONGEST_NAME: usize = 255;

/// Names queues and declares them.
#[derive(Debug)]
pub(super) struct Topology {
    prefix: String,
    copy_bound: u64,
    settle: Duration,
    /// Delay queues known to exist.
    waits: Mutex<HashSet<String>>,
}

impl Topology {
    pub(super) fn new(options: &AmqpOptions) -> Self {
        Self {
            prefix: options.prefix.clone(),
            copy_bound: options.copy_bound,
            settle: options.settle,
            waits: Mutex::default(),
        }
    }

    pub(super) fn name(&self, queue: &Queue) -> Result<String> {
        self.checked(queue.name())
    }

    pub(super) fn log(&self) -> String {
        format!("{}jobs", self.prefix)
    }

    /// The queues that are there whatever the jobs, see [`Topology::declare_common`].
    pub(super) fn common_names(&self) -> Vec<String> {
        let queues = [Queue::Parked, Queue::List, Queue::Outcome];
        let prefixed = queues.map(|queue| format!("{}{}", self.prefix, queue.name()));
        prefixed.into_iter().chain([self.log()]).collect()
    }

    fn checked(&self, name: String) -> Result<String> {
        let name = format!("{}{name}", self.prefix);
        if name.len() > LONGEST_NAME {
            let text = format!("queue name {name} is longer than {LONGEST_NAME} bytes");
            return Err(Failure::give_up(Reason::BrokerRejected, text));
        }
        Ok(name)
    }

    /// The delay queue for `target` whose wait is the next one not below `wait`.
    fn wait_queue(&self, target: &Queue, wait: Duration) -> Result<(String, u64)> {
        let seconds = WAITS
            .into_iter()
            .find(|step| Duration::from_secs(*step) >= wait);
        let seconds = seconds.unwrap_or(u64::MAX);
        let name = match target {
            Queue::Copy(job) | Queue::Again(job) => format!("wait.{job}.{seconds}"),
            other => format!("wait.{}.{seconds}", other.name()),
        };
        Ok((self.checked(name)?, seconds))
    }

    /// Declares what is there whatever the jobs.
    pub(super) async fn declare_common(&self, link: &Link) -> Result<()> {
        let mut stream = FieldTable::default();
        put_text(&mut stream, "x-queue-type", "stream");
        declare(link, &self.log(), stream).await?;
        self.declare_all(link, &[Queue::Parked, Queue::List, Queue::Outcome])
            .await
    }

    /// Declares a job's queues, its delay queues among them: what is there can be counted without
    /// a channel being closed, and an error logged by RabbitMQ, for each that is not.
    pub(super) async fn declare_job(&self, link: &Link, job: &JobId) -> Result<()> {
        let again = Queue::Again(job.clone());
        let queues = [again.clone(), Queue::Copy(job.clone())];
        let any_new = self.declare_each(link, &queues).await?;
        for seconds in WAITS {
            let (name, _) = self.wait_queue(&again, Duration::from_secs(seconds))?;
            // Another process may have removed it with an earlier end of the job.
            self.forget(&name);
            declare(link, &name, self.waiting(&again, seconds)?).await?;
        }
        self.settled(any_new).await;
        Ok(())
    }

    async fn declare_all(&self, link: &Link, queues: &[Queue]) -> Result<()> {
        let any_new = self.declare_each(link, queues).await?;
        self.settled(any_new).await;
        Ok(())
    }

    /// Declares them and tells whether any was not there before.
    async fn declare_each(&self, link: &Link, queues: &[Queue]) -> Result<bool> {
        let mut any_new = false;
        for queue in queues {
            let name = self.name(queue)?;
            any_new |= !exists(link, &name).await?;
            declare(link, &name, self.arguments(queue)?).await?;
        }
        Ok(any_new)
    }

    async fn settled(&self, any_new: bool) {
        if any_new {
            sleep(self.settle).await;
        }
    }

    /// Sees to it that the delay queue exists and gives its name.
    ///
    /// Its home is looked for before and after: the job may end in between. As a job's removal
    /// begins with the home, one of the two sides sees the other's doing.
    pub(super) async fn declare_wait(
        &self,
        link: &Link,
        target: &Queue,
        wait: Duration,
    ) -> Result<String> {
        let (name, seconds) = self.wait_queue(target, wait)?;
        if self.lock().contains(&name) {
            return Ok(name);
        }
        let home = self.name(target)?;
        // A delay queue whose home is gone would keep its messages for ever.
        passive(link, &home).await?;
        declare(link, &name, self.waiting(target, seconds)?).await?;
        match passive(link, &home).await {
            Err(failure) if failure.remedy == Remedy::GiveUp => {
                let channel = link.channel().await?;
                delete(link, &channel, &name).await?;
                return Err(failure);
            }
            found => drop(found?),
        }
        // Perhaps another process made it a moment ago.
        sleep(self.settle).await;
        self.lock().insert(name.clone());
        Ok(name)
    }

    /// Forgets a delay queue that turned out not to exist.
    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    /// The queues of what is tried again, those of the waits among them; not all of them exist.
    pub(super) fn again(&self, job: &JobId) -> Result<Vec<String>> {
        let again = Queue::Again(job.clone());
        let mut names = vec![self.name(&again)?];
        for seconds in WAITS {
            names.push(self.wait_queue(&again, Duration::from_secs(seconds))?.0);
        }
        Ok(names)
    }

    pub(super) async fn delete_job(&self, link: &Link, job: &JobId) -> Result<()> {
        // The home of the delay queues first: see `declare_wait`.
        let mut names = self.again(job)?;
        names.insert(1, self.name(&Queue::Copy(job.clone()))?);
        let channel = link.channel().await?;
        for name in names {
            self.forget(&name);
            delete(link, &channel, &name).await?;
        }
        Ok(())
    }

    /// Arguments of a delay queue.
    fn waiting(&self, target: &Queue, seconds: u64) -> Result<FieldTable> {
        let mut table = quorum();
        let milliseconds = i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        table.insert("x-message-ttl".into(), AMQPValue::LongLongInt(milliseconds));
        dead_letter_to(&mut table, &self.name(target)?);
        Ok(table)
    }

    fn arguments(&self, queue: &Queue) -> Result<FieldTable> {
        let mut table = quorum();
        if *queue != Queue::Parked {
            dead_letter_to(&mut table, &self.name(&Queue::Parked)?);
        }
        match queue {
            Queue::Copy(_) => {
                let bound = i64::try_from(self.copy_bound).unwrap_or(i64::MAX);
                table.insert("x-max-length".into(), AMQPValue::LongLongInt(bound));
            }
            Queue::Outcome => {
                table.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
            }
            _ => {}
        }
        Ok(table)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn quorum() -> FieldTable {
    let mut table = FieldTable::default();
    put_text(&mut table, "x-queue-type", "quorum");
    table.insert(
        "x-delivery-limit".into(),
        AMQPValue::LongLongInt(DELIVERY_LIMIT),
    );
    table
}

/// Dead letters leave the queue only when they are confirmed where they go.
fn dead_letter_to(table: &mut FieldTable, queue: &str) {
    put_text(table, "x-dead-letter-exchange", "");
    put_text(table, "x-dead-letter-routing-key", queue);
    put_text(table, "x-dead-letter-strategy", "at-least-once");
    // Demanded by that strategy, and the copy queue's bound is made of it.
    put_text(table, "x-overflow", "reject-publish");
}

fn put_text(table: &mut FieldTable, name: &str, value: &str) {
    table.insert(name.into(), AMQPValue::LongString(value.into()));
}

/// Declares a queue. Where that is not permitted it is enough that the queue is there.
async fn declare(link: &Link, name: &str, arguments: FieldTable) -> Result<()> {
    let channel = link.channel().await?;
    let options = QueueDeclareOptions::durable();
    let call = channel.queue_declare(name.into(), options, arguments);
    // The call's own error tells more than its summary.
    let outcome = answer(&link.address, "to declare a queue", async {
        Ok(call.await)
    })
    .await?;
    match outcome {
        Ok(_) => Ok(()),
        Err(error) if is_denied(&error) => passive(link, name)
            .await
            .map(drop)
            .map_err(|_| declare_failure(&link.address, name, &error)),
        Err(error) => Err(declare_failure(&link.address, name, &error)),
    }
}

async fn delete(link: &Link, channel: &Channel, name: &str) -> Result<()> {
    let delete = channel.queue_delete(name.into(), QueueDeleteOptions::default());
    answer(&link.address, "to delete a queue", delete)
        .await
        .map(drop)
}

async fn exists(link: &Link, name: &str) -> Result<bool> {
    match passive(link, name).await {
        Ok(_) => Ok(true),
        Err(failure) if failure.remedy == Remedy::GiveUp => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// How full a queue is that exists.
pub(super) async fn passive(link: &Link, name: &str) -> Result<Depth> {
    let channel = link.channel().await?;
    let options = QueueDeclareOptions::default().passive();
    let call = channel.queue_declare(name.into(), options, FieldTable::default());
    let queue = answer(&link.address, "to look at a queue", call).await?;
    Ok(Depth {
        ready: queue.message_count().into(),
        consumers: queue.consumer_count().into(),
    })
}

/// The same of a queue that need not exist.
pub(super) async fn found(link: &Link, name: &str) -> Result<Depth> {
    match passive(link, name).await {
        Err(failure) if failure.remedy == Remedy::GiveUp => Ok(Depth::default()),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::MAX_WAIT;

    #[test]
    fn a_wait_is_rounded_up_to_a_queue_never_down() {
        let topology = Topology::new(&AmqpOptions {
            prefix: "p.".into(),
            ..AmqpOptions::default()
        });
        let job = JobId::new("j-1");
        for (milliseconds, name) in [
            (1, "p.wait.j-1.1"),
            (1000, "p.wait.j-1.1"),
            (1001, "p.wait.j-1.2"),
            (299_999, "p.wait.j-1.300"),
            (3_600_000, "p.wait.j-1.3600"),
        ] {
            let wait = Duration::from_millis(milliseconds);
            let found = topology
                .wait_queue(&Queue::Again(job.clone()), wait)
                .unwrap();
            assert_eq!(found.0, name);
        }
        let found = topology.wait_queue(&Queue::List, Duration::from_secs(5));
        assert_eq!(found.unwrap().0, "p.wait.list.5");
        assert_eq!(WAITS.last().copied(), Some(MAX_WAIT.as_secs()));
    }

    #[test]
    fn a_name_beyond_the_limit_of_amqp_is_refused() {
        let topology = Topology::new(&AmqpOptions::default());
        let job = JobId::new("j".repeat(251));
        assert!(topology.name(&Queue::Copy(job)).is_err());
    }
}
