//! What the broker port promises, kept by both implementations.

use std::time::Duration;

use blobfleet::broker::{MAX_WAIT, Queue};
use blobfleet::failure::{Reason, Remedy};
use tokio::time::{Instant, timeout};

use crate::broker_contract_jobs::{
    a_deleted_queue_ends_its_consumer, everyone_reads_the_log_from_its_start,
    foreign_bodies_pass_untouched, it_is_seen_whether_anyone_takes_from_a_queue, jobs_come_and_go,
    publishing_to_no_queue_is_refused, what_waits_comes_at_once_when_it_is_woken,
    what_waits_to_be_tried_again_is_counted,
};
use crate::broker_fixture::{Fixture, SOON, drain, job, message, messages, next, nothing_more};

macro_rules! contract {
    ($($(#[$doc:meta])* $name:ident($bound:expr);)*) => {
        mod embedded {
            use super::*;
            $($(#[$doc])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(&mut Fixture::embedded($bound).await).await; })*
        }
        mod amqp {
            use super::*;
            $($(#[$doc])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(&mut Fixture::amqp($bound).await).await; })*
        }
    };
}

contract! {
    /// G1, and the order of one publisher.
    confirmed_messages_survive_reopening_in_order(100_000);
    /// G2.
    unsettled_messages_come_back(100_000);
    acknowledged_messages_do_not_come_back(100_000);
    /// G3.
    parked_messages_are_set_aside_with_their_reason(100_000);
    /// G4.
    a_consumer_holds_at_most_its_window(100_000);
    a_full_copy_queue_names_the_confirmed_prefix(20);
    /// G5.
    a_delayed_message_is_not_early_and_blocks_no_other(100_000);
    a_delayed_message_survives_reopening(100_000);
    again_without_wait_arrives_at_once_and_the_old_one_is_gone(100_000);
    a_wait_beyond_the_longest_is_refused(100_000);
    /// G6.
    a_dropped_delivery_comes_back(100_000);
    a_dropped_consumer_gives_back_what_it_handed_out(100_000);
    a_cancelled_wait_loses_nothing(100_000);
    /// G7.
    everyone_reads_the_log_from_its_start(100_000);
    jobs_come_and_go(100_000);
    it_is_seen_whether_anyone_takes_from_a_queue(100_000);
    a_deleted_queue_ends_its_consumer(100_000);
    publishing_to_no_queue_is_refused(100_000);
    foreign_bodies_pass_untouched(100_000);
    two_consumers_share_a_queue(100_000);
    what_waits_to_be_tried_again_is_counted(100_000);
    what_waits_comes_at_once_when_it_is_woken(100_000);
}

async fn confirmed_messages_survive_reopening_in_order(fixture: &mut Fixture) {
    let sent = messages(0..3000);
    for batch in sent.chunks(700) {
        fixture
            .broker()
            .publish(&Queue::List, batch.to_vec())
            .await
            .unwrap();
    }
    assert_eq!(
        fixture.broker().depth(&Queue::List).await.unwrap().ready,
        3000
    );
    fixture.reopen().await;
    assert_eq!(drain(fixture.broker(), &Queue::List, 3000).await, sent);
}

async fn unsettled_messages_come_back(fixture: &mut Fixture) {
    fixture
        .broker()
        .publish(&Queue::List, messages(0..10))
        .await
        .unwrap();
    let mut consumer = fixture.broker().consume(&Queue::List, 5).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(next(&mut consumer).await);
    }
    held.remove(2).ack().await.unwrap();
    drop((held, consumer));
    fixture.reopen().await;
    let mut found = drain(fixture.broker(), &Queue::List, 9).await;
    found.sort_by_key(|one| one.headers.index);
    let expected: Vec<u32> = (0..10).filter(|number| *number != 2).collect();
    assert_eq!(found, expected.into_iter().map(message).collect::<Vec<_>>());
}

async fn acknowledged_messages_do_not_come_back(fixture: &mut Fixture) {
    fixture
        .broker()
        .publish(&Queue::Outcome, messages(0..20))
        .await
        .unwrap();
    drain(fixture.broker(), &Queue::Outcome, 20).await;
    fixture.reopen().await;
    assert_eq!(
        fixture.broker().depth(&Queue::Outcome).await.unwrap().ready,
        0
    );
    let mut consumer = fixture.broker().consume(&Queue::Outcome, 5).await.unwrap();
    nothing_more(&mut consumer).await;
}

async fn parked_messages_are_set_aside_with_their_reason(fixture: &mut Fixture) {
    fixture.broker().declare_job(&job()).await.unwrap();
    let copy = Queue::Copy(job());
    fixture
        .broker()
        .publish(&copy, messages(0..3))
        .await
        .unwrap();
    let mut consumer = fixture.broker().consume(&copy, 10).await.unwrap();
    next(&mut consumer)
        .await
        .park("no such key: «a b»")
        .await
        .unwrap();
    next(&mut consumer).await.ack().await.unwrap();
    assert_eq!(next(&mut consumer).await.message, message(2));
    drop(consumer);
    fixture.reopen().await;
    for _ in 0..2 {
        let parked = fixture.broker().parked(10).await.unwrap();
        assert_eq!(parked.len(), 1);
        assert_eq!(parked[0].message, message(0));
        assert_eq!(parked[0].queue, copy.name());
        assert_eq!(parked[0].reason, "no such key: «a b»");
    }
    assert_eq!(fixture.broker().parked(0).await.unwrap(), []);
    assert_eq!(drain(fixture.broker(), &copy, 1).await, messages(2..3));
    let mut consumer = fixture.broker().consume(&Queue::Parked, 1).await.unwrap();
    let delivery = next(&mut consumer).await;
    let why = (copy.name(), "no such key: «a b»".to_owned());
    assert_eq!(delivery.parked, Some(why));
    delivery.ack().await.unwrap();
    fixture
        .broker()
        .publish(&Queue::Parked, messages(9..10))
        .await
        .unwrap();
    assert_eq!(next(&mut consumer).await.message, message(9));
}

async fn a_consumer_holds_at_most_its_window(fixture: &mut Fixture) {
    fixture
        .broker()
        .publish(&Queue::List, messages(0..10))
        .await
        .unwrap();
    let mut consumer = fixture.broker().consume(&Queue::List, 3).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(&mut consumer).await);
    }
    nothing_more(&mut consumer).await;
    held.pop().unwrap().ack().await.unwrap();
    assert_eq!(next(&mut consumer).await.message, message(3));
}

async fn a_full_copy_queue_names_the_confirmed_prefix(fixture: &mut Fixture) {
    fixture.broker().declare_job(&job()).await.unwrap();
    let copy = Queue::Copy(job());
    let (mut sent, mut confirmed) = (0, Vec::new());
    let refused = loop {
        assert!(sent < 2000, "never full");
        let batch = messages(sent..sent + 7);
        match fixture.broker().publish(&copy, batch.clone()).await {
            Ok(()) => confirmed.extend(batch),
            Err(refused) => {
                confirmed.extend_from_slice(&batch[..refused.confirmed]);
                break refused;
            }
        }
        sent += 7;
    };
    assert_eq!(refused.failure.reason, Reason::QueueFull);
    assert_eq!(refused.failure.remedy, Remedy::Retry);
    assert!(
        refused.confirmed < 7 && confirmed.len() >= 20,
        "{refused:?}"
    );
    let found = drain(fixture.broker(), &copy, confirmed.len()).await;
    assert_eq!(found, confirmed);
    let more = fixture.broker().publish(&copy, messages(0..1));
    timeout(SOON, more).await.unwrap().unwrap();
    // What is tried again goes where there is no bound.
    let again = Queue::Again(job());
    fixture
        .broker()
        .publish(&again, messages(0..100))
        .await
        .unwrap();
    assert_eq!(fixture.broker().depth(&again).await.unwrap().ready, 100);
}

async fn a_delayed_message_is_not_early_and_blocks_no_other(fixture: &mut Fixture) {
    fixture.broker().declare_job(&job()).await.unwrap();
    let copy = Queue::Copy(job());
    fixture
        .broker()
        .publish(&copy, messages(0..3))
        .await
        .unwrap();
    let mut consumer = fixture.broker().consume(&copy, 10).await.unwrap();
    let mut again = fixture
        .broker()
        .consume(&Queue::Again(job()), 10)
        .await
        .unwrap();
    let start = Instant::now();
    let waits = [
        Duration::from_millis(1500),
        Duration::from_millis(700),
        Duration::ZERO,
    ];
    for wait in waits {
        let delivery = next(&mut consumer).await;
        let mut later = delivery.message.clone();
        later.headers.attempt = 40 + delivery.message.headers.index;
        delivery.again(later, wait).await.unwrap();
    }
    for (number, wait) in [(2, 0), (1, 700), (0, 1500)] {
        let delivery = next(&mut again).await;
        let mut expected = message(number);
        expected.headers.attempt = 40 + number;
        assert_eq!(delivery.message, expected);
        let (waited, least) = (start.elapsed(), Duration::from_millis(wait));
        assert!(
            waited >= least && waited < least + Duration::from_secs(6),
            "{waited:?}"
        );
        delivery.ack().await.unwrap();
    }
    nothing_more(&mut consumer).await;
}

async fn a_delayed_message_survives_reopening(fixture: &mut Fixture) {
    fixture.broker().declare_job(&job()).await.unwrap();
    let copy = Queue::Copy(job());
    fixture
        .broker()
        .publish(&copy, messages(0..1))
        .await
        .unwrap();
    let mut consumer = fixture.broker().consume(&copy, 10).await.unwrap();
    let delivery = next(&mut consumer).await;
    delivery
        .again(message(5), Duration::from_secs(2))
        .await
        .unwrap();
    drop(consumer);
    fixture.reopen().await;
    assert_eq!(fixture.broker().depth(&copy).await.unwrap().ready, 0);
    let again = Queue::Again(job());
    assert_eq!(drain(fixture.broker(), &again, 1).await, messages(5..6));
}

async fn again_without_wait_arrives_at_once_and_the_old_one_is_gone(fixture: &mut Fixture) {
    for queue in [Queue::List, Queue::Outcome] {
        fixture
            .broker()
            .publish(&queue, messages(0..1))
            .await
            .unwrap();
        let mut consumer = fixture.broker().consume(&queue, 10).await.unwrap();
        next(&mut consumer)
            .await
            .again(message(1), Duration::ZERO)
            .await
            .unwrap();
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.message, message(1));
        delivery
            .again(message(2), Duration::from_secs(1))
            .await
            .unwrap();
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.message, message(2));
        delivery.ack().await.unwrap();
        nothing_more(&mut consumer).await;
    }
}

async fn a_wait_beyond_the_longest_is_refused(fixture: &mut Fixture) {
    fixture
        .broker()
        .publish(&Queue::List, messages(0..1))
        .await
        .unwrap();
    let mut consumer = fixture.broker().consume(&Queue::List, 1).await.unwrap();
    let wait = MAX_WAIT + Duration::from_secs(1);
    let refused = next(&mut consumer).await.again(message(1), wait).await;
    assert_eq!(refused.unwrap_err().remedy, Remedy::GiveUp);
    assert_eq!(next(&mut consumer).await.message, message(0));
}

async fn a_dropped_delivery_comes_back(fixture: &mut Fixture) {
    fixture
        .broker()
        .publish(&Queue::List, messages(0..4))
        .await
        .unwrap();
    let mut consumer = fixture.broker().consume(&Queue::List, 2).await.unwrap();
    drop(next(&mut consumer).await);
    drop(next(&mut consumer).await);
    // They do not eat up the window, and nothing else happens to them.
    let mut found = Vec::new();
    for _ in 0..4 {
        let delivery = next(&mut consumer).await;
        found.push(delivery.message.clone());
        delivery.ack().await.unwrap();
    }
    found.sort_by_key(|one| one.headers.index);
    assert_eq!(found, messages(0..4));
    nothing_more(&mut consumer).await;
}

async fn a_dropped_consumer_gives_back_what_it_handed_out(fixture: &mut Fixture) {
    fixture
        .broker()
        .publish(&Queue::List, messages(0..2))
        .await
        .unwrap();
    let mut first = fixture.broker().consume(&Queue::List, 2).await.unwrap();
    let held = next(&mut first).await;
    assert_eq!(held.message, message(0));
    drop(first);
    let mut second = fixture.broker().consume(&Queue::List, 2).await.unwrap();
    assert_eq!(next(&mut second).await.message, message(0));
    let refused = held.ack().await.unwrap_err();
    assert_eq!(refused.remedy, Remedy::Retry);
}

async fn a_cancelled_wait_loses_nothing(fixture: &mut Fixture) {
    let mut consumer = fixture.broker().consume(&Queue::List, 7).await.unwrap();
    fixture
        .broker()
        .publish(&Queue::List, messages(0..300))
        .await
        .unwrap();
    let (mut found, mut cancelled) = (Vec::new(), 0);
    while found.len() < 300 {
        tokio::select! {
            biased;
            () = tokio::task::yield_now(), if cancelled % 3 != 2 => {}
            delivery = consumer.next() => {
                let delivery = delivery.unwrap();
                found.push(delivery.message.clone());
                delivery.ack().await.unwrap();
            }
        }
        cancelled += 1;
    }
    assert_eq!(found, messages(0..300));
}

async fn two_consumers_share_a_queue(fixture: &mut Fixture) {
    let broker = fixture.broker();
    let mut first = broker.consume(&Queue::List, 5).await.unwrap();
    let mut second = broker.consume(&Queue::List, 5).await.unwrap();
    broker
        .publish(&Queue::List, messages(0..200))
        .await
        .unwrap();
    let (mut found, mut shares) = (Vec::new(), [0, 0]);
    while found.len() < 200 {
        let (who, delivery) = tokio::select! {
            delivery = first.next() => (0, delivery.unwrap()),
            delivery = second.next() => (1, delivery.unwrap()),
        };
        shares[who] += 1;
        found.push(delivery.message.clone());
        delivery.ack().await.unwrap();
    }
    found.sort_by_key(|one| one.headers.index);
    assert_eq!(found, messages(0..200));
    assert!(shares[0] > 0 && shares[1] > 0, "{shares:?}");
}
