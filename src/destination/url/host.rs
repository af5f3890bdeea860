//! Which account and cloud a host name stands for.

use reqwest::Url;

use super::{shown, usage};
use crate::failure::Result;

/// Blob endpoints of the clouds; the label before `.blob.` is the account.
const SUFFIXES: [(&str, Cloud); 4] = [
    ("core.windows.net", Cloud::Public),
    ("core.chinacloudapi.cn", Cloud::China),
    ("core.usgovcloudapi.net", Cloud::UsGovernment),
    ("core.cloudapi.de", Cloud::Germany),
];

/// Endpoints of accounts in a DNS zone: `ACCOUNT.zNN.blob.storage.azure.net`.
const ZONED: &str = "storage.azure.net";

/// Further endpoints of the same account, e.g. `ACCOUNT-internetrouting.blob.…`.
const VARIANTS: [&str; 4] = ["internetrouting", "microsoftrouting", "dualstack", "ipv6"];

/// Which Azure the account is in; decides who issues its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// The public cloud.
    Public,
    /// Azure operated by 21Vianet.
    China,
    /// Azure for the US government.
    UsGovernment,
    /// The former German cloud.
    Germany,
    /// No cloud: an emulator, addressed path-style.
    Emulator,
}

/// A host, read.
pub(super) struct Host {
    /// Scheme, host and port, without a trailing slash.
    pub(super) root: String,
    pub(super) cloud: Cloud,
    /// `None` for an emulator, where the account is the first segment of the path.
    pub(super) account: Option<String>,
}

impl Host {
    pub(super) fn read(origin: &Url) -> Result<Self> {
        let host = origin.host_str().unwrap_or_default();
        let host = host.strip_suffix('.').unwrap_or(host);
        let port = origin
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        if !["http", "https"].contains(&origin.scheme()) {
            return Err(usage(format!(
                "the destination begins with {}://; give https://ACCOUNT.blob.core.windows.net",
                shown(origin.scheme())
            )));
        }
        if is_emulator(origin, host) {
            return Ok(Self {
                root: format!("{}://{host}{port}", origin.scheme()),
                cloud: Cloud::Emulator,
                account: None,
            });
        }
        let (account, cloud) = account_and_cloud(host)?;
        Ok(Self {
            root: format!("https://{host}{port}"),
            cloud,
            account: Some(account),
        })
    }
}

/// No Azure endpoint is an address or a name without dots.
fn is_emulator(origin: &Url, host: &str) -> bool {
    let is_name = origin.domain().is_some();
    !is_name || !host.contains('.')
}

fn account_and_cloud(host: &str) -> Result<(String, Cloud)> {
    let (label, service, cloud) = split(host).ok_or_else(|| {
        usage(format!(
            "{} is no Azure Blob endpoint; give https://ACCOUNT.blob.core.windows.net, or an \
             emulator by IP address or localhost",
            shown(host)
        ))
    })?;
    if service != "blob" {
        return Err(usage(format!(
            "{} is not the Blob endpoint; write .blob. instead of .{service}.",
            shown(host)
        )));
    }
    if label.contains('.') {
        return Err(usage(format!(
            "{} is not an account's own endpoint; write ACCOUNT.blob. without what is between",
            shown(host)
        )));
    }
    let (account, variant) = match label.split_once('-') {
        Some((account, variant)) => (account, Some(variant)),
        None => (label, None),
    };
    match variant {
        Some(variant) if variant.starts_with("secondary") => Err(usage(format!(
            "{} is the read-only secondary; drop -secondary",
            shown(host)
        ))),
        Some(variant) if !VARIANTS.contains(&variant) => Err(not_an_account(label)),
        _ if !is_account(account) => Err(not_an_account(label)),
        _ => Ok((account.to_owned(), cloud)),
    }
}

/// Label before the service, service, cloud.
fn split(host: &str) -> Option<(&str, &str, Cloud)> {
    for (suffix, cloud) in SUFFIXES {
        if let Some(front) = before(host, suffix) {
            let (label, service) = front.rsplit_once('.')?;
            return Some((label, service, cloud));
        }
    }
    let (front, service) = before(host, ZONED)?.rsplit_once('.')?;
    let (label, zone) = front.rsplit_once('.')?;
    let digits = zone.strip_prefix('z')?;
    let is_zone = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_zone.then_some((label, service, Cloud::Public))
}

fn before<'a>(host: &'a str, suffix: &str) -> Option<&'a str> {
    host.strip_suffix(suffix)?.strip_suffix('.')
}

/// 3 to 24 lower-case letters and digits (Microsoft Learn, "Storage account overview").
fn is_account(name: &str) -> bool {
    (3..=24).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn not_an_account(label: &str) -> crate::failure::Failure {
    usage(format!(
        "{} is no storage account name (3 to 24 lower-case letters and digits)",
        shown(label)
    ))
}
