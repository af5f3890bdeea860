//! The way from one process to RabbitMQ, on which it can be held up at a frame.
//!
//! Frames are read as AMQP 0-9-1 has them: type, channel, length, payload, end mark. From the
//! point on nothing of this process goes through any more, on any of its connections.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::Point;

/// A moment that has not come after this long never will.
const PATIENCE: Duration = Duration::from_secs(120);
/// `AMQP` and the version, which a client sends first.
const GREETING: usize = 8;
const METHOD: u8 = 1;
const BASIC: u16 = 60;
const CONSUME: u16 = 20;
const PUBLISH: u16 = 40;
const ACK: u16 = 80;

/// A listener in front of a RabbitMQ.
#[derive(Debug)]
pub(super) struct Proxy {
    url: String,
    watch: Arc<Watch>,
    serving: JoinHandle<()>,
}

/// What all connections know.
#[derive(Debug)]
struct Watch {
    point: Point,
    seen: AtomicU64,
    /// Nothing more goes to the broker.
    mute: AtomicBool,
    /// Nothing more comes from the broker.
    deaf: AtomicBool,
    reached: Notify,
}

/// What one connection's two directions share: the queue that each channel consumes, and the
/// channel whose next confirm is the point.
#[derive(Debug, Default)]
struct Channels {
    queues: HashMap<u16, String>,
    awaited: Option<u16>,
}

impl Proxy {
    /// Stands before the broker of this URL.
    pub(super) async fn start(broker: &str, point: Point) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (rest, vhost) = broker.rsplit_once('/').unwrap();
        let (login, address) = rest.rsplit_once('@').unwrap();
        let watch = Arc::new(Watch {
            point,
            seen: AtomicU64::new(0),
            mute: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
            reached: Notify::new(),
        });
        Self {
            url: format!("{login}@127.0.0.1:{port}/{vhost}"),
            serving: tokio::spawn(serve(listener, address.to_owned(), watch.clone())),
            watch,
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the process is held up.
    pub(super) async fn reached(&self) {
        let reached = tokio::time::timeout(PATIENCE, self.watch.reached.notified());
        reached.await.expect("the point was never reached");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, address: String, watch: Arc<Watch>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let Ok(broker) = TcpStream::connect(&address).await else {
            continue;
        };
        let ((from_client, to_client), (from_broker, to_broker)) =
            (client.into_split(), broker.into_split());
        let channels = Arc::new(Mutex::new(Channels::default()));
        let (there, back) = (watch.clone(), watch.clone());
        let shared = channels.clone();
        tokio::spawn(async move { requests(from_client, to_broker, &there, &shared).await });
        tokio::spawn(async move { answers(from_broker, to_client, &back, &channels).await });
    }
}

/// From the process to the broker.
async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    watch: &Watch,
    channels: &Mutex<Channels>,
) -> io::Result<()> {
    let mut greeting = [0; GREETING];
    from.read_exact(&mut greeting).await?;
    to.write_all(&greeting).await?;
    loop {
        let frame = Frame::read(&mut from).await?;
        if watch.holds(&frame, channels) {
            watch.mute.store(true, Ordering::SeqCst);
            watch.reached.notify_one();
        }
        // Read on all the same: the broker must hear of the process's death.
        if !watch.mute.load(Ordering::SeqCst) {
            to.write_all(&frame.bytes).await?;
        }
    }
}

/// From the broker to the process.
async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    watch: &Watch,
    channels: &Mutex<Channels>,
) -> io::Result<()> {
    loop {
        let frame = Frame::read(&mut from).await?;
        let awaited = channels.lock().unwrap().awaited;
        if awaited == Some(frame.channel()) && frame.method() == Some(ACK) {
            watch.deaf.store(true, Ordering::SeqCst);
            watch.reached.notify_one();
        }
        if !watch.deaf.load(Ordering::SeqCst) {
            to.write_all(&frame.bytes).await?;
        }
    }
}

impl Watch {
    /// Whether this is the frame that must not pass. One whose confirm must not pass is noted.
    fn holds(&self, frame: &Frame, channels: &Mutex<Channels>) -> bool {
        let mut channels = channels.lock().unwrap();
        let channel = frame.channel();
        let is_turn = |queue: &str, (prefix, nth): (&str, u64)| {
            queue.starts_with(prefix) && self.seen.fetch_add(1, Ordering::SeqCst) + 1 == nth
        };
        match (frame.method(), self.point) {
            (Some(CONSUME), _) => {
                channels.queues.insert(channel, frame.text(0));
                false
            }
            (Some(PUBLISH), Point::Publish(queue, nth)) => is_turn(&frame.text(1), (queue, nth)),
            (Some(PUBLISH), Point::Confirm(queue, nth)) => {
                if is_turn(&frame.text(1), (queue, nth)) {
                    channels.awaited = Some(channel);
                }
                false
            }
            (Some(ACK), Point::Ack(queue, nth)) => {
                let from = channels.queues.get(&channel);
                from.is_some_and(|from| is_turn(from, (queue, nth)))
            }
            _ => false,
        }
    }
}

/// A frame, head and end mark included.
struct Frame {
    bytes: Vec<u8>,
}

impl Frame {
    async fn read(from: &mut OwnedReadHalf) -> io::Result<Self> {
        let mut bytes = vec![0; 7];
        from.read_exact(&mut bytes).await?;
        let length = u32::from_be_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]);
        bytes.resize(7 + usize::try_from(length).unwrap() + 1, 0);
        from.read_exact(&mut bytes[7..]).await?;
        Ok(Self { bytes })
    }

    fn number(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    fn channel(&self) -> u16 {
        self.number(1)
    }

    /// Which method of class `basic` it is, if it is one.
    fn method(&self) -> Option<u16> {
        let basic = self.bytes[0] == METHOD && self.number(7) == BASIC;
        basic.then(|| self.number(9))
    }

    /// The n-th of the short texts that `consume` and `publish` begin with, after two bytes.
    fn text(&self, nth: usize) -> String {
        let mut at = 13;
        for _ in 0..nth {
            at += 1 + usize::from(self.bytes[at]);
        }
        let end = at + 1 + usize::from(self.bytes[at]);
        String::from_utf8(self.bytes[at + 1..end].to_vec()).unwrap()
    }
}
