//! Who may: Shared Key, SAS and bearer tokens.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::http::request::Parts;

use super::grant::Grant;
use super::request::Request;
use super::sas::{self, failed};
use super::store::Account;
use crate::clock::{unix_millis, unix_seconds};
use crate::refusal::Refusal;
use crate::s3::auth::hmac_sha256;

/// Seconds a request's date may be off.
const SKEW: i64 = 15 * 60;

/// What the caller may do.
pub(crate) fn authenticate(
    request: &Request,
    parts: &Parts,
    account: &Account,
    secure: bool,
    now: SystemTime,
) -> Result<Grant, Refusal> {
    let header = parts.headers.get("authorization").map(|value| {
        let text = value.to_str().unwrap_or_default();
        text.split_once(' ').unwrap_or((text, ""))
    });
    match header {
        Some(("SharedKey", credential)) => shared_key(request, parts, account, credential, now),
        Some(("Bearer", token)) => bearer(account, token, now),
        Some(_) => Err(Refusal::new(
            400,
            "InvalidAuthenticationInfo",
            "Authentication information is not given in the correct format. Check the value of Authorization header.",
        )),
        None if request.query.has("sig") => sas::open(request, &account.key, secure, now),
        None => Err(challenge(
            "NoAuthenticationInformation",
            "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
        )),
    }
}

fn bearer(account: &Account, token: &str, now: SystemTime) -> Result<Grant, Refusal> {
    match account.tokens.get(token) {
        Some(token) if token.end > now => Ok(token.grant.clone()),
        found => Err(challenge(
            "InvalidAuthenticationInfo",
            "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
        )
        .element(
            "AuthenticationErrorDetail",
            match found {
                Some(_) => "Lifetime validation failed. The token is expired.",
                None => "Signature validation failed.",
            },
        )),
    }
}

fn challenge(code: &'static str, message: &'static str) -> Refusal {
    Refusal::new(401, code, message).header(
        "www-authenticate",
        "Bearer authorization_uri=https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/oauth2/authorize resource_id=https://storage.azure.com",
    )
}

fn shared_key(
    request: &Request,
    parts: &Parts,
    account: &Account,
    credential: &str,
    now: SystemTime,
) -> Result<Grant, Refusal> {
    let text = |name: &str| {
        let value = parts.headers.get(name)?;
        value.to_str().ok()
    };
    let date = text("x-ms-date").or_else(|| text("date"));
    let date = date.and_then(|text| httpdate::parse_http_date(text).ok());
    let date = date.ok_or_else(|| failed("Date header is missing or malformed"))?;
    let date = i64::try_from(unix_millis(date) / 1000).unwrap_or_default();
    if (unix_seconds(now) - date).abs() > SKEW {
        return Err(failed(
            "Request date header too old or too far in the future",
        ));
    }
    let to_sign = string_to_sign(request, parts);
    let expected = STANDARD.encode(hmac_sha256(&account.key, to_sign.as_bytes()));
    if credential.split_once(':') == Some((request.account.as_str(), expected.as_str())) {
        return Ok(Grant::Full);
    }
    let why = format!(
        "The MAC signature found in the HTTP request is not the same as any computed signature. Server used following string to sign: '{to_sign}'"
    );
    Err(failed(&why))
}

/// The service sorts header names as .NET's culture does, and so do Microsoft's SDKs: hyphens do
/// not count, and `_` comes before digits and letters.
fn service_order(name: &str) -> (Vec<u8>, &str) {
    let letters = name.bytes().filter(|byte| *byte != b'-');
    let weights = letters.map(|byte| if byte == b'_' { 1 } else { byte });
    (weights.collect(), name)
}

/// "Authorize with Shared Key", version 2015-02-21 and later.
fn string_to_sign(request: &Request, parts: &Parts) -> String {
    let text = |name: &str| {
        let value = parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    let length = match text("content-length") {
        "0" => "",
        other => other,
    };
    let date = if parts.headers.contains_key("x-ms-date") {
        ""
    } else {
        text("date")
    };
    let mut fields = vec![
        parts.method.as_str(),
        text("content-encoding"),
        text("content-language"),
        length,
        text("content-md5"),
        text("content-type"),
        date,
    ];
    fields.extend(
        [
            "if-modified-since",
            "if-match",
            "if-none-match",
            "if-unmodified-since",
            "range",
        ]
        .map(text),
    );
    let mut names: Vec<&str> = parts.headers.keys().map(|name| name.as_str()).collect();
    names.retain(|name| name.starts_with("x-ms-"));
    names.sort_unstable_by(|left, right| service_order(left).cmp(&service_order(right)));
    let headers: String = names
        .iter()
        .map(|name| format!("{name}:{}\n", text(name).trim()))
        .collect();
    let mut resource = format!("/{}{}", request.account, parts.uri.path());
    let mut pairs: Vec<(String, &str)> = request
        .query
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    pairs.sort();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 && pairs[index - 1].0 == *name {
            resource.push_str(&format!(",{value}"));
        } else {
            resource.push_str(&format!("\n{name}:{value}"));
        }
    }
    format!("{}\n{headers}{resource}", fields.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order azure-storage-blob for Python signs these in.
    #[test]
    fn headers_are_sorted_as_the_service_does() {
        let mut names = [
            "x-ms-meta-ab",
            "x-ms-meta-a1",
            "x-ms-meta-a_b",
            "x-ms-meta-a",
            "x-ms-date",
        ];
        names.sort_unstable_by(|left, right| service_order(left).cmp(&service_order(right)));
        assert_eq!(
            names,
            [
                "x-ms-date",
                "x-ms-meta-a",
                "x-ms-meta-a_b",
                "x-ms-meta-a1",
                "x-ms-meta-ab"
            ]
        );
    }
}
