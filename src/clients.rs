//! The two clouds as one job sees them, made once per process and job.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::OnceCell;

use crate::clock::Clock;
use crate::config::Env;
use crate::copier::Containers;
use crate::destination::auth::Auth;
use crate::destination::client::Destination;
use crate::destination::naming::Namespace;
use crate::destination::sas::Sas;
use crate::destination::url::DestinationUrl;
use crate::failure::Result;
use crate::http::Transport;
use crate::job::{JobId, JobSpec};
use crate::source::client::Source;
use crate::source::credentials::Credentials;
use crate::source::customer_key::CustomerKey;

/// As whom destinations are written to.
#[derive(Clone, Debug)]
pub struct Login {
    /// A destination whose SAS is used for its account.
    pub given: Option<DestinationUrl>,
    /// Where other credentials are looked up.
    pub env: Env,
}

impl Login {
    /// The credential for an account.
    ///
    /// # Errors
    /// See [`Auth::resolve`].
    pub fn resolve(&self, account: &str, http: &reqwest::Client, clock: &Clock) -> Result<Auth> {
        match self
            .given
            .as_ref()
            .filter(|given| given.account_url() == account)
        {
            Some(given) => Auth::resolve(given, &self.env, http, clock),
            None => Auth::resolve(&DestinationUrl::parse(account)?, &self.env, http, clock),
        }
    }

    /// When the SAS ends that is used whatever the job, in seconds since 1970.
    fn ends(&self) -> Option<i64> {
        let given = self.given.as_ref().and_then(DestinationUrl::sas);
        let found = || Sas::parse(&(self.env)("AZURE_STORAGE_SAS_TOKEN")?).ok();
        given.cloned().or_else(found)?.expires()
    }
}

/// Makes the clients of a job from this process's own credentials.
#[derive(Clone, Debug)]
pub struct Clients {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: Transport,
    credentials: Credentials,
    customer_key: Option<CustomerKey>,
    login: Login,
    clock: Clock,
    sources: Mutex<HashMap<JobId, Source>>,
    made: Mutex<HashMap<JobId, Arc<JobClients>>>,
}

/// The clouds of one job.
#[derive(Debug)]
pub struct JobClients {
    /// S3.
    pub source: Source,
    /// Blob.
    pub destination: Destination,
    /// Containers made so far.
    pub(crate) containers: Containers,
    /// The time.
    pub clock: Clock,
    namespace: OnceCell<Namespace>,
}

impl JobClients {
    /// How the destination account keeps its blobs; asked once. A credential that may not ask is
    /// taken to be of a flat account, whose answer to a name it cannot hold then decides.
    pub async fn namespace(&self) -> Namespace {
        let asked = self
            .namespace
            .get_or_try_init(|| self.destination.namespace());
        match asked.await {
            Ok(namespace) => *namespace,
            Err(error) => {
                tracing::debug!(%error, "the kind of the account is not known");
                Namespace::Flat
            }
        }
    }
}

impl Clients {
    /// Clients that sign with these credentials.
    pub fn new(http: Transport, credentials: Credentials, login: Login, clock: Clock) -> Self {
        Self {
            inner: Arc::new(Inner {
                http,
                credentials,
                customer_key: None,
                login,
                clock,
                sources: Mutex::default(),
                made: Mutex::default(),
            }),
        }
    }

    /// The same, with the key of objects that are encrypted with a customer's own.
    #[must_use]
    pub fn with_customer_key(self, key: Option<CustomerKey>) -> Self {
        let inner = &self.inner;
        Self {
            inner: Arc::new(Inner {
                http: inner.http.clone(),
                credentials: inner.credentials.clone(),
                customer_key: key,
                login: inner.login.clone(),
                clock: inner.clock.clone(),
                sources: Mutex::default(),
                made: Mutex::default(),
            }),
        }
    }

    /// When the credentials of source and destination end for good, in seconds since 1970; the
    /// first of several. `None` where they do not end, or are renewed.
    pub fn ends(&self) -> [Option<i64>; 2] {
        let inner = &self.inner;
        let source = inner.credentials.ends();
        let since = |end: SystemTime| end.duration_since(SystemTime::UNIX_EPOCH);
        let source = source.map(|end| since(end).map_or(1, |since| since.as_secs()));
        let made = inner.made.lock().unwrap_or_else(PoisonError::into_inner);
        let made = made.values();
        let destinations = made.filter_map(|clients| clients.destination.credential_ends());
        [
            source.map(|end| i64::try_from(end).unwrap_or(i64::MAX)),
            destinations.chain(inner.login.ends()).min(),
        ]
    }

    /// What they tell the time by.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The source of a job, for whoever only lists: no credential for its destination is needed.
    pub fn source(&self, spec: &JobSpec) -> Source {
        let inner = &self.inner;
        let mut sources = inner.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sources.entry(spec.id.clone()).or_insert_with(|| {
            Source::new(
                spec.endpoint.clone(),
                inner.credentials.clone(),
                inner.http.clone(),
                inner.clock.clone(),
            )
            .with_customer_key(inner.customer_key.clone())
            .with_requester_pays(spec.requester_pays)
        });
        known.clone()
    }

    /// The clients of a job.
    ///
    /// # Errors
    /// There are no credentials for its destination.
    pub fn of(&self, spec: &JobSpec) -> Result<Arc<JobClients>> {
        let inner = &self.inner;
        let mut made = inner.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clients) = made.get(&spec.id) {
            return Ok(clients.clone());
        }
        let auth = inner
            .login
            .resolve(&spec.account, inner.http.usual(), &inner.clock)?;
        let clients = Arc::new(JobClients {
            source: self.source(spec),
            destination: Destination::new(
                &spec.account,
                auth,
                inner.http.usual().clone(),
                inner.clock.clone(),
            )?,
            containers: Containers::default(),
            clock: inner.clock.clone(),
            namespace: OnceCell::new(),
        });
        made.insert(spec.id.clone(), clients.clone());
        Ok(clients)
    }
}
