//! The embedded broker against a small model: random operations, ends in order and by a kill.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use blobfleet::broker::embedded::EmbeddedBroker;
use blobfleet::broker::{Broker, Consumer, Delivery, Queue};
use blobfleet::failure::Reason;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::broker_fixture::{job, message};

const BOUND: usize = 8;
const WINDOW: usize = 3;
/// A timer may ring this much late.
const LATE: Duration = Duration::from_millis(60);

#[derive(Clone, Debug)]
enum Step {
    Publish(usize, u32),
    Take(usize),
    Ack(usize),
    Again(usize, u64),
    Park(usize),
    Drop(usize),
    DropConsumer(usize),
    Append,
    Pass(u64),
    Reopen,
    Kill,
    NewJob,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_usize, 0..6_u32).prop_map(|(queue, count)| Step::Publish(queue, count)),
        8 => (0..4_usize).prop_map(Step::Take),
        3 => any::<usize>().prop_map(Step::Ack),
        3 => (any::<usize>(), prop_oneof![Just(0), Just(1), Just(60)])
            .prop_map(|(which, wait)| Step::Again(which, wait)),
        1 => any::<usize>().prop_map(Step::Park),
        2 => any::<usize>().prop_map(Step::Drop),
        1 => (0..4_usize).prop_map(Step::DropConsumer),
        1 => Just(Step::Append),
        2 => prop_oneof![Just(2), Just(100)].prop_map(Step::Pass),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
        1 => Just(Step::NewJob),
    ]
}

fn queues() -> [Queue; 4] {
    let (copy, again) = (Queue::Copy(job()), Queue::Again(job()));
    [Queue::List, Queue::Outcome, copy, again]
}

/// Where what is tried again goes.
fn again_of(queue: usize) -> usize {
    if queue == 2 { 3 } else { queue }
}

#[derive(Debug)]
struct Later {
    due: Instant,
    queue: usize,
    seq: u64,
    number: u32,
}

/// What should be where. Numbers name messages, `seq` is their order.
#[derive(Debug, Default)]
struct Model {
    next: u64,
    ready: [BTreeMap<u64, u32>; 4],
    /// Those whose order among each other is left open: their time came together.
    loose: HashMap<u32, ()>,
    later: Vec<Later>,
    parked: Vec<(u32, String)>,
    log: Vec<u32>,
}

impl Model {
    fn seq(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn insert(&mut self, queue: usize, number: u32) {
        let seq = self.seq();
        self.ready[queue].insert(seq, number);
    }

    fn ring(&mut self, now: Instant) {
        let (due, later) = self.later.drain(..).partition(|one| one.due + LATE <= now);
        self.later = later;
        let due: Vec<Later> = due;
        for one in due {
            self.loose.insert(one.number, ());
            self.insert(one.queue, one.number);
        }
    }

    fn uncertain(&self, now: Instant) -> bool {
        self.later
            .iter()
            .any(|one| one.due <= now && now < one.due + LATE)
    }

    /// Accepts what was taken from a queue; gives its place.
    fn take(&mut self, queue: usize, number: u32) -> u64 {
        let ready = &mut self.ready[queue];
        let found = ready
            .iter()
            .find(|(_, one)| **one == number)
            .map(|(seq, _)| *seq);
        let seq = found.unwrap_or_else(|| panic!("{number} is not ready in {queue}: {ready:?}"));
        let loose = &self.loose;
        let older = ready
            .range(..seq)
            .find(|(_, one)| !loose.contains_key(*one));
        let open = loose.contains_key(&number);
        assert!(open || older.is_none(), "{number} before {older:?}");
        ready.remove(&seq);
        seq
    }

    fn wake_all(&mut self) {
        for one in std::mem::take(&mut self.later) {
            self.ready[one.queue].insert(one.seq, one.number);
        }
    }
}

struct Held {
    delivery: Delivery,
    queue: usize,
    seq: u64,
    number: u32,
}

struct World {
    dir: TempDir,
    broker: Arc<EmbeddedBroker>,
    consumers: HashMap<usize, Box<dyn Consumer>>,
    held: Vec<Held>,
    model: Model,
    numbers: u32,
}

fn open(dir: &Path) -> Arc<EmbeddedBroker> {
    EmbeddedBroker::open_with(dir, BOUND as u64).unwrap()
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let broker = open(dir.path());
        broker.declare_job(&job()).await.unwrap();
        Self {
            dir,
            broker,
            consumers: HashMap::new(),
            held: Vec::new(),
            model: Model::default(),
            numbers: 0,
        }
    }

    fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    /// Waits until everything asked for so far is in the file, and no timer is about to ring.
    async fn settle(&mut self) {
        while self.model.uncertain(Instant::now()) {
            sleep(LATE).await;
        }
        self.broker.publish(&Queue::List, Vec::new()).await.unwrap();
        self.model.ring(Instant::now());
    }

    async fn run(&mut self, step: Step) {
        self.settle().await;
        match step {
            Step::Publish(queue, count) => self.publish(queue, count).await,
            Step::Take(queue) => self.take(queue).await,
            Step::DropConsumer(queue) => self.drop_consumer(queue).await,
            Step::Append => {
                let number = self.number();
                self.broker.append(message(number)).await.unwrap();
                self.model.log.push(number);
            }
            Step::Pass(seconds) => sleep(Duration::from_secs(seconds)).await,
            Step::Reopen => {
                self.broker.close().await.unwrap();
                self.restart();
            }
            Step::Kill => self.kill(),
            Step::NewJob => self.new_job().await,
            Step::Ack(which) | Step::Again(which, _) | Step::Park(which) | Step::Drop(which) => {
                if !self.held.is_empty() {
                    let which = which % self.held.len();
                    let held = self.held.swap_remove(which);
                    self.finish(held, step).await;
                }
            }
        }
        self.settle().await;
        self.compare().await;
    }

    async fn publish(&mut self, queue: usize, count: u32) {
        let numbers: Vec<u32> = (0..count).map(|_| self.number()).collect();
        let batch = numbers.iter().map(|number| message(*number)).collect();
        let result = self.broker.publish(&queues()[queue], batch).await;
        let room = match queue {
            2 => BOUND.saturating_sub(self.model.ready[2].len()),
            _ => usize::MAX,
        };
        let fit = room.min(numbers.len());
        match result {
            Ok(()) => assert_eq!(fit, numbers.len()),
            Err(refused) => {
                assert_eq!(refused.failure.reason, Reason::QueueFull);
                assert_eq!(refused.confirmed, fit);
                assert!(fit < numbers.len());
            }
        }
        numbers[..fit]
            .iter()
            .for_each(|number| self.model.insert(queue, *number));
    }

    async fn take(&mut self, queue: usize) {
        let name = &queues()[queue];
        let window = u16::try_from(WINDOW).unwrap();
        if !self.consumers.contains_key(&queue) {
            let consumer = self.broker.consume(name, window).await.unwrap();
            self.consumers.insert(queue, consumer);
        }
        let held = self.held.iter().filter(|one| one.queue == queue).count();
        let expected = held < WINDOW && !self.model.ready[queue].is_empty();
        let consumer = self.consumers.get_mut(&queue).unwrap();
        match timeout(Duration::from_millis(1), consumer.next()).await {
            Ok(delivery) => {
                assert!(expected, "nothing was to be had");
                let delivery = delivery.unwrap();
                let number = delivery.message.headers.index;
                assert_eq!(delivery.message, message(number));
                let seq = self.model.take(queue, number);
                self.held.push(Held {
                    delivery,
                    queue,
                    seq,
                    number,
                });
            }
            Err(_) => assert!(!expected, "nothing came from {:?}", self.model.ready[queue]),
        }
    }

    async fn finish(&mut self, held: Held, step: Step) {
        let Held {
            delivery,
            queue,
            seq,
            number,
        } = held;
        match step {
            Step::Ack(_) => delivery.ack().await.unwrap(),
            Step::Again(_, seconds) => {
                let (new, wait) = (self.number(), Duration::from_secs(seconds));
                delivery.again(message(new), wait).await.unwrap();
                let queue = again_of(queue);
                if wait.is_zero() {
                    self.model.insert(queue, new);
                } else {
                    let later = Later {
                        due: Instant::now() + wait,
                        queue,
                        seq: self.model.seq(),
                        number: new,
                    };
                    self.model.later.push(later);
                }
            }
            Step::Park(_) => {
                delivery.park(&format!("reason {number}")).await.unwrap();
                self.model.parked.push((number, queues()[queue].name()));
            }
            _ => {
                drop(delivery);
                self.model.ready[queue].insert(seq, number);
            }
        }
    }

    async fn drop_consumer(&mut self, queue: usize) {
        if self.consumers.remove(&queue).is_none() {
            return;
        }
        for one in std::mem::take(&mut self.held) {
            if one.queue == queue {
                self.model.ready[queue].insert(one.seq, one.number);
                one.delivery.ack().await.unwrap_err();
            } else {
                self.held.push(one);
            }
        }
    }

    fn restart(&mut self) {
        for one in std::mem::take(&mut self.held) {
            self.model.ready[one.queue].insert(one.seq, one.number);
        }
        self.consumers.clear();
        self.model.wake_all();
        self.broker = open(self.dir.path());
    }

    /// Goes on with the files as they are at this moment, written but never closed.
    fn kill(&mut self) {
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        self.dir = copy;
        self.restart();
    }

    async fn new_job(&mut self) {
        for queue in [2, 3] {
            self.consumers.remove(&queue);
            self.held.retain(|one| one.queue != queue);
            self.model.later.retain(|one| one.queue != queue);
            self.model.ready[queue].clear();
        }
        self.broker.delete_job(&job()).await.unwrap();
        self.broker.declare_job(&job()).await.unwrap();
    }

    async fn compare(&self) {
        for (queue, ready) in queues().iter().zip(&self.model.ready) {
            let depth = self.broker.depth(queue).await.unwrap().ready;
            assert_eq!(depth, ready.len() as u64, "{queue:?}");
        }
        let parked = self.broker.parked(usize::MAX).await.unwrap();
        let found = parked
            .into_iter()
            .map(|one| (one.message, one.queue, one.reason));
        let expected =
            self.model.parked.iter().map(|(number, queue)| {
                (message(*number), queue.clone(), format!("reason {number}"))
            });
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        let log: Vec<_> = self
            .model
            .log
            .iter()
            .map(|number| message(*number))
            .collect();
        assert_eq!(self.broker.read_log().await.unwrap(), log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_embedded_broker_does_what_the_model_does(
        steps in prop::collection::vec(step(), 1..120)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.run(step).await;
            }
        });
    }
}
