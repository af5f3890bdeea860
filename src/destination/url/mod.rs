//! What the user typed as destination: account, container, path and SAS.
//!
//! Accepted: `https://ACCOUNT.blob.core.windows.net[/container[/path]][?SAS]`, the same under the
//! other clouds' suffixes and DNS-zone endpoints (`ACCOUNT.z01.blob.storage.azure.net`), and
//! path-style emulators (`http://127.0.0.1:10000/ACCOUNT/container/path`), which are recognised by
//! a host that is an IP address, `localhost` or a name without dots. `http://` to a real account
//! is sent as https, as for the source.

mod host;
#[cfg(test)]
mod tests;

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::Url;

pub use self::host::Cloud;
use self::host::Host;
use super::naming;
use super::sas::Sas;
use crate::failure::{Failure, Reason, Result};

/// What is not percent-encoded in a path: RFC 3986's unreserved characters and the separator.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// A destination as the user gave it. `Display` shows it without its SAS.
#[derive(Clone, Debug)]
pub struct DestinationUrl {
    account_url: String,
    account: String,
    cloud: Cloud,
    container: Option<String>,
    path: Option<String>,
    sas: Option<Sas>,
}

impl DestinationUrl {
    /// Reads a destination.
    ///
    /// The SAS is checked for what is missing in it; whether it is good *now* is for
    /// [`Sas::check`], which [`super::auth::Auth::resolve`] calls.
    ///
    /// # Errors
    /// [`Reason::Usage`], also for a container name Azure refuses;
    /// one line with the remedy, never holding the SAS.
    pub fn parse(text: &str) -> Result<Self> {
        let parts = Parts::split(text.trim())?;
        let host = Host::read(&parts.origin)?;
        let (account, account_url, rest) = match host.account {
            Some(account) => (account, host.root, parts.path),
            None => {
                let (account, rest) = emulator_account(parts.path)?;
                (account.clone(), format!("{}/{account}", host.root), rest)
            }
        };
        let (container, path) = container_and_path(rest)?;
        let sas = parts.query.map(Sas::parse).transpose()?;
        Ok(Self {
            account_url,
            account,
            cloud: host.cloud,
            container,
            path,
            sas,
        })
    }

    /// The Blob service root without secrets and without a trailing slash, e.g.
    /// `https://acct.blob.core.windows.net` or `http://127.0.0.1:10000/devstoreaccount1`.
    pub fn account_url(&self) -> &str {
        &self.account_url
    }

    /// The storage account's name.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Which cloud the account is in.
    pub fn cloud(&self) -> Cloud {
        self.cloud
    }

    /// The container; `None` is the service root.
    pub fn container(&self) -> Option<&str> {
        self.container.as_deref()
    }

    /// What stands behind the container, percent-decoded; `None` is the container's root.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Whether objects go *into* it under their own names: a service root, a container root, or a
    /// path that ends in `/`. Anything else is an exact blob name or a prefix, as the source has it.
    pub fn is_directory(&self) -> bool {
        self.path.as_ref().is_none_or(|path| path.ends_with('/'))
    }

    /// The SAS, where the URL holds one.
    pub fn sas(&self) -> Option<&Sas> {
        self.sas.as_ref()
    }
}

impl fmt::Display for DestinationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.account_url)?;
        if let Some(container) = &self.container {
            write!(f, "/{container}")?;
        }
        if let Some(path) = &self.path {
            write!(f, "/{}", encode_path(path))?;
        }
        Ok(())
    }
}

/// Percent-encodes everything of a blob name but unreserved characters and `/`.
pub(crate) fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// The URL cut by hand: a URL parser would rewrite `.`, `..` and `\` in the path.
struct Parts<'a> {
    origin: Url,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Result<Self> {
        let (text, query) = match text.split_once('?') {
            Some((text, query)) => (text, Some(query).filter(|query| !query.is_empty())),
            None => (text, None),
        };
        if text.contains('#') {
            return Err(usage("the destination URL holds #; write it as %23"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(usage(
                "the destination is no URL; give https://ACCOUNT.blob.core.windows.net/CONTAINER",
            ));
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, path),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(usage(
                "the destination URL holds a user name; give a SAS or use the environment instead",
            ));
        }
        let origin = Url::parse(&format!("{scheme}://{authority}/"))
            .map_err(|error| usage(format!("the destination URL has no valid host: {error}")))?;
        Ok(Self {
            origin,
            path,
            query,
        })
    }
}

fn emulator_account(path: &str) -> Result<(String, &str)> {
    let (account, rest) = path.split_once('/').unwrap_or((path, ""));
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if account.is_empty() || !account.chars().all(legal) {
        return Err(usage(
            "the destination is an emulator without an account; give \
             http://HOST:PORT/ACCOUNT/CONTAINER",
        ));
    }
    Ok((account.to_owned(), rest))
}

fn container_and_path(text: &str) -> Result<(Option<String>, Option<String>)> {
    if text.is_empty() {
        return Ok((None, None));
    }
    let (container, path) = match text.split_once('/') {
        Some((container, path)) => (decode(container)?, decode(path)?),
        None => (decode(text)?, String::new()),
    };
    if ["$logs", "$blobchangefeed"].contains(&container.as_str()) {
        return Err(usage(format!(
            "{container} is written by the service itself; choose another container"
        )));
    }
    if let Some(fault) = naming::container_fault(&container) {
        return Err(usage(format!(
            "{container:?} is no container name Azure accepts: {fault}; choose another"
        )));
    }
    if path
        .split('/')
        .any(|segment| [".", ".."].contains(&segment))
    {
        return Err(usage(
            "the destination path holds a . or .. segment, which blob names cannot have; remove it",
        ));
    }
    Ok((Some(container), Some(path).filter(|path| !path.is_empty())))
}

fn decode(text: &str) -> Result<String> {
    let bytes = text.as_bytes();
    let escaped = |at: usize| {
        let digits = bytes.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if (0..bytes.len()).any(|at| bytes.get(at) == Some(&b'%') && !escaped(at)) {
        return Err(usage(
            "the destination path holds a % that is no escape; write a literal % as %25",
        ));
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(|text| text.into_owned())
        .map_err(|_| usage("the destination path is not UTF-8 when decoded"))
}

/// Foreign text in a message: short enough for one line.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::stop(Reason::Usage, message)
}
