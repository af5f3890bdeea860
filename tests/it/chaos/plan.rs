//! What is struck down, and when: drawn from the seed.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::scale::Scale;

/// Who or what is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Victim {
    Copier,
    /// One that lists what others submit.
    Lister,
    /// The lister that submitted the job and waits for its end; it is run again as it was.
    Submitter,
    Reporter,
    Broker,
}

/// A blow, and how many objects have arrived by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strike {
    pub(super) victim: Victim,
    pub(super) after: u64,
}

/// In what shares the roles are killed.
const TURNS: [Victim; 8] = [
    Victim::Copier,
    Victim::Lister,
    Victim::Copier,
    Victim::Reporter,
    Victim::Copier,
    Victim::Submitter,
    Victim::Lister,
    Victim::Reporter,
];

/// Spreads the blows over the job, in any order.
pub(super) fn draw(scale: &Scale, random: &mut StdRng) -> Vec<Strike> {
    let kills = TURNS.into_iter().cycle().take(scale.kills);
    let restarts = std::iter::repeat_n(Victim::Broker, scale.restarts);
    let mut victims: Vec<Victim> = kills.chain(restarts).collect();
    victims.shuffle(random);
    // The last ones must not come too late.
    let step = scale.objects * 17 / 20 / victims.len().max(1) as u64;
    let places = (0..).map(|turn: u64| turn * step + random.random_range(1..=step.max(1)));
    let strikes = victims.into_iter().zip(places);
    strikes
        .map(|(victim, after)| Strike { victim, after })
        .collect()
}
