//! A source without end, copies that are slow, and a broker with little memory: the lister is held
//! at the bound. For some seconds in the suite, for ten minutes by `tests/backpressure.sh`.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use blobfleet::board;
use blobfleet::broker::amqp::{AmqpBroker, AmqpOptions};
use blobfleet::broker::{Broker, Queue};
use blobfleet::config::environment;
use blobfleet::job::JobId;
use simcloud::{Action, Config, Keep, OpKind};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::bad_input::run::{Running, World};
use crate::rabbitmq::Node;

const OBJECTS: u64 = 20_000_000;
/// How RabbitMQ sees the machine in a container of this size: its memory alarm comes at 0.6 of it.
const LIMIT: &str = "total_memory_available_override_value = 512MB\n";
/// Copy tasks above which a lister pauses, and pages it may have begun by then.
const MARK: u64 = 20_000;
const PAGES: u64 = 8;
const PAGE: u64 = 1_000;
/// Pages listed after copies became fast, until the job is cancelled.
const ONWARD: u64 = 30;
/// How long it is held in the suite, in seconds.
const SHORT: u64 = 15;
/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(300);

const WAIT: &str = "lister s3://huge {blob}/cont --recursive --output-type json --wait";

struct Run {
    world: World,
    node: Node,
    home: TempDir,
    broker: std::sync::Arc<AmqpBroker>,
}

/// The most that was seen.
#[derive(Debug, Default)]
struct Most {
    broker_bytes: u64,
    waiting: u64,
}

impl Run {
    async fn start() -> Self {
        let keep = Keep::Digest;
        let config = Config {
            keep,
            ..Config::default()
        };
        let world = World::with(config).await;
        world
            .cloud
            .add_series_bucket("huge", "eu-west-1", "k", OBJECTS, 100);
        let node = Node::start_with(LIMIT);
        let broker = AmqpBroker::connect(&node.url(), AmqpOptions::default()).await;
        Self {
            world,
            node,
            home: TempDir::new().unwrap(),
            broker: broker.unwrap(),
        }
    }

    fn role(&self, line: &str) -> Running {
        let url = self.node.url();
        let env = [("BLOBFLEET_BROKER", url.as_str())];
        self.world.start_in(line, &env, self.home.path())
    }

    fn pages(&self) -> u64 {
        self.world.cloud.requests(OpKind::ListObjects)
    }

    fn copies(&self) -> u64 {
        self.world.cloud.requests(OpKind::PutBlobFromUrl)
    }

    async fn job(&self) -> JobId {
        loop {
            if let Some(job) = board::read(&*self.broker).await.unwrap().iter().last() {
                return job.spec.id.clone();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Looks at queue and broker: no alarm, and no more waiting than the bound.
    async fn look(&self, job: &JobId, most: &mut Most) -> u64 {
        let queue = Queue::Copy(job.clone());
        let waiting = self.broker.depth(&queue).await.unwrap().ready;
        let alarms = self.node.control(&["eval", "rabbit_alarm:get_alarms()."]);
        assert_eq!(alarms.trim(), "[]", "with {waiting} waiting");
        let limit =
            "{vm_memory_monitor:get_memory_limit(), vm_memory_monitor:get_process_memory()}.";
        let memory = self.node.control(&["eval", limit]);
        let numbers = memory.split(|one: char| !one.is_ascii_digit());
        let numbers: Vec<u64> = numbers.filter_map(|one| one.parse().ok()).collect();
        assert!(
            numbers[0] < 512 << 20,
            "the limit is not in force: {memory}"
        );
        most.broker_bytes = most.broker_bytes.max(numbers[1]);
        most.waiting = most.waiting.max(waiting);
        assert!(waiting <= MARK + PAGES * PAGE, "{waiting} waiting");
        waiting
    }

    /// Until the lister is held for the first time.
    async fn fills(&self, job: &JobId, most: &mut Most) {
        let begun = Instant::now();
        while self.look(job, most).await < MARK {
            assert!(begun.elapsed() < PATIENCE, "the bound is not reached");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// For so long nothing is listed but for what was copied.
    async fn holds(&self, job: &JobId, most: &mut Most, how_long: Duration) {
        let (begun, pages, copies) = (Instant::now(), self.pages(), self.copies());
        while begun.elapsed() < how_long {
            let waiting = self.look(job, most).await;
            let (pages, copies) = (self.pages() - pages, self.copies() - copies);
            let seconds = begun.elapsed().as_secs();
            println!("{seconds} s: {waiting} waiting, {pages} pages, {copies} copies");
            let most_pages = PAGES + copies / PAGE + 1;
            assert!(pages <= most_pages, "{pages} pages for {copies} copies");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Until so many more pages are listed.
    async fn goes_on(&self, job: &JobId, most: &mut Most) {
        let (begun, pages) = (Instant::now(), self.pages());
        while self.pages() < pages + ONWARD {
            self.look(job, most).await;
            assert!(begun.elapsed() < PATIENCE, "it does not go on");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let seconds = begun.elapsed().as_secs();
        println!("{ONWARD} pages in {seconds} s once copies were fast");
    }

    /// Cancels the job; its totals balance.
    async fn cancelled(&self, job: &JobId, address: SocketAddr, lister: Running) {
        let cancel = format!("blobfleet jobs cancel {job} --reporter http://{address}");
        let told = self.world.ended(&cancel, self.role(&cancel)).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        let ended = self.world.ended(WAIT, lister).await;
        let summary = ended.summary();
        assert_eq!(summary["status"], "Cancelled", "{ended:?}");
        let [listed, copied, skipped, failed] = ended.totals();
        let open = summary["objects_open"].as_u64().unwrap();
        assert_eq!(listed, copied + skipped + failed + open, "{ended:?}");
        assert_eq!((skipped, failed), (0, 0), "{ended:?}");
        assert!(copied <= self.copies() && copied < listed, "{ended:?}");
        println!("listed {listed}, copied {copied}, open {open}");
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lister_is_held_at_the_bound() {
    let held = environment("BLOBFLEET_HELD_SECONDS").map_or(SHORT, |text| text.parse().unwrap());
    let (run, address) = (Run::start().await, free_address());
    run.world.cloud.on_request(|op| match op.kind {
        OpKind::PutBlobFromUrl => Action::Delay(Duration::from_secs(2)),
        _ => Action::Pass,
    });
    let reporter = run.role(&format!("reporter --listen {address}"));
    let copier = run.role("copier --concurrency 32");
    let lister = run.role(WAIT);
    let (job, mut most) = (run.job().await, Most::default());
    run.fills(&job, &mut most).await;
    run.holds(&job, &mut most, Duration::from_secs(held)).await;
    run.world.cloud.clear_hook();
    run.goes_on(&job, &mut most).await;

    let roles = [&lister, &copier, &reporter];
    let [of_lister, of_copier, of_reporter] = roles.map(|role| role.peak_memory_kib() >> 10);
    run.cancelled(&job, address, lister).await;
    for (line, running) in [("copier", copier), ("reporter", reporter)] {
        running.terminate();
        let ended = run.world.ended(line, running).await;
        assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
    }
    println!(
        "at most {} waiting; at most {} MiB: broker, {of_lister} lister, {of_copier} copier, \
         {of_reporter} reporter",
        most.waiting,
        most.broker_bytes >> 20
    );
}
