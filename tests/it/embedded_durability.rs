//! The embedded broker and a loss of power: what was confirmed is there, once, in its queue.
//!
//! A child process works on a folder and says what it does; a preloaded library journals its
//! writes and syncs. Then the power is cut at many places of that journal, see [`crate::power`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use blobfleet::broker::embedded::EmbeddedBroker;
use blobfleet::broker::{Broker, Consumer, Queue};
use blobfleet::message::{Envelope, Headers};
use tempfile::TempDir;

use crate::broker_fixture::job;
use crate::embedded_ledger::Ledger;
use crate::power::{Dice, Disk, Event, Files, read_journal};

const SCENARIO: &str = "DURABILITY_SCENARIO";

fn queues() -> [Queue; 4] {
    let (copy, again) = (Queue::Copy(job()), Queue::Again(job()));
    [Queue::List, copy, again, Queue::Parked]
}

fn numbered(number: u32) -> Envelope {
    let size = usize::try_from(number).unwrap() * 37 % 4000;
    Envelope {
        headers: Headers {
            index: number,
            ..Headers::default()
        },
        body: number.to_le_bytes().repeat(size / 4).into(),
    }
}

/// The child: seeded work on the folder, every step said before and after it is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::disallowed_methods,
    reason = "how the parent tells it what to do"
)]
async fn child() {
    let Ok(scenario) = std::env::var(SCENARIO) else {
        return; // Run by the suite itself: there is nothing to do.
    };
    let (folder, what) = scenario.split_once('|').unwrap();
    if what == "full" {
        return full_disk(Path::new(folder)).await;
    }
    let (seed, first) = what.split_once('|').unwrap();
    let (seed, first) = (seed.parse().unwrap(), first.parse().unwrap());
    let broker = EmbeddedBroker::open(Path::new(folder)).unwrap();
    broker.declare_job(&job()).await.unwrap();
    say("ready");
    let publishing = tokio::spawn(publish(broker.clone(), Dice::new(seed), first));
    let settling = tokio::spawn(settle(
        broker.clone(),
        Dice::new(seed + 1),
        first + 1_000_000,
    ));
    publishing.await.unwrap();
    settling.await.unwrap();
    if seed % 2 == 0 {
        broker.close().await.unwrap();
    }
}

/// One write, on a line of its own whatever the test runner writes.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

async fn publish(broker: Arc<EmbeddedBroker>, mut dice: Dice, mut next: u32) {
    for _ in 0..120 {
        let which = dice.below(2);
        let count = u32::try_from(dice.below(60)).unwrap() + 1;
        say(&format!("publish {which} {next} {count}"));
        let batch = (next..next + count).map(numbered).collect();
        broker.publish(&queues()[which], batch).await.unwrap();
        say(&format!("published {which} {next} {count}"));
        next += count;
        say(&format!("append {next}"));
        broker.append(numbered(next)).await.unwrap();
        say(&format!("appended {next}"));
    }
}

async fn settle(broker: Arc<EmbeddedBroker>, mut dice: Dice, mut next: u32) {
    let mut consumers: Vec<Box<dyn Consumer>> = Vec::new();
    for queue in &queues()[..3] {
        consumers.push(broker.consume(queue, 50).await.unwrap());
    }
    for _ in 0..1500 {
        let from = dice.below(3);
        let wait = Duration::from_millis(2);
        let Ok(delivery) = tokio::time::timeout(wait, consumers[from].next()).await else {
            continue;
        };
        let delivery = delivery.unwrap();
        let old = delivery.message.headers.index;
        match dice.below(10) {
            0 => drop(delivery),
            1 => {
                say(&format!("move {old} {old} 3"));
                delivery.park("parked").await.unwrap();
                say(&format!("moved {old} {old} 3"));
            }
            2 | 3 => {
                let to = if from == 0 { 0 } else { 2 };
                let wait = Duration::from_millis([0, 30, 3_600_000][dice.below(3)]);
                say(&format!("move {old} {next} {to}"));
                delivery.again(numbered(next), wait).await.unwrap();
                say(&format!("moved {old} {next} {to}"));
                next += 1;
            }
            _ => {
                say(&format!("ack {old}"));
                delivery.ack().await.unwrap();
            }
        }
    }
}

/// Opens the files as they were left and says what is in which queue.
async fn found_in(dir: &Path) -> (BTreeMap<u32, usize>, Vec<u32>) {
    let broker = EmbeddedBroker::open(dir).unwrap();
    let mut found = BTreeMap::new();
    for (place, queue) in queues().iter().enumerate() {
        let depth = broker.depth(queue).await.unwrap().ready;
        if depth == 0 {
            continue;
        }
        let mut consumer = broker.consume(queue, u16::MAX).await.unwrap();
        let (mut held, mut last) = (Vec::new(), BTreeSet::new());
        for _ in 0..depth {
            let delivery = consumer.next().await.unwrap();
            let number = delivery.message.headers.index;
            assert_eq!(delivery.message, numbered(number));
            assert_eq!(found.insert(number, place), None, "{number} is there twice");
            // What one publisher sent is in its order.
            if place < 2 && number % 2_000_000 < 1_000_000 {
                assert!(last.range(number..).next().is_none(), "{number} is late");
                last.insert(number);
            }
            held.push(delivery);
        }
    }
    let log = broker.read_log().await.unwrap();
    (
        found,
        log.iter().map(|record| record.headers.index).collect(),
    )
}

/// The library, built once.
pub(crate) fn shim() -> &'static Path {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let (source, path) = (dir.path().join("shim.c"), dir.path().join("shim.so"));
        fs::write(&source, include_str!("embedded_durability.c")).unwrap();
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&path)
            .arg(&source)
            .arg("-ldl");
        assert!(compiler.status().unwrap().success());
        (dir, path)
    });
    path
}

/// Runs the child on a folder; gives what it did.
fn run_child(folder: &Path, what: &str, full: Option<&Path>) -> Vec<Event> {
    let away = tempfile::tempdir().unwrap();
    let journal = away.path().join("journal");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "embedded_durability::child", "--nocapture"])
        .env(SCENARIO, format!("{}|{what}", folder.display()))
        .env("LD_PRELOAD", shim())
        .env("DURABILITY_JOURNAL", &journal)
        .env("DURABILITY_FOLDER", folder)
        .env("DURABILITY_FULL", full.unwrap_or(Path::new("")));
    let output = child.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    read_journal(&journal)
}

fn lay_out(files: &Files) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

/// Every crash place of three lives of one folder, each beginning where the last was cut.
#[tokio::test]
async fn what_was_confirmed_survives_a_loss_of_power() {
    let mut dice = Dice::new(7);
    let mut files = Files::new();
    let mut ledger = Ledger::default();
    for life in 0..3_u32 {
        let folder = lay_out(&files);
        let events = run_child(folder.path(), &format!("{life}|{}", life * 2_000_000), None);
        let syncs = events
            .iter()
            .filter(|event| matches!(event, Event::Synced(_)))
            .count();
        assert!(syncs > 10, "only {syncs} syncs: was the library loaded?");
        let mut cuts: Vec<usize> = (0..16).map(|_| dice.below(events.len())).collect();
        cuts.push(events.len());
        cuts.sort_unstable();
        let mut disk = Disk::holding(&files);
        let mut applied = 0;
        let chosen = cuts[dice.below(10) + 6];
        for cut in cuts {
            for event in &events[applied..cut] {
                disk.apply(event);
                if let Event::Said(said) = event {
                    said.lines().for_each(|line| ledger.hear(line));
                }
            }
            applied = cut;
            let at = format!("life {life}, event {cut} of {}", events.len());
            for torn in [None, Some(&mut dice)] {
                let left = lay_out(&disk.lose_power(torn));
                let (found, log) = found_in(left.path()).await;
                ledger.check(&found, &log, &at);
            }
            if cut == chosen {
                files = disk.lose_power(Some(&mut dice));
                let left = lay_out(&files);
                let (found, log) = found_in(left.path()).await;
                ledger = Ledger::starting(found, log);
                break;
            }
        }
    }
}

/// A full disk: who waits is told, nothing that was confirmed is lost, and work goes on after.
#[tokio::test]
async fn a_full_disk_is_survived() {
    let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let flag = away.path().join("full");
    let events = run_child(folder.path(), "full", Some(&flag));
    let said: String = events
        .iter()
        .filter_map(|event| match event {
            Event::Said(said) => Some(said.as_str()),
            _ => None,
        })
        .collect();
    assert!(said.contains("the disk is full"), "{said}");
    assert!(said.contains("went on"), "{said}");
    let (found, log) = found_in(folder.path()).await;
    let expected: BTreeMap<u32, usize> = [(2, 0), (3, 0), (4, 0), (9, 0)].into();
    assert_eq!(found, expected);
    assert_eq!(log, [20]);
}

/// The child of that test. The flag file stands beside its folder's journal.
#[expect(
    clippy::disallowed_methods,
    reason = "how the parent tells it what to do"
)]
async fn full_disk(folder: &Path) {
    let flag = PathBuf::from(std::env::var("DURABILITY_FULL").unwrap());
    let broker = EmbeddedBroker::open(folder).unwrap();
    broker
        .publish(&Queue::List, (0..5).map(numbered).collect())
        .await
        .unwrap();
    let mut consumer = broker.consume(&Queue::List, 3).await.unwrap();
    let (first, second) = (
        consumer.next().await.unwrap(),
        consumer.next().await.unwrap(),
    );
    let third = consumer.next().await.unwrap();
    fs::write(&flag, "").unwrap();
    let refused = broker
        .publish(&Queue::List, vec![numbered(8)])
        .await
        .unwrap_err();
    say(&format!("{refused}"));
    assert_eq!(refused.confirmed, 0);
    broker.append(numbered(19)).await.unwrap_err();
    first.ack().await.unwrap();
    third.again(numbered(7), Duration::ZERO).await.unwrap_err();
    second.ack().await.unwrap();
    fs::remove_file(&flag).unwrap();
    broker
        .publish(&Queue::List, vec![numbered(9)])
        .await
        .unwrap();
    broker.append(numbered(20)).await.unwrap();
    // What could not be put back is delivered again.
    assert_eq!(consumer.next().await.unwrap().message, numbered(2));
    say("went on");
}
