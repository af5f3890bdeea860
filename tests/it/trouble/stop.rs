//! Roles that are asked to stop: they end within a deadline, and what they had in hand comes back.

use std::time::Duration;

use tokio::time::Instant;

use super::{CONCURRENCY, Fleet, OBJECTS, WAIT};

/// Draining takes 20 s at most, and a role may take ten more to leave.
const DEADLINE: Duration = Duration::from_secs(45);
/// A process that was stopped at once ends within this time; draining takes longer.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A copier whose copies never end gives them back within the deadline; the other roles end too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_drains_within_a_deadline_and_another_goes_on() {
    let fleet = Fleet::start().await;
    let (reporter, copier, lister) = (fleet.role("reporter"), fleet.copier(), fleet.role("lister"));
    let gate = fleet.hold_after(OBJECTS / 6);
    let waiting = fleet.role(WAIT);
    fleet.copies(OBJECTS / 6 + CONCURRENCY).await;

    let begun = Instant::now();
    fleet
        .stop([
            ("copier", copier),
            ("lister", lister),
            ("reporter", reporter),
        ])
        .await;
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());

    gate.open();
    let roles = [
        ("reporter", fleet.role("reporter")),
        ("copier", fleet.copier()),
    ];
    fleet.completed(waiting).await;
    fleet.stop(roles).await;
    let again = fleet.writes() - OBJECTS;
    assert!(again <= CONCURRENCY, "{again} copied again");
}

/// Two signals to each role in the middle of its work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_each_role_at_once_and_loses_nothing() {
    let fleet = Fleet::start().await;
    let (reporter, copier, lister) = (fleet.role("reporter"), fleet.copier(), fleet.role("lister"));
    let gate = fleet.hold_after(OBJECTS / 6);
    let waiting = fleet.role(WAIT);
    fleet.copies(OBJECTS / 6 + CONCURRENCY).await;

    copier.terminate();
    tokio::time::sleep(Duration::from_millis(500)).await;
    copier.terminate();
    let ended = tokio::time::timeout(AT_ONCE, fleet.world.ended("copier", copier)).await;
    let ended = ended.expect("the second signal did not stop it at once");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.error().contains("stopped at once"), "{ended:?}");
    // These have nothing that holds them up: the second may come too late to matter.
    for (line, running) in [("lister", lister), ("reporter", reporter)] {
        running.terminate();
        running.terminate();
        let ended = tokio::time::timeout(AT_ONCE, fleet.world.ended(line, running)).await;
        let ended = ended.unwrap_or_else(|_| panic!("{line} was not stopped at once"));
        assert!(matches!(ended.code, Some(0 | 1)), "{line}: {ended:?}");
    }

    gate.open();
    let roles = [
        ("reporter", fleet.role("reporter")),
        ("copier", fleet.copier()),
    ];
    fleet.completed(waiting).await;
    fleet.stop(roles).await;
    let again = fleet.writes() - OBJECTS;
    assert!(again <= 4 * CONCURRENCY, "{again} copied again");
}

/// The broker is away when a role is asked to stop: it ends all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_holds_up_no_stop() {
    let mut fleet = Fleet::start().await;
    let (reporter, copier, lister) = (fleet.role("reporter"), fleet.copier(), fleet.role("lister"));
    let gate = fleet.hold_after(OBJECTS / 6);
    let waiting = fleet.role(WAIT);
    fleet.copies(OBJECTS / 6 + CONCURRENCY).await;
    fleet.node.kill();
    gate.open();

    let begun = Instant::now();
    for running in [&copier, &lister, &reporter] {
        running.terminate();
    }
    for (line, running) in [
        ("copier", copier),
        ("lister", lister),
        ("reporter", reporter),
    ] {
        let ended = fleet.world.ended(line, running).await;
        assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
    }
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());

    fleet.node.run();
    fleet.node.wait_until_up();
    let roles = [
        ("reporter", fleet.role("reporter")),
        ("copier", fleet.copier()),
    ];
    fleet.completed(waiting).await;
    fleet.stop(roles).await;
}
