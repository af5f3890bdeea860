//! Shared access signatures: made for tests, and recomputed for each request.
//!
//! Strings to sign from "Create an account SAS" and "Create a service SAS" of the REST
//! reference.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::grant::Grant;
use super::request::Request;
use crate::clock::{parse_sas_date, sas_date, unix_seconds};
use crate::query::{Query, encode};
use crate::refusal::Refusal;
use crate::s3::auth::hmac_sha256;

/// The version the SAS made here are of.
const VERSION: &str = "2021-12-02";
/// From here on an encryption scope takes part in the string to sign.
const WITH_SCOPE: &str = "2020-12-06";

/// An account SAS for the blob service, all resource types, as a query string.
pub(crate) fn account_sas(
    account: &str,
    key: &[u8],
    permissions: &str,
    expiry: SystemTime,
) -> String {
    let expiry = sas_date(expiry);
    let pairs = [
        ("sv", VERSION),
        ("ss", "b"),
        ("srt", "sco"),
        ("sp", permissions),
        ("se", &expiry),
    ];
    seal(&pairs, key, |query| account_text(account, query))
}

/// A service SAS for one container, as a query string.
pub(crate) fn container_sas(
    account: &str,
    container: &str,
    key: &[u8],
    permissions: &str,
    expiry: SystemTime,
) -> String {
    let expiry = sas_date(expiry);
    let pairs = [
        ("sv", VERSION),
        ("sr", "c"),
        ("sp", permissions),
        ("se", &expiry),
    ];
    let resource = format!("/blob/{account}/{container}");
    seal(&pairs, key, |query| service_text(&resource, query))
}

/// A service SAS for a folder of a container, as a query string.
pub(crate) fn directory_sas(
    account: &str,
    (container, folder): (&str, &str),
    key: &[u8],
    permissions: &str,
    expiry: SystemTime,
) -> String {
    let (expiry, depth) = (sas_date(expiry), folder.split('/').count().to_string());
    let pairs = [
        ("sv", VERSION),
        ("sr", "d"),
        ("sdd", &depth),
        ("sp", permissions),
        ("se", &expiry),
    ];
    let resource = format!("/blob/{account}/{container}/{folder}");
    seal(&pairs, key, |query| service_text(&resource, query))
}

fn seal(pairs: &[(&str, &str)], key: &[u8], text: impl Fn(&Query) -> String) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    let query = pairs.join("&");
    let parsed = Query::parse(&query).unwrap_or_default();
    let signature = STANDARD.encode(hmac_sha256(key, text(&parsed).as_bytes()));
    format!("{query}&sig={}", encode(&signature))
}

fn account_text(account: &str, query: &Query) -> String {
    let get = |name: &str| query.get(name).unwrap_or_default();
    let mut fields = vec![account];
    fields.extend(["sp", "ss", "srt", "st", "se", "sip", "spr", "sv"].map(get));
    if get("sv") >= WITH_SCOPE {
        fields.push(get("ses"));
    }
    fields.join("\n") + "\n"
}

fn service_text(resource: &str, query: &Query) -> String {
    let get = |name: &str| query.get(name).unwrap_or_default();
    let mut fields = vec![get("sp"), get("st"), get("se"), resource];
    fields.extend(["si", "sip", "spr", "sv", "sr", "snapshot"].map(get));
    if get("sv") >= WITH_SCOPE {
        fields.push(get("ses"));
    }
    fields.extend(["rscc", "rscd", "rsce", "rscl", "rsct"].map(get));
    fields.join("\n")
}

/// What the SAS of a request grants, once its signature and times are found good.
pub(crate) fn open(
    request: &Request,
    key: &[u8],
    secure: bool,
    now: SystemTime,
) -> Result<Grant, Refusal> {
    let query = &request.query;
    let need = |name: &str| {
        query
            .get(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| failed(&format!("{name} is mandatory. Cannot be empty")))
    };
    let signature = need("sig")?;
    let version = need("sv")?;
    if version < "2018-11-09" {
        return Err(failed("simcloud reads SAS of version 2018-11-09 and later"));
    }
    if query.has("skoid") || query.has("si") {
        return Err(failed(
            "simcloud knows neither delegation keys nor policies",
        ));
    }
    let account_wide = query.has("ss");
    let text = if account_wide {
        need("srt")?;
        account_text(&request.account, query)
    } else {
        service_text(&resource(request, need("sr")?)?, query)
    };
    let expected = STANDARD.encode(hmac_sha256(key, text.as_bytes()));
    if expected != signature {
        let why = format!("Signature did not match. String to sign used was {text}");
        return Err(failed(&why));
    }
    check_times(query, need("se")?, unix_seconds(now))?;
    if query.get("spr") == Some("https") && !secure {
        let message =
            "This request is not authorized to perform this operation using this protocol.";
        return Err(Refusal::new(403, "AuthorizationProtocolMismatch", message));
    }
    if query.get("sip").is_some_and(|ip| ip != "127.0.0.1") {
        let message = "This request is not authorized to perform this operation using this source IP 127.0.0.1.";
        return Err(Refusal::new(403, "AuthorizationSourceIPMismatch", message));
    }
    let permissions = need("sp")?.to_owned();
    Ok(if account_wide {
        Grant::AccountSas {
            permissions,
            services: need("ss")?.to_owned(),
            types: need("srt")?.to_owned(),
        }
    } else {
        Grant::ServiceSas { permissions }
    })
}

/// The resource a service SAS is for: that of the request, on the level the SAS names.
fn resource(request: &Request, level: &str) -> Result<String, Refusal> {
    let container = format!("/blob/{}/{}", request.account, request.container);
    match level {
        "c" => Ok(container),
        "b" => Ok(format!("{container}/{}", request.name)),
        "d" => {
            let depth = request.query.get("sdd").and_then(|text| text.parse().ok());
            let depth: usize = depth.ok_or_else(|| failed("sdd is mandatory"))?;
            let folder: Vec<&str> = request.name.split('/').take(depth).collect();
            Ok(format!("{container}/{}", folder.join("/")))
        }
        _ => Err(failed("sr is invalid")),
    }
}

fn check_times(query: &Query, end: &str, now: i64) -> Result<(), Refusal> {
    let end_at = parse_sas_date(end).ok_or_else(|| failed("se is not a valid date"))?;
    let start = match query.get("st") {
        None | Some("") => None,
        Some(text) => Some(parse_sas_date(text).ok_or_else(|| failed("st is not a valid date"))?),
    };
    if now >= end_at || start.is_some_and(|start| now < start) {
        let why = format!("Signature not valid in the specified time frame: Expiry [{end}]");
        return Err(failed(&why));
    }
    Ok(())
}

/// 403 AuthenticationFailed with the reason where the service gives it.
pub(crate) fn failed(why: &str) -> Refusal {
    let message = "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.";
    Refusal::new(403, "AuthenticationFailed", message).element("AuthenticationErrorDetail", why)
}
