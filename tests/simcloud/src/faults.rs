//! Misbehaviour drawn from a seed: the n-th request for one thing always fares the same, however
//! many are under way at once.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::Duration;

use crate::content::mix;
use crate::lock;
use crate::op::{Action, Op, OpKind};

/// Shares are of 1; the first that hits wins, in the order of the fields.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The same seed gives the same faults.
    pub seed: u64,
    /// Added to every request of these kinds.
    pub latency: BTreeMap<OpKind, Duration>,
    /// 503 SlowDown or ServerBusy.
    pub throttle: f64,
    /// Connection broken, nothing carried out.
    pub reset_before: f64,
    /// Carried out, connection broken instead of an answer.
    pub reset_after: f64,
    /// Answers whose body breaks off in the middle.
    pub cut_body: f64,
    /// Not carried out, no answer.
    pub silent_before: f64,
    /// Carried out, no answer.
    pub silent_after: f64,
    /// Carried out after [`slow_by`](Self::slow_by).
    pub slow: f64,
    /// How long a slow answer takes.
    pub slow_by: Duration,
    /// How long a silent connection is kept before it is closed.
    pub hold: Duration,
    /// Which requests fare so; empty means all.
    pub only: Vec<OpKind>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            seed: 0,
            latency: BTreeMap::new(),
            throttle: 0.0,
            reset_before: 0.0,
            reset_after: 0.0,
            cut_body: 0.0,
            silent_before: 0.0,
            silent_after: 0.0,
            slow: 0.0,
            slow_by: Duration::from_secs(1),
            hold: Duration::from_secs(600),
            only: Vec::new(),
        }
    }
}

impl Faults {
    fn shares(&self) -> [(f64, Action); 7] {
        let throttled = Action::Fail {
            status: 503,
            code: "",
        };
        [
            (self.throttle, throttled),
            (self.reset_before, Action::ResetBefore),
            (self.reset_after, Action::ResetAfter),
            (self.cut_body, Action::CutBody),
            (self.silent_before, Action::SilentBefore),
            (self.silent_after, Action::SilentAfter),
            (self.slow, Action::Delay(self.slow_by)),
        ]
    }

    /// What becomes of the request whose draw is `draw`, from 0 up to 1.
    fn choose(&self, draw: f64) -> Action {
        let mut edge = 0.0;
        for (share, action) in self.shares() {
            edge += share;
            if draw < edge {
                return action;
            }
        }
        Action::Pass
    }
}

/// The faults in force and how often each thing was asked for.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    faults: Faults,
    asked: Mutex<HashMap<u64, u32>>,
    active: bool,
}

impl Schedule {
    pub(crate) fn new(faults: Faults) -> Self {
        let active = faults.shares().iter().any(|(share, _)| *share > 0.0);
        Self {
            faults,
            asked: Mutex::default(),
            active,
        }
    }

    pub(crate) fn hold(&self) -> Duration {
        self.faults.hold
    }

    pub(crate) fn latency(&self, kind: OpKind) -> Option<Duration> {
        self.faults.latency.get(&kind).copied()
    }

    pub(crate) fn draw(&self, op: &Op) -> Action {
        let spared = !self.faults.only.is_empty() && !self.faults.only.contains(&op.kind);
        if !self.active || spared {
            return Action::Pass;
        }
        let mut hasher = DefaultHasher::new();
        (op.kind, &op.place, &op.name).hash(&mut hasher);
        let thing = hasher.finish();
        let nth = {
            let mut asked = lock(&self.asked);
            let nth = asked.entry(thing).or_default();
            *nth += 1;
            *nth
        };
        let bits = mix(self.faults.seed ^ mix(thing ^ mix(u64::from(nth))));
        let draw = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        match self.faults.choose(draw) {
            Action::Fail { status, .. } => Action::Fail {
                status,
                code: if op.kind.is_s3() {
                    "SlowDown"
                } else {
                    "ServerBusy"
                },
            },
            action => action,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(name: &str) -> Op {
        Op {
            kind: OpKind::PutBlob,
            place: "a/c".into(),
            name: name.into(),
            number: 1,
        }
    }

    #[test]
    fn shares_are_kept_and_repeat_from_the_seed() {
        let faults = Faults {
            seed: 3,
            throttle: 0.1,
            reset_after: 0.05,
            ..Faults::default()
        };
        let draw = |schedule: &Schedule| -> Vec<String> {
            let names = (0..4000).map(|name| op(&name.to_string()));
            names
                .map(|op| format!("{:?}", schedule.draw(&op)))
                .collect()
        };
        let first = draw(&Schedule::new(faults.clone()));
        assert_eq!(first, draw(&Schedule::new(faults)));
        let count = |what: &str| first.iter().filter(|a| a.starts_with(what)).count();
        assert!((320..480).contains(&count("Fail")), "{}", count("Fail"));
        assert!((140..260).contains(&count("ResetAfter")));
        assert_eq!(count("ResetBefore"), 0);
    }
}
