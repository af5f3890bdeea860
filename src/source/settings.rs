//! What environment and profile say about S3 beside credentials, as every AWS tool heeds it (AWS
//! SDKs and Tools Reference Guide, "Service-specific endpoints", "FIPS endpoints", "AWS Region").

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, defaults};
use aws_types::service_config::ServiceConfigKey;

use super::credentials::OwnClient;

/// The settings; what is not set is none or off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `endpoint_url` of S3, or of everything, unless they are to be ignored.
    pub endpoint: Option<String>,
    /// The region of environment or profile.
    pub region: Option<String>,
    /// FIPS endpoints are wanted.
    pub fips: bool,
    /// Dualstack endpoints are wanted.
    pub dualstack: bool,
}

impl Settings {
    /// Reads the process's environment and the profile in use; asks nobody.
    pub async fn read(http: reqwest::Client) -> Self {
        // Neither profile nor environment: instance metadata is not asked.
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new());
        let config = defaults(BehaviorVersion::latest())
            .no_credentials()
            .http_client(OwnClient::new(http))
            .region(region)
            .load()
            .await;
        let key = ServiceConfigKey::builder()
            .service_id("S3")
            .profile("endpoint_url")
            .env("AWS_ENDPOINT_URL")
            .build();
        let of_s3 = config.service_config().zip(key.ok());
        let of_s3 = of_s3.and_then(|(service, key)| service.load_config(key));
        Self {
            endpoint: of_s3.or_else(|| config.endpoint_url().map(str::to_owned)),
            region: config.region().map(ToString::to_string),
            fips: config.use_fips().unwrap_or_default(),
            dualstack: config.use_dual_stack().unwrap_or_default(),
        }
    }
}
