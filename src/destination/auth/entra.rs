//! An identity in Entra ID, found in an explicit order.
//!
//! What the environment configures is used and nothing else: a client secret
//! (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`), a certificate
//! (`AZURE_CLIENT_CERTIFICATE_PATH`), or workload identity (`AZURE_FEDERATED_TOKEN_FILE`). Without
//! one the machine is asked: managed identity (`AZURE_CLIENT_ID` names a user-assigned one), then
//! the Azure CLI; the first that gives a token is kept to. Each is waited for a few seconds only.
//!
//! AzCopy's variables do as well: see [`super::azcopy`]. `AZCOPY_AUTO_LOGIN_TYPE` leaves one member
//! of the chain.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use http::HeaderValue;
use reqwest::Url;
use secrecy::SecretString;

use super::azcopy::{self, CERT_PASSWORD, Found, Login};
use super::certificate::CertificateAssertion;
use super::token::{Token, TokenCache};
use super::transport::{CommandExecutor, IdentityTransport};
use super::{Env, usage};
use crate::clock::Clock;
use crate::destination::url::Cloud;
use crate::failure::{Failure, Reason, Result};

/// What tokens are for; the same in every cloud.
const SCOPE: &str = "https://storage.azure.com/.default";

/// How long an issuer may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long the metadata service may take where it is not known to be there.
const PROBE: Duration = Duration::from_secs(3);

/// An identity and its current token.
#[derive(Debug)]
pub(super) struct Entra {
    members: Vec<Member>,
    /// The member that gave the first token.
    chosen: OnceLock<usize>,
    cache: TokenCache,
    clock: Clock,
}

#[derive(Debug)]
struct Member {
    name: &'static str,
    credential: Arc<dyn TokenCredential>,
    first: Duration,
}

impl Entra {
    pub(super) fn new(
        cloud: Cloud,
        env: &Env<'_>,
        http: &reqwest::Client,
        clock: &Clock,
    ) -> Result<Self> {
        let setup = Setup::read(cloud, env, http)?;
        let members = setup.members(azcopy::login(env)?, env, clock)?;
        Ok(Self {
            members,
            chosen: OnceLock::new(),
            cache: TokenCache::default(),
            clock: clock.clone(),
        })
    }

    /// The value of `Authorization`.
    pub(super) async fn authorization(&self) -> Result<HeaderValue> {
        let now = self.clock.unix_seconds();
        self.cache.get(now, || self.fetch(now)).await
    }

    /// When the token ends, where nothing renews it.
    pub(super) fn ends(&self) -> Option<i64> {
        self.cache.ends(self.clock.unix_seconds())
    }

    pub(super) fn forget(&self, refused: &HeaderValue) {
        self.cache.forget(refused);
    }

    async fn fetch(&self, now: i64) -> Result<Token> {
        if let Some(member) = self.chosen.get().and_then(|at| self.members.get(*at)) {
            let token = member.token(now, PATIENCE).await;
            return token.map_err(|fault| fault.into_failure(member.name));
        }
        let mut faults = Vec::new();
        for (at, member) in self.members.iter().enumerate() {
            match member.token(now, member.first).await {
                Ok(token) => {
                    tracing::info!(identity = member.name, "signing in to the destination");
                    self.chosen.get_or_init(|| at);
                    return Ok(token);
                }
                Err(fault) if self.members.len() == 1 => {
                    return Err(fault.into_failure(member.name));
                }
                Err(fault) => faults.push(format!("{}: {}", member.name, fault.text)),
            }
        }
        Err(Failure::stop(
            Reason::DestinationDenied,
            format!(
                "no credential for the destination: append a SAS to its URL, or set \
                 AZURE_STORAGE_SAS_TOKEN, AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCOUNT \
                 and AZURE_STORAGE_KEY, or AZURE_TENANT_ID, AZURE_CLIENT_ID and \
                 AZURE_CLIENT_SECRET, or run az login ({})",
                faults.join("; ")
            ),
        ))
    }
}

impl Member {
    async fn token(&self, now: i64, patience: Duration) -> Result<Token, Fault> {
        let asked = self.credential.get_token(&[SCOPE], None);
        let answer = tokio::time::timeout(patience, asked).await;
        let token = answer
            .map_err(|_| Fault {
                denied: false,
                text: format!("no answer within {} s", patience.as_secs()),
            })?
            .map_err(|error| Fault::read(&error))?;
        let secret = SecretString::from(token.token.secret().to_owned());
        let expires = token.expires_on.unix_timestamp();
        Token::new(&secret, now, expires).map_err(|failure| Fault {
            denied: true,
            text: failure.message,
        })
    }
}

/// Why a member gave no token.
struct Fault {
    /// The issuer refused, and will do so again.
    denied: bool,
    text: String,
}

impl Fault {
    fn read(error: &Error) -> Self {
        let mut denied = false;
        let mut root = error.to_string();
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            root = error.to_string();
            if let Some(ErrorKind::HttpResponse { status, .. }) =
                error.downcast_ref::<Error>().map(Error::kind)
            {
                denied |= [400, 401, 403].contains(&u16::from(*status));
            }
            cause = error.source();
        }
        let text = error.to_string();
        let text = text.split("\nTo troubleshoot").next().unwrap_or_default();
        let text = if text.contains(root.trim()) {
            text.to_owned()
        } else {
            format!("{text}: {root}")
        };
        let words: Vec<&str> = text.split_whitespace().take(60).collect();
        Self {
            denied,
            text: words.join(" "),
        }
    }

    fn into_failure(self, name: &str) -> Failure {
        if self.denied {
            let text = format!(
                "{name} is refused: {}; check the AZURE_ variables",
                self.text
            );
            Failure::stop(Reason::DestinationDenied, text)
        } else {
            let text = format!(
                "no token from {name}: {}; check the network and AZURE_AUTHORITY_HOST",
                self.text
            );
            Failure::retry(Reason::DestinationUnavailable, text)
        }
    }
}

/// What all members share.
struct Setup {
    authority: String,
    options: ClientOptions,
    tenant: Option<Found>,
    client: Option<Found>,
}

impl Setup {
    fn read(cloud: Cloud, env: &Env<'_>, http: &reqwest::Client) -> Result<Self> {
        let authority = azcopy::find(env, "AZURE_AUTHORITY_HOST").unwrap_or(Found {
            name: "",
            value: issuer(cloud).to_owned(),
        });
        if !authority.value.starts_with("https://") {
            let name = authority.name;
            return Err(usage(format!("{name} must begin with https://")));
        }
        let authority = authority.value.trim_end_matches('/').to_owned();
        let metadata = env("AZURE_POD_IDENTITY_AUTHORITY_HOST")
            .map(|text| Url::parse(&text))
            .transpose()
            .map_err(|_| usage("AZURE_POD_IDENTITY_AUTHORITY_HOST is no URL"))?;
        let mut configuration = CustomConfiguration::default();
        configuration.authority_host.clone_from(&authority);
        let transport = IdentityTransport::new(http.clone(), metadata);
        Ok(Self {
            options: ClientOptions {
                // Retrying is for our caller, who knows how much time there is.
                retry: RetryOptions::none(),
                transport: Some(Transport::new(Arc::new(transport))),
                cloud: Some(Arc::new(CloudConfiguration::Custom(configuration))),
                ..ClientOptions::default()
            },
            authority,
            tenant: azcopy::find(env, "AZURE_TENANT_ID"),
            client: azcopy::find(env, "AZURE_CLIENT_ID"),
        })
    }

    /// Those to be asked, in order.
    fn members(&self, login: Option<Login>, env: &Env<'_>, clock: &Clock) -> Result<Vec<Member>> {
        let only = |member: Option<Member>, lacks: &str| {
            let lacking = || usage(format!("AZCOPY_AUTO_LOGIN_TYPE is set without {lacks}"));
            member.map(|member| vec![member]).ok_or_else(lacking)
        };
        match login {
            None => match self.configured(env, clock)? {
                Some(member) => Ok(vec![member]),
                None => Ok(vec![
                    self.managed_identity(env, PROBE)?,
                    self.azure_cli(env)?,
                ]),
            },
            Some(Login::ServicePrincipal) => only(
                self.service_principal(env, clock)?,
                "AZCOPY_SPA_CLIENT_SECRET or AZCOPY_SPA_CERT_PATH",
            ),
            Some(Login::Workload) => {
                only(self.workload_identity(env)?, "AZURE_FEDERATED_TOKEN_FILE")
            }
            Some(Login::ManagedIdentity) => Ok(vec![self.managed_identity(env, PATIENCE)?]),
            Some(Login::AzureCli) => Ok(vec![self.azure_cli(env)?]),
        }
    }

    fn configured(&self, env: &Env<'_>, clock: &Clock) -> Result<Option<Member>> {
        match self.service_principal(env, clock)? {
            Some(member) => Ok(Some(member)),
            None => self.workload_identity(env),
        }
    }

    fn service_principal(&self, env: &Env<'_>, clock: &Clock) -> Result<Option<Member>> {
        if let Some(secret) = azcopy::find(env, "AZURE_CLIENT_SECRET") {
            return self.client_secret(secret).map(Some);
        }
        let path = azcopy::find(env, "AZURE_CLIENT_CERTIFICATE_PATH");
        path.map(|path| self.client_certificate(&path, env, clock))
            .transpose()
    }

    fn client_secret(&self, secret: Found) -> Result<Member> {
        let (tenant, client) = self.application(secret.name)?;
        let options = ClientSecretCredentialOptions {
            client_options: self.options.clone(),
        };
        let secret = Secret::new(secret.value);
        let made = ClientSecretCredential::new(tenant, client.to_owned(), secret, Some(options));
        member("client secret", PATIENCE, made)
    }

    fn client_certificate(&self, path: &Found, env: &Env<'_>, clock: &Clock) -> Result<Member> {
        let (tenant, client) = self.application(path.name)?;
        let name = path.name;
        let pem = std::fs::read(&path.value)
            .map_err(|error| usage(format!("{name} cannot be read: {error}")))?;
        let audience = format!("{}/{tenant}/oauth2/v2.0/token", self.authority);
        let assertion = CertificateAssertion::new(&pem, client, &audience, clock);
        let assertion = assertion.map_err(|why| match env(CERT_PASSWORD) {
            Some(_) => usage(format!("{name} {why}; {CERT_PASSWORD} is not used")),
            None => usage(format!("{name} {why}")),
        })?;
        let made = ClientAssertionCredential::new(
            tenant.to_owned(),
            client.to_owned(),
            assertion,
            Some(self.assertion_options()),
        );
        member("client certificate", PATIENCE, made)
    }

    fn workload_identity(&self, env: &Env<'_>) -> Result<Option<Member>> {
        let variable = "AZURE_FEDERATED_TOKEN_FILE";
        let Some(path) = env(variable) else {
            return Ok(None);
        };
        let (tenant, client) = self.application(variable)?;
        let made = WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
            credential_options: self.assertion_options(),
            client_id: Some(client.to_owned()),
            tenant_id: Some(tenant.to_owned()),
            token_file_path: Some(PathBuf::from(path)),
        }));
        member("workload identity", PATIENCE, made).map(Some)
    }

    /// The library itself looks whether this is App Service (`IDENTITY_ENDPOINT`) or a machine.
    fn managed_identity(&self, env: &Env<'_>, first: Duration) -> Result<Member> {
        let made = ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
            user_assigned_id: azcopy::user_assigned(env)?,
            client_options: self.options.clone(),
        }));
        member("managed identity", first, made)
    }

    fn azure_cli(&self, env: &Env<'_>) -> Result<Member> {
        let made = AzureCliCredential::new(Some(AzureCliCredentialOptions {
            tenant_id: self.tenant.as_ref().map(|tenant| tenant.value.clone()),
            executor: Some(Arc::new(CommandExecutor { path: env("PATH") })),
            ..AzureCliCredentialOptions::default()
        }));
        member("Azure CLI", PATIENCE, made)
    }

    fn assertion_options(&self) -> ClientAssertionCredentialOptions {
        ClientAssertionCredentialOptions {
            client_options: self.options.clone(),
        }
    }

    fn application(&self, variable: &str) -> Result<(&str, &str)> {
        let lacks = |name| usage(format!("{variable} is set without {}", azcopy::both(name)));
        match (&self.tenant, &self.client) {
            (Some(tenant), Some(client)) => Ok((&tenant.value, &client.value)),
            (None, _) => Err(lacks("AZURE_TENANT_ID")),
            (_, None) => Err(lacks("AZURE_CLIENT_ID")),
        }
    }
}

fn member<C: TokenCredential + 'static>(
    name: &'static str,
    first: Duration,
    made: azure_core::Result<Arc<C>>,
) -> Result<Member> {
    let credential = made.map_err(|error| {
        usage(format!(
            "{name} cannot be used: {}",
            Fault::read(&error).text
        ))
    })?;
    Ok(Member {
        name,
        credential,
        first,
    })
}

/// Who issues a cloud's tokens.
fn issuer(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Public | Cloud::Emulator => "https://login.microsoftonline.com",
        Cloud::China => "https://login.chinacloudapi.cn",
        Cloud::UsGovernment => "https://login.microsoftonline.us",
        Cloud::Germany => "https://login.microsoftonline.de",
    }
}
