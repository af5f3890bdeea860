//! What the gate lets through.

use super::*;
use crate::limit::Limits;
use crate::metrics::{Metrics, Role};

fn limit(most: u16) -> Limit {
    Limit::new(most, IntGauge::new("limit", "a limit").unwrap())
}

/// Takes `count` permits at once and gives how many came without waiting.
async fn at_once(limit: &Limit, count: usize) -> Vec<Permit> {
    let mut permits = Vec::new();
    for _ in 0..count {
        match tokio::time::timeout(Duration::from_millis(1), limit.permit()).await {
            Ok(permit) => permits.push(permit.unwrap()),
            Err(_) => break,
        }
    }
    permits
}

#[tokio::test(start_paused = true)]
async fn permits_follow_the_limit_up_and_down() {
    let limit = limit(1_000);
    let first = at_once(&limit, 100).await;
    assert_eq!(first.len(), 16);
    let begun = Instant::now();
    for _ in 0..20 {
        limit.answered(begun, Answer::Fine(None));
    }
    assert_eq!(limit.now(), 32);
    let more = at_once(&limit, 100).await;
    assert_eq!(more.len(), 16);

    tokio::time::advance(Duration::from_secs(1)).await;
    let begun = Instant::now();
    for _ in 0..32 {
        limit.answered(begun, Answer::Overload);
    }
    assert_eq!(limit.now(), 16);
    assert_eq!(limit.shared.gauge.get(), 32, "those in use are there still");
    drop(first);
    assert_eq!(limit.shared.gauge.get(), 16);
    assert!(at_once(&limit, 1).await.is_empty());
    drop(more);
    assert_eq!(at_once(&limit, 100).await.len(), 16);
}

/// A block in flight takes a thousand times as long as a small object here.
#[tokio::test(start_paused = true)]
async fn blocks_leave_room_for_others_and_take_it_where_nobody_waits() {
    let limit = limit(8);
    tokio::time::advance(QUIET * 2).await;
    let block = |_| {
        let limit = limit.clone();
        tokio::spawn(async move {
            let _permit = limit.permit_block().await.unwrap();
            tokio::time::sleep(Duration::from_secs(10)).await;
        })
    };
    let blocks: Vec<_> = (0..8).map(block).collect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(limit.shared.state().blocks, 8, "nobody else waits");

    let small = limit.clone();
    let small = tokio::spawn(async move {
        for _ in 0..1_000 {
            let _permit = small.permit().await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Instant::now()
    });
    let more: Vec<_> = (0..100).map(block).collect();
    let begun = Instant::now();
    let done = small.await.unwrap() - begun;
    assert!(done < Duration::from_secs(30), "{done:?}");
    for task in blocks.into_iter().chain(more) {
        task.await.unwrap();
    }
    assert_eq!(limit.shared.state().blocks, 0);
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_known_from_those_before_and_who_gives_up_does_not_count() {
    let limit = limit(4);
    assert_eq!(limit.wait(), Duration::ZERO);
    let held = at_once(&limit, 4).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    drop(held);
    let _held = at_once(&limit, 4).await;
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let limit = limit.clone();
            tokio::spawn(async move { limit.permit().await.map(drop) })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(limit.wait().as_secs(), 4, "two turns of two seconds");
    for task in waiting {
        task.abort();
        assert!(task.await.is_err());
    }
    assert_eq!(limit.wait(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_answers_is_as_slow_as_it_is_old() {
    let limit = limit(4);
    drop(at_once(&limit, 4).await);
    let _held = at_once(&limit, 4).await;
    let waiting = limit.clone();
    let waiting = tokio::spawn(async move { waiting.permit().await.map(drop) });
    tokio::task::yield_now().await;
    assert_eq!(limit.wait().as_secs(), 0);
    tokio::time::advance(Duration::from_secs(240)).await;
    assert_eq!(limit.wait().as_secs(), 60, "a fourth of a turn");
    waiting.abort();
}

/// The first line gets nowhere.
#[tokio::test(start_paused = true)]
async fn a_line_that_is_stuck_leaves_places_to_another() {
    let limit = limit(16);
    let limits = Limits::new(16, Metrics::new(Role::Copier).unwrap());
    let [stuck, flowing] = ["a", "b"].map(|bucket| limits.line(bucket, "eu-west-1", "account"));
    let take = |line: Arc<Line>| {
        let limit = limit.clone();
        async move {
            let room = limit.room(&line);
            let ((), permit) = limit.permit_in_turn(room).await.unwrap();
            (permit, line.enter())
        }
    };
    let stuck: Vec<_> = (0..100)
        .map(|_| {
            let place = take(stuck.clone());
            tokio::spawn(async move {
                let _place = place.await;
                tokio::time::sleep(Duration::from_secs(3600)).await;
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let begun = Instant::now();
    for _ in 0..100 {
        let _places = (take(flowing.clone()).await, take(flowing.clone()).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    for task in stuck {
        task.abort();
    }
}
