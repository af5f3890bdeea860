//! From flags and environment to the clients of both clouds.

use std::time::Duration;

use crate::clients::{Clients, Login};
use crate::clock::Clock;
use crate::config::{AccessArgs, Addressing, Env, SourceArgs};
use crate::destination::client::{Destination, read_clock};
use crate::destination::url::DestinationUrl;
use crate::failure::{Failure, Reason, Result};
use crate::http::{Roots, Transport};
use crate::patience::patiently;
use crate::source::client::Source;
use crate::source::credentials::Credentials;
use crate::source::customer_key::CustomerKey;
use crate::source::settings::Settings;
use crate::source::url::{Level, SourceUrl};
use crate::submit::Request;

/// The longest exchange of the shared client; single calls set shorter limits.
const LONGEST_EXCHANGE: Duration = Duration::from_secs(3600);

/// Where STS is asked when nothing names a region.
pub(super) const AWS_HOME: &str = "us-east-1";

/// Asked for where the destination names no container; it need not exist.
const ROOT_CONTAINER: &str = "$root";

/// What this process signs with.
#[derive(Clone, Debug)]
pub(super) struct Wiring {
    pub(super) http: Transport,
    pub(super) customer_key: Option<CustomerKey>,
    pub(super) credentials: Credentials,
    pub(super) login: Login,
    pub(super) clock: Clock,
}

impl Wiring {
    /// Reads the credentials' sources; nothing is asked of the network yet.
    pub(super) fn new(
        s3: &AccessArgs,
        home_region: &str,
        destination: Option<&DestinationUrl>,
        plain_http: bool,
        env: Env,
    ) -> Result<Self> {
        let clock = Clock::system();
        let roots = match (plain_http, env("AWS_CA_BUNDLE")) {
            (true, _) => Roots::Only(Vec::new()),
            (false, Some(bundle)) => Roots::SystemAnd(vec![read_bundle(&bundle)?]),
            (false, None) => Roots::System,
        };
        let http = Transport::new(&roots, LONGEST_EXCHANGE)?;
        let credentials = if s3.s3_anonymous {
            Credentials::anonymous()
        } else {
            Credentials::from_chain(home_region, http.usual().clone(), clock.clone())
        };
        let login = Login {
            given: destination.cloned(),
            env,
        };
        let customer_key = s3.s3_sse_c_key_file.as_deref();
        Ok(Self {
            customer_key: customer_key.map(CustomerKey::read).transpose()?,
            http,
            credentials,
            login,
            clock,
        })
    }

    /// The client of a source.
    pub(super) fn source(&self, source: &SourceUrl) -> Source {
        Source::new(
            source.endpoint.clone(),
            self.credentials.clone(),
            self.http.clone(),
            self.clock.clone(),
        )
        .with_home_region(source.home_region())
        .with_customer_key(self.customer_key.clone())
    }

    /// The request at a server that wants its buckets in the host's name, where that is found out.
    pub(super) async fn find_addressing(
        &self,
        mut request: Request,
        given: &SourceArgs,
    ) -> Result<Request> {
        if given.s3_addressing != Addressing::Auto {
            return Ok(request);
        }
        let bucket = match &request.source.level {
            Level::Bucket { bucket } | Level::Path { bucket, .. } => bucket.clone(),
            Level::Service | Level::BucketPattern(_) => return Ok(request),
        };
        if request.source.may_be_virtual_hosted() {
            let source = self.source(&request.source);
            let source = source.with_requester_pays(request.requester_pays);
            // Who cannot be reached is told of by what follows.
            if source.wants_bucket_in_host(&bucket).await.unwrap_or(false) {
                tracing::info!(
                    bucket,
                    "the server wants the bucket in the name of its host"
                );
                request.source = request.source.with_addressing(true)?;
            }
        }
        Ok(request)
    }

    /// Makes sure that the account is there and takes the credential, before anything is begun.
    pub(super) async fn check_destination(&self, destination: &DestinationUrl) -> Result<()> {
        let account = destination.account_url();
        let container = destination.container().unwrap_or(ROOT_CONTAINER);
        let http = self.http.usual();
        let auth = self.login.resolve(account, http, &self.clock)?;
        let clock = self.clock.clone();
        let client = Destination::new(account, auth.clone(), http.clone(), clock)?;
        patiently(async || {
            auth.prepare().await?;
            client.check_access(container).await
        })
        .await
    }

    /// Asks the destination for its own clock, in seconds since 1970.
    pub(super) async fn read_destination_clock(&self, destination: &DestinationUrl) -> Option<i64> {
        let clock = read_clock(self.http.usual(), destination.account_url()).await;
        if clock.is_none() {
            tracing::warn!(
                "the destination does not tell its time: what the job itself wrote is known again \
                 by its content alone"
            );
        }
        clock
    }

    /// Clients for the jobs of this process.
    pub(super) fn clients(&self) -> Clients {
        Clients::new(
            self.http.clone(),
            self.credentials.clone(),
            self.login.clone(),
            self.clock.clone(),
        )
        .with_customer_key(self.customer_key.clone())
    }
}

/// Reads the certificate authorities that AWS tools trust.
fn read_bundle(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Failure::stop(
            Reason::Usage,
            format!("AWS_CA_BUNDLE: {path}: {error}: name a file of certificates in PEM form, or unset it"),
        )
    })
}

/// What environment and profile say about S3 beside credentials. A process that is told its
/// environment otherwise, as tests do, has none.
pub(super) async fn read_settings(env: Env) -> Result<Settings> {
    // The settings are read from the process's own environment, by its own rules.
    if !std::ptr::fn_addr_eq(env, crate::config::environment as Env) {
        return Ok(Settings::default());
    }
    let plain = Roots::Only(Vec::new());
    let http = Transport::new(&plain, LONGEST_EXCHANGE)?;
    Ok(Settings::read(http.usual().clone()).await)
}
