//! The account's key signs each request.
//!
//! Source: Microsoft Learn, "Authorize with Shared Key". A path-style emulator has the account
//! twice in the signed path, since its URL path begins with it; that follows from the rule.

use std::cmp::Ordering;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

use super::usage;
use crate::failure::{Failure, Reason, Result};

/// The headers of the string to sign, in its order, between the method and the `x-ms-` headers.
const SIGNED: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// An account and its key.
pub(super) struct SharedKey {
    account: String,
    key: SecretSlice<u8>,
}

impl SharedKey {
    pub(super) fn new(account: &str, key: &str) -> Result<Self> {
        let decoded = STANDARD.decode(key.trim()).map_err(|_| {
            usage("the account key is no base64; copy it whole, with the = signs at its end")
        })?;
        Ok(Self {
            account: account.to_owned(),
            key: decoded.into(),
        })
    }

    /// The value of `Authorization` for a request that is complete but for it.
    pub(super) fn authorization(&self, request: &reqwest::Request) -> Result<HeaderValue> {
        let text = string_to_sign(
            &self.account,
            request.method().as_str(),
            request.url(),
            request.headers(),
        );
        let internal = |_| Failure::stop(Reason::Internal, "cannot sign with the account key");
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret())
            .map_err(|_| Failure::stop(Reason::Internal, "cannot sign with the account key"))?;
        mac.update(text.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let value = format!("SharedKey {}:{signature}", self.account);
        let mut value = HeaderValue::from_str(&value).map_err(internal)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKey")
            .field("account", &self.account)
            .field("key", &"[hidden]")
            .finish()
    }
}

pub(super) fn string_to_sign(
    account: &str,
    method: &str,
    url: &Url,
    headers: &HeaderMap,
) -> String {
    let mut text = String::from(method);
    text.push('\n');
    for name in SIGNED {
        let value = headers.get(name).map(HeaderValue::as_bytes);
        let value = String::from_utf8_lossy(value.unwrap_or_default());
        // Since 2015-02-21 a length of 0 is signed as an empty string.
        if !(name == "content-length" && value == "0") {
            text.push_str(&value);
        }
        text.push('\n');
    }
    text.push_str(&canonical_headers(headers));
    text.push_str(&canonical_resource(account, url));
    text
}

fn canonical_headers(headers: &HeaderMap) -> String {
    let mut lines: Vec<(&str, String)> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ms-"))
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str(), value.trim().to_owned())
        })
        .collect();
    lines.sort_by(|(left, _), (right, _)| header_order(left, right));
    lines
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect()
}

/// The service sorts header names as Windows sorts words: hyphens do not count, `_` comes before
/// the digits, digits before letters. (Byte order would put `x-ms-meta-a1` before `x-ms-meta-a_b`
/// and be refused.)
fn header_order(left: &str, right: &str) -> Ordering {
    let words = |name: &str| -> Vec<u8> {
        let bytes = name.bytes().filter(|byte| *byte != b'-');
        // `_` below the digits.
        bytes
            .map(|byte| if byte == b'_' { b'!' } else { byte })
            .collect()
    };
    words(left).cmp(&words(right)).then_with(|| left.cmp(right))
}

/// `/account`, the path as it is sent, and the query's parameters, decoded and sorted.
fn canonical_resource(account: &str, url: &Url) -> String {
    let mut text = format!("/{account}{}", url.path());
    let mut pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned()))
        .collect();
    pairs.sort();
    for (name, value) in pairs {
        text.push_str(&format!("\n{name}:{value}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Azurite's key, which is public.
    const KEY: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> reqwest::Request {
        let method = method.parse().unwrap();
        let mut request = reqwest::Request::new(method, url.parse().unwrap());
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        request
    }

    fn text(account: &str, request: &reqwest::Request) -> String {
        let method = request.method().as_str();
        string_to_sign(account, method, request.url(), request.headers())
    }

    /// The worked example of Microsoft Learn, "Authorize with Shared Key", Blob service.
    #[test]
    fn microsofts_example() {
        let request = request(
            "GET",
            "https://myaccount.blob.core.windows.net/mycontainer?comp=metadata&restype=container&timeout=20",
            &[
                ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"),
                ("x-ms-version", "2015-02-21"),
            ],
        );
        assert_eq!(
            text("myaccount", &request),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n\
             x-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\nrestype:container\n\
             timeout:20"
        );
    }

    #[test]
    fn every_signed_header_has_its_line() {
        let request = request(
            "PUT",
            "http://127.0.0.1:10000/dev/c01/a%20b?blockid=QQ%3D%3D&comp=block",
            &[
                ("content-length", "12"),
                ("content-type", "application/xml"),
                ("if-match", "\"0x1\""),
                ("if-none-match", "*"),
                ("range", "bytes=0-1"),
                ("x-ms-version", "2025-11-05"),
                ("x-ms-meta-a", "  two  words "),
            ],
        );
        assert_eq!(
            text("dev", &request),
            "PUT\n\n\n12\n\napplication/xml\n\n\n\"0x1\"\n*\n\nbytes=0-1\n\
             x-ms-meta-a:two  words\nx-ms-version:2025-11-05\n/dev/dev/c01/a%20b\n\
             blockid:QQ==\ncomp:block"
        );
    }

    #[test]
    fn a_length_of_zero_is_signed_as_nothing() {
        let request = request("PUT", "https://a.example/c", &[("content-length", "0")]);
        assert_eq!(text("acc", &request), "PUT\n\n\n\n\n\n\n\n\n\n\n\n/acc/c");
    }

    #[test]
    fn names_are_sorted_as_the_service_sorts_them() {
        let mut names = [
            "x-ms-meta-ab",
            "x-ms-meta-a1",
            "x-ms-meta-a_b",
            "x-ms-meta-a",
            "x-ms-date",
        ];
        names.sort_by(|left, right| header_order(left, right));
        let expected = [
            "x-ms-date",
            "x-ms-meta-a",
            "x-ms-meta-a_b",
            "x-ms-meta-a1",
            "x-ms-meta-ab",
        ];
        assert_eq!(names, expected);
        assert_eq!(
            header_order("x-ms-copy-source", "x-ms-copy-source-blob-properties"),
            Ordering::Less
        );
    }

    /// HMAC-SHA256 with this key computed by Python's hmac module.
    #[test]
    fn the_signature_is_the_hmac_of_the_string() {
        let request = request(
            "GET",
            "http://127.0.0.1:10000/devstoreaccount1/c01?restype=container",
            &[
                ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"),
                ("x-ms-version", "2025-11-05"),
            ],
        );
        let key = SharedKey::new("devstoreaccount1", KEY).unwrap();
        assert_eq!(
            key.authorization(&request).unwrap(),
            "SharedKey devstoreaccount1:iF/Um/STUTs8zO3/51VoJTMMGvjpRbuwoBi+cqdHMrM="
        );
    }

    #[test]
    fn the_key_is_never_shown() {
        let key = SharedKey::new("acct", KEY).unwrap();
        let shown = format!("{key:?}");
        assert!(
            shown.contains("acct") && shown.contains("[hidden]"),
            "{shown}"
        );
        assert!(
            !shown.contains("Eby8") && !shown.contains("19, 188"),
            "{shown}"
        );
        let failure = SharedKey::new("acct", "Eby8vdM!").unwrap_err();
        assert!(!failure.message.contains("Eby8"), "{failure}");
    }
}
