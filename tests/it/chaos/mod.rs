//! A fleet of real processes on a real RabbitMQ, where something is always failing: processes and
//! broker are killed, both clouds throttle, break off and fall silent. Nothing is lost, nothing is
//! counted twice, and little is copied twice.
//!
//! Small enough for the suite; `tests/chaos.sh` runs the same at full size.

mod broker;
mod clouds;
mod fleet;
mod plan;
mod scale;

use std::time::Duration;

use blobfleet::job::JobId;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::time::Instant;

use self::clouds::Clouds;
use self::fleet::{Cost, Fleet};
use self::plan::Strike;
use self::scale::Scale;
use crate::roles::LOOK_AGAIN;

/// Blows fall up to so much later than drawn.
const LATER: Duration = Duration::from_millis(700);

/// What a run came to.
#[derive(Debug, Default)]
struct Report {
    kills: usize,
    restarts: usize,
    cost: Cost,
}

/// Waits until so many objects have arrived.
async fn arrived(clouds: &Clouds, fleet: &mut Fleet<'_>, strike: Strike, until: Instant) {
    while clouds.arrived() < strike.after {
        fleet.must_be_alive();
        let said = || fleet.site.said();
        assert!(Instant::now() < until, "no progress any more\n{}", said());
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Strikes as planned. The ledger never counts what is not so.
async fn attack(
    scale: &Scale,
    clouds: &Clouds,
    fleet: &mut Fleet<'_>,
    random: &mut StdRng,
) -> Report {
    let mut report = Report::default();
    let (begun, until) = (Instant::now(), Instant::now() + scale.longest);
    for strike in plan::draw(scale, random) {
        arrived(clouds, fleet, strike, until).await;
        fleet::pause(random, LATER).await;
        assert!(!fleet.has_ended(), "the job ended before {strike:?}");
        let cost = fleet.strike(strike.victim, random);
        report.cost.tasks += cost.tasks;
        report.cost.pages += cost.pages;
        match strike.victim {
            plan::Victim::Broker => report.restarts += 1,
            _ => report.kills += 1,
        }
        let now = fleet.totals();
        println!(
            "{:5.1} s: {:?} killed at {}: {cost:?}; {} listed, {} copied, {} written again",
            begun.elapsed().as_secs_f64(),
            strike.victim,
            strike.after,
            now.listed,
            now.copied,
            clouds.repeated()
        );
        assert!(now.copied <= now.listed && now.listed <= clouds.objects());
        assert_eq!((now.failed, now.skipped), (0, 0), "{}", fleet.site.said());
    }
    report
}

fn assert_exact(clouds: &Clouds, fleet: &Fleet<'_>, (code, summary): (Option<i32>, &Value)) {
    assert_eq!(code, Some(0), "{summary}\n{}", fleet.site.said());
    let objects = clouds.objects();
    for (field, value) in [
        ("status", Value::from("Completed")),
        ("objects_listed", objects.into()),
        ("objects_copied", objects.into()),
        ("objects_skipped", 0.into()),
        ("objects_failed", 0.into()),
        ("objects_open", 0.into()),
        ("ranges_failed", 0.into()),
        ("bytes_listed", clouds.bytes().into()),
        ("bytes_copied", clouds.bytes().into()),
    ] {
        assert_eq!(summary[field], value, "{field} of {summary}");
    }
    clouds.assert_arrived();
}

/// What may be copied again, and no more:
/// - each copy task that was unacknowledged when its copier or the broker was killed comes back,
///   and its blob may be written already;
/// - each list task that was unacknowledged then comes back, is listed again under another nonce,
///   and a page of copy tasks is published once more; the same where a killed reporter sends a
///   list task twice;
/// - each write that was carried out without an answer is tried again (a write whose copier was
///   killed at that moment is counted here and above).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_under_attack_copies_everything_once() {
    let scale = Scale::of_environment();
    println!("BLOBFLEET_CHAOS_SEED={}: {scale:?}", scale.seed);
    let mut random = StdRng::seed_from_u64(scale.seed);
    let clouds = Clouds::start(&scale).await;
    let mut fleet = Fleet::start(&scale, &clouds);
    let begun = Instant::now();
    let report = attack(&scale, &clouds, &mut fleet, &mut random).await;
    let (code, summary) = fleet.finish().await;
    let seconds = begun.elapsed().as_secs();

    let (repeated, unanswered) = (clouds.repeated(), clouds.unanswered());
    let Report {
        kills,
        restarts,
        cost: Cost { tasks, pages },
    } = report;
    let bound = tasks + pages * scale.page + unanswered;
    println!(
        "{} objects, {kills} kills, {restarts} broker restarts, {seconds} s: {repeated} copies \
         repeated, at most {bound} may be ({tasks} copy tasks and {pages} list tasks \
         unacknowledged, {unanswered} writes unanswered)",
        clouds.objects()
    );
    assert_exact(&clouds, &fleet, (code, &summary));
    fleet.must_be_alive();
    let job = JobId::new(summary["job_id"].as_str().unwrap());
    fleet.rabbit.assert_empty(&job).await;
    assert!(repeated <= bound, "{repeated} > {bound}");
}
