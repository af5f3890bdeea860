//! HEAD and GET of an object.

use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response};

use super::customer_key;
use super::metadata;
use super::store::Stored;
use crate::body::Body;
use crate::clock::http_date;
use crate::conditions::Conditions;
use crate::crc;
use crate::object::Restore;
use crate::query::Query;
use crate::quirks::{Quirk, Quirks};
use crate::range::{self, Range};
use crate::refusal::Refusal;

/// Query parameters that replace a header of the answer.
const OVERRIDES: &[(&str, &str)] = &[
    ("response-cache-control", "cache-control"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
    ("response-content-language", "content-language"),
    ("response-content-type", "content-type"),
    ("response-expires", "expires"),
];

/// The answer to HEAD or GET. The number of tags is told to those alone who may read them.
pub(crate) fn read(
    parts: &Parts,
    query: &Query,
    object: &Stored,
    (may_read_tags, quirks): (bool, &Quirks),
) -> Result<Response<Body>, Refusal> {
    let head = parts.method == Method::HEAD;
    let key = object.extra().and_then(|extra| extra.customer_key.as_ref());
    customer_key::check(&parts.headers, key)?;
    if object.is_archived() && !head && !quirks.has(Quirk::ClassesAreNames) {
        return Err(archived(object));
    }
    let etag = etag(object, quirks);
    check_conditions(&parts.headers, &etag, object.modified)?;
    let length = object.content.length();
    let mut range = range::read(&parts.headers, "range", length).map_err(|()| {
        let message = "The requested range is not satisfiable";
        Refusal::new(416, "InvalidRange", message)
            .element("ActualObjectSize", length.to_string())
            .header("content-range", format!("bytes */{length}"))
    })?;
    if quirks.has(Quirk::IgnoresRange) {
        range = None;
    }
    let mut response = Response::new(Body::default());
    let headers = response.headers_mut();
    let whole = range.is_none();
    facts(headers, object, &etag, quirks);
    set(headers, "accept-ranges", "bytes");
    if let Some(extra) = object.extra() {
        if may_read_tags && !extra.tags.is_empty() {
            set(
                headers,
                "x-amz-tagging-count",
                &extra.tags.len().to_string(),
            );
        }
        let wanted = super::header(&parts.headers, "x-amz-checksum-mode")
            .or_else(|| query.get("x-amz-checksum-mode"));
        if let (Some(crc), Some("ENABLED"), true) = (extra.crc64, wanted, whole) {
            set(headers, "x-amz-checksum-crc64nvme", &crc::s3_base64(crc));
            set(headers, "x-amz-checksum-type", "FULL_OBJECT");
        }
    }
    for (parameter, name) in OVERRIDES {
        if let Some(value) = query.get(parameter) {
            set(headers, name, value);
        }
    }
    let Range { start, end } = range.unwrap_or(Range {
        start: 0,
        end: length,
    });
    if let Some(length) = told_length(end - start, head, quirks) {
        set(headers, "content-length", &length.to_string());
    }
    if !whole {
        let text = format!("bytes {start}-{}/{length}", end - 1);
        set(headers, "content-range", &text);
        *response.status_mut() = hyper::StatusCode::PARTIAL_CONTENT;
    }
    if !head {
        *response.body_mut() = Body::range(object.content.clone(), start, end);
    }
    Ok(response)
}

/// The length as this server tells it.
fn told_length(length: u64, head: bool, quirks: &Quirks) -> Option<u64> {
    if head && quirks.has(Quirk::HeadWithoutLength) {
        return None;
    }
    let is_hidden = head && quirks.has(Quirk::HeadOfNothing);
    Some(if is_hidden { 0 } else { length })
}

/// The ETag with its quotes, as this server tells it.
pub(crate) fn etag(object: &Stored, quirks: &Quirks) -> String {
    let etag = object.etag();
    if quirks.has(Quirk::EtagsNoMd5) {
        // Some other 32 digits: each replaced by its complement.
        let other = |digit: char| match digit.to_digit(16) {
            Some(value) => char::from_digit(15 - value, 16).unwrap_or(digit),
            None => digit,
        };
        return etag.chars().map(other).collect();
    }
    match quirks.has(Quirk::WeakEtags) {
        true => format!("W/{etag}"),
        false => etag,
    }
}

/// The answer to HEAD of what is no object but a folder.
pub(crate) fn folder() -> Response<Body> {
    let mut response = Response::new(Body::default());
    let headers = response.headers_mut();
    set(headers, "content-type", "application/x-directory");
    set(headers, "content-length", "0");
    set(headers, "etag", "\"d41d8cd98f00b204e9800998ecf8427e\"");
    set(headers, "last-modified", "Fri, 24 May 2013 00:00:00 GMT");
    response
}

fn check_conditions(headers: &HeaderMap, etag: &str, modified: u64) -> Result<(), Refusal> {
    let conditions = Conditions::read(headers);
    if conditions.wants_other(etag, modified) {
        let message = "At least one of the pre-conditions you specified did not hold";
        return Err(Refusal::new(412, "PreconditionFailed", message));
    }
    if conditions.has_this(etag, modified) {
        return Err(Refusal::new(304, "NotModified", "Not Modified").header("etag", etag));
    }
    Ok(())
}

fn archived(object: &Stored) -> Refusal {
    let message = "The operation is not valid for the object's storage class";
    let refusal = Refusal::new(403, "InvalidObjectState", message)
        .element("StorageClass", object.storage_class());
    match object.archive_status() {
        Some(tier) => refusal.element("AccessTier", tier),
        None => refusal,
    }
}

fn facts(headers: &mut HeaderMap, object: &Stored, etag: &str, quirks: &Quirks) {
    if quirks.has(Quirk::NullVersions) {
        set(headers, "x-amz-version-id", "null");
    }
    set(headers, "content-type", "binary/octet-stream");
    set(headers, "etag", etag);
    set(headers, "last-modified", &http_date(object.modified));
    if object.storage_class() != "STANDARD" {
        set(headers, "x-amz-storage-class", object.storage_class());
    }
    let Some(extra) = object.extra() else {
        return;
    };
    for (name, value) in &extra.headers {
        set(headers, name, value);
    }
    for (name, value) in &extra.metadata {
        set(
            headers,
            &format!("x-amz-meta-{name}"),
            &metadata::wire(value),
        );
    }
    if let Some(key) = &extra.customer_key {
        customer_key::echo(headers, key);
    }
    if let Some(version) = object.version() {
        set(headers, "x-amz-version-id", version);
    }
    if let Some(tier) = &extra.archive_status {
        set(headers, "x-amz-archive-status", tier);
    }
    match extra.restore {
        Some(Restore::Ongoing) => set(headers, "x-amz-restore", "ongoing-request=\"true\""),
        Some(Restore::Done) => {
            let restored =
                "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2040 00:00:00 GMT\"";
            set(headers, "x-amz-restore", restored);
        }
        None => {}
    }
}

pub(crate) fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = hyper::header::HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
        headers.insert(name, value);
    }
}
