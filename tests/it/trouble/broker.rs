//! RabbitMQ in trouble while a job goes through it.

use std::time::Duration;

use super::{CONCURRENCY, Fleet, OBJECTS, WAIT};

/// A memory alarm, all connections closed, a kill and a start: the job goes through all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_goes_through_an_alarm_lost_connections_and_a_restart() {
    let mut fleet = Fleet::start().await;
    let (reporter, copier) = (fleet.role("reporter"), fleet.copier());
    let gate = fleet.hold_after(OBJECTS / 6);
    let waiting = fleet.role(WAIT);
    fleet.copies(OBJECTS / 6 + 1).await;

    fleet
        .node
        .control(&["set_vm_memory_high_watermark", "absolute", "1000"]);
    gate.open();
    // Nothing can be published: what is in hand is copied, and then everything waits.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!copier.has_ended() && !reporter.has_ended() && !waiting.has_ended());
    fleet.node.control(&["set_vm_memory_high_watermark", "0.6"]);
    fleet.copies(OBJECTS / 3).await;

    fleet.node.control(&["close_all_connections", "trouble"]);
    fleet.copies(OBJECTS / 2).await;

    fleet.node.kill();
    fleet.node.run();
    fleet.node.wait_until_up();

    fleet.completed(waiting).await;
    fleet
        .stop([("copier", copier), ("reporter", reporter)])
        .await;
    println!("{} copies for {OBJECTS} objects", fleet.writes());
}

/// A delivery that is in hand for longer than the broker allows: it closes the channel, and what
/// was in hand comes again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_timeout_closes_a_channel_and_nothing_is_lost() {
    let fleet = Fleet::start().await;
    // Channels that are opened from now on: 3 s instead of half an hour, looked at every second.
    let short = "application:set_env(rabbit, consumer_timeout, 3000), \
                 application:set_env(rabbit, channel_tick_interval, 1000).";
    fleet.node.control(&["eval", short]);
    let (reporter, copier) = (fleet.role("reporter"), fleet.copier());
    let gate = fleet.hold_after(OBJECTS / 2);
    let waiting = fleet.role(WAIT);
    fleet.copies(OBJECTS / 2 + 1).await;
    // The copies held are in hand until their channel is closed; they come again, and again.
    fleet.copies(OBJECTS / 2 + CONCURRENCY).await;
    let closed = async {
        while !fleet.node.log().contains("acknowledgement on channel") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let closed = tokio::time::timeout(Duration::from_secs(60), closed).await;
    closed.unwrap_or_else(|_| panic!("no timeout:\n{}", fleet.node.log()));
    gate.open();

    fleet.completed(waiting).await;
    fleet
        .stop([("copier", copier), ("reporter", reporter)])
        .await;
    let writes = fleet.writes();
    println!("{writes} copies for {OBJECTS} objects");
    assert!(writes <= OBJECTS + 20 * CONCURRENCY, "{writes}");
}

/// The reporter is away while copiers work: their outcomes wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reporter_that_was_away_catches_up() {
    let fleet = Fleet::start().await;
    let (reporter, copier) = (fleet.role("reporter"), fleet.copier());
    let gate = fleet.hold_after(OBJECTS / 6);
    let waiting = fleet.role(WAIT);
    fleet.copies(OBJECTS / 6 + 1).await;
    reporter.kill();
    let ended = fleet.world.ended("reporter", reporter).await;
    assert_eq!(ended.code, None, "{ended:?}");
    gate.open();
    // What was listed so far is copied without it.
    let mut before = 0;
    while fleet.writes() > before || before < OBJECTS / 6 {
        before = fleet.writes();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let reporter = fleet.role("reporter");

    fleet.completed(waiting).await;
    fleet
        .stop([("copier", copier), ("reporter", reporter)])
        .await;
    let again = fleet.writes() - OBJECTS;
    assert_eq!(again, 0, "no copier was in trouble");
}
