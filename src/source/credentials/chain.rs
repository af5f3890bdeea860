//! Amazon's own chain of credential sources, walked anew at each call.
//!
//! Environment, profiles (static, assume-role, SSO, process), web identity, container, instance
//! metadata; read by aws-config from the process's environment and files, by its own rules.

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::{ProvideCredentials, Result, future};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Unchanging;
use super::http::OwnClient;
use crate::config::environment;

/// When the session of the environment's keys ends, as `aws configure export-credentials` tells it;
/// aws-config does not read it.
const EXPIRATION: &str = "AWS_CREDENTIAL_EXPIRATION";

/// The chain; built anew for each walk, since it keeps the profile files it has read.
#[derive(Debug)]
pub(super) struct Chain {
    region: String,
    http: OwnClient,
}

impl Chain {
    /// `region` is where STS is asked where neither environment nor profile names one: instance
    /// metadata is not asked for a region, which off EC2 would take seconds.
    pub(super) fn new(region: &str, http: reqwest::Client) -> Self {
        Self {
            region: region.to_owned(),
            http: OwnClient::new(http),
        }
    }

    async fn walk(&self) -> Result {
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else(Region::new(self.region.clone()));
        let chain = DefaultCredentialsChain::builder()
            .configure(ProviderConfig::without_region().with_http_client(self.http.clone()))
            .region(region)
            .build()
            .await;
        chain.provide_credentials().await.map(of_environment)
    }
}

/// Keys of the environment stay what they are for as long as the process runs.
fn of_environment(mut keys: Keys) -> Keys {
    if environment("AWS_ACCESS_KEY_ID").as_deref() != Some(keys.access_key_id()) {
        return keys;
    }
    keys.set_property(Unchanging);
    if keys.session_token().is_some() && keys.expiry().is_none() {
        let end = environment(EXPIRATION);
        let end = end.and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok());
        *keys.expiry_mut() = end.map(Into::into);
    }
    keys
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.walk())
    }
}
