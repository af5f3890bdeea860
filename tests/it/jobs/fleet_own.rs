//! Objects that are refused for ever, by their source or by the destination, while all others are
//! answered: over a real RabbitMQ they alone fail.

use std::time::Duration;

use blobfleet::board::Board;
use blobfleet::broker::amqp::{AmqpBroker, AmqpOptions};
use blobfleet::clients::{Clients, Login};
use blobfleet::clock::Clock;
use blobfleet::copier::{Copier, Speed};
use blobfleet::destination::url::DestinationUrl;
use blobfleet::failure::Result;
use blobfleet::http::{Roots, Transport};
use blobfleet::metrics::{Metrics, Role};
use blobfleet::prompt::Prompter;
use blobfleet::retry::RetryPolicy;
use blobfleet::source::credentials::Credentials;
use simcloud::{ACCESS_KEY, Action, Object, OpKind, SECRET_KEY};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fleet::{Fleet, SUBMIT, lines};
use super::fleet_refused::{assert_arrived, submitted, until};

const OBJECTS: u64 = 2_000;
/// A key that the source says 503 of, and one that the destination does.
const REFUSED: [&str; 2] = ["n700", "n1400"];
/// How long a service may be out of reach; a quarter of an hour where nobody is in a hurry.
const OUTAGE: Duration = Duration::from_secs(3);
/// What copying all others takes at most.
const SLACK: Duration = Duration::from_secs(60);

/// A copier of this process, as its program makes one but for how long it waits.
async fn impatient(fleet: &Fleet, stop: &CancellationToken) -> JoinHandle<Result<()>> {
    let connected = AmqpBroker::connect(&fleet.node.url(), AmqpOptions::default()).await;
    let broker = connected.unwrap();
    let (board, _following) = Board::follow(broker.clone(), stop.clone()).await.unwrap();
    let (clock, hour) = (Clock::system(), Duration::from_secs(3600));
    let http = Transport::new(&Roots::Only(Vec::new()), hour).unwrap();
    let destination = fleet.world.fill("{blob}?{sas}");
    let env: fn(&str) -> Option<String> = |_| None;
    let login = Login {
        given: Some(DestinationUrl::parse(&destination).unwrap()),
        env,
    };
    let credentials = Credentials::fixed(ACCESS_KEY, SECRET_KEY, None);
    let copier = Copier {
        broker,
        board,
        clients: Clients::new(http, credentials, login, clock),
        metrics: Metrics::new(Role::Copier).unwrap(),
        speed: Speed {
            concurrency: 64,
            hold: Duration::from_secs(600),
            pace: None,
        },
        retry: RetryPolicy {
            // Over RabbitMQ the shortest wait is a second, and there are to be twenty tries.
            base: Duration::ZERO,
            outage: OUTAGE,
            ..RetryPolicy::default()
        },
        prompter: Prompter::nobody(),
        many_jobs: true,
    };
    tokio::spawn(copier.run(stop.clone()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_in_a_thousand_that_is_refused_for_ever_fails_alone() {
    let (fleet, reporter) = Fleet::start().await;
    let objects = (0..OBJECTS).map(|n| (format!("n{n}"), Object::generated(n, 300)));
    fleet.world.cloud.put_objects("photos", objects);
    fleet.world.cloud.on_request(|op| {
        let reads = matches!(op.kind, OpKind::HeadObject | OpKind::GetObject);
        let code = match op.kind {
            _ if reads && op.name == REFUSED[0] => "SlowDown",
            OpKind::PutBlobFromUrl if op.name == REFUSED[1] => "ServerBusy",
            _ => return Action::Pass,
        };
        Action::Fail { status: 503, code }
    });
    let id = submitted(&fleet, SUBMIT).await;
    let (begun, stop) = (Instant::now(), CancellationToken::new());
    let copier = impatient(&fleet, &stop).await;

    let job = until(&fleet, &id, |job| job["status"] != "Running").await;

    let took = begun.elapsed();
    assert!((OUTAGE..OUTAGE + SLACK).contains(&took), "{took:?}");
    assert_eq!(job["status"], "CompletedWithErrors", "{job}");
    assert_eq!(job["objects_failed"], REFUSED.len(), "{job}");
    assert_eq!(job["objects_copied"], OBJECTS + 3 - 2, "{job}");
    let shown = lines(&fleet.jobs(&format!("show {id} --with-status Failed")).await);
    let mut keys: Vec<_> = shown[1..].iter().map(|line| &line["key"]).collect();
    keys.sort_by_key(|key| key.as_str());
    assert_eq!(keys, ["n1400", "n700"]);
    for line in &shown[1..] {
        let message = line["message"].as_str().unwrap();
        assert!(message.contains("this object's own trouble"), "{line}");
    }
    assert_arrived(&fleet, "cont", OBJECTS - 2);
    stop.cancel();
    copier.await.unwrap().unwrap();
    drop(reporter);
}
