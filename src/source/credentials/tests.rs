//! The cache over time, with credentials that count their fetches.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_credential_types::credential_fn::provide_credentials_fn;

use super::*;
use crate::failure::Remedy;

const START: u64 = 1_700_000_000;

type Error = fn() -> CredentialsError;

/// A time that the test moves, and what the provider does next.
#[derive(Clone, Default)]
struct Rig {
    seconds: Arc<AtomicU64>,
    fetches: Arc<AtomicU64>,
    broken: Arc<Mutex<Option<Error>>>,
}

impl Rig {
    fn clock(&self) -> Clock {
        let seconds = Arc::clone(&self.seconds);
        Clock::new(move || {
            SystemTime::UNIX_EPOCH + Duration::from_secs(START + seconds.load(Ordering::SeqCst))
        })
    }

    /// Credentials `K0`, `K1`, … that live so many seconds; without end for none.
    fn credentials(&self, life: Option<u64>, rotating: bool) -> Credentials {
        let rig = self.clone();
        Credentials::from_provider(
            provide_credentials_fn(move || {
                let rig = rig.clone();
                async move {
                    let number = rig.fetches.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    if let Some(broken) = *rig.broken.lock().unwrap() {
                        return Err(broken());
                    }
                    let name = format!("K{}", if rotating { number } else { 0 });
                    let mut keys = Keys::builder()
                        .access_key_id(name)
                        .secret_access_key("s")
                        .provider_name("test");
                    keys.set_expiry(life.map(|life| rig.clock().now() + Duration::from_secs(life)));
                    Ok(keys.build())
                }
            }),
            self.clock(),
        )
    }

    fn at(&self, seconds: u64) {
        self.seconds.store(seconds, Ordering::SeqCst);
    }

    fn break_with(&self, error: Option<Error>) {
        *self.broken.lock().unwrap() = error;
    }

    fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::SeqCst)
    }
}

async fn key(credentials: &Credentials) -> String {
    let snapshot = credentials.current().await.unwrap().unwrap();
    snapshot.access_key().to_owned()
}

#[tokio::test]
async fn credentials_are_kept_and_renewed_before_their_end() {
    let rig = Rig::default();
    let credentials = rig.credentials(Some(3600), true);
    for at in [0, 1, 3299] {
        rig.at(at);
        assert_eq!(key(&credentials).await, "K0");
    }
    assert_eq!(rig.fetches(), 1);
    rig.at(3300);
    assert_eq!(key(&credentials).await, "K1");
    assert_eq!(rig.fetches(), 2);
}

#[tokio::test]
async fn a_short_life_is_renewed_in_its_last_quarter() {
    let rig = Rig::default();
    let credentials = rig.credentials(Some(8), true);
    for (at, wanted) in [(0, "K0"), (5, "K0"), (6, "K1"), (11, "K1"), (12, "K2")] {
        rig.at(at);
        assert_eq!(key(&credentials).await, wanted, "at {at}");
    }
}

#[tokio::test]
async fn many_callers_fetch_once() {
    let rig = Rig::default();
    let credentials = rig.credentials(Some(3600), true);
    let keys = |credentials: Credentials| async move {
        let callers = (0..50).map(|_| key(&credentials));
        futures_util::future::join_all(callers).await
    };
    assert_eq!(keys(credentials.clone()).await, vec!["K0"; 50]);
    rig.at(3400);
    let renewed = keys(credentials.clone()).await;
    assert_eq!(rig.fetches(), 2, "one renews");
    assert_eq!(renewed.iter().filter(|key| *key == "K0").count(), 49);
    rig.at(7200);
    assert_eq!(keys(credentials).await, vec!["K2"; 50]);
    assert_eq!(rig.fetches(), 3);
}

#[tokio::test]
async fn a_failed_renewal_leaves_the_old_ones_in_use_and_backs_off() {
    let rig = Rig::default();
    let credentials = rig.credentials(Some(3600), true);
    assert_eq!(key(&credentials).await, "K0");
    rig.break_with(Some(|| CredentialsError::provider_error("STS is down")));
    for at in [3300, 3301, 3329] {
        rig.at(at);
        assert_eq!(key(&credentials).await, "K0");
    }
    assert_eq!(rig.fetches(), 2, "the second try waits 30 s");
    rig.at(3330);
    assert_eq!(key(&credentials).await, "K0");
    assert_eq!(rig.fetches(), 3);

    rig.at(3600);
    let failure = credentials.current().await.unwrap_err();
    assert_eq!(failure.reason, Reason::SourceDenied);
    assert_eq!(failure.remedy, Remedy::Retry, "they worked before");
    assert!(failure.message.contains("STS is down"), "{failure}");

    rig.break_with(None);
    rig.at(3631);
    assert_eq!(key(&credentials).await, "K4");
}

#[tokio::test]
async fn without_any_the_failure_names_the_remedies_and_is_remembered_briefly() {
    let rig = Rig::default();
    let credentials = rig.credentials(None, true);
    rig.break_with(Some(CredentialsError::not_loaded_no_source));
    for _ in 0..3 {
        let failure = credentials.current().await.unwrap_err();
        assert_eq!(failure.remedy, Remedy::Stop);
        assert!(failure.message.contains("AWS_ACCESS_KEY_ID"), "{failure}");
        assert!(failure.message.contains("--s3-anonymous"), "{failure}");
    }
    assert_eq!(rig.fetches(), 1);
    rig.break_with(None);
    rig.at(1);
    assert_eq!(key(&credentials).await, "K1");
}

#[tokio::test]
async fn credentials_that_come_back_unchanged_are_asked_for_sparingly() {
    let rig = Rig::default();
    let credentials = rig.credentials(Some(400), false);
    assert_eq!(key(&credentials).await, "K0");
    rig.at(300);
    assert_eq!(key(&credentials).await, "K0");
    let asked = rig.fetches();
    rig.at(320);
    assert_eq!(key(&credentials).await, "K0");
    assert_eq!(rig.fetches(), asked);
}

fn end_in(seconds: u64) -> Option<SystemTime> {
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(START + seconds))
}

#[tokio::test]
async fn their_end_is_told_only_while_nothing_renews_them() {
    let rig = Rig::default();
    let credentials = rig.credentials(Some(3600), true);
    assert_eq!(credentials.ends(), None);
    key(&credentials).await;
    assert_eq!(credentials.ends(), None, "they will be renewed");
    rig.break_with(Some(|| CredentialsError::provider_error("STS is down")));
    rig.at(3400);
    key(&credentials).await;
    assert_eq!(credentials.ends(), end_in(3600));
    rig.at(3590);
    assert_eq!(
        credentials.ends(),
        end_in(3600),
        "nobody has renewed them since"
    );
    rig.at(3800);
    assert_eq!(credentials.ends(), None, "nobody has asked for long");
    rig.break_with(None);
    key(&credentials).await;
    assert_eq!(credentials.ends(), None);
    assert_eq!(rig.credentials(None, true).ends(), None);
    assert_eq!(Credentials::anonymous().ends(), None);
}

/// A source that gives the same again and again, as a process does that asks for nothing itself.
#[tokio::test]
async fn credentials_that_come_back_unchanged_have_an_end() {
    let rig = Rig::default();
    let (clock, end) = (rig.clock(), end_in(1000));
    let keys = Keys::new("K", "s", None, end, "test");
    let credentials = Credentials::from_provider(keys, clock);
    for (at, told) in [(0, None), (750, None), (800, end), (999, end)] {
        rig.at(at);
        assert_eq!(key(&credentials).await, "K");
        assert_eq!(credentials.ends(), told, "at {at}");
    }
    rig.at(1000);
    for _ in 0..3 {
        let failure = credentials.current().await.unwrap_err();
        assert_eq!(failure.remedy, Remedy::Retry);
        assert!(failure.message.contains("have expired"), "{failure}");
    }
}

#[tokio::test]
async fn unchanging_credentials_are_not_asked_for_and_end_the_work() {
    let rig = Rig::default();
    let mut keys = Keys::new("K", "s", None, end_in(1000), "test");
    keys.set_property(Unchanging);
    let credentials = Credentials::from_provider(keys, rig.clock());
    for at in [0, 999] {
        rig.at(at);
        assert_eq!(key(&credentials).await, "K");
        assert_eq!(credentials.ends(), end_in(1000));
    }
    rig.at(1000);
    let failure = credentials.current().await.unwrap_err();
    assert_eq!(failure.remedy, Remedy::Stop);
    assert!(failure.message.contains("have expired"), "{failure}");
    assert_eq!(credentials.ends(), end_in(1000));
}

#[tokio::test]
async fn rejected_credentials_are_fetched_anew() {
    let rig = Rig::default();
    let credentials = rig.credentials(None, true);
    let first = credentials.current().await.unwrap().unwrap();
    credentials.reject(&first);
    assert_eq!(key(&credentials).await, "K1");
    credentials.reject(&first);
    assert_eq!(
        key(&credentials).await,
        "K1",
        "a late complaint about old ones is void"
    );
}

#[tokio::test]
async fn rejected_credentials_that_come_back_unchanged_end_the_work() {
    let rig = Rig::default();
    let credentials = rig.credentials(None, false);
    let first = credentials.current().await.unwrap().unwrap();
    credentials.reject(&first);
    for at in [0, 0, 1] {
        rig.at(at);
        let failure = credentials.current().await.unwrap_err();
        assert_eq!(failure.remedy, Remedy::Stop);
        assert!(failure.message.contains("have expired"), "{failure}");
    }
    assert_eq!(rig.fetches(), 3, "the first, and two tries");
}

#[tokio::test(start_paused = true)]
async fn a_silent_provider_is_given_up_after_seconds() {
    let credentials = Credentials::from_provider(
        provide_credentials_fn(std::future::pending::<aws_credential_types::provider::Result>),
        Rig::default().clock(),
    );
    let begun = tokio::time::Instant::now();
    let failure = credentials.current().await.unwrap_err();
    assert_eq!(begun.elapsed(), WALK_TIMEOUT);
    assert!(failure.message.contains("within 15 s"), "{failure}");
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let credentials = Credentials::fixed("AKIDPUBLIC", "TOPSECRET", Some("TOKENSECRET"));
    let snapshot = credentials.current().await.unwrap().unwrap();
    let shown = format!(
        "{credentials:?} {snapshot:?} {:?}",
        Credentials::anonymous()
    );
    assert!(
        !shown.contains("SECRET") && !shown.contains("AKID"),
        "{shown}"
    );
    let text = snapshot.redact("bad TOKENSECRET of AKIDPUBLIC");
    assert_eq!(text, "bad *** of ***");
    assert!(Credentials::anonymous().current().await.unwrap().is_none());
}
