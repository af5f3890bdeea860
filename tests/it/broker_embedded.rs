//! What is particular to the embedded broker: its file, its lock, its memory, the clock.

use std::fs;
use std::path::Path;
use std::time::Duration;

use blobfleet::broker::embedded::EmbeddedBroker;
use blobfleet::broker::{Broker, Queue};
use blobfleet::failure::{Failure, Reason, Remedy};
use tokio::time::Instant;

use crate::broker_fixture::{job, message, messages, next};

fn refused(dir: &Path) -> Failure {
    let failure = EmbeddedBroker::open(dir).unwrap_err();
    assert_eq!(failure.reason, Reason::LocalState, "{failure}");
    assert_eq!(failure.remedy, Remedy::Stop, "{failure}");
    assert!(!failure.message.contains('\n'), "{failure}");
    failure
}

#[tokio::test]
async fn a_folder_is_used_by_one_broker_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = EmbeddedBroker::open(dir.path()).unwrap();
    let failure = refused(dir.path());
    assert!(
        failure.message.contains("in use by another process"),
        "{failure}"
    );
    assert!(
        failure.message.contains(&dir.path().display().to_string()),
        "{failure}"
    );
    first.close().await.unwrap();
    EmbeddedBroker::open(dir.path()).unwrap();
}

/// A consumer that is still around does not keep the folder.
#[tokio::test]
async fn a_dropped_broker_leaves_its_folder_whoever_still_holds_a_consumer() {
    let dir = tempfile::tempdir().unwrap();
    let first = EmbeddedBroker::open(dir.path()).unwrap();
    first.publish(&Queue::List, messages(0..2)).await.unwrap();
    let mut consumer = first.consume(&Queue::List, 2).await.unwrap();
    let held = next(&mut consumer).await;
    drop(first);
    let second = EmbeddedBroker::open(dir.path()).unwrap();
    assert_eq!(second.depth(&Queue::List).await.unwrap().ready, 2);
    assert_eq!(held.ack().await.unwrap_err().reason, Reason::LocalState);
    assert_eq!(
        consumer.next().await.unwrap_err().reason,
        Reason::LocalState
    );
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(EmbeddedBroker::open(dir.path()).unwrap());
    let raw = rusqlite::Connection::open(dir.path().join("queue.db")).unwrap();
    raw.pragma_update(None, "user_version", 2).unwrap();
    drop(raw);
    let failure = refused(dir.path());
    assert!(failure.message.contains("has version 2"), "{failure}");
    assert!(failure.message.contains("upgrade"), "{failure}");
}

#[tokio::test]
async fn a_file_of_somebody_else_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("CREATE TABLE theirs (a); PRAGMA user_version = 7")
        .unwrap();
    drop(raw);
    let failure = refused(dir.path());
    assert!(
        failure.message.contains("not a queue of blobfleet"),
        "{failure}"
    );
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("SELECT * FROM theirs").unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("queue.db"),
        "not a database at all, ".repeat(500),
    )
    .unwrap();
    let failure = refused(dir.path());
    assert!(failure.message.contains("damaged"), "{failure}");
    assert!(
        failure.message.contains("move its folder away"),
        "{failure}"
    );
}

/// Damage that is found in the middle of the work ends everybody with its cause; nobody hangs.
#[tokio::test]
async fn damage_found_later_ends_consumers_and_publishers() {
    let dir = tempfile::tempdir().unwrap();
    let first = EmbeddedBroker::open(dir.path()).unwrap();
    // Small ones: the pages that are read at the start stay out of the damaged part.
    let mut small = messages(0..20_000);
    for message in &mut small {
        (message.headers.key, message.headers.size) = (String::new(), 0);
    }
    first.publish(&Queue::List, small).await.unwrap();
    first.close().await.unwrap();
    drop(first);
    let path = dir.path().join("queue.db");
    let mut bytes = fs::read(&path).unwrap();
    let (start, end) = (bytes.len() * 4 / 10, bytes.len() * 6 / 10);
    bytes[start..end].fill(0xA5);
    fs::write(&path, bytes).unwrap();

    let broker = EmbeddedBroker::open(dir.path()).unwrap();
    let mut consumer = broker.consume(&Queue::List, u16::MAX).await.unwrap();
    let mut held = Vec::new();
    let failure = loop {
        match consumer.next().await {
            Ok(delivery) => held.push(delivery),
            Err(failure) => break failure,
        }
    };
    assert!(failure.message.contains("damaged"), "{failure}");
    let refused = broker
        .publish(&Queue::List, messages(0..1))
        .await
        .unwrap_err();
    assert_eq!(refused.failure.message, failure.message);
    assert_eq!(
        broker.read_log().await.unwrap_err().message,
        failure.message
    );
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.join("state"), "/proc/blobfleet".into()] {
        let failure = refused(&path);
        assert!(
            failure.message.contains(&path.display().to_string()),
            "{failure}"
        );
        assert!(failure.message.contains("--state"), "{failure}");
    }
}

#[tokio::test]
async fn redelivery_is_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::open(dir.path()).unwrap();
    broker.publish(&Queue::List, messages(0..6)).await.unwrap();
    let mut consumer = broker.consume(&Queue::List, 4).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(next(&mut consumer).await);
    }
    drop(held.remove(3));
    drop(held.remove(1));
    for expected in [1, 3, 4, 5] {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.message, message(expected));
        delivery.ack().await.unwrap();
    }
    drop(held.remove(1));
    drop(consumer);
    let mut consumer = broker.consume(&Queue::List, 4).await.unwrap();
    let (first, second) = (next(&mut consumer).await, next(&mut consumer).await);
    assert_eq!((first.message, second.message), (message(0), message(2)));
}

/// The clock may be paused: waits take no time, and disk work does not let it run ahead.
#[tokio::test(start_paused = true)]
async fn delays_follow_the_paused_clock() {
    let dir = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::open(dir.path()).unwrap();
    broker.declare_job(&job()).await.unwrap();
    let copy = Queue::Copy(job());
    let start = Instant::now();
    for number in 0..50 {
        broker
            .publish(&copy, messages(number..number + 1))
            .await
            .unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "the disk moved the clock");
    let mut consumer = broker.consume(&copy, 100).await.unwrap();
    for number in 0..50_u64 {
        let delivery = next(&mut consumer).await;
        let later = delivery.message.clone();
        let wait = Duration::from_secs(3600 - 60 * number);
        delivery.again(later, wait).await.unwrap();
    }
    let mut again = broker.consume(&Queue::Again(job()), 100).await.unwrap();
    for number in (0..50).rev() {
        let delivery = again.next().await.unwrap();
        assert_eq!(delivery.message, message(number));
        let due = Duration::from_secs(3600 - 60 * u64::from(number));
        let waited = start.elapsed();
        assert!(
            waited >= due && waited < due + Duration::from_millis(100),
            "{waited:?}"
        );
        delivery.ack().await.unwrap();
    }
}

/// What is delayed is on the disk, and ready at once after reopening.
#[tokio::test(start_paused = true)]
async fn delayed_messages_are_ready_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::open(dir.path()).unwrap();
    broker.publish(&Queue::List, messages(0..1)).await.unwrap();
    let mut consumer = broker.consume(&Queue::List, 1).await.unwrap();
    next(&mut consumer)
        .await
        .again(message(1), Duration::from_secs(3600))
        .await
        .unwrap();
    assert_eq!(broker.depth(&Queue::List).await.unwrap().ready, 0);
    drop((consumer, broker));
    let start = Instant::now();
    let broker = EmbeddedBroker::open(dir.path()).unwrap();
    assert_eq!(broker.depth(&Queue::List).await.unwrap().ready, 1);
    let mut consumer = broker.consume(&Queue::List, 1).await.unwrap();
    assert_eq!(consumer.next().await.unwrap().message, message(1));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// A queue far longer than the read-ahead, published and drained at once: order and file size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_queue_keeps_its_order_and_its_file_does_not_grow_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::open(dir.path()).unwrap();
    broker
        .publish(&Queue::List, messages(0..10_000))
        .await
        .unwrap();
    let mut consumer = broker.consume(&Queue::List, 50).await.unwrap();
    let size = || fs::metadata(dir.path().join("queue.db")).unwrap().len();
    let mut sizes = Vec::new();
    for round in 1..6_u32 {
        let more = broker.publish(&Queue::List, messages(round * 10_000..(round + 1) * 10_000));
        let take = async {
            for number in (round - 1) * 10_000..round * 10_000 {
                let delivery = consumer.next().await.unwrap();
                assert_eq!(delivery.message, message(number));
                delivery.ack().await.unwrap();
            }
        };
        tokio::join!(async { more.await.unwrap() }, take);
        sizes.push(size());
    }
    assert_eq!(broker.depth(&Queue::List).await.unwrap().ready, 10_000);
    assert!(sizes[4] < sizes[1] * 3 / 2, "{sizes:?}");
    let wal = fs::metadata(dir.path().join("queue.db-wal")).unwrap().len();
    assert!(wal < 64 << 20, "{wal}");
}
