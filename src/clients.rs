//! The two clouds as one job sees them, made once per process and job.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::config::Env;
use crate::copier::Containers;
use crate::destination::auth::Auth;
use crate::destination::client::Destination;
use crate::destination::url::DestinationUrl;
use crate::failure::Result;
use crate::job::{JobId, JobSpec};
use crate::source::client::Source;
use crate::source::credentials::Credentials;

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
}

/// Makes the clients of a job from this process's own credentials.
#[derive(Clone, Debug)]
pub struct Clients {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    credentials: Credentials,
    login: Login,
    clock: Clock,
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
}

impl Clients {
    /// Clients that sign with these credentials.
    pub fn new(
        http: reqwest::Client,
        credentials: Credentials,
        login: Login,
        clock: Clock,
    ) -> Self {
        let made = Mutex::default();
        Self {
            inner: Arc::new(Inner {
                http,
                credentials,
                login,
                clock,
                made,
            }),
        }
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
            .resolve(&spec.account, &inner.http, &inner.clock)?;
        let clients = Arc::new(JobClients {
            source: Source::new(
                spec.endpoint.clone(),
                inner.credentials.clone(),
                inner.http.clone(),
                inner.clock.clone(),
            ),
            destination: Destination::new(
                &spec.account,
                auth,
                inner.http.clone(),
                inner.clock.clone(),
            )?,
            containers: Containers::default(),
        });
        made.insert(spec.id.clone(), clients.clone());
        Ok(clients)
    }
}
