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
use aws_credential_types::provider::{ProvideCredentials, Result, future};

use super::http::OwnClient;

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
            http: OwnClient(http),
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
        chain.provide_credentials().await
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.walk())
    }
}
