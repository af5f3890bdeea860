//! `blobfleet copy` on the embedded queue: killed at the point, and run again.
//!
//! First the program itself submits the job and is killed in its first page. Then a process of
//! this test binary goes on with the roles of the library on what that left, and is killed at the
//! point. Then the program is run again.

use std::io::Write;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blobfleet::board::Board;
use blobfleet::broker::Broker;
use blobfleet::broker::embedded::EmbeddedBroker;
use blobfleet::clients::{Clients, Login};
use blobfleet::clock::Clock;
use blobfleet::config::environment;
use blobfleet::copier::{Copier, Speed};
use blobfleet::http::{Roots, Transport};
use blobfleet::lister::Lister;
use blobfleet::metrics::{Metrics, Role as Program};
use blobfleet::prompt::Prompter;
use blobfleet::reporter::{LedgerHandle, Reporter};
use blobfleet::retry::RetryPolicy;
use blobfleet::source::credentials::Credentials;
use simcloud::{Action, OpKind};
use tokio_util::sync::CancellationToken;

use super::holding::Holding;
use super::world::{PAGE, PAGES, SUBMITTING, World, pages_counted, removed_until, until};
use super::{ALL_TASKS, FOLDED, IN_OUTBOX, PUBLISHED, Point, REPORTED, SOME_TASKS, WRITTEN};
use crate::gate::Gate;
use crate::roles::Role;

/// Says in the environment which folder to work on, and where to stop.
const FOLDER: &str = "CRASH_POINT_FOLDER";
const POINT: &str = "CRASH_POINT";
/// What the process says at its point.
const REACHED: &str = "point reached";
/// Every point, by the name that is passed on, and who is held up there.
const POINTS: [(&str, Held, Point); 8] = [
    ("some tasks", Held::Lister, SOME_TASKS),
    ("all tasks", Held::Lister, ALL_TASKS),
    ("page", Held::Lister, super::PAGE),
    ("written", Held::Copier, WRITTEN),
    ("reported", Held::Copier, REPORTED),
    ("folded", Held::Reporter, FOLDED),
    ("in outbox", Held::Reporter, IN_OUTBOX),
    ("published", Held::Reporter, PUBLISHED),
];
/// Objects worked on at a time.
const CONCURRENCY: u16 = 16;
/// How long a job may take once nothing is in its way.
const LONGEST: Duration = Duration::from_secs(120);

/// The role that is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Lister,
    Copier,
    Reporter,
}

/// The process that is killed at its point.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let (Some(folder), Some(name)) = (environment(FOLDER), environment(POINT)) else {
        return; // Run by the suite itself: there is nothing to do.
    };
    let mut points = POINTS.into_iter();
    let (_, held, point) = points.find(|(known, ..)| *known == name).unwrap();
    let folder = Path::new(&folder);
    let real: Arc<dyn Broker> = EmbeddedBroker::open(folder).unwrap();
    let broker_of = |role| -> Arc<dyn Broker> {
        if role == held {
            return Arc::new(Holding::new(real.clone(), point, tell));
        }
        real.clone()
    };
    let stop = CancellationToken::new();
    let followed = Board::follow(real.clone(), stop.clone()).await;
    let (board, _following) = followed.unwrap();
    let (metrics, clock) = (Metrics::new(Program::Copy).unwrap(), Clock::system());
    let clients = clients(&clock);
    let reporter = Reporter {
        broker: broker_of(Held::Reporter),
        board: board.clone(),
        ledger: LedgerHandle::open(folder).unwrap(),
        metrics: metrics.clone(),
        clock,
        adopt: false,
    };
    let lister = Lister {
        broker: broker_of(Held::Lister),
        board: board.clone(),
        clients: clients.clone(),
        metrics: metrics.clone(),
        concurrency: 8,
        retry: RetryPolicy::default(),
    };
    let copier = Copier {
        broker: broker_of(Held::Copier),
        board,
        clients,
        metrics,
        speed: Speed {
            concurrency: CONCURRENCY,
            hold: Duration::ZERO,
            pace: None,
        },
        retry: RetryPolicy::default(),
        prompter: Prompter::nobody(),
        many_jobs: false,
    };
    let ended = tokio::join!(
        reporter.run(stop.clone()),
        lister.run(stop.clone()),
        copier.run(stop)
    );
    panic!("nobody killed it: {ended:?}");
}

fn clients(clock: &Clock) -> Clients {
    let http = Transport::new(&Roots::Only(Vec::new()), Duration::from_secs(60)).unwrap();
    let chain = Credentials::from_chain("us-east-1", http.usual().clone(), clock.clone());
    let login = Login {
        given: None,
        env: environment,
    };
    Clients::new(http, chain, login, clock.clone())
}

fn tell() {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{REACHED}").unwrap();
    out.flush().unwrap();
}

fn copy(world: &World) -> Role {
    let state = world.site.state();
    let job = world.job();
    let mut args = vec!["copy"];
    args.extend(job.iter().map(String::as_str));
    args.extend(["--state", state.to_str().unwrap()]);
    world.site.start("blobfleet", &args)
}

/// The program submits the job, and is killed before its first page is answered.
async fn submitted(world: &World) -> PathBuf {
    let gate = Gate::default();
    let held = gate.clone();
    world.cloud.on_request(move |op| match op.kind {
        OpKind::ListObjects if op.number > SUBMITTING => held.action(),
        _ => Action::Pass,
    });
    let mut copy = copy(world);
    until("a page is asked for", async || {
        copy.must_be_alive();
        world.pages_listed() > 0
    })
    .await;
    copy.kill();
    world.cloud.clear_hook();
    gate.open();
    let folders = std::fs::read_dir(world.site.state().join("jobs")).unwrap();
    let mut paths = folders.map(|entry| entry.unwrap().path());
    paths.find(|path| path.is_dir()).unwrap()
}

/// Runs the job up to the point, kills what runs, and resumes.
async fn killed_at(name: &str, changed: bool) -> World {
    let world = World::start().await;
    let folder = submitted(&world).await;
    let env = [(FOLDER, folder.to_str().unwrap()), (POINT, name)];
    let mut child = world.site.start_test("crash_points::embedded::child", &env);
    until("the point is reached", async || {
        child.must_be_alive();
        child.has_said(REACHED)
    })
    .await;
    child.kill();
    if name == "folded" {
        assert!(pages_counted(&folder) > 0, "not folded, or not durable");
    }
    if changed {
        world.change();
    }
    let now = world.keys().len() as u64;
    let (code, summary) = copy(&world).finish(LONGEST).await;
    // Whether a key was copied before it went is a matter of moments. One whose page is listed
    // anew before any of it counts is not missed.
    let failed = match (name, changed) {
        ("some tasks" | "all tasks", _) | (_, false) => 0..=0,
        (_, true) => 0..=removed_until("z"),
    };
    world.assert_exact((code, &summary), listed(name, changed, now), failed);
    world
}

/// How many objects are listed. The pages that counted first count, with the keys that were there
/// then; those that follow are as they are now.
fn listed(name: &str, changed: bool, now: u64) -> RangeInclusive<u64> {
    match (name, changed) {
        // As many keys went from the first page as came that belong there.
        ("page", true) => now..=now,
        // The list task of the last page is there twice; the first listing counts, and was made
        // before or after a key came at its end.
        ("published", true) => now - 1..=now,
        _ => now..=now,
    }
}

/// A page is listed before the job is killed, before the point, and once more after it; so may the
/// second page be, where the first was reported. What a copier has in hand at the kill may be
/// copied again, and so may that of which it has reported the outcome, as acknowledgements wait
/// for the next transaction.
async fn lister(name: &str, changed: bool) {
    let world = killed_at(name, changed).await;
    // What came to the bucket takes a page more.
    let least = PAGES + 2 + u64::from(changed);
    let second = world.pages_listed().checked_sub(least).unwrap();
    assert!(second <= u64::from(name == "page"), "{second}");
    let most = (1 + second) * PAGE + 4 * u64::from(CONCURRENCY);
    let repeated = world.repeated();
    assert!(repeated <= most, "{repeated} > {most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lister_after_some_copy_tasks() {
    lister("some tasks", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lister_after_some_copy_tasks_of_a_bucket_that_changes() {
    lister("some tasks", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lister_after_all_copy_tasks() {
    lister("all tasks", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lister_after_all_copy_tasks_of_a_bucket_that_changes() {
    lister("all tasks", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lister_after_its_page() {
    lister("page", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lister_after_its_page_of_a_bucket_that_changes() {
    lister("page", true).await;
}

/// At least one blob is written at the point, and asked for again.
async fn copier(name: &str) {
    let again = killed_at(name, false).await.asked_again();
    let most = PAGE + 4 * u64::from(CONCURRENCY);
    assert!((1..=most).contains(&again), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copier_after_a_blob() {
    copier("written").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copier_after_an_outcome() {
    copier("reported").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reporter_after_a_fold() {
    killed_at("folded", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reporter_before_its_outbox_is_sent() {
    killed_at("in outbox", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reporter_that_sends_a_list_task_twice() {
    let pages = killed_at("published", false).await.pages_listed();
    assert!(pages >= PAGES + 2, "{pages}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reporter_that_sends_a_list_task_twice_while_the_bucket_changes() {
    let pages = killed_at("published", true).await.pages_listed();
    assert!(pages >= PAGES + 2, "{pages}");
}
