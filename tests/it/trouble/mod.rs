//! A fleet on a real RabbitMQ that is in trouble, and whose roles are stopped: the job goes on, with
//! exact totals.

mod broker;
mod pressure;
mod stop;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blobfleet::broker::Broker;
use blobfleet::broker::amqp::{AmqpBroker, AmqpOptions};
use serde_json::Value;
use simcloud::{ACCOUNT, Action, Object, OpKind};
use tempfile::TempDir;

use crate::bad_input::run::{Ended, Running, World};
use crate::gate::Gate;
use crate::rabbitmq::Node;

const OBJECTS: u64 = 6_000;
/// Objects worked on at a time by a copier.
const CONCURRENCY: u64 = 16;
const WAIT: &str = "lister s3://many {blob}/cont --recursive --output-type json --wait";

/// A fleet of its own: the programs' queues have fixed names.
struct Fleet {
    world: World,
    node: Node,
    home: TempDir,
}

impl Fleet {
    async fn start() -> Self {
        let world = World::start().await;
        world.cloud.add_bucket("many", "eu-west-1");
        let objects = (0..OBJECTS).map(|n| (format!("k{n:04}"), Object::generated(n, 100)));
        world.cloud.put_objects("many", objects);
        Self {
            world,
            node: Node::start(),
            home: TempDir::new().unwrap(),
        }
    }

    fn role(&self, line: &str) -> Running {
        let env = [("BLOBFLEET_BROKER", self.node.url())];
        let env = [(env[0].0, env[0].1.as_str())];
        self.world.start_in(line, &env, self.home.path())
    }

    fn copier(&self) -> Running {
        self.role(&format!("copier --concurrency {CONCURRENCY}"))
    }

    /// Holds every copy after so many more.
    fn hold_after(&self, count: u64) -> Gate {
        let gate = Gate::default();
        let (held, seen) = (gate.clone(), AtomicU64::new(0));
        self.world.cloud.on_request(move |op| match op.kind {
            OpKind::PutBlobFromUrl if seen.fetch_add(1, Ordering::Relaxed) >= count => {
                held.action()
            }
            _ => Action::Pass,
        });
        gate
    }

    /// Blobs written so far, those that were written again included.
    fn writes(&self) -> u64 {
        self.world.cloud.write_totals(ACCOUNT).0
    }

    /// Waits until so many copies have been asked for.
    async fn copies(&self, count: u64) {
        let reached = async {
            while self.world.cloud.requests(OpKind::PutBlobFromUrl) < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(100), reached).await;
        reached.unwrap_or_else(|_| panic!("there were not {count} copies"));
    }

    /// The job's end: everything copied, nothing parked, every blob what was sent.
    async fn completed(&self, waiting: Running) -> Value {
        let ended: Ended = self.world.ended(WAIT, waiting).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.totals(), [OBJECTS, OBJECTS, 0, 0], "{ended:?}");
        let url = self.node.url();
        let broker = AmqpBroker::connect(&url, AmqpOptions::default()).await;
        assert_eq!(broker.unwrap().parked(9).await.unwrap(), []);
        let (objects, blobs) = (
            self.world.cloud.objects("many"),
            self.world.cloud.blobs(ACCOUNT),
        );
        assert_eq!(objects.len(), blobs.len());
        for ((key, content), (_, blob)) in objects.iter().zip(blobs) {
            assert!(*key == blob.name && blob.equals(content), "{key}");
        }
        ended.summary()
    }

    /// SIGTERM, and a clean end.
    async fn stop(&self, roles: impl IntoIterator<Item = (&str, Running)>) {
        for (line, running) in roles {
            running.terminate();
            let ended = self.world.ended(line, running).await;
            assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
        }
    }
}
