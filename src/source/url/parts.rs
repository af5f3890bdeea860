//! A source argument cut into parts, before anything is known about its host.

use crate::failure::{Failure, Reason, Result};
use crate::source::encoding::decode;

use super::refuse;

/// A URL in its parts, still encoded.
pub(super) struct Parts<'a> {
    pub(super) authority: &'a str,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

/// Takes what follows `://` apart; the path without its first slash.
pub(super) fn split(rest: &str) -> Parts<'_> {
    let (front, query) = match rest.split_once('?') {
        Some((front, query)) => (front, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = front.split_once('/').unwrap_or((front, ""));
    Parts {
        authority,
        path,
        query,
    }
}

/// Takes a trailing `*` segment off: `dir/*` is the contents of `dir/`.
pub(super) fn contents(key: &str) -> (&str, bool) {
    match key.strip_suffix('*') {
        Some(rest) if rest.is_empty() || rest.ends_with('/') => (rest, true),
        _ => (key, false),
    }
}

/// The version a query names. Nothing of a query is ever repeated: it may be a signature.
pub(super) fn version(query: Option<&str>) -> Result<Option<String>> {
    let mut version = None;
    for pair in query.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "" => {}
            "versionid" => {
                version = decode(value, false).filter(|value| !value.is_empty());
                if version.is_none() {
                    return Err(refuse("versionId is empty or malformed"));
                }
            }
            _ if name.starts_with("x-amz-") || name == "signature" || name == "awsaccesskeyid" => {
                return Err(refuse(
                    "a presigned URL is no source: leave out everything from the ? on, and give \
                     credentials (or --s3-anonymous)",
                ));
            }
            _ => {
                return Err(refuse(
                    "the only query a source may have is ?versionId=; a ? in a key is written %3F",
                ));
            }
        }
    }
    Ok(version)
}

/// A custom endpoint in one form: scheme, host and port, and the path below which it is.
pub(super) fn custom_endpoint_url(text: &str) -> Result<String> {
    let bad = || {
        Failure::stop(
            Reason::Usage,
            "the S3 endpoint (--s3-endpoint, AWS_ENDPOINT_URL, or endpoint_url of the AWS profile) \
             must be http://HOST[:PORT] or https://HOST[:PORT], perhaps with a path",
        )
    };
    let url = reqwest::Url::parse(text).map_err(|_| bad())?;
    let bare = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !bare {
        return Err(bad());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Does a URL's authority name the custom endpoint's server? Its scheme may differ.
pub(super) fn same_server(endpoint: &str, authority: &str) -> bool {
    let Some((scheme, server)) = endpoint.split_once("://") else {
        return false;
    };
    let server = server.split('/').next().unwrap_or_default();
    let default = if scheme == "https" { ":443" } else { ":80" };
    let bare = |text: &str| text.strip_suffix(default).unwrap_or(text).to_owned();
    bare(server) == bare(authority)
}
