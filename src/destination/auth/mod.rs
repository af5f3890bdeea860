//! Who we are to the destination: a SAS, the account's key, or an identity in Entra ID.
//!
//! [`Auth::resolve`] takes the first that is there, in this order:
//! 1. the SAS in the URL, then `AZURE_STORAGE_SAS_TOKEN`;
//! 2. `AZURE_STORAGE_CONNECTION_STRING`;
//! 3. `AZURE_STORAGE_ACCOUNT` with `AZURE_STORAGE_KEY`;
//! 4. an identity in Entra ID: from the environment, of the machine, or of the Azure CLI.
//!
//! Requests are signed one by one just before they are sent.

mod azcopy;
mod certificate;
mod connection_string;
mod entra;
mod shared_key;
#[cfg(test)]
mod tests;
mod token;
mod transport;

use std::sync::Arc;

use http::HeaderValue;
use http::header::AUTHORIZATION;

pub use self::connection_string::DEVELOPMENT_ACCOUNT;
use self::connection_string::{ConnectionString, Given};
use self::entra::Entra;
use self::shared_key::SharedKey;
use super::sas::Sas;
use super::url::DestinationUrl;
use crate::clock::Clock;
use crate::failure::{Failure, Reason, Result};

/// Looks up an environment variable.
pub type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A credential for one storage account. Cheap to clone; `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Auth {
    credential: Credential,
    clock: Clock,
}

#[derive(Clone, Debug)]
enum Credential {
    Sas(Sas),
    SharedKey(Arc<SharedKey>),
    Entra(Arc<Entra>),
}

impl Auth {
    /// Finds the credential for `destination`. Nothing is asked over the network yet: see
    /// [`Auth::prepare`]. `http` is used for Entra ID's tokens.
    ///
    /// # Errors
    /// [`Reason::Usage`]: a credential is malformed, has expired, or is another account's.
    pub fn resolve(
        destination: &DestinationUrl,
        env: &Env<'_>,
        http: &reqwest::Client,
        clock: &Clock,
    ) -> Result<Self> {
        let env = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let credential = match from_account(destination, &env)? {
            Some(credential) => credential,
            None => {
                let root = destination.account_url();
                if !root.starts_with("https://") {
                    return Err(no_plain_text_token(root));
                }
                Credential::Entra(Arc::new(Entra::new(
                    destination.cloud(),
                    &env,
                    http,
                    clock,
                )?))
            }
        };
        if let Credential::Sas(sas) = &credential {
            sas.check(clock.unix_seconds())?;
        }
        Ok(Self {
            credential,
            clock: clock.clone(),
        })
    }

    /// A SAS for the account.
    pub fn from_sas(sas: Sas, clock: Clock) -> Self {
        Self {
            credential: Credential::Sas(sas),
            clock,
        }
    }

    /// The account's key, in base64 as the portal shows it.
    ///
    /// # Errors
    /// [`Reason::Usage`] where the key is no base64.
    pub fn from_key(account: &str, key: &str, clock: Clock) -> Result<Self> {
        Ok(Self {
            credential: Credential::SharedKey(Arc::new(SharedKey::new(account, key)?)),
            clock,
        })
    }

    /// What kind of credential it is, for people.
    pub fn kind(&self) -> &'static str {
        match &self.credential {
            Credential::Sas(_) => "SAS",
            Credential::SharedKey(_) => "account key",
            Credential::Entra(_) => "Entra ID",
        }
    }

    /// Makes sure that requests can be signed: fetches the first token of an identity.
    ///
    /// # Errors
    /// [`Reason::DestinationDenied`]: there is no credential, or it was refused; the message names
    /// what to set. [`Reason::DestinationUnavailable`]: its issuer did not answer.
    pub async fn prepare(&self) -> Result<()> {
        match &self.credential {
            Credential::Entra(entra) => entra.authorization().await.map(|_| ()),
            Credential::Sas(_) | Credential::SharedKey(_) => Ok(()),
        }
    }

    /// Seconds since 1970 at which it ends for good; `None` where it does not, says nothing of it,
    /// or is being renewed.
    pub fn ends(&self) -> Option<i64> {
        match &self.credential {
            Credential::Sas(sas) => sas.expires(),
            Credential::SharedKey(_) => None,
            Credential::Entra(entra) => entra.ends(),
        }
    }

    pub(super) fn is_sas(&self) -> bool {
        matches!(self.credential, Credential::Sas(_))
    }

    /// Can its signature be tried at a container? That of a SAS for a folder or a blob cannot.
    pub(super) fn opens_container(&self) -> bool {
        match &self.credential {
            Credential::Sas(sas) => sas.opens_container(),
            Credential::SharedKey(_) | Credential::Entra(_) => true,
        }
    }

    /// Is it a SAS that may only create blobs, for all it says of itself?
    pub(super) fn only_creates(&self) -> bool {
        matches!(&self.credential, Credential::Sas(sas) if sas.writes() != Some(true))
    }

    /// Signs a request whose headers and query are final.
    pub(super) async fn authorize(&self, request: &mut reqwest::Request) -> Result<()> {
        match &self.credential {
            Credential::Sas(sas) => self.append(sas, request),
            Credential::SharedKey(key) => {
                let value = key.authorization(request)?;
                request.headers_mut().insert(AUTHORIZATION, value);
                Ok(())
            }
            Credential::Entra(entra) => {
                if request.url().scheme() != "https" {
                    return Err(no_plain_text_token(
                        request.url().origin().ascii_serialization().as_str(),
                    ));
                }
                let value = entra.authorization().await?;
                request.headers_mut().insert(AUTHORIZATION, value);
                Ok(())
            }
        }
    }

    /// Drops a token that was refused; `false` where the credential is none that can be renewed.
    pub(super) fn forget(&self, refused: Option<&HeaderValue>) -> bool {
        match (&self.credential, refused) {
            (Credential::Entra(entra), Some(refused)) => {
                entra.forget(refused);
                true
            }
            _ => false,
        }
    }

    /// Stops where the credential has ended by its own account.
    pub(super) fn check(&self) -> Result<()> {
        match &self.credential {
            Credential::Sas(sas) => sas
                .check(self.clock.unix_seconds())
                .map_err(|failure| Failure::stop(Reason::DestinationDenied, failure.message)),
            Credential::SharedKey(_) | Credential::Entra(_) => Ok(()),
        }
    }

    fn append(&self, sas: &Sas, request: &mut reqwest::Request) -> Result<()> {
        self.check()?;
        let url = request.url_mut();
        let query = match url.query() {
            Some(query) if !query.is_empty() => format!("{query}&{}", sas.expose()),
            _ => sas.expose().to_owned(),
        };
        url.set_query(Some(&query));
        Ok(())
    }
}

/// A SAS, connection string or key, where one is given.
fn from_account(destination: &DestinationUrl, env: &Env<'_>) -> Result<Option<Credential>> {
    if let Some(sas) = destination.sas() {
        return Ok(Some(Credential::Sas(sas.clone())));
    }
    if let Some(text) = env("AZURE_STORAGE_SAS_TOKEN") {
        return Ok(Some(Credential::Sas(Sas::parse(&text)?)));
    }
    if let Some(text) = env("AZURE_STORAGE_CONNECTION_STRING") {
        let given = ConnectionString::parse(&text)?;
        same_account(
            destination,
            &given.account,
            "AZURE_STORAGE_CONNECTION_STRING",
        )?;
        return Ok(Some(match given.credential {
            Given::Sas(sas) => Credential::Sas(sas),
            Given::Key(key) => Credential::SharedKey(Arc::new(key)),
        }));
    }
    let Some(key) = env("AZURE_STORAGE_KEY") else {
        return Ok(None);
    };
    let account = env("AZURE_STORAGE_ACCOUNT").ok_or_else(|| {
        usage("AZURE_STORAGE_KEY is set without AZURE_STORAGE_ACCOUNT; set both or neither")
    })?;
    same_account(destination, &account, "AZURE_STORAGE_ACCOUNT")?;
    let key = SharedKey::new(&account, &key)?;
    Ok(Some(Credential::SharedKey(Arc::new(key))))
}

/// A key of another account could only end in a refusal that names no cause.
fn same_account(destination: &DestinationUrl, account: &str, variable: &str) -> Result<()> {
    if account.eq_ignore_ascii_case(destination.account()) {
        return Ok(());
    }
    Err(usage(format!(
        "{variable} is for another account than the destination, which is {}; unset it or give \
         that account's credential",
        destination.account()
    )))
}

fn no_plain_text_token(root: &str) -> Failure {
    usage(format!(
        "no SAS, connection string or key is given for {root}, and a token may not travel over \
         http; set AZURE_STORAGE_SAS_TOKEN, AZURE_STORAGE_CONNECTION_STRING, or \
         AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY"
    ))
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::stop(Reason::Usage, message)
}
