//! The broker of a fleet: RabbitMQ 3.10 or later, over AMQP 0-9-1.
//!
//! - `address` the URL, `link` a connection that is made anew, `contact` whether there is one,
//!   `trouble` what errors mean;
//! - `topology` the queues, `envelope` how a message travels;
//! - `publisher` confirmed batches, `consumer` windows, `log` the job log;
//! - `wake` takes messages out of the delay queues before their time.
//!
//! Publishing and consuming have a connection each: an alarm at the broker blocks the one that
//! publishes, and acknowledgements must go on. Every answer has a deadline.

mod address;
mod consumer;
mod contact;
mod envelope;
mod link;
mod log;
mod publisher;
mod topology;
mod trouble;
mod wake;

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use prometheus::IntGauge;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

use self::address::Address;
use self::consumer::{AmqpConsumer, peek};
use self::contact::Contact;
use self::envelope::{Outgoing, envelope, parked};
use self::link::{Link, Pauses};
use self::log::AmqpLogReader;
use self::publisher::Publisher;
use self::topology::{Topology, found};
use super::embedded::COPY_BOUND;
use super::{Broker, Consumer, Depth, LogReader, Parked, PublishFailure, Queue};
use crate::failure::{Failure, Reason, Remedy, Result};
use crate::job::JobId;
use crate::message::Envelope;

/// Between two attempts to write to a job log that is just being made.
const LOG_PAUSE: Duration = Duration::from_millis(250);

/// How long a job's queues are tried to be made.
const DECLARE_FOR: Duration = Duration::from_secs(600);
/// How long the last look for leftovers of ended jobs may take.
const LAST_SWEEP: Duration = Duration::from_secs(3);

/// How to use a RabbitMQ.
#[derive(Clone, Debug)]
pub struct AmqpOptions {
    /// How long to wait at start for a broker that is not up yet.
    pub wait: Duration,
    /// Names the connections in RabbitMQ's own lists, e.g. `blobfleet copier`.
    pub name: String,
    /// Messages ready in a copy queue before RabbitMQ refuses more; the same for all roles.
    pub copy_bound: u64,
    /// How long any answer of the broker may take once connected.
    pub deadline: Duration,
    /// How long a queue that was just made is left alone before anything is published to it.
    ///
    /// RabbitMQ enters a new quorum queue into a table that it writes up to 3 s later. A node
    /// that is killed in between comes back with the queue empty, whatever it had confirmed
    /// (rabbitmq-server issue 15725; seen on 3.10.8).
    pub settle: Duration,
    /// How long after a job's removal it is removed once more: a copier that was just joining it
    /// may have made some of its queues anew.
    pub sweep: Duration,
    /// Put before every queue name, so that several fleets can share a vhost.
    pub prefix: String,
    /// Set to 1 while the broker can be reached, and to 0 while it cannot.
    pub connected: Option<IntGauge>,
}

impl Default for AmqpOptions {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(30),
            name: "blobfleet".into(),
            copy_bound: COPY_BOUND,
            deadline: Duration::from_secs(30),
            settle: Duration::from_millis(3500),
            sweep: Duration::from_secs(60),
            prefix: String::new(),
            connected: None,
        }
    }
}

/// The broker of a fleet.
#[derive(Debug)]
pub struct AmqpBroker {
    core: Arc<Core>,
}

/// What the broker shares with its consumers and deliveries.
#[derive(Debug)]
struct Core {
    publisher: Publisher,
    consuming: Link,
    topology: Topology,
    /// Channels of consumers that have ended.
    lingering: TaskTracker,
    /// Jobs that were removed and will be once more.
    removed: Mutex<HashSet<JobId>>,
    sweep: Duration,
}

impl AmqpBroker {
    /// Connects and declares what does not belong to a job.
    ///
    /// # Errors
    /// The URL is wrong; the broker refuses user, password or vhost (at once); it is out of reach
    /// for longer than [`AmqpOptions::wait`]; a queue exists with other arguments.
    pub async fn connect(url: &str, options: AmqpOptions) -> Result<Arc<Self>> {
        let address = Address::parse(url, options.deadline)?;
        let contact = Arc::new(Contact::new(options.connected.clone()));
        let link = |purpose: &str| {
            let name = format!("{} ({purpose})", options.name);
            Link::new(address.clone(), name, contact.clone())
        };
        let topology = Topology::new(&options);
        let core = Core {
            publisher: Publisher::new(link("publish"), topology.common_names()),
            consuming: link("consume"),
            topology,
            lingering: TaskTracker::new(),
            removed: Mutex::default(),
            sweep: options.sweep,
        };
        let seconds = options.wait.as_secs();
        core.consuming
            .channel_within(options.wait)
            .await
            .map_err(|failure| waited(failure, seconds))?;
        core.declare_common(options.wait)
            .await
            .map_err(|failure| waited(failure, seconds))?;
        Ok(Arc::new(Self {
            core: Arc::new(core),
        }))
    }
}

/// Names the time that was spent in vain.
fn waited(failure: Failure, seconds: u64) -> Failure {
    match failure.remedy {
        Remedy::Retry => Failure::stop(
            Reason::BrokerUnavailable,
            format!("waited {seconds} s for the broker: {failure}: is it running there?"),
        ),
        _ => failure,
    }
}

impl Core {
    /// Declares what is there whatever the jobs, and waits until the log takes records.
    ///
    /// Where programs start together on a broker that is new, RabbitMQ answers a publish to the
    /// stream that another of them is just declaring with 506 or 541 and closes the connection
    /// (seen on 3.10.8). So it is tried here, with a marker, which every reader passes over.
    async fn declare_common(&self, wait: Duration) -> Result<()> {
        let until = Instant::now() + wait;
        loop {
            let tried = self.try_log().await;
            match tried {
                Err(failure) if failure.remedy == Remedy::Retry && Instant::now() < until => {
                    tracing::debug!(%failure, "the job log takes no records yet");
                    sleep(LOG_PAUSE).await;
                }
                tried => return tried,
            }
        }
    }

    async fn try_log(&self) -> Result<()> {
        self.topology.declare_common(&self.consuming).await?;
        let log = self.topology.log();
        self.publish_one(&log, Outgoing::marker("start")).await
    }

    async fn publish_one(&self, queue: &str, message: Outgoing) -> Result<()> {
        let published = self.publisher.publish(queue, vec![message]).await;
        published.map_err(|error| error.failure)
    }

    /// Publishes so that the message arrives after `wait`, through a queue whose messages expire.
    async fn publish_later(&self, queue: &Queue, message: Envelope, wait: Duration) -> Result<()> {
        let message = Outgoing::new(message);
        if wait.is_zero() {
            return self.publish_one(&self.topology.name(queue)?, message).await;
        }
        let link = &self.publisher.link;
        let name = self.topology.declare_wait(link, queue, wait).await?;
        let published = self.publish_one(&name, message).await;
        if matches!(&published, Err(failure) if failure.remedy == Remedy::GiveUp) {
            self.topology.forget(&name);
        }
        published
    }
}

impl Core {
    /// Removes again what is left of a job, unless it has begun again.
    async fn sweep(&self, job: &JobId) {
        let mut removed = self.removed.lock().await;
        if !removed.remove(job) {
            return;
        }
        if let Err(failure) = self.topology.delete_job(&self.consuming, job).await {
            tracing::debug!(job.id = %job, %failure, "queues of an ended job may be left");
        }
    }
}

async fn sweep_later(core: Weak<Core>, job: JobId, after: Duration) {
    sleep(after).await;
    if let Some(core) = core.upgrade() {
        core.sweep(&job).await;
    }
}

#[async_trait]
impl Broker for AmqpBroker {
    async fn declare_job(&self, job: &JobId) -> Result<()> {
        // A job that begins again is not swept away; whoever sweeps holds the lock.
        self.core.removed.lock().await.remove(job);
        let Core {
            topology,
            consuming,
            ..
        } = &*self.core;
        // A role that begins with a job just as the broker is away must not end by that.
        let until = Instant::now() + DECLARE_FOR;
        let mut pauses = Pauses::new();
        loop {
            match topology.declare_job(consuming, job).await {
                Err(failure) if failure.remedy == Remedy::Retry && Instant::now() < until => {
                    tracing::warn!(job.id = %job, %failure, "a job's queues cannot be made yet");
                    sleep(pauses.next()).await;
                }
                declared => return declared,
            }
        }
    }

    async fn delete_job(&self, job: &JobId) -> Result<()> {
        let mut removed = self.core.removed.lock().await;
        let Core {
            topology,
            consuming,
            sweep,
            ..
        } = &*self.core;
        topology.delete_job(consuming, job).await?;
        if removed.insert(job.clone()) {
            drop(tokio::spawn(sweep_later(
                Arc::downgrade(&self.core),
                job.clone(),
                *sweep,
            )));
        }
        Ok(())
    }

    async fn publish(&self, queue: &Queue, messages: Vec<Envelope>) -> Result<(), PublishFailure> {
        let name = self.core.topology.name(queue);
        let name = name.map_err(|failure| PublishFailure {
            confirmed: 0,
            failure,
        })?;
        let messages = messages.into_iter().map(Outgoing::new).collect();
        self.core.publisher.publish(&name, messages).await
    }

    async fn consume(&self, queue: &Queue, window: u16) -> Result<Box<dyn Consumer>> {
        let core = Arc::clone(&self.core);
        let consumer = AmqpConsumer::start(core, queue.clone(), window).await?;
        Ok(Box::new(consumer))
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>> {
        let name = self.core.topology.name(&Queue::Parked)?;
        let found = peek(&self.core, &name, limit).await?;
        let parked = found.into_iter().map(|(properties, body)| {
            let (queue, reason) = parked(&properties);
            Parked {
                message: envelope(&properties, body),
                queue,
                reason,
            }
        });
        Ok(parked.collect())
    }

    async fn depth(&self, queue: &Queue) -> Result<Depth> {
        let name = self.core.topology.name(queue)?;
        found(&self.core.consuming, &name).await
    }

    async fn again(&self, job: &JobId) -> Result<u64> {
        let Core {
            topology,
            consuming,
            ..
        } = &*self.core;
        let mut count = 0;
        for name in topology.again(job)? {
            count += found(consuming, &name).await?.ready;
        }
        Ok(count)
    }

    async fn wake(&self, job: &JobId) -> Result<u64> {
        wake::wake(&self.core, job).await
    }

    async fn append(&self, record: Envelope) -> Result<()> {
        let log = self.core.topology.log();
        self.core.publish_one(&log, Outgoing::new(record)).await
    }

    async fn read_log(&self) -> Result<Vec<Envelope>> {
        AmqpLogReader::new(Arc::clone(&self.core)).read_all().await
    }

    async fn follow_log(&self) -> Result<Box<dyn LogReader>> {
        Ok(Box::new(AmqpLogReader::new(Arc::clone(&self.core))))
    }

    async fn close(&self) -> Result<()> {
        let removed: Vec<_> = self.core.removed.lock().await.iter().cloned().collect();
        let sweep = async {
            for job in removed {
                self.core.sweep(&job).await;
            }
        };
        // A broker that is away does not hold up the end of the program.
        timeout(LAST_SWEEP, sweep).await.ok();
        self.core.lingering.close();
        self.core.lingering.wait().await;
        self.core.publisher.close().await;
        self.core.consuming.close().await;
        Ok(())
    }
}
