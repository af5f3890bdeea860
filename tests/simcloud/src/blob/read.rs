//! Get Blob, its properties, Delete Blob, Set Blob Metadata and Properties.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use super::names;
use super::request::Request;
use super::store::{Committed, Container, archived, not_found, not_met};
use super::write::{properties, set};
use crate::body::Body;
use crate::clock::http_date;
use crate::conditions::Conditions;
use crate::config::Keep;
use crate::lock;
use crate::range::{self, Range};
use crate::refusal::Refusal;
use crate::state::State;

/// GET or HEAD.
pub(crate) fn get(
    state: &State,
    request: &Request,
    parts: &Parts,
) -> Result<Response<Body>, Refusal> {
    let mut store = lock(&state.blob);
    let container = store.container(&request.account, &request.container)?;
    let directory = container.directory(&request.name);
    let blob = match &directory {
        Some(directory) => directory,
        None => container.committed(&request.name)?,
    };
    let (etag, modified) = (blob.stamp.etag(), blob.stamp.modified);
    let conditions = Conditions::read(&parts.headers);
    if conditions.wants_other(&etag, modified) {
        return Err(not_met());
    }
    if conditions.has_this(&etag, modified) {
        let message = "The condition specified using HTTP conditional header(s) is not met.";
        return Err(Refusal::new(304, "ConditionNotMet", message));
    }
    let header = match parts.headers.contains_key("x-ms-range") {
        true => "x-ms-range",
        false => "range",
    };
    let range = range::read(&parts.headers, header, blob.length).map_err(|()| {
        let message = "The range specified is invalid for the current size of the resource.";
        Refusal::new(416, "InvalidRange", message)
            .header("content-range", format!("bytes */{}", blob.length))
    })?;
    let mut response = Response::new(Body::default());
    let blob_type = state.quirks.blob_type(&request.name);
    facts(&mut response, (blob, blob_type), range.is_some());
    if parts.method == Method::HEAD {
        let tier = blob.tier.as_deref().unwrap_or("Hot");
        set(&mut response, "x-ms-access-tier", tier);
        if blob.tier.is_none() {
            set(&mut response, "x-ms-access-tier-inferred", "true");
        }
        set(&mut response, "content-length", &blob.length.to_string());
        return Ok(response);
    }
    if blob.is_archived() {
        return Err(archived());
    }
    let whole = Range {
        start: 0,
        end: blob.length,
    };
    let Range { start, end } = range.unwrap_or(whole);
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let text = format!("bytes {start}-{}/{}", end - 1, blob.length);
        set(&mut response, "content-range", &text);
    }
    *response.body_mut() = match &blob.data {
        Some(pieces) => Body::rope(pieces, start, end),
        None if state.keep == Keep::Digest && blob.length > 0 => {
            let message = "simcloud was told to keep digests only";
            return Err(Refusal::new(501, "NotImplemented", message));
        }
        None => Body::default(),
    };
    Ok(response)
}

fn facts(response: &mut Response<Body>, (blob, blob_type): (&Committed, &str), ranged: bool) {
    let properties = &blob.properties;
    let content_type = properties.content_type.as_deref();
    let md5 = properties.md5.map(|md5| STANDARD.encode(md5));
    let md5_name = match ranged {
        true => "x-ms-blob-content-md5",
        false => "content-md5",
    };
    for (name, value) in [
        (
            "content-type",
            Some(content_type.unwrap_or("application/octet-stream")),
        ),
        ("content-encoding", properties.encoding.as_deref()),
        ("content-language", properties.language.as_deref()),
        ("content-disposition", properties.disposition.as_deref()),
        ("cache-control", properties.cache_control.as_deref()),
        (md5_name, md5.as_deref()),
        ("accept-ranges", Some("bytes")),
        ("x-ms-blob-type", Some(blob_type)),
        ("x-ms-lease-status", Some("unlocked")),
        ("x-ms-lease-state", Some("available")),
        ("x-ms-server-encrypted", Some("true")),
    ] {
        if let Some(value) = value {
            set(response, name, value);
        }
    }
    set(response, "etag", &blob.stamp.etag());
    set(response, "last-modified", &http_date(blob.stamp.modified));
    set(response, "x-ms-creation-time", &http_date(blob.created));
    if !blob.tags.is_empty() {
        set(response, "x-ms-tag-count", &blob.tags.len().to_string());
    }
    add_metadata(response, &blob.metadata);
}

/// `x-ms-meta-*` headers.
pub(crate) fn add_metadata(response: &mut Response<Body>, metadata: &[(String, String)]) {
    for (name, value) in metadata {
        let name = HeaderName::try_from(format!("x-ms-meta-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value.as_str())) {
            response.headers_mut().insert(name, value);
        }
    }
}

/// Delete Blob; one that has uncommitted blocks alone can be deleted too, and an empty directory.
pub(crate) fn delete(
    state: &State,
    request: &Request,
    parts: &Parts,
) -> Result<Response<Body>, Refusal> {
    let mut store = lock(&state.blob);
    let container = store.container(&request.account, &request.container)?;
    match container.remove_directory(&request.name) {
        Some(removed) => removed?,
        None => remove(container, &request.name, &Conditions::read(&parts.headers))?,
    }
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::ACCEPTED;
    set(&mut response, "x-ms-delete-type-permanent", "true");
    Ok(response)
}

fn remove(container: &mut Container, name: &str, conditions: &Conditions) -> Result<(), Refusal> {
    container.may_write(name, conditions, true)?;
    let blob = container
        .blobs
        .get_mut(name)
        .filter(|blob| blob.committed.is_some() || !blob.uncommitted.is_empty())
        .ok_or_else(not_found)?;
    blob.committed = None;
    blob.uncommitted.clear();
    Ok(())
}

/// Set Blob Metadata and Set Blob Properties: what is not given is cleared.
pub(crate) fn change(
    state: &State,
    request: &Request,
    parts: &Parts,
    metadata: bool,
) -> Result<Response<Body>, Refusal> {
    let conditions = Conditions::read(&parts.headers);
    let new_metadata = names::metadata(&parts.headers)?;
    let new_properties = properties(&parts.headers)?;
    let mut store = lock(&state.blob);
    let container = store.container(&request.account, &request.container)?;
    container.committed(&request.name)?;
    container.may_write(&request.name, &conditions, true)?;
    let blob = container
        .blobs
        .get_mut(&request.name)
        .and_then(|blob| blob.committed.as_deref_mut())
        .ok_or_else(not_found)?;
    if metadata {
        blob.metadata = new_metadata;
    } else {
        blob.properties = new_properties;
    }
    blob.stamp = state.stamp();
    let mut response = Response::new(Body::default());
    set(&mut response, "etag", &blob.stamp.etag());
    set(
        &mut response,
        "last-modified",
        &http_date(blob.stamp.modified),
    );
    Ok(response)
}
