//! A ledger restored from a copy that was taken earlier in its job: with its write-ahead log, without
//! it, or with that of another moment. Every object arrives and counts once, or the job says that it
//! is not complete and how it becomes so.
//!
//! Each case runs a job of its own through several processes while copies of its ledger are taken,
//! kills it, restores one copy, goes on, and does what the programs say. Which copies there are
//! depends on the moment, so a case names its own by its place among them, from 0 to 1. The suite
//! tries a few cases; `tests/restored.sh` tries as many as it is told, on both brokers.

mod embedded;
mod rabbit;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;

use world::Copy;

/// How many places of each kind are tried; a few cases where it does not say.
const POINTS: &str = "BLOBFLEET_RESTORE_POINTS";
/// Cases under way at once.
const AT_ONCE: usize = 4;

/// How far the job has come when the copy is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Some of it is copied.
    Middle,
    /// It has ended.
    Ended,
    /// It has ended with failures, which are put back and under way.
    Retried,
}

/// What is put back beside the file.
#[derive(Clone, Copy, Debug)]
enum Log {
    /// Its write-ahead log.
    Own,
    /// Nothing.
    None,
    /// The write-ahead log at another place.
    Of(f64),
}

/// One restoration.
#[derive(Clone, Copy, Debug)]
struct Case {
    stage: Stage,
    place: f64,
    log: Log,
}

impl Case {
    fn copy(&self, copies: &[Copy]) -> Copy {
        let at = |place: f64| {
            let last = copies.len() - 1;
            copies[(place * last as f64).round() as usize].clone()
        };
        match self.log {
            Log::Own => at(self.place),
            Log::None => at(self.place).without_log(),
            Log::Of(place) => at(self.place).with_log_of(&at(place)),
        }
    }
}

fn case(stage: Stage, place: f64, log: Log) -> Case {
    Case { stage, place, log }
}

/// Those given, or as many of every kind as the environment says.
fn cases(few: &[Case]) -> Vec<Case> {
    let Some(points) = blobfleet::config::environment(POINTS) else {
        return few.to_vec();
    };
    let points: u32 = points.parse().unwrap();
    let mut all = Vec::new();
    for stage in [Stage::Middle, Stage::Ended, Stage::Retried] {
        for point in 0..points {
            let place = (f64::from(point) + 0.5) / f64::from(points);
            for log in [Log::Own, Log::None, Log::Of(1.0 - place), Log::Of(1.0)] {
                all.push(case(stage, place, log));
            }
        }
    }
    all
}

/// Tries all cases, some at once, and prints what was done to how many.
async fn try_all<F>(name: &str, cases: Vec<Case>, attempt: fn(Case, u64) -> F)
where
    F: Future<Output = Vec<&'static str>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut trials = Vec::new();
    for (seed, case) in (1..).zip(cases) {
        let room = room.clone();
        let trial = async move {
            let _place = room.acquire_owned().await.unwrap();
            println!("{case:?}");
            let done = attempt(case, seed).await;
            println!("{case:?}: {done:?}");
            done
        };
        trials.push((case, tokio::spawn(trial)));
    }
    let (mut counts, mut failed) = (BTreeMap::<_, u32>::new(), Vec::new());
    for (case, trial) in trials {
        match trial.await {
            Ok(done) => *counts.entry(done).or_default() += 1,
            Err(error) => failed.push((case, error.to_string())),
        }
    }
    println!("{name}: {counts:?}, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:?}");
}
