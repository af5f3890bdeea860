//! How large a run is; `tests/chaos.sh` asks for a larger one by the environment.

use std::time::Duration;

use blobfleet::config::environment;

/// The numbers of a run.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// Everything that is drawn follows from it, apart from what the machine's speed decides.
    pub(super) seed: u64,
    pub(super) objects: u64,
    /// Processes killed.
    pub(super) kills: usize,
    /// Times the broker is killed; none where it is not ours.
    pub(super) restarts: usize,
    /// A broker that runs already, with a vhost nobody has used.
    pub(super) broker: Option<String>,
    pub(super) copiers: usize,
    /// Objects a copier works on at a time.
    pub(super) concurrency: u16,
    /// Keys in a page of a listing.
    pub(super) page: u64,
    /// What a page of a listing takes, so that listing goes on for most of the job.
    pub(super) listing: Duration,
    /// How long a silent connection is kept: in the long run longer than anybody waits.
    pub(super) silence: Duration,
    /// How long the job may take.
    pub(super) longest: Duration,
}

/// Runs with more objects are the long ones.
const SHORT: u64 = 10_000;

impl Scale {
    pub(super) fn of_environment() -> Self {
        let broker = environment("BLOBFLEET_CHAOS_AMQP");
        let objects = number("OBJECTS", 6_000);
        let restarts = number("RESTARTS", 1);
        let long = objects > SHORT;
        let restarts = if broker.is_some() { 0 } else { restarts };
        Self {
            seed: number("SEED", 4),
            objects,
            kills: usize::try_from(number("KILLS", 8)).unwrap(),
            restarts: usize::try_from(restarts).unwrap(),
            broker,
            copiers: 3,
            concurrency: if long { 32 } else { 16 },
            page: if long { 250 } else { 100 },
            listing: Duration::from_secs(if long { 5 } else { 3 }),
            silence: Duration::from_secs(if long { 600 } else { 3 }),
            longest: Duration::from_secs(if long { 3600 } else { 400 }),
        }
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    let name = format!("BLOBFLEET_CHAOS_{name}");
    environment(&name).map_or(otherwise, |value| {
        value.parse().unwrap_or_else(|_| panic!("{name}: {value}"))
    })
}
