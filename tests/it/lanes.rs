//! Jobs and objects that are slow keep no other waiting: each account and each bucket has its own
//! places in flight, and blocks leave some to small objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use simcloud::{ACCOUNT, Action, Config, Content, Object, OpKind};
use tempfile::TempDir;

use crate::bad_input::run::{self, Running};
use crate::gate::Gate;
use crate::harness::World;
use crate::rabbitmq;

/// The most requests in flight at an account, by `--concurrency`.
const AT_ONCE: u64 = 16;
/// Objects of the job that gets nowhere: more than the copier has in hand.
const STUCK: u64 = 200;
/// Objects of the job beside it.
const FLOWING: u64 = 400;
/// Refusals in a row that leave an account one request at a time.
const CHOKING: u64 = 150;
/// A moment that has not come after this long never will; less than a request may take.
const PATIENCE: Duration = Duration::from_secs(45);

/// Waits for what must come.
async fn until(what: &str, come: impl Fn() -> bool) {
    let waiting = async {
        while !come() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let came = tokio::time::timeout(PATIENCE, waiting).await;
    came.unwrap_or_else(|_| panic!("it never came: {what}"));
}

/// A fleet with one copier, which may write to two accounts.
struct Fleet {
    world: run::World,
    broker: String,
    home: TempDir,
}

impl Fleet {
    async fn start() -> Self {
        Self {
            world: run::World::start().await,
            broker: rabbitmq::vhost_url(),
            home: TempDir::new().unwrap(),
        }
    }

    fn fill(&self, bucket: &str, count: u64) {
        self.world.cloud.add_bucket(bucket, "eu-west-1");
        let objects = (0..count).map(|n| (format!("k{n:04}"), Object::generated(n, 100 + n)));
        self.world.cloud.put_objects(bucket, objects);
    }

    /// Starts a role that may write to both accounts: to one by its key, to the other by the SAS
    /// of its destination.
    fn role(&self, line: &str) -> Running {
        let key = self.world.cloud.account_key("other");
        let copier = ("BLOBFLEET_DESTINATION", "{blob-host}/other?{sas-other}");
        let account = ("AZURE_STORAGE_ACCOUNT", "other");
        let broker = ("BLOBFLEET_BROKER", self.broker.as_str());
        let mut env = vec![broker];
        match line.split(' ').next() {
            Some("copier") => env.push(copier),
            _ if line.contains("{sas}") => env.extend([account, ("AZURE_STORAGE_KEY", &key)]),
            _ => {}
        }
        self.world.start_in(line, &env, self.home.path())
    }

    /// Lets the first account get nothing done until `gate` opens and `closed` is not so any more;
    /// gives how many copies it has been asked for.
    fn stuck(&self, stuck: Stuck, gate: &Gate, closed: &Arc<AtomicBool>) -> Arc<AtomicU64> {
        let asked = Arc::new(AtomicU64::new(0));
        let (held, busy, seen) = (gate.clone(), closed.clone(), asked.clone());
        let first_account = format!("{ACCOUNT}/");
        self.world.cloud.on_request(move |op| {
            if op.kind != OpKind::PutBlobFromUrl || !op.place.starts_with(&first_account) {
                return Action::Pass;
            }
            let number = seen.fetch_add(1, Ordering::SeqCst);
            let throttles = match stuck {
                Stuck::Hangs => false,
                Stuck::Throttles => busy.load(Ordering::SeqCst),
                Stuck::Chokes => number < CHOKING,
            };
            match throttles {
                true => Action::Fail {
                    status: 503,
                    code: "ServerBusy",
                },
                false if matches!(stuck, Stuck::Throttles) => Action::Pass,
                false => held.action(),
            }
        });
        asked
    }

    /// A lister that submits a job and waits for its end: all of it is copied.
    async fn completes(&self, line: &str, lister: Running, count: u64) {
        let ended = self.world.ended(line, lister).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.totals(), [count, count, 0, 0], "{ended:?}");
        assert_eq!(ended.summary()["status"], "Completed", "{ended:?}");
    }

    /// Everything of the bucket is in the account, and nothing else.
    fn assert_arrived(&self, bucket: &str, account: &str) {
        let objects = self.world.cloud.objects(bucket);
        let blobs = self.world.cloud.blobs(account);
        assert_eq!(objects.len(), blobs.len());
        for ((key, content), (_, blob)) in objects.iter().zip(blobs) {
            assert!(*key == blob.name && blob.equals(content), "{key}");
        }
    }
}

/// What becomes of the copies into the first account until it is let go.
#[derive(Clone, Copy)]
enum Stuck {
    Hangs,
    Throttles,
    /// Throttles until it is asked one thing at a time, and does not answer that.
    Chokes,
}

/// Two jobs, the first into an account that gets nothing done; the second is submitted once that
/// has all requests it may have, and ends long before.
async fn beside(stuck: Stuck, buckets: [&str; 2]) {
    let fleet = Fleet::start().await;
    for (bucket, count) in buckets.iter().zip([STUCK, FLOWING]) {
        fleet.fill(bucket, count);
    }
    let (gate, closed) = (Gate::default(), Arc::new(AtomicBool::new(true)));
    let asked = fleet.stuck(stuck, &gate, &closed);
    let reporter = fleet.role("reporter");
    let copier = fleet.role(&format!("copier --concurrency {AT_ONCE}"));
    let [first, second] = buckets;
    let flags = "--recursive --output-type json --wait";
    let stuck_line = format!("lister s3://{first} {{blob}}/cont?{{sas}} {flags}");
    let stuck_job = fleet.role(&stuck_line);
    let enough = match stuck {
        Stuck::Hangs => AT_ONCE,
        Stuck::Throttles => AT_ONCE * 4,
        Stuck::Chokes => CHOKING + 1,
    };
    until("the first account is asked", || {
        asked.load(Ordering::SeqCst) >= enough
    })
    .await;

    let line = format!("lister s3://{second} {{blob-host}}/other/cont?{{sas-other}} {flags}");
    let lister = fleet.role(&line);
    until("the second job's blobs", || {
        fleet.world.cloud.write_totals("other").1 >= FLOWING
    })
    .await;
    fleet.completes(&line, lister, FLOWING).await;
    if stuck_job.has_ended() {
        let ended = fleet.world.ended(&stuck_line, stuck_job).await;
        panic!("the first job has ended before its time: {ended:?}");
    }
    assert_eq!(fleet.world.cloud.write_totals(ACCOUNT), (0, 0));
    fleet.assert_arrived(second, "other");

    gate.open();
    closed.store(false, Ordering::SeqCst);
    let count = fleet.world.cloud.objects(first).len() as u64;
    fleet.completes(&stuck_line, stuck_job, count).await;
    fleet.assert_arrived(first, ACCOUNT);
    for (line, running) in [("copier", copier), ("reporter", reporter)] {
        running.terminate();
        let ended = fleet.world.ended(line, running).await;
        assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_never_answers_holds_up_no_job_into_another() {
    beside(Stuck::Hangs, ["first", "second"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_throttles_holds_up_no_job_into_another() {
    beside(Stuck::Throttles, ["first", "second"]).await;
}

/// The bucket's places must not be taken by objects that only wait for one at their account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_chokes_holds_up_no_other_from_the_same_bucket() {
    beside(Stuck::Chokes, ["both", "both"]).await;
}

/// Blocks of the large object, by its flags.
const BLOCKS: u64 = 300;
const SMALL: u64 = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_that_take_long_hold_up_no_small_object() {
    let world = World::start(Config::default()).await;
    world.cloud.add_bucket("mixed", "eu-west-1");
    let huge = Content::Generated {
        seed: SMALL,
        length: BLOCKS * 1024,
    };
    // The first to be listed.
    world
        .cloud
        .put_object("mixed", "a-huge", Object::new(huge.clone()));
    let small = (0..SMALL).map(|n| (format!("k{n:04}"), Object::generated(n, 100 + n)));
    world.cloud.put_objects("mixed", small);
    world.cloud.add_container(ACCOUNT, "target");
    let gate = Gate::default();
    let held = gate.clone();
    world.cloud.on_request(move |op| match op.kind {
        OpKind::PutBlockFromUrl if op.name == "a-huge" => held.action(),
        _ => Action::Pass,
    });
    let running = world
        .copy("s3://mixed", "target")
        .args([
            "--put-blob-size-mb=0.0009765625",
            "--block-size-mb=0.0009765625",
            "--concurrency=8",
        ])
        .start();
    until("the small objects", || {
        world.cloud.write_totals(ACCOUNT).1 >= SMALL
    })
    .await;
    assert!(world.cloud.blob(ACCOUNT, "target", "a-huge").is_none());
    assert!(world.cloud.requests(OpKind::PutBlockFromUrl) > 1);
    gate.open();
    running.finish().await.assert_all_copied(SMALL + 1);

    let blob = world.cloud.blob(ACCOUNT, "target", "a-huge").unwrap();
    assert_eq!(blob.blocks.len() as u64, BLOCKS);
    let (objects, blobs) = (world.cloud.objects("mixed"), world.cloud.blobs(ACCOUNT));
    assert_eq!(objects.len(), blobs.len());
    for ((key, content), (_, blob)) in objects.iter().zip(blobs) {
        assert!(*key == blob.name && blob.equals(content), "{key}");
    }
}

/// Neither the account's places nor the copier's hands are all full of the bucket that gets
/// nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_never_answers_holds_up_no_other_of_its_job() {
    let world = World::start(Config::default()).await;
    for (bucket, count) in [("stuck", STUCK), ("unstuck", FLOWING)] {
        world.cloud.add_bucket(bucket, "eu-west-1");
        let objects = (0..count).map(|n| (format!("k{n:04}"), Object::generated(n, 100 + n)));
        world.cloud.put_objects(bucket, objects);
    }
    let gate = Gate::default();
    let held = gate.clone();
    world.cloud.on_request(move |op| match op.kind {
        OpKind::PutBlobFromUrl if op.place.ends_with("/stuck") => held.action(),
        _ => Action::Pass,
    });
    let running = world.copy("s3://*stuck", "").start();
    until("the other bucket's blobs", || {
        world.cloud.write_totals(ACCOUNT).1 >= FLOWING
    })
    .await;
    let early = world.cloud.blobs(ACCOUNT);
    assert!(early.iter().all(|(container, _)| container == "unstuck"));
    gate.open();
    running.finish().await.assert_all_copied(STUCK + FLOWING);
    for bucket in ["stuck", "unstuck"] {
        let blobs = world.cloud.blobs(ACCOUNT).into_iter();
        let here = blobs.filter(|(container, _)| container == bucket);
        let objects = world.cloud.objects(bucket);
        assert_eq!(objects.len(), here.clone().count());
        for ((key, content), (_, blob)) in objects.iter().zip(here) {
            assert!(*key == blob.name && blob.equals(content), "{bucket}/{key}");
        }
    }
}
