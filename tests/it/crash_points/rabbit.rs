//! The fleet on RabbitMQ: the role itself is killed at the point, and another is started.

use std::ops::RangeInclusive;
use std::time::Duration;

use blobfleet::board;
use blobfleet::broker::amqp::{AmqpBroker, AmqpOptions};
use blobfleet::broker::{Broker, Queue};

use super::proxy::Proxy;
use super::world::{PAGE, PAGES, World, counted_until, pages_counted, removed_until, until};
use super::{ALL_TASKS, FOLDED, IN_OUTBOX, PUBLISHED, Point, REPORTED, SOME_TASKS, WRITTEN};
use crate::rabbitmq;
use crate::roles::Role;

/// How long a job may take once nothing is in its way.
const LONGEST: Duration = Duration::from_secs(120);
/// Objects a copier works on at a time.
const CONCURRENCY: u64 = 16;

/// A fleet on a vhost of its own, one role of which goes to the broker by way of a proxy.
struct Fleet {
    world: World,
    broker: String,
    proxy: Proxy,
}

impl Fleet {
    async fn start(point: Point) -> Self {
        let broker = rabbitmq::vhost_url();
        Self {
            world: World::start().await,
            proxy: Proxy::start(&broker, point).await,
            broker,
        }
    }

    fn reporter(&self) -> Role {
        self.world.site.reporter(&self.broker)
    }

    fn copier(&self) -> Role {
        self.copier_at(&self.broker)
    }

    fn copier_at(&self, broker: &str) -> Role {
        let concurrency = format!("--concurrency={CONCURRENCY}");
        self.world.site.worker("copier", broker, &[&concurrency])
    }

    /// The lister that submits the job, and waits for its end.
    fn submit(&self) -> Role {
        self.submit_at(&self.broker)
    }

    fn submit_at(&self, broker: &str) -> Role {
        let job = self.world.job();
        let mut args: Vec<&str> = job.iter().map(String::as_str).collect();
        args.extend(["--wait", "--broker", broker]);
        self.world.site.start("lister", &args)
    }

    /// Waits until the role is held up at the point, and kills it.
    async fn kill_there(&self, role: Role) {
        self.proxy.reached().await;
        role.kill();
    }

    async fn assert_exact(
        &self,
        submitter: Role,
        listed: RangeInclusive<u64>,
        failed: RangeInclusive<u64>,
    ) {
        let (code, summary) = submitter.finish(LONGEST).await;
        self.world.assert_exact((code, &summary), listed, failed);
    }
}

/// A lister is killed at the point, in its first page. Copiers come later, so that nothing is
/// copied before the bucket has changed.
async fn lister(point: Point, changed: bool) {
    let fleet = Fleet::start(point).await;
    let _reporter = fleet.reporter();
    let lister = fleet.submit_at(fleet.proxy.url());
    fleet.kill_there(lister).await;
    let before = fleet.world.keys();
    if changed {
        fleet.world.change();
    }
    let now = fleet.world.keys();
    let _copier = fleet.copier();
    let again = fleet.submit();

    // The page that was reported first counts, with the keys that were there then.
    let first_counts = point == super::PAGE;
    let last = "k099";
    let (listed, failed) = match first_counts && changed {
        true => (counted_until(last, &before, &now), removed_until(last)),
        false => (now.len() as u64, 0),
    };
    fleet
        .assert_exact(again, listed..=listed, failed..=failed)
        .await;
    // The first page is listed twice, and where it was reported perhaps the second too; what came
    // to the bucket takes a page more.
    let least = PAGES + 1 + u64::from(changed);
    let second = fleet.world.pages_listed().checked_sub(least).unwrap();
    assert!(second <= u64::from(first_counts), "{second}");
    assert!(fleet.world.repeated() <= (1 + second) * PAGE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lister_after_some_copy_tasks() {
    lister(SOME_TASKS, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lister_after_some_copy_tasks_of_a_bucket_that_changes() {
    lister(SOME_TASKS, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lister_after_all_copy_tasks() {
    lister(ALL_TASKS, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lister_after_all_copy_tasks_of_a_bucket_that_changes() {
    lister(ALL_TASKS, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lister_after_its_page() {
    lister(super::PAGE, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lister_after_its_page_of_a_bucket_that_changes() {
    lister(super::PAGE, true).await;
}

/// A copier is killed at the point; at least one blob is written then, and asked for again.
async fn copier(point: Point) {
    let fleet = Fleet::start(point).await;
    let _reporter = fleet.reporter();
    let copier = fleet.copier_at(fleet.proxy.url());
    let submitter = fleet.submit();
    fleet.kill_there(copier).await;
    let _another = fleet.copier();
    let objects = fleet.world.keys().len() as u64;
    fleet
        .assert_exact(submitter, objects..=objects, 0..=0)
        .await;
    let again = fleet.world.asked_again();
    assert!((1..=2 * CONCURRENCY).contains(&again), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copier_after_a_blob() {
    copier(WRITTEN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copier_after_an_outcome() {
    copier(REPORTED).await;
}

/// A reporter is killed at the point; gives how many pages were listed.
async fn reporter(point: Point) -> u64 {
    let fleet = Fleet::start(point).await;
    let reporter = fleet.world.site.reporter(fleet.proxy.url());
    let _copier = fleet.copier();
    let submitter = fleet.submit();
    fleet.kill_there(reporter).await;
    if point == FOLDED {
        let folder = fleet.world.site.ledger();
        assert!(pages_counted(&folder) > 0, "not folded, or not durable");
    }
    let _another = fleet.reporter();
    let objects = fleet.world.keys().len() as u64;
    fleet
        .assert_exact(submitter, objects..=objects, 0..=0)
        .await;
    fleet.world.pages_listed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reporter_after_a_fold() {
    assert_eq!(reporter(FOLDED).await, PAGES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reporter_before_its_outbox_is_sent() {
    assert_eq!(reporter(IN_OUTBOX).await, PAGES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reporter_that_sends_a_list_task_twice() {
    assert_eq!(reporter(PUBLISHED).await, PAGES + 1);
}

/// The second page is listed by the first of two list tasks, then the bucket changes, then it is
/// listed by the second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reporter_that_sends_a_list_task_twice_while_the_bucket_changes() {
    let fleet = Fleet::start(PUBLISHED).await;
    let reporter = fleet.world.site.reporter(fleet.proxy.url());
    let submitter = fleet.submit();
    fleet.kill_there(reporter).await;
    let before = fleet.world.keys();
    second_page_reported(&fleet.broker).await;
    fleet.world.change();
    let now = fleet.world.keys();
    let _copier = fleet.copier();
    let _another = fleet.reporter();

    let last = "k199";
    let listed = counted_until(last, &before, &now);
    let failed = removed_until(last);
    fleet
        .assert_exact(submitter, listed..=listed, failed..=failed)
        .await;
    // The second page is listed twice; what came to the bucket takes a page more.
    assert_eq!(fleet.world.pages_listed(), PAGES + 2);
}

/// Waits until the copy tasks of two pages and the report of the second are in their queues.
async fn second_page_reported(broker: &str) {
    let options = AmqpOptions::default();
    let broker = AmqpBroker::connect(broker, options).await.unwrap();
    let jobs = board::read(&*broker).await.unwrap();
    let job = jobs.iter().next().unwrap().spec.id.clone();
    let depth = async |queue| broker.depth(&queue).await.unwrap().ready;
    until("the second page is reported", async || {
        depth(Queue::Copy(job.clone())).await == 2 * PAGE && depth(Queue::Outcome).await > 0
    })
    .await;
    broker.close().await.unwrap();
}
