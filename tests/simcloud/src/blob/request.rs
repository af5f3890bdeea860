//! What a request to the Blob service asks for.

use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

use super::names;
use crate::op::OpKind;
use crate::query::{Query, decode};
use crate::refusal::Refusal;

/// Versions of the service, up to the newest one known; a later day passes too, since the SDKs
/// that tests use move on.
const VERSIONS: &[&str] = &[
    "2015-02-21",
    "2015-04-05",
    "2015-07-08",
    "2015-12-11",
    "2016-05-31",
    "2017-04-17",
    "2017-07-29",
    "2017-11-09",
    "2018-03-28",
    "2018-11-09",
    "2019-02-02",
    "2019-07-07",
    "2019-10-10",
    "2019-12-12",
    "2020-02-10",
    "2020-04-08",
    "2020-06-12",
    "2020-08-04",
    "2020-10-02",
    "2020-12-06",
    "2021-02-12",
    "2021-04-10",
    "2021-06-08",
    "2021-08-06",
    "2021-10-04",
    "2021-12-02",
    "2022-11-02",
    "2023-01-03",
    "2023-05-03",
    "2023-08-03",
    "2023-11-03",
    "2024-02-04",
    "2024-05-04",
    "2024-08-04",
    "2024-11-04",
    "2025-01-05",
    "2025-05-05",
    "2025-07-05",
    "2025-11-05",
    "2026-02-06",
    "2026-04-06",
    "2026-06-06",
];

/// Headers that change what a request means and that are not served.
const UNSERVED: &[&str] = &[
    "x-ms-lease-id",
    "x-ms-if-tags",
    "x-ms-source-if-match",
    "x-ms-source-if-none-match",
    "x-ms-source-if-modified-since",
    "x-ms-source-if-unmodified-since",
    "x-ms-source-if-tags",
    "x-ms-copy-source-authorization",
    "x-ms-copy-source-tag-option",
    "x-ms-encryption-key",
    "x-ms-encryption-key-sha256",
    "x-ms-encryption-algorithm",
    "x-ms-encryption-scope",
    "x-ms-legal-hold",
    "x-ms-immutability-policy-until-date",
    "x-ms-structured-body",
];

/// A request that names an operation served here.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) kind: OpKind,
    pub(crate) account: String,
    /// Empty for the account itself.
    pub(crate) container: String,
    /// Empty for the container itself.
    pub(crate) name: String,
    pub(crate) query: Query,
    /// `x-ms-version`, or the version of the SAS.
    pub(crate) version: String,
}

impl Request {
    /// Reads what a request asks for; anything not served is refused loudly.
    pub(crate) fn read(parts: &Parts, host: &str) -> Result<Self, Refusal> {
        let invalid = || {
            Refusal::new(
                400,
                "InvalidUri",
                "The requested URI does not represent any resource on the server.",
            )
        };
        let path = decode(parts.uri.path()).ok_or_else(invalid)?;
        let query = Query::parse(parts.uri.query().unwrap_or_default()).ok_or_else(invalid)?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (account, path) = match host.split_once(".blob.") {
            Some((account, _)) => (account, path),
            None => path.split_once('/').unwrap_or((path, "")),
        };
        let (container, name) = path.split_once('/').unwrap_or((path, ""));
        if !container.is_empty() {
            names::check_container(container)?;
        }
        names::check_blob(name)?;
        Ok(Self {
            kind: operation(parts, &query, container, name)?,
            version: version(&parts.headers, &query, &parts.method)?,
            account: account.to_owned(),
            container: container.to_owned(),
            name: name.to_owned(),
            query,
        })
    }

    /// Where the thing lives, for hooks.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.account, self.container)
    }
}

/// A header's text; empty counts as absent.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value).filter(|value| !value.is_empty())
}

/// Every request names its version; a reading one with a SAS may leave that to the SAS.
fn version(headers: &HeaderMap, query: &Query, method: &Method) -> Result<String, Refusal> {
    let reading = matches!(*method, Method::GET | Method::HEAD);
    let version = match headers.get("x-ms-version") {
        Some(value) => value.to_str().unwrap_or_default(),
        None if reading && query.has("sig") => query.get("sv").unwrap_or_default(),
        None => {
            let message = "An HTTP header that's mandatory for this request is not specified.";
            return Err(Refusal::new(400, "MissingRequiredHeader", message)
                .element("HeaderName", "x-ms-version"));
        }
    };
    let later = VERSIONS.last().is_some_and(|last| version > *last) && is_day(version);
    if !later && VERSIONS.binary_search(&version).is_err() {
        return Err(invalid_header("x-ms-version", version));
    }
    Ok(version.to_owned())
}

/// Whether the text is a day as `2026-06-06`.
fn is_day(text: &str) -> bool {
    text.len() == 10 && crate::clock::parse_sas_date(text).is_some()
}

pub(crate) fn invalid_header(name: &'static str, value: &str) -> Refusal {
    let message = "The value for one of the HTTP headers is not in the correct format.";
    Refusal::new(400, "InvalidHeaderValue", message)
        .element("HeaderName", name)
        .element("HeaderValue", value)
}

fn operation(parts: &Parts, query: &Query, container: &str, name: &str) -> Result<OpKind, Refusal> {
    let unserved = UNSERVED
        .iter()
        .find(|name| parts.headers.contains_key(**name));
    if let Some(name) = unserved {
        return Err(not_implemented(&format!("header {name}")));
    }
    let comp = query.get("comp").unwrap_or_default();
    let kind = match (query.get("restype"), container, name) {
        _ if query.has("snapshot") || query.has("versionid") => None,
        (Some("account"), _, _) => account(&parts.method, comp),
        (Some("service"), "", _) | (None, "", _) => service(&parts.method, query, comp),
        (Some("container"), _, "") => container_level(&parts.method, comp),
        (None, _, name) if !name.is_empty() => blob(parts, comp),
        _ => None,
    };
    kind.ok_or_else(|| not_implemented(&format!("{} with comp={comp}", parts.method)))
}

fn account(method: &Method, comp: &str) -> Option<OpKind> {
    let reading = matches!(*method, Method::GET | Method::HEAD);
    (reading && comp == "properties").then_some(OpKind::GetAccountInformation)
}

fn service(method: &Method, query: &Query, comp: &str) -> Option<OpKind> {
    match (method, query.get("restype"), comp) {
        (&Method::GET, None, "list") => Some(OpKind::ListContainers),
        (&Method::GET, Some("service"), "properties") => Some(OpKind::GetServiceProperties),
        _ => None,
    }
}

fn container_level(method: &Method, comp: &str) -> Option<OpKind> {
    match (method, comp) {
        (&Method::PUT, "") => Some(OpKind::CreateContainer),
        (&Method::GET | &Method::HEAD, "") => Some(OpKind::GetContainerProperties),
        (&Method::DELETE, "") => Some(OpKind::DeleteContainer),
        (&Method::GET, "list") => Some(OpKind::ListBlobs),
        _ => None,
    }
}

fn blob(parts: &Parts, comp: &str) -> Option<OpKind> {
    let from_url = parts.headers.contains_key("x-ms-copy-source");
    let typed = parts.headers.contains_key("x-ms-blob-type");
    match (&parts.method, comp) {
        (&Method::PUT, "") if from_url && typed => Some(OpKind::PutBlobFromUrl),
        (&Method::PUT, "") if !from_url => Some(OpKind::PutBlob),
        (&Method::PUT, "block") if from_url => Some(OpKind::PutBlockFromUrl),
        (&Method::PUT, "block") => Some(OpKind::PutBlock),
        (&Method::PUT, "blocklist") => Some(OpKind::PutBlockList),
        (&Method::GET, "blocklist") => Some(OpKind::GetBlockList),
        (&Method::PUT, "metadata") => Some(OpKind::SetBlobMetadata),
        (&Method::PUT, "properties") => Some(OpKind::SetBlobProperties),
        (&Method::PUT, "tags") => Some(OpKind::SetBlobTags),
        (&Method::GET, "tags") => Some(OpKind::GetBlobTags),
        (&Method::GET, "") => Some(OpKind::GetBlob),
        (&Method::HEAD, "" | "metadata") => Some(OpKind::HeadBlob),
        (&Method::DELETE, "") => Some(OpKind::DeleteBlob),
        _ => None,
    }
}

fn not_implemented(what: &str) -> Refusal {
    let message = format!("simcloud does not serve this: {what}");
    Refusal::new(501, "NotImplemented", message)
}
