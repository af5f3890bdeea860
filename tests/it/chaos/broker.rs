//! The broker of the run: a node of our own, which can be killed and asked, or one that is given.

use std::collections::BTreeSet;
use std::fs;

use blobfleet::job::JobId;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};

use crate::rabbitmq::Node;

/// The seconds that delay queues are made for.
const WAITS: [u64; 10] = [1, 2, 5, 10, 30, 60, 120, 300, 900, 3600];

/// Where the fleet's messages are.
#[derive(Debug)]
pub(super) enum Rabbit {
    Own(Box<Node>),
    Given(String),
}

impl Rabbit {
    pub(super) fn start(given: Option<&String>) -> Self {
        match given {
            Some(url) => Self::Given(url.clone()),
            None => Self::Own(Box::new(Node::start())),
        }
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Own(node) => node.url(),
            Self::Given(url) => url.clone(),
        }
    }

    /// Kills the node, beam and all, and starts it again on what it had on its disk.
    pub(super) fn restart(&mut self) {
        let Self::Own(node) = self else {
            panic!("a broker that is not ours is not killed");
        };
        node.kill();
        node.run();
        node.wait_until_up();
    }

    /// Messages that a process holds unacknowledged on channels of this window, if the broker can
    /// be asked. The process must not go on meanwhile.
    pub(super) fn unacknowledged(&self, pid: u32, window: u16) -> Option<u64> {
        let Self::Own(node) = self else { return None };
        let ports = ports(pid);
        let columns = ["name", "prefetch_count", "messages_unacknowledged"];
        let mut asked = vec!["-q", "list_channels", "--no-table-headers"];
        asked.extend(columns);
        let said = node.control(&asked);
        let held = said.lines().filter_map(|line| {
            let mut fields = line.split('\t');
            let (name, prefetch, held) = (fields.next()?, fields.next()?, fields.next()?);
            let port: u16 = name
                .split_once(" -> ")?
                .0
                .rsplit(':')
                .next()?
                .parse()
                .ok()?;
            let counts = ports.contains(&port) && prefetch == window.to_string();
            counts.then(|| held.parse::<u64>().unwrap())
        });
        Some(held.sum())
    }

    /// Nothing is parked, and no queue of the job is left.
    pub(super) async fn assert_empty(&self, job: &JobId) {
        let connected = Connection::connect(&self.url(), ConnectionProperties::default()).await;
        let connection = connected.unwrap();
        let depth = async |name: String| {
            let channel = connection.create_channel().await.unwrap();
            let passive = QueueDeclareOptions::default().passive();
            let table = FieldTable::default();
            let found = channel.queue_declare(name.as_str().into(), passive, table);
            found.await.ok().map(|queue| queue.message_count())
        };
        assert_eq!(depth("parked".into()).await, Some(0), "messages are parked");
        let waits = WAITS.map(|seconds| format!("wait.{job}.{seconds}"));
        let queues = [format!("copy.{job}"), format!("again.{job}")];
        for queue in queues.into_iter().chain(waits) {
            assert_eq!(depth(queue.clone()).await, None, "{queue} is still there");
        }
    }
}

/// The local ports of a process's connections.
fn ports(pid: u32) -> BTreeSet<u16> {
    let handles = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let sockets: BTreeSet<String> = handles
        .filter_map(|handle| fs::read_link(handle.ok()?.path()).ok())
        .filter_map(|link| {
            let link = link.to_str()?.to_owned();
            let inode = link.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let rows = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
        sockets.contains(*fields.get(9)?).then_some(port)
    });
    rows.collect()
}
