//! A blob that is refused for ever while others are answered fails by name; an account that throttles
//! everything fails nothing.

use std::time::Duration;

use simcloud::{ACCOUNT, Action, Config, Object, OpKind, Quirk, SimCloud};

use super::intake::Intake;
use super::put_back::{Fate, Remember, Settled, copier_as};
use super::{Shared, attempt};
use crate::broker::{Delivery, Queue};
use crate::destination::url::DestinationUrl;
use crate::failure::Reason;
use crate::job::{JobSpec, SourceEndpoint};
use crate::message::{CopyId, CopyTask, Ending, Envelope, Headers, ListedObject, Outcome, Report};

/// A copier with its two clouds.
struct World {
    cloud: SimCloud,
    shared: Shared,
    spec: JobSpec,
    _folder: tempfile::TempDir,
}

async fn world(quirks: Vec<Quirk>) -> World {
    let config = Config {
        quirks,
        ..Config::default()
    };
    let cloud = SimCloud::start(config).await.unwrap();
    cloud.add_bucket("b", "us-east-1");
    cloud.make_public("b");
    cloud.add_container(ACCOUNT, "cont");
    let expiry = cloud.now() + Duration::from_secs(3600);
    let account = cloud.blob_url(ACCOUNT);
    let given = format!("{account}/cont?{}", cloud.sas(ACCOUNT, "rwdlac", expiry));
    let (shared, folder) = copier_as(Some(DestinationUrl::parse(&given).unwrap()), 8);
    let mut spec = JobSpec {
        endpoint: SourceEndpoint::custom(cloud.s3_url()),
        account,
        ..JobSpec::sample(1)
    };
    "cont".clone_into(&mut spec.roots[0].container);
    World {
        cloud,
        shared,
        spec,
        _folder: folder,
    }
}

impl World {
    /// Handles an object's task that has failed so often, since sixteen minutes ago.
    async fn handle(&self, key: &str, attempt: u32) -> Fate {
        self.cloud.put_object("b", key, Object::bytes("content"));
        let now_ms = self.shared.copier.clients.clock().unix_ms();
        let task = CopyTask {
            id: CopyId {
                job: self.spec.id.clone(),
                list_task: 1,
                nonce: 2,
                index: 3,
                round: 0,
            },
            root: 0,
            object: ListedObject {
                key: key.into(),
                size: 7,
                etag: None,
                modified: now_ms / 1000,
                version: None,
                storage_class: None,
            },
            staged: None,
            unproven: None,
        };
        let message = task.message().unwrap();
        let headers = Headers {
            attempt,
            since_ms: now_ms - 16 * 60 * 1000,
            ..message.headers.clone()
        };
        let message = Envelope { headers, ..message };
        let fate = Fate::default();
        let delivery = Delivery::new(message, Box::new(Remember(fate.clone())));
        let shared = &self.shared;
        attempt::handle(shared, &self.spec, delivery, &shared.shutdown)
            .await
            .unwrap();
        fate
    }

    /// The next outcome that was published.
    async fn outcome(&self) -> Outcome {
        let broker = self.shared.copier.broker.clone();
        let mut intake = Intake::open(broker, Queue::Outcome, (1, 1)).await.unwrap();
        let delivery = intake.next().await.unwrap();
        let Report::Outcomes(outcomes) = delivery.message.decode().unwrap() else {
            panic!("no outcomes");
        };
        delivery.ack().await.unwrap();
        outcomes.into_iter().next().unwrap()
    }

    fn limit(&self) -> usize {
        self.shared.limits.destination(&self.spec.account).now()
    }
}

fn is_put_back(fate: &Fate) -> bool {
    matches!(*fate.lock().unwrap(), Some(Settled::Again(..)))
}

/// Every request about a blob is refused, and answered about anything else.
fn all_busy(cloud: &SimCloud) {
    cloud.on_request(|op| match op.kind.is_s3() || op.name.is_empty() {
        true => Action::Pass,
        false => Action::Fail {
            status: 503,
            code: "ServerBusy",
        },
    });
}

#[tokio::test]
async fn a_blob_that_alone_is_busy_for_ever_fails_by_name() {
    let world = world(vec![Quirk::BusyBlobs]).await;
    assert!(is_put_back(&world.handle("dir/busy", 18).await), "19 tries");
    // A blob of that name alone is asked for: another is answered.
    let fate = world.handle("dir/busy", 19).await;
    let outcome = world.outcome().await;
    assert!(!is_put_back(&fate));
    assert_eq!(outcome.key, "dir/busy");
    let Ending::Failed { reason, message } = outcome.ending else {
        panic!("{outcome:?}");
    };
    assert_eq!(reason, Reason::DestinationThrottled);
    for part in [
        "ServerBusy",
        "cont/dir/busy",
        "others are answered meanwhile",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[tokio::test]
async fn an_account_that_throttles_every_blob_fails_none() {
    let world = world(Vec::new()).await;
    all_busy(&world.cloud);
    let heads = world.cloud.requests(OpKind::HeadBlob);
    for key in ["a", "b", "c"] {
        assert!(is_put_back(&world.handle(key, 30).await), "{key}");
    }
    assert!(
        world.cloud.requests(OpKind::HeadBlob) > heads,
        "one was asked for"
    );
    world.cloud.clear_hook();
    world.handle("d", 0).await;
    assert!(matches!(
        world.outcome().await.ending,
        Ending::Copied { .. }
    ));
    // Another blob of the container was written just now.
    all_busy(&world.cloud);
    let heads = world.cloud.requests(OpKind::HeadBlob);
    assert!(!is_put_back(&world.handle("a", 30).await));
    assert_eq!(world.outcome().await.key, "a");
    let asked = world.cloud.requests(OpKind::HeadBlob) - heads;
    assert!(asked <= 1, "what was written tells: {asked}");
}

#[tokio::test]
async fn one_busy_blob_takes_no_place_from_the_others() {
    let world = world(vec![Quirk::BusyBlobs]).await;
    for number in 0..40 {
        world.handle(&format!("k{number}"), 0).await;
    }
    let before = world.limit();
    for _ in 0..60 {
        world.handle("busy", 10).await;
    }
    assert_eq!(world.limit(), before);
    // Those of the first tries count, as it may be the account.
    for number in 0..60 {
        world.handle(&format!("{number}busy"), 0).await;
    }
    assert!(world.limit() < before, "{}", world.limit());
}
