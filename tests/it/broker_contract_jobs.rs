//! The contract of the broker port, second part: log, jobs and refusals.

use std::time::Duration;

use blobfleet::broker::{Depth, Queue};
use blobfleet::failure::{Happened, Reason, Remedy};
use blobfleet::job::JobId;
use blobfleet::message::{Envelope, ListTask};
use tokio::time::timeout;

use crate::broker_fixture::{
    Fixture, NEVER, SOON, drain, job, message, messages, next, nothing_more,
};

pub(crate) async fn everyone_reads_the_log_from_its_start(fixture: &mut Fixture) {
    let broker = fixture.broker();
    assert_eq!(broker.read_log().await.unwrap(), []);
    let mut early = broker.follow_log().await.unwrap();
    for number in 0..20 {
        broker.append(message(number)).await.unwrap();
    }
    assert_eq!(broker.read_log().await.unwrap(), messages(0..20));
    let mut late = broker.follow_log().await.unwrap();
    broker.append(message(20)).await.unwrap();
    for reader in [&mut early, &mut late] {
        for number in 0..21 {
            let record = timeout(SOON, reader.next()).await.unwrap().unwrap();
            assert_eq!(record, message(number));
        }
        let more = timeout(NEVER, reader.next()).await;
        assert!(more.is_err(), "{more:?}");
    }
    drop((early, late));
    fixture.reopen().await;
    assert_eq!(fixture.broker().read_log().await.unwrap(), messages(0..21));
    // The log is no queue: it was not used up.
    assert_eq!(fixture.broker().read_log().await.unwrap(), messages(0..21));
}

pub(crate) async fn jobs_come_and_go(fixture: &mut Fixture) {
    let broker = fixture.broker();
    let (copy, again) = (Queue::Copy(job()), Queue::Again(job()));
    for _ in 0..2 {
        broker.declare_job(&job()).await.unwrap();
    }
    broker.publish(&copy, messages(0..5)).await.unwrap();
    broker.publish(&again, messages(5..7)).await.unwrap();
    broker.declare_job(&job()).await.unwrap();
    assert_eq!(broker.depth(&copy).await.unwrap().ready, 5);
    assert_eq!(broker.depth(&again).await.unwrap().ready, 2);
    for _ in 0..2 {
        broker.delete_job(&job()).await.unwrap();
    }
    assert_eq!(broker.depth(&copy).await.unwrap().ready, 0);
    broker.declare_job(&job()).await.unwrap();
    assert_eq!(broker.depth(&copy).await.unwrap().ready, 0);
    broker.publish(&copy, messages(7..8)).await.unwrap();
    assert_eq!(drain(broker, &copy, 1).await, messages(7..8));
}

pub(crate) async fn it_is_seen_whether_anyone_takes_from_a_queue(fixture: &mut Fixture) {
    let broker = fixture.broker();
    let consumers = async || broker.depth(&Queue::Outcome).await.unwrap().consumers;
    assert_eq!(consumers().await, 0);
    let mut first = broker.consume(&Queue::Outcome, 5).await.unwrap();
    assert_eq!(consumers().await, 1);
    let sent = messages(0..1);
    broker.publish(&Queue::Outcome, sent).await.unwrap();
    let delivery = next(&mut first).await;
    assert_eq!(consumers().await, 1, "with its hands full too");
    delivery.ack().await.unwrap();
    drop(first);
    let gone = async {
        while consumers().await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, gone).await.unwrap();
    let unknown = broker.depth(&Queue::Copy(job())).await.unwrap();
    assert_eq!(unknown, Depth::default());
}

pub(crate) async fn a_deleted_queue_ends_its_consumer(fixture: &mut Fixture) {
    let broker = fixture.broker();
    broker.declare_job(&job()).await.unwrap();
    let mut consumer = broker.consume(&Queue::Copy(job()), 5).await.unwrap();
    let gone = job();
    let (ended, deleted) = tokio::join!(timeout(SOON, consumer.next()), broker.delete_job(&gone));
    deleted.unwrap();
    let failure = ended.unwrap().unwrap_err();
    assert_eq!(failure.remedy, Remedy::GiveUp, "{failure:?}");
    let refused = broker.consume(&Queue::Copy(job()), 5).await.unwrap_err();
    assert_eq!(refused.remedy, Remedy::GiveUp, "{refused:?}");
    assert!(
        refused.message.contains(&Queue::Copy(job()).name()),
        "{refused}"
    );
}

pub(crate) async fn publishing_to_no_queue_is_refused(fixture: &mut Fixture) {
    let broker = fixture.broker();
    let queue = Queue::Copy(job());
    let refused = broker.publish(&queue, messages(0..20)).await.unwrap_err();
    assert_eq!(refused.confirmed, 0);
    assert_eq!(refused.failure.reason, Reason::BrokerRejected);
    assert_eq!(refused.failure.remedy, Remedy::GiveUp);
    assert_eq!(refused.failure.happened, Happened::No);
    assert!(refused.failure.message.contains(&queue.name()), "{refused}");
    // The next batch is not harmed by it.
    broker.publish(&Queue::List, messages(0..3)).await.unwrap();
    broker.publish(&Queue::List, Vec::new()).await.unwrap();
    assert_eq!(drain(broker, &Queue::List, 3).await, messages(0..3));
    // Nor can a message be put back into a queue that is gone.
    broker.declare_job(&job()).await.unwrap();
    broker.publish(&queue, messages(0..1)).await.unwrap();
    let mut consumer = broker.consume(&queue, 1).await.unwrap();
    let delivery = next(&mut consumer).await;
    broker.delete_job(&job()).await.unwrap();
    let refused = delivery
        .again(message(0), Duration::from_secs(1))
        .await
        .unwrap_err();
    assert_eq!(refused.remedy, Remedy::GiveUp, "{refused:?}");
}

pub(crate) async fn foreign_bodies_pass_untouched(fixture: &mut Fixture) {
    let bodies: [&'static [u8]; 5] = [b"", b"\0", b"\0not ours", b"\x01\xc1", b"\x04future"];
    let sent: Vec<Envelope> = bodies
        .iter()
        .map(|body| Envelope {
            headers: message(3).headers,
            body: bytes::Bytes::from_static(body),
        })
        .collect();
    fixture
        .broker()
        .publish(&Queue::List, sent.clone())
        .await
        .unwrap();
    let found = drain(fixture.broker(), &Queue::List, 5).await;
    assert_eq!(found, sent);
    let reasons: Vec<Reason> = found
        .iter()
        .map(|one| one.decode::<ListTask>().unwrap_err().reason)
        .collect();
    assert_eq!(reasons[..4], [Reason::Undecodable; 4]);
    assert_eq!(reasons[4], Reason::NewerVersion);
}

pub(crate) async fn what_waits_to_be_tried_again_is_counted(fixture: &mut Fixture) {
    let broker = fixture.broker();
    broker.declare_job(&job()).await.unwrap();
    assert_eq!(broker.again(&job()).await.unwrap(), 0);
    let copy = Queue::Copy(job());
    broker.publish(&copy, messages(0..5)).await.unwrap();
    let mut consumer = broker.consume(&copy, 4).await.unwrap();
    for (wait, count) in [(0, 1), (3600, 2), (100, 3)] {
        let delivery = next(&mut consumer).await;
        let message = delivery.message.clone();
        let wait = Duration::from_secs(wait);
        delivery.again(message, wait).await.unwrap();
        assert_eq!(broker.again(&job()).await.unwrap(), count);
    }
    assert_eq!(broker.again(&JobId::new("j-none")).await.unwrap(), 0);
    broker.delete_job(&job()).await.unwrap();
    broker.declare_job(&job()).await.unwrap();
    assert_eq!(broker.again(&job()).await.unwrap(), 0);
}

pub(crate) async fn what_waits_comes_at_once_when_it_is_woken(fixture: &mut Fixture) {
    const WAITING: usize = 1_203;
    let broker = fixture.broker();
    broker.declare_job(&job()).await.unwrap();
    let (copy, again) = (Queue::Copy(job()), Queue::Again(job()));
    let sent = messages(0..WAITING as u32);
    broker.publish(&copy, sent.clone()).await.unwrap();
    let mut consumer = broker.consume(&copy, 2_000).await.unwrap();
    for number in 0..WAITING {
        let delivery = next(&mut consumer).await;
        let message = delivery.message.clone();
        let wait = Duration::from_secs([3600, 100, 600][number % 3]);
        delivery.again(message, wait).await.unwrap();
    }

    assert_eq!(broker.wake(&job()).await.unwrap(), WAITING as u64);

    let mut found = drain(broker, &again, WAITING).await;
    found.sort_by_key(|one| one.headers.index);
    assert_eq!(found, sent);
    assert_eq!(broker.wake(&job()).await.unwrap(), 0);
    assert_eq!(broker.wake(&JobId::new("j-none")).await.unwrap(), 0);
    fixture.reopen().await;
    let mut consumer = fixture.broker().consume(&again, 5).await.unwrap();
    nothing_more(&mut consumer).await;
}
