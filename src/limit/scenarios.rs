//! The rule against simulated services: `tests/scenarios/*.json` says what a service is like and
//! what the limit must come to.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use tokio::time::Instant;

use super::window::{Answer, Window};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    about: String,
    most: u16,
    phases: Vec<Phase>,
}

/// What the service is like for a while.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Phase {
    seconds: f64,
    /// How long an answer takes where nothing queues.
    latency_ms: f64,
    /// Requests a second; more are refused, or queue.
    capacity: f64,
    #[serde(default)]
    queues: bool,
    /// Share of requests refused whatever the load.
    #[serde(default)]
    noise: f64,
    /// Share of requests whose connection breaks.
    #[serde(default)]
    broken: f64,
    expect: Expect,
}

/// What is measured in the second half of the phase.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    limit: (usize, usize),
    /// Requests a second that succeeded, at least.
    goodput: f64,
    /// Share of requests that were refused, at most.
    errors: f64,
    /// The same over the whole phase.
    #[serde(default = "all")]
    errors_throughout: f64,
}

fn all() -> f64 {
    1.0
}

/// What a request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Served,
    Refused,
    Broken,
}

/// A service that answers a number of requests a second.
struct Service {
    random: StdRng,
    /// Requests it may take at once without falling behind.
    tokens: f64,
    at: f64,
    /// When it is done with what it has queued.
    free: f64,
}

impl Service {
    /// How long the answer takes, and what it is.
    fn ask(&mut self, now: f64, phase: &Phase) -> (f64, End) {
        let latency = phase.latency_ms / 1000.0 * self.random.random_range(0.9..1.3);
        let draw = self.random.random_range(0.0..1.0);
        if draw < phase.noise {
            return (latency / 2.0, End::Refused);
        }
        if draw < phase.noise + phase.broken {
            return (latency / 2.0, End::Broken);
        }
        if phase.queues {
            self.free = self.free.max(now) + 1.0 / phase.capacity;
            return (self.free - now + latency, End::Served);
        }
        let burst = (phase.capacity / 20.0).max(1.0);
        self.tokens = (self.tokens + (now - self.at) * phase.capacity).min(burst);
        self.at = now;
        if self.tokens < 1.0 {
            return (latency / 2.0, End::Refused);
        }
        self.tokens -= 1.0;
        (latency, End::Served)
    }
}

#[derive(Debug, Default)]
struct Measured {
    limits: (usize, usize),
    served: u32,
    refused: u32,
    refused_throughout: u32,
    answers_throughout: u32,
}

/// Runs one phase from `start` on; the requests under way are the next phase's.
fn run(
    phase: &Phase,
    (window, service): (&mut Window, &mut Service),
    flying: &mut BinaryHeap<Reverse<(u64, u64, End)>>,
    (zero, start): (Instant, f64),
) -> Measured {
    let nanos = |seconds: f64| u64::try_from(Duration::from_secs_f64(seconds).as_nanos()).unwrap();
    let seconds = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64();
    let (half, end) = (start + phase.seconds / 2.0, start + phase.seconds);
    let mut now = start;
    let mut found = Measured {
        limits: (usize::MAX, 0),
        ..Measured::default()
    };
    while now < end {
        while flying.len() < window.limit() {
            let (takes, end) = service.ask(now, phase);
            flying.push(Reverse((nanos(now + takes), nanos(now), end)));
        }
        let Some(Reverse((at, begun, end_of))) = flying.pop() else {
            break;
        };
        now = seconds(at);
        let answer = match end_of {
            End::Served => Answer::Fine(Some(Duration::from_nanos(at - begun))),
            End::Refused => Answer::Overload,
            End::Broken => Answer::Trouble,
        };
        let served = end_of == End::Served;
        let moment = |nanos| zero + Duration::from_nanos(nanos);
        window.answered(moment(begun), moment(at), flying.len() + 1, answer);
        found.answers_throughout += 1;
        found.refused_throughout += u32::from(!served);
        if now >= half {
            found.served += u32::from(served);
            found.refused += u32::from(!served);
            let limit = window.limit();
            found.limits = (found.limits.0.min(limit), found.limits.1.max(limit));
        }
    }
    found
}

fn check(name: &str, scenario: &Scenario) {
    let mut window = Window::new(scenario.most);
    let mut service = Service {
        random: StdRng::seed_from_u64(7),
        tokens: 0.0,
        at: 0.0,
        free: 0.0,
    };
    let (zero, mut start) = (Instant::now(), 0.0);
    let mut flying = BinaryHeap::new();
    for (index, phase) in scenario.phases.iter().enumerate() {
        let parts = (&mut window, &mut service);
        let found = run(phase, parts, &mut flying, (zero, start));
        start += phase.seconds;
        let goodput = f64::from(found.served) / (phase.seconds / 2.0);
        let errors = f64::from(found.refused) / f64::from((found.served + found.refused).max(1));
        let throughout =
            f64::from(found.refused_throughout) / f64::from(found.answers_throughout.max(1));
        let told = format!(
            "{name}, phase {index} ({}): limit {:?}, {goodput:.0}/s, errors {errors:.4}, \
             throughout {throughout:.4}",
            scenario.about, found.limits
        );
        println!("{told}");
        let expect = &phase.expect;
        assert!(found.limits.0 >= expect.limit.0, "{told}");
        assert!(found.limits.1 <= expect.limit.1, "{told}");
        assert!(goodput >= expect.goodput, "{told}");
        assert!(errors <= expect.errors, "{told}");
        assert!(throughout <= expect.errors_throughout, "{told}");
    }
}

#[test]
fn limits_come_to_what_the_scenarios_expect() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let scenario = serde_json::from_str(&text).unwrap();
        check(&path.file_stem().unwrap().to_string_lossy(), &scenario);
        checked += 1;
    }
    assert!(checked >= 7, "{checked}");
}
