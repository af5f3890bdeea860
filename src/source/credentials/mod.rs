//! Credentials for S3, kept fresh for as long as the process runs.
//!
//! aws-config's chain asks STS, SSO or the metadata service at every call; so what it gave is kept
//! here and renewed before its end, by one caller at a time, while all others go on with what there
//! is.

mod cache;
mod chain;
mod http;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::identity::Identity;

use crate::clock::Clock;
use crate::failure::{Failure, Reason, Remedy, Result};

use self::cache::{Cache, Decision};
use self::chain::Chain;
pub(super) use self::http::OwnClient;

/// How long one walk through the chain may take, so that a silent metadata service holds nobody
/// for minutes.
const WALK_TIMEOUT: Duration = Duration::from_secs(15);

/// The source of credentials; clones share what is held.
#[derive(Clone)]
pub struct Credentials(Origin);

#[derive(Clone)]
enum Origin {
    Anonymous,
    Fixed(Snapshot),
    Renewed(Arc<Renewed>),
}

struct Renewed {
    provider: SharedCredentialsProvider,
    clock: Clock,
    cache: RwLock<Cache>,
    refresher: tokio::sync::Mutex<()>,
}

/// Credentials as they are now; cheap to clone.
#[derive(Clone)]
pub struct Snapshot(Arc<Signer>);

struct Signer {
    keys: Keys,
    identity: Identity,
}

/// Marks keys whose source will never give others.
#[derive(Clone, Copy, Debug)]
struct Unchanging;

impl Credentials {
    /// No credentials: requests go unsigned, for public buckets (`--s3-anonymous`).
    pub fn anonymous() -> Self {
        Self(Origin::Anonymous)
    }

    /// Credentials that never change.
    pub fn fixed(access_key: &str, secret: &str, session_token: Option<&str>) -> Self {
        let mut keys = Keys::builder()
            .access_key_id(access_key)
            .secret_access_key(secret)
            .provider_name("fixed");
        keys.set_session_token(session_token.map(str::to_owned));
        Self(Origin::Fixed(Snapshot::new(keys.build())))
    }

    /// Amazon's default chain: environment, profiles, SSO, assume-role, web identity, container,
    /// instance metadata. `region` is where STS is asked if nothing else names a region, `http` what
    /// STS, SSO and agents are asked with.
    pub fn from_chain(region: &str, http: reqwest::Client, clock: Clock) -> Self {
        Self::from_provider(Chain::new(region, http), clock)
    }

    /// Any provider that aws-config knows.
    pub fn from_provider(provider: impl ProvideCredentials + 'static, clock: Clock) -> Self {
        Self(Origin::Renewed(Arc::new(Renewed {
            provider: SharedCredentialsProvider::new(provider),
            clock,
            cache: RwLock::default(),
            refresher: tokio::sync::Mutex::default(),
        })))
    }

    /// The credentials to sign with now; `None` where requests go unsigned.
    ///
    /// Answers at once while credentials are held; one caller in the last minutes of their life
    /// waits for the next ones. If that fails, the old ones serve until their end.
    ///
    /// # Errors
    /// [`Reason::SourceDenied`]: there are none, or none that work. Stops where there never were
    /// any, may be retried where there were. Takes at most some seconds.
    pub async fn current(&self) -> Result<Option<Snapshot>> {
        match &self.0 {
            Origin::Anonymous => Ok(None),
            Origin::Fixed(snapshot) => Ok(Some(snapshot.clone())),
            Origin::Renewed(renewed) => renewed.current().await.map(Some),
        }
    }

    /// Says that the service called these credentials expired: they are not used again.
    pub fn reject(&self, snapshot: &Snapshot) {
        if let Origin::Renewed(renewed) = &self.0 {
            renewed.write().reject(snapshot);
        }
    }

    /// When these end for good; `None` where they do not, say nothing of it, or are being renewed.
    pub fn ends(&self) -> Option<SystemTime> {
        match &self.0 {
            Origin::Anonymous => None,
            Origin::Fixed(snapshot) => snapshot.expires(),
            Origin::Renewed(renewed) => renewed.read().ends(renewed.clock.now()),
        }
    }

    /// Is every request unsigned?
    pub fn is_anonymous(&self) -> bool {
        matches!(self.0, Origin::Anonymous)
    }
}

impl Renewed {
    async fn current(&self) -> Result<Snapshot> {
        match self.decide() {
            Decision::Use(snapshot) => Ok(snapshot),
            Decision::Fail(failure) => Err(failure),
            Decision::Renew(old) => match self.refresher.try_lock() {
                Ok(_alone) => Ok(self.fetch().await.unwrap_or(old)),
                Err(_) => Ok(old),
            },
            Decision::Fetch => {
                let _alone = self.refresher.lock().await;
                match self.decide() {
                    Decision::Use(snapshot) | Decision::Renew(snapshot) => Ok(snapshot),
                    Decision::Fail(failure) => Err(failure),
                    Decision::Fetch => self.fetch().await,
                }
            }
        }
    }

    async fn fetch(&self) -> Result<Snapshot> {
        let walk = self.provider.provide_credentials();
        let fetched = match tokio::time::timeout(WALK_TIMEOUT, walk).await {
            Ok(Ok(keys)) => Ok(Snapshot::new(keys)),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(Failure::stop(
                Reason::SourceDenied,
                format!(
                    "AWS credentials: no source answered within {} s; check the metadata service, \
                     SSO or STS endpoint, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                    WALK_TIMEOUT.as_secs()
                ),
            )),
        };
        let now = self.clock.now();
        let mut cache = self.write();
        match fetched {
            Ok(snapshot) => cache.store(snapshot.clone(), now).map(|()| snapshot),
            Err(failure) => {
                let failure = cache.fail(failure, now);
                if failure.remedy == Remedy::Retry {
                    let left = cache.left(now).as_secs();
                    tracing::warn!(
                        error = %failure,
                        seconds_left = left,
                        "AWS credentials could not be renewed"
                    );
                }
                Err(failure)
            }
        }
    }

    fn decide(&self) -> Decision {
        self.read().decide(self.clock.now())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Cache> {
        self.cache.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Cache> {
        self.cache.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// The session token; its length is a large part of a presigned URL's.
    pub(super) fn session_token(&self) -> Option<&str> {
        self.0.keys.session_token()
    }

    fn new(keys: Keys) -> Self {
        let identity = keys.clone().into();
        Self(Arc::new(Signer { keys, identity }))
    }

    /// When these end; `None` where they say nothing of it.
    pub fn expires(&self) -> Option<SystemTime> {
        self.0.keys.expiry()
    }

    /// Will their source never give others?
    fn is_unchanging(&self) -> bool {
        self.0.keys.get_property::<Unchanging>().is_some()
    }

    /// The access key's id: not secret by itself, but it stays out of logs too.
    pub fn access_key(&self) -> &str {
        self.0.keys.access_key_id()
    }

    /// What aws-sigv4 signs with.
    pub(super) fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Takes these credentials out of foreign text that may repeat them.
    pub(super) fn redact(&self, text: &str) -> String {
        let keys = &self.0.keys;
        let secrets = [
            Some(keys.secret_access_key()),
            keys.session_token(),
            Some(keys.access_key_id()),
        ];
        secrets
            .into_iter()
            .flatten()
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }

    fn same_keys(&self, other: &Self) -> bool {
        let (a, b) = (&self.0.keys, &other.0.keys);
        a.access_key_id() == b.access_key_id()
            && a.secret_access_key() == b.secret_access_key()
            && a.session_token() == b.session_token()
    }
}

/// Credentials that have ended, or that the service calls expired, and that come back unchanged.
fn expired(snapshot: &Snapshot) -> Failure {
    let message = "AWS credentials have expired: renew the session (aws sso login, or new \
                   AWS_SESSION_TOKEN) and start again";
    if snapshot.expires().is_none() || snapshot.is_unchanging() {
        return Failure::stop(Reason::SourceDenied, message);
    }
    Failure::retry(Reason::SourceDenied, message)
}

/// Why the chain gave nothing, in one line.
fn failure(error: &CredentialsError) -> Failure {
    let missing = matches!(error, CredentialsError::CredentialsNotLoaded(_));
    let message = if missing {
        "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, choose a \
         profile with AWS_PROFILE, run where a role is attached, or pass --s3-anonymous for public \
         buckets"
            .to_owned()
    } else {
        format!(
            "AWS credentials: {}; check the profile, role or session they come from",
            causes(error)
        )
    };
    Failure::stop(Reason::SourceDenied, message)
}

/// The chain of causes by their display texts; debug texts could hold more than is meant.
fn causes(error: &dyn Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !parts.contains(&text) {
            parts.push(text);
        }
        cause = error.source();
    }
    parts.join(": ").chars().take(400).collect()
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Origin::Anonymous => "Credentials(anonymous)",
            Origin::Fixed(_) => "Credentials(fixed, ***)",
            Origin::Renewed(_) => "Credentials(renewed, ***)",
        })
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("expires", &self.expires())
            .finish_non_exhaustive()
    }
}
