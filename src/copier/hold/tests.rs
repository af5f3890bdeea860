//! What is held, how long, and what ends it.

use super::*;

const PATIENCE: Duration = Duration::from_secs(600);

fn denied_all(now: Instant) -> Bucket {
    let mut bucket = Bucket::default();
    for _ in 1..IN_A_ROW {
        assert_eq!(bucket.admit(now), Admission::Go);
        assert_eq!(bucket.denied(now, PATIENCE), Verdict::Fails);
    }
    assert_eq!(bucket.denied(now, PATIENCE), Verdict::Holds(BETWEEN.0));
    bucket
}

#[test]
fn a_hundred_denials_hold_a_bucket_and_one_object_is_tried_now_and_then() {
    let start = Instant::now();
    let mut bucket = denied_all(start);
    let mut tried = Vec::new();
    for second in 0..200 {
        let now = start + Duration::from_secs(second);
        while bucket.admit(now) == Admission::Go {
            tried.push(second);
            assert!(matches!(bucket.denied(now, PATIENCE), Verdict::Wait(_)));
        }
    }
    assert_eq!(tried, [5, 15, 35, 75, 135, 195]);
    let now = start + Duration::from_secs(196);
    assert_eq!(
        bucket.admit(now),
        Admission::Wait(Duration::from_secs(59)),
        "the others wait for the next try"
    );
    let late = start + Duration::from_secs(480);
    assert_eq!(bucket.admit(late), Admission::Go);
    let wait = Admission::Wait(Duration::from_secs(120));
    assert_eq!(bucket.admit(late), wait, "a fourth of the time it is held");
}

#[test]
fn after_its_time_the_objects_fail_without_another_hold() {
    let start = Instant::now();
    let mut bucket = denied_all(start);
    let late = start + PATIENCE;
    for _ in 0..IN_A_ROW * 2 {
        assert_eq!(bucket.admit(late), Admission::Go);
        assert_eq!(bucket.denied(late, PATIENCE), Verdict::Fails);
    }
}

#[test]
fn what_was_long_ago_is_forgotten() {
    let start = Instant::now();
    let mut bucket = denied_all(start);
    let late = start + PATIENCE;
    assert_eq!(bucket.denied(late, PATIENCE), Verdict::Fails);
    assert_eq!(bucket.denied(late, PATIENCE), Verdict::Fails);
    assert!(bucket.given_up);
    let much_later = late + LONG_AGO + Duration::from_secs(1);
    assert_eq!(bucket.denied(much_later, PATIENCE), Verdict::Fails);
    assert_eq!((bucket.denied, bucket.given_up), (1, false));
}

#[test]
fn whoever_asks_for_it_has_one_tried_at_once_and_the_time_begins_anew() {
    let start = Instant::now();
    let mut bucket = denied_all(start);
    let late = start + PATIENCE - Duration::from_secs(1);
    assert_eq!(bucket.admit(late), Admission::Go);
    assert!(matches!(bucket.admit(late), Admission::Wait(_)));
    bucket.wake(late);
    assert_eq!(bucket.admit(late), Admission::Go);
    let others = Admission::Wait(BETWEEN.0);
    assert_eq!(bucket.admit(late), others, "the others wait for it");
    let later = late + PATIENCE / 2;
    assert!(matches!(bucket.denied(later, PATIENCE), Verdict::Wait(_)));

    let mut bucket = denied_all(start);
    assert_eq!(bucket.denied(start + PATIENCE, PATIENCE), Verdict::Fails);
    bucket.wake(start + PATIENCE);
    assert!(!bucket.given_up, "what was given up is held anew");
}

#[test]
fn nothing_is_put_back_for_long() {
    let start = Instant::now();
    let mut bucket = denied_all(start);
    let late = start + Duration::from_secs(5 * 3600);
    assert_eq!(bucket.admit(late), Admission::Go);
    assert_eq!(bucket.admit(late), Admission::Wait(LONGEST));
}

#[test]
fn without_patience_nothing_is_held() {
    let mut bucket = Bucket::default();
    for _ in 0..IN_A_ROW * 2 {
        let verdict = bucket.denied(Instant::now(), Duration::ZERO);
        assert_eq!(verdict, Verdict::Fails);
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_arrives_ends_it() {
    let metrics = Metrics::new(crate::metrics::Role::Copier).unwrap();
    let holds = Holds::new(PATIENCE, &metrics);
    let failure = Failure::give_up(crate::failure::Reason::SourceDenied, "denied");
    let begun = Instant::now();
    let denied = |bucket| holds.denied(bucket, Instant::now(), &failure);
    for _ in 1..IN_A_ROW {
        assert_eq!(denied("b"), None);
    }
    assert_eq!(denied("a"), None, "each bucket by itself");
    assert_eq!(denied("b"), Some(BETWEEN.0));
    assert!(matches!(holds.admit("b"), Admission::Wait(_)));
    assert_eq!(holds.held.get(), 1);
    assert!(holds.arrived("b") && !holds.arrived("b"));
    assert_eq!(holds.admit("b"), Admission::Go);
    assert_eq!(holds.held.get(), 0);
    let late = holds.denied("b", begun, &failure);
    assert_eq!(late, Some(Duration::ZERO), "begun while it was held");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(denied("b"), None, "counted from the start");
}

#[test]
fn the_first_few_in_a_row_are_worth_a_warning() {
    let metrics = Metrics::new(crate::metrics::Role::Copier).unwrap();
    let holds = Holds::new(PATIENCE, &metrics);
    let warned = |bucket| (0..IN_A_ROW).filter(|_| holds.warns(bucket)).count();
    assert_eq!(warned("a"), 5);
    assert_eq!(warned("b"), 5, "each bucket by itself");
    assert_eq!(warned("a"), 0);
    holds.arrived("a");
    assert_eq!((warned("a"), warned("b")), (5, 0), "in a row");
}
