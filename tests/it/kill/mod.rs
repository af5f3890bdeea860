//! `blobfleet copy` killed with -9, again and again, and run again each time: nothing is lost,
//! nothing is counted twice, and little is written twice.

mod stop;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blobfleet::config::environment;
use blobfleet::job::Totals;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use simcloud::{ACCOUNT, Action, Config, Content, Object, OpKind};
use tokio::sync::Notify;

use crate::gate::Gate;
use crate::harness::{Invocation, World};

/// Buckets and their objects: 20,000 in 22 pages.
const BUCKETS: [(&str, u64); 5] = [
    ("kill-a", 8_500),
    ("kill-b", 5_200),
    ("kill-c", 3_300),
    ("kill-d", 2_000),
    ("kill-e", 1_000),
];
const OBJECTS: u64 = 20_000;
/// One object in so many goes by blocks.
const LARGE: u64 = 50;
/// Objects worked on at a time.
const CONCURRENCY: u64 = 32;
/// Pages that may be listed between two kills, so that listing is spread over all of them.
const PAGES: u64 = 3;
/// Keys in a page.
const PAGE: u64 = 1000;
/// A moment that has not come after this long never will.
const PATIENCE: Duration = Duration::from_secs(120);

/// When a run is killed: at the so many-th of these since it began.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// ListObjectsV2 arriving at S3.
    Listing(u64),
    /// Put Blob From URL arriving at Azure.
    Copying(u64),
    /// Put Block List arriving at Azure.
    Commit(u64),
    /// Outcomes folded into the ledger.
    Fold(u64),
}

impl Moment {
    /// Ten moments in an order that leaves enough of each to come.
    fn ten(random: &mut StdRng) -> [Self; 10] {
        let mut listing = || Self::Listing(random.random_range(1..=PAGES));
        let lists = [listing(), listing(), listing()];
        let mut copying = || Self::Copying(random.random_range(100..900));
        let copies = [copying(), copying(), copying()];
        let mut commit = || Self::Commit(random.random_range(1..=8));
        let commits = [commit(), commit()];
        let mut fold = || Self::Fold(random.random_range(1..700));
        let folds = [fold(), fold()];
        [
            lists[0], copies[0], folds[0], lists[1], commits[0], copies[1], lists[2], folds[1],
            commits[1], copies[2],
        ]
    }

    fn kind(self) -> Option<(OpKind, u64)> {
        match self {
            Self::Listing(nth) => Some((OpKind::ListObjects, nth)),
            Self::Copying(nth) => Some((OpKind::PutBlobFromUrl, nth)),
            Self::Commit(nth) => Some((OpKind::PutBlockList, nth)),
            Self::Fold(_) => None,
        }
    }
}

/// Length of the n-th object: 0 to 4 KiB, or above the threshold of 32 KiB.
fn length(number: u64) -> u64 {
    let size = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    match number % LARGE {
        0 => 32 * 1024 + 1 + size % (96 * 1024),
        _ => size % 4097,
    }
}

fn contents() -> BTreeMap<(String, String), Content> {
    let places = BUCKETS
        .iter()
        .flat_map(|(bucket, count)| (0..*count).map(move |index| (bucket, index)));
    let numbered = (0_u64..).zip(places);
    numbered
        .map(|(seed, (bucket, index))| {
            let place = (
                (*bucket).to_owned(),
                format!("{:02x}/k{index:06}", index % 97),
            );
            let length = length(seed);
            (place, Content::Generated { seed, length })
        })
        .collect()
}

async fn world() -> World {
    let world = World::start(Config::default()).await;
    for (bucket, _) in BUCKETS {
        world.cloud.add_bucket(bucket, "eu-west-1");
    }
    for ((bucket, key), content) in contents() {
        world.cloud.put_object(&bucket, &key, Object::new(content));
    }
    world
}

fn copy(world: &World) -> Invocation {
    let concurrency = format!("--concurrency={CONCURRENCY}");
    world.copy("s3://kill-*", "").args([
        concurrency.as_str(),
        "--put-blob-size-mb=0.03125",
        "--block-size-mb=0.015625",
    ])
}

/// The one job's totals as the ledger holds them.
fn totals(world: &World) -> Totals {
    let ledger = world.ledger();
    let account = ledger.and_then(|ledger| ledger.book().jobs.values().next().cloned());
    account.map(|account| account.totals).unwrap_or_default()
}

/// Submits the job, which looks once into each bucket, and kills it in its first page.
async fn submitted(world: &World) {
    let (gate, reached) = (Gate::default(), Arc::new(Notify::new()));
    let (held, tell) = (gate.clone(), reached.clone());
    world.cloud.on_request(move |op| {
        if op.kind != OpKind::ListObjects || op.number <= BUCKETS.len() as u64 {
            return Action::Pass;
        }
        tell.notify_one();
        held.action()
    });
    let mut running = copy(world).start();
    tokio::select! {
        () = reached.notified() => {}
        () = running.must_not_end() => {}
    }
    assert!(running.kill().await, "the process had ended by itself");
    world.cloud.clear_hook();
    gate.open();
}

/// Runs the copy until the moment, and a little longer, then kills it. Lists no more than
/// [`PAGES`] pages meanwhile.
async fn killed(world: &World, moment: Moment, longer: Duration) {
    let (gate, reached) = (Gate::default(), Arc::new(Notify::new()));
    let held = gate.clone();
    let tell = reached.clone();
    let seen = AtomicU64::new(0);
    let listed = AtomicU64::new(0);
    world.cloud.on_request(move |op| {
        if let Some((kind, nth)) = moment.kind()
            && op.kind == kind
            && seen.fetch_add(1, Ordering::Relaxed) + 1 == nth
        {
            tell.notify_one();
        }
        match op.kind {
            OpKind::ListObjects if listed.fetch_add(1, Ordering::Relaxed) >= PAGES => held.action(),
            _ => Action::Pass,
        }
    });
    let folded = totals(world).copied;
    let mut running = copy(world).start();
    let come = async {
        match moment {
            Moment::Fold(count) => {
                while totals(world).copied < folded + count {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
            _ => reached.notified().await,
        }
        tokio::time::sleep(longer).await;
    };
    tokio::select! {
        come = tokio::time::timeout(PATIENCE, come) => come.expect("the moment never came"),
        () = running.must_not_end() => {}
    }
    assert!(running.kill().await, "the process had ended by itself");
    world.cloud.clear_hook();
    gate.open();
}

/// Writes of blobs that had been written before.
fn repeated(world: &World) -> u64 {
    let (writes, blobs) = world.cloud.write_totals(ACCOUNT);
    writes - blobs
}

fn assert_contents(world: &World) {
    let contents = contents();
    let blobs = world.cloud.blobs(ACCOUNT);
    assert_eq!(blobs.len(), contents.len());
    for (container, blob) in blobs {
        let content = &contents[&(container, blob.name.clone())];
        assert!(blob.equals(content), "{} is not what was sent", blob.name);
    }
}

/// What a kill can cause to be written again, and no more:
/// - a copy task that was in hand: at most [`CONCURRENCY`] from each of the two queues of a job,
///   and as many again whose acknowledgement was waiting for its transaction;
/// - a page whose copy tasks were published while its report or its acknowledgement was not: it
///   is listed again, and every object of it copied again. One such page is allowed for at each
///   kill; there could be [`PAGES`], as buckets are listed side by side, but the time between a
///   page's tasks and its report is too short for that to come ten times in a row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_objects_survive_ten_kills() {
    let seed = environment("BLOBFLEET_TEST_SEED").map_or(2, |seed| seed.parse().unwrap());
    println!("BLOBFLEET_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let world = world().await;
    let moments = Moment::ten(&mut random);
    submitted(&world).await;
    for moment in moments {
        let longer = Duration::from_micros(random.random_range(0..100_000));
        killed(&world, moment, longer).await;
        let now = totals(&world);
        println!(
            "killed {longer:?} after {moment:?}: {} listed, {} copied, {} written again",
            now.listed,
            now.copied,
            repeated(&world)
        );
        assert!(now.copied <= now.listed && now.listed <= OBJECTS);
        assert_eq!((now.failed, now.skipped), (0, 0));
    }

    let done = copy(&world).run().await;

    done.assert_all_copied(OBJECTS);
    assert_eq!(world.job_folders().len(), 1, "every run was the same job's");
    assert_contents(&world);
    let bound = moments.len() as u64 * (4 * CONCURRENCY + PAGE);
    let again = repeated(&world);
    println!("{again} objects written again, at most {bound} may be");
    assert!(again <= bound, "{again} > {bound}");
}
