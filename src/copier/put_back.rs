//! A task whose turn does not come is put back as it is: no message is held for long, and waiting
//! is no attempt.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::etags::OddEtags;
use super::hold::Holds;
use super::outcomes::Outcomes;
use super::refusals::Refusals;
use super::told::Told;
use super::{Copier, Shared, Speed, attempt, relay, seat};
use crate::board::{Board, Jobs};
use crate::broker::embedded::EmbeddedBroker;
use crate::broker::{Delivery, Settle};
use crate::clients::{Clients, Login};
use crate::clock::Clock;
use crate::destination::url::DestinationUrl;
use crate::failure::Result;
use crate::http::{Roots, Transport};
use crate::job::{JobId, JobSpec, Root, SourceEndpoint};
use crate::limit::{Limits, Permit};
use crate::message::{CopyId, CopyTask, Envelope, Headers, ListedObject};
use crate::metrics::{Metrics, Role};
use crate::prompt::Prompter;
use crate::retry::RetryPolicy;
use crate::source::credentials::Credentials;

const HOLD: Duration = Duration::from_secs(60);

/// What became of a delivery; none while it is unsettled.
pub(super) type Fate = Arc<Mutex<Option<Settled>>>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Settled {
    Acked,
    Again(Envelope, Duration),
    Parked,
}

#[derive(Debug)]
pub(super) struct Remember(pub(super) Fate);

impl Remember {
    fn note(&self, settled: Settled) -> Result<()> {
        assert_eq!(self.0.lock().unwrap().replace(settled), None);
        Ok(())
    }
}

#[async_trait]
impl Settle for Remember {
    async fn ack(self: Box<Self>) -> Result<()> {
        self.note(Settled::Acked)
    }

    async fn again(self: Box<Self>, message: Envelope, wait: Duration) -> Result<()> {
        self.note(Settled::Again(message, wait))
    }

    async fn park(self: Box<Self>, _: Envelope, _: &str) -> Result<()> {
        self.note(Settled::Parked)
    }
}

/// A copier that may have `most` requests in flight, and one job. Its clouds are nowhere: nothing
/// here gets as far as to ask them.
fn copier(most: u16) -> (Shared, JobSpec, TempDir) {
    let (shared, folder) = copier_as(None, most);
    (shared, job(), folder)
}

/// A copier that writes with the SAS of a destination, and reads as nobody.
pub(super) fn copier_as(given: Option<DestinationUrl>, most: u16) -> (Shared, TempDir) {
    let folder = TempDir::new().unwrap();
    let metrics = Metrics::new(Role::Copier).unwrap();
    let transport = Transport::new(&Roots::Only(Vec::new()), HOLD).unwrap();
    let env: fn(&str) -> Option<String> = |_| None;
    let login = Login { given, env };
    let clients = Clients::new(transport, Credentials::anonymous(), login, Clock::system());
    let copier = Copier {
        broker: EmbeddedBroker::open(folder.path()).unwrap(),
        board: Board::standing(Jobs::default()),
        clients,
        metrics: metrics.clone(),
        speed: Speed {
            concurrency: most,
            hold: Duration::ZERO,
            pace: None,
        },
        retry: RetryPolicy::default(),
        prompter: Prompter::nobody(),
        many_jobs: false,
    };
    let shared = Shared {
        limits: Limits::new(most, metrics.clone()),
        holds: Holds::new(Duration::ZERO, &metrics),
        held_containers: Holds::of_containers(HOLD, &metrics),
        odd_etags: OddEtags::default(),
        refusals: Refusals::default(),
        told: Told::default(),
        planned: Arc::new(Semaphore::new(seat::PLANNED)),
        relay_memory: Arc::new(Semaphore::new(relay::MEMORY)),
        outcomes: Outcomes::start(copier.broker.clone()).0,
        several: false,
        unsettled: TaskTracker::new(),
        shutdown: CancellationToken::new(),
        copier,
    };
    (shared, folder)
}

fn job() -> JobSpec {
    JobSpec {
        endpoint: SourceEndpoint::custom("http://127.0.0.1:1"),
        account: "http://127.0.0.1:1/account".into(),
        ..JobSpec::sample(1)
    }
}

/// A task that failed twice before, and what becomes of it.
fn task(size: u64) -> (Delivery, Envelope, Fate) {
    let object = ListedObject {
        key: "k".into(),
        size,
        etag: None,
        modified: 0,
        version: None,
        storage_class: None,
    };
    let id = CopyId {
        job: JobId::new("j-1"),
        list_task: 1,
        nonce: 2,
        index: 3,
        round: 0,
    };
    let task = CopyTask {
        id,
        root: 0,
        object,
        staged: None,
        unproven: None,
    };
    let message = task.message().unwrap();
    let headers = Headers {
        attempt: 2,
        since_ms: 7,
        ..message.headers.clone()
    };
    let message = Envelope { headers, ..message };
    let fate = Fate::default();
    let delivery = Delivery::new(message.clone(), Box::new(Remember(fate.clone())));
    (delivery, message, fate)
}

/// All places there are at the account.
async fn all_places(shared: &Shared, spec: &JobSpec) -> Vec<Permit> {
    let limit = shared.limits.destination(&spec.account);
    let mut places = Vec::new();
    for _ in 0..limit.now() {
        places.push(limit.permit().await.unwrap());
    }
    places
}

/// Handles a task, and tells how long that took and what became of it.
async fn handled(shared: &Shared, spec: &JobSpec, size: u64) -> Duration {
    let (delivery, message, fate) = task(size);
    let begun = Instant::now();
    let handled = attempt::handle(shared, spec, delivery, &shared.shutdown).await;
    handled.unwrap();
    let Some(Settled::Again(again, wait)) = fate.lock().unwrap().clone() else {
        panic!("{fate:?}");
    };
    assert_eq!(again, message, "the same message: this was no attempt");
    assert!((10..40).contains(&wait.as_secs()), "{wait:?}");
    begun.elapsed()
}

fn assert_a_minute(took: Duration) {
    // The clock goes by milliseconds.
    assert!(took >= HOLD && took.as_secs() == HOLD.as_secs(), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_minute_without_a_place() {
    let (shared, spec, _folder) = copier(4);
    let _places = all_places(&shared, &spec).await;
    assert_a_minute(handled(&shared, &spec, 1).await);
    let attempts = shared.copier.metrics.attempt_failures;
    let failures = prometheus::core::Collector::collect(&attempts);
    let counted = failures.iter().flat_map(|family| family.get_metric());
    let sum: f64 = counted.map(|one| one.get_counter().get_value()).sum();
    assert!(sum.abs() < f64::EPSILON, "{sum} attempts failed");
}

#[tokio::test(start_paused = true)]
async fn after_a_minute_in_line_behind_another_that_waits() {
    let (shared, spec, _folder) = copier(4);
    let _places = all_places(&shared, &spec).await;
    let others: Vec<_> = (0..3)
        .map(|_| {
            let (shared, spec) = (shared.clone(), spec.clone());
            tokio::spawn(async move { handled(&shared, &spec, 1).await })
        })
        .collect();
    for other in others {
        assert_a_minute(other.await.unwrap());
    }
    // Nobody who gave up has kept anything.
    let source = shared.limits.source("b", "us-east-1");
    for _ in 0..source.now() {
        std::mem::forget(source.permit().await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_minute_without_room_for_its_blocks() {
    let (shared, spec, _folder) = copier(4);
    let large = spec.options.put_blob_size + 1;
    let _planned = shared.planned.acquire_many(seat::PLANNED as u32).await;
    assert_a_minute(handled(&shared, &spec, large).await);
}

/// The bucket's line is known to take two minutes.
async fn behind_a_long_line(buckets: &[&str]) -> Duration {
    let (mut shared, mut spec, _folder) = copier(1);
    let roots = buckets.iter().map(|bucket| Root {
        bucket: (*bucket).into(),
        ..spec.roots[0].clone()
    });
    spec.roots = roots.collect();
    shared.several = seat::has_several(&spec);
    let limit = shared.limits.source("b", "us-east-1");
    let _place = limit.permit().await.unwrap();
    let waiting = tokio::spawn(async move { limit.permit().await.map(drop) });
    tokio::task::yield_now().await;
    tokio::time::advance(HOLD * 2).await;
    let took = handled(&shared, &spec, 1).await;
    waiting.abort();
    took
}

#[tokio::test(start_paused = true)]
async fn at_once_where_other_buckets_get_on() {
    assert_eq!(behind_a_long_line(&["b", "c"]).await, Duration::ZERO);
}

/// Nobody is held up by it, and it would only come back.
#[tokio::test(start_paused = true)]
async fn after_a_minute_where_there_is_no_other_bucket() {
    assert_a_minute(behind_a_long_line(&["b"]).await);
}

/// A worker that stops leaves it to the next.
#[tokio::test(start_paused = true)]
async fn not_at_all_where_the_copier_stops() {
    let (shared, spec, _folder) = copier(4);
    let _places = all_places(&shared, &spec).await;
    let (delivery, _, fate) = task(1);
    let stopping = async {
        tokio::time::sleep(HOLD / 2).await;
        shared.shutdown.cancel();
    };
    let handling = attempt::handle(&shared, &spec, delivery, &shared.shutdown);
    let (handled, ()) = tokio::join!(handling, stopping);
    handled.unwrap();
    assert_eq!(*fate.lock().unwrap(), None);
}
