//! A token kept until shortly before its end, and renewed by one caller while the others go on.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::failure::{Failure, Reason, Result};

/// Seconds before its end at which a long-lived token is renewed.
const EARLY: i64 = 300;

/// Seconds between attempts to renew a token that is still good.
const BACK_OFF: i64 = 30;

/// Seconds after which a failure that nobody has repeated says nothing any more.
const STALE: i64 = 300;

/// A bearer token with its life, in seconds since 1970.
#[derive(Clone)]
pub(super) struct Token {
    value: HeaderValue,
    obtained: i64,
    expires: i64,
}

impl Token {
    pub(super) fn new(secret: &SecretString, obtained: i64, expires: i64) -> Result<Self> {
        let text = format!("Bearer {}", secret.expose_secret());
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Failure::stop(
                Reason::DestinationDenied,
                "the identity's token is no header value",
            )
        })?;
        value.set_sensitive(true);
        Ok(Self {
            value,
            obtained,
            expires,
        })
    }

    /// When to renew: five minutes early, or at two thirds of a shorter life.
    fn renew_at(&self) -> i64 {
        let life = self.expires.saturating_sub(self.obtained).max(0);
        self.expires.saturating_sub((life / 3).min(EARLY))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("value", &"[hidden]")
            .field("obtained", &self.obtained)
            .field("expires", &self.expires)
            .finish()
    }
}

/// Holds the current token.
#[derive(Debug, Default)]
pub(super) struct TokenCache {
    current: RwLock<Option<Token>>,
    renewing: tokio::sync::Mutex<NotBefore>,
    /// When the last renewal failed; 0 where it did not.
    failed: AtomicI64,
}

/// A failed renewal of a token that is still good is not tried again before this time.
#[derive(Debug, Default)]
struct NotBefore(i64);

impl TokenCache {
    /// The current token, or what `fetch` gives. While a token is still good only one caller
    /// fetches, and its failure harms nobody; without one all wait for the first.
    pub(super) async fn get<F>(&self, now: i64, fetch: impl FnOnce() -> F) -> Result<HeaderValue>
    where
        F: Future<Output = Result<Token>>,
    {
        let good = match self.current() {
            Some(token) if now < token.renew_at() => return Ok(token.value),
            Some(token) if now < token.expires => Some(token),
            _ => None,
        };
        let Some(good) = good else {
            let _renewing = self.renewing.lock().await;
            if let Some(token) = self.current().filter(|token| now < token.renew_at()) {
                return Ok(token.value);
            }
            return match fetch().await {
                Ok(token) => Ok(self.keep(token)),
                Err(failure) => {
                    self.failed.store(now, Ordering::Relaxed);
                    Err(failure)
                }
            };
        };
        match self.renewing.try_lock() {
            Ok(not_before) if now < not_before.0 => Ok(good.value),
            Ok(mut not_before) => match fetch().await {
                Ok(token) => Ok(self.keep(token)),
                Err(failure) => {
                    let left = good.expires.saturating_sub(now);
                    tracing::warn!(
                        %failure,
                        seconds_left = left,
                        "cannot renew the token yet; the old one is still good"
                    );
                    self.failed.store(now, Ordering::Relaxed);
                    not_before.0 = now.saturating_add(BACK_OFF);
                    Ok(good.value)
                }
            },
            Err(_) => Ok(good.value),
        }
    }

    /// Drops the token if it is still this one.
    pub(super) fn forget(&self, refused: &HeaderValue) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current
            .as_ref()
            .is_some_and(|token| token.value == *refused)
        {
            *current = None;
        }
    }

    /// When the token ends, where renewing it has just failed.
    pub(super) fn ends(&self, now: i64) -> Option<i64> {
        let failed = self.failed.load(Ordering::Relaxed);
        let failing = failed != 0 && now < failed.saturating_add(STALE);
        self.current()
            .filter(|_| failing)
            .map(|token| token.expires)
    }

    fn current(&self) -> Option<Token> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    fn keep(&self, token: Token) -> HeaderValue {
        let value = token.value.clone();
        self.failed.store(0, Ordering::Relaxed);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(token);
        value
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn token(text: &str, obtained: i64, expires: i64) -> Token {
        Token::new(&text.to_owned().into(), obtained, expires).unwrap()
    }

    fn down() -> Failure {
        Failure::retry(Reason::DestinationUnavailable, "down")
    }

    #[tokio::test]
    async fn it_is_kept_until_five_minutes_before_its_end() {
        let cache = TokenCache::default();
        let fetched = Cell::new(0);
        let get = |now| {
            cache.get(now, move || async move {
                Ok(token(&format!("t{now}"), now, now + 3600))
            })
        };
        fetched.set(1);
        assert_eq!(get(0).await.unwrap(), "Bearer t0");
        assert_eq!(get(3299).await.unwrap(), "Bearer t0");
        assert_eq!(get(3300).await.unwrap(), "Bearer t3300");
    }

    #[tokio::test]
    async fn a_short_life_is_renewed_at_two_thirds() {
        let cache = TokenCache::default();
        let get = |now| {
            cache.get(now, move || async move {
                Ok(token(&format!("t{now}"), now, now + 6))
            })
        };
        assert_eq!(get(0).await.unwrap(), "Bearer t0");
        assert_eq!(get(3).await.unwrap(), "Bearer t0");
        assert_eq!(get(4).await.unwrap(), "Bearer t4");
    }

    #[tokio::test]
    async fn a_failed_renewal_harms_nobody_while_the_old_token_is_good() {
        let cache = TokenCache::default();
        cache
            .get(0, || async { Ok(token("old", 0, 3600)) })
            .await
            .unwrap();
        let tried = Cell::new(0);
        let fail = || async {
            tried.set(tried.get() + 1);
            Err(down())
        };
        assert_eq!(cache.get(3400, fail).await.unwrap(), "Bearer old");
        assert_eq!(cache.get(3401, fail).await.unwrap(), "Bearer old");
        assert_eq!(tried.get(), 1, "not again at once");
        assert_eq!(cache.get(3430, fail).await.unwrap(), "Bearer old");
        assert_eq!(tried.get(), 2);
        assert!(cache.get(3600, fail).await.is_err(), "its end is its end");
    }

    #[tokio::test]
    async fn its_end_is_told_only_while_nothing_renews_it() {
        let cache = TokenCache::default();
        let good = |at| async move { Ok(token(&format!("t{at}"), at, at + 3600)) };
        cache.get(10, || good(10)).await.unwrap();
        assert_eq!(cache.ends(3400), None, "it will be renewed");
        let fail = || async { Err(down()) };
        cache.get(3400, fail).await.unwrap();
        assert_eq!(cache.ends(3401), Some(3610));
        assert_eq!(cache.ends(3700), None, "nobody has asked since");
        cache.get(3650, fail).await.unwrap_err();
        assert_eq!(cache.ends(3651), Some(3610), "it has ended");
        cache.get(3660, || good(3660)).await.unwrap();
        assert_eq!(cache.ends(3661), None);
    }

    #[tokio::test]
    async fn many_callers_fetch_once() {
        let cache = TokenCache::default();
        let fetched = Cell::new(0);
        let fetch = || async {
            fetched.set(fetched.get() + 1);
            tokio::task::yield_now().await;
            Ok(token("one", 0, 3600))
        };
        let calls = (0..10).map(|_| cache.get(0, fetch));
        for value in futures_util::future::join_all(calls).await {
            assert_eq!(value.unwrap(), "Bearer one");
        }
        assert_eq!(fetched.get(), 1);
    }

    #[tokio::test]
    async fn a_refused_token_is_dropped_unless_it_was_replaced() {
        let cache = TokenCache::default();
        let old = cache
            .get(0, || async { Ok(token("old", 0, 3600)) })
            .await
            .unwrap();
        cache.forget(&old);
        let new = cache
            .get(0, || async { Ok(token("new", 0, 3600)) })
            .await
            .unwrap();
        assert_eq!(new, "Bearer new");
        cache.forget(&old);
        let still = cache.get(0, || async { Err(down()) }).await.unwrap();
        assert_eq!(still, "Bearer new");
    }

    #[test]
    fn it_is_never_shown() {
        let token = token("c2VjcmV0", 0, 1);
        assert!(!format!("{token:?} {:?}", token.value).contains("c2VjcmV0"));
    }
}
