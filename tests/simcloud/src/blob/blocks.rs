//! Put Block, Put Block From URL, Put Block List, Get Block List.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use md5::{Digest, Md5};

use super::block_list::{Entry, Wanted, parse};
use super::copy::CopySource;
use super::grant::Grant;
use super::receive;
use super::request::Request;
use super::store::{Blob, Block, Committed, NamedBlock, Origin, Stamp, archived, not_found};
use super::write::{Draft, created, set};
use crate::body::Body;
use crate::clock::http_date;
use crate::conditions::Conditions;
use crate::config::Keep;
use crate::crc;
use crate::ingest::Ingested;
use crate::lock;
use crate::refusal::{Refusal, element};
use crate::state::State;

const LONGEST_ID: usize = 64;
const MOST_UNCOMMITTED: usize = 100_000;
/// A list of 50,000 ids of 88 characters in their elements, and room to spare.
const LONGEST_LIST: usize = 16 << 20;

/// Put Block.
pub(crate) async fn put_block(
    state: &Arc<State>,
    request: &Request,
    parts: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Refusal> {
    let id = block_id(request, parts)?;
    check_room(state, request, &id)?;
    let ingested = receive::block(state, &parts.headers, body).await?;
    stage(state, request, id, &ingested, Origin::Body)?;
    let mut response = staged();
    match ingested.md5 {
        Some(md5) => set(&mut response, "content-md5", &STANDARD.encode(md5)),
        None => {
            let crc64 = crc::azure_base64(ingested.crc64);
            set(&mut response, "x-ms-content-crc64", &crc64);
        }
    }
    Ok(response)
}

/// Put Block From URL.
pub(crate) async fn put_block_from_url(
    state: &Arc<State>,
    request: &Request,
    parts: &Parts,
) -> Result<Response<Body>, Refusal> {
    let id = block_id(request, parts)?;
    let source = CopySource::read(request, &parts.headers)?;
    check_room(state, request, &id)?;
    let ingested = source.fetch(state).await?;
    stage(state, request, id, &ingested, Origin::Url)?;
    let mut response = staged();
    if source.tells_crc64() {
        let crc64 = crc::azure_base64(ingested.crc64);
        set(&mut response, "x-ms-content-crc64", &crc64);
    }
    if let (Some(md5), true) = (ingested.md5, source.tells_md5()) {
        set(&mut response, "content-md5", &STANDARD.encode(md5));
    }
    Ok(response)
}

fn staged() -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::CREATED;
    set(&mut response, "x-ms-request-server-encrypted", "true");
    response
}

fn block_id(request: &Request, parts: &Parts) -> Result<Box<[u8]>, Refusal> {
    if !Conditions::read(&parts.headers).is_empty() {
        let message = "Condition headers are not supported.";
        return Err(Refusal::new(400, "ConditionHeadersNotSupported", message));
    }
    let invalid = |value: &str| {
        let message =
            "Value for one of the query parameters specified in the request URI is invalid.";
        Refusal::new(400, "InvalidQueryParameterValue", message)
            .element("QueryParameterName", "blockid")
            .element("QueryParameterValue", value)
            .element("Reason", "Not a valid base64 string.")
    };
    let value = request.query.get("blockid").unwrap_or_default();
    let id = STANDARD.decode(value).map_err(|_| invalid(value))?;
    if id.is_empty() || id.len() > LONGEST_ID {
        return Err(invalid(value));
    }
    Ok(id.into())
}

/// Whether the block may join those that wait for their commit.
fn check_room(state: &State, request: &Request, id: &[u8]) -> Result<(), Refusal> {
    let mut store = lock(&state.blob);
    let container = store.container(&request.account, &request.container)?;
    container.check_path(&request.name)?;
    match container.blobs.get(&request.name) {
        Some(blob) => may_stage(blob, id),
        None => Ok(()),
    }
}

fn may_stage(blob: &Blob, id: &[u8]) -> Result<(), Refusal> {
    if blob
        .committed
        .as_ref()
        .is_some_and(|blob| blob.is_archived())
    {
        return Err(archived());
    }
    if blob
        .uncommitted
        .keys()
        .next()
        .is_some_and(|other| other.len() != id.len())
    {
        let message = "The specified blob or block content is invalid.";
        return Err(Refusal::new(400, "InvalidBlobOrBlock", message));
    }
    if blob.uncommitted.len() >= MOST_UNCOMMITTED && !blob.uncommitted.contains_key(id) {
        let message =
            "The uncommitted block count cannot exceed the maximum limit of 100,000 blocks.";
        return Err(Refusal::new(409, "BlockCountExceedsLimit", message));
    }
    Ok(())
}

fn stage(
    state: &State,
    request: &Request,
    id: Box<[u8]>,
    ingested: &Ingested,
    origin: Origin,
) -> Result<(), Refusal> {
    let mut store = lock(&state.blob);
    let container = store.container(&request.account, &request.container)?;
    container.check_path(&request.name)?;
    let blob = container.blobs.entry(request.name.clone()).or_default();
    may_stage(blob, &id)?;
    let block = Block {
        origin,
        length: ingested.length,
        crc64: ingested.crc64,
        data: ingested.data.clone(),
    };
    blob.uncommitted.insert(id, block);
    Ok(())
}

/// Put Block List. Checksums in request and answer concern the XML, not the blob.
pub(crate) async fn put_block_list(
    state: &Arc<State>,
    request: &Request,
    parts: &Parts,
    body: Incoming,
    grant: &Grant,
) -> Result<Response<Body>, Refusal> {
    let draft = Draft::read(&parts.headers)?;
    let xml = receive::document(&parts.headers, body, LONGEST_LIST).await?;
    let entries = parse(&xml)?;
    let stamp = commit(state, request, draft, grant, &entries)?;
    let mut response = created(&stamp);
    if parts.headers.contains_key("content-md5") {
        let md5 = Md5::digest(&xml);
        set(&mut response, "content-md5", &STANDARD.encode(md5));
    } else {
        let crc64 = crc::azure_base64(crc::crc64(&xml));
        set(&mut response, "x-ms-content-crc64", &crc64);
    }
    Ok(response)
}

fn commit(
    state: &State,
    request: &Request,
    draft: Draft,
    grant: &Grant,
    entries: &[Entry],
) -> Result<Stamp, Refusal> {
    let mut store = lock(&state.blob);
    let container = store.container(&request.account, &request.container)?;
    container.may_replace(&request.name, draft.conditions(), grant.may_overwrite())?;
    let empty = Blob::default();
    let blob = container.blobs.get(&request.name).unwrap_or(&empty);
    let blocks = resolve(blob, entries)?;
    let mut committed = draft.blob(state.stamp());
    if let Some(before) = &blob.committed {
        committed.created = before.created;
    }
    for (_, block) in &blocks {
        committed.origin = committed.origin.and(block.origin);
        committed.length += block.length;
        committed.crc64 = crc::combine(committed.crc64, block.crc64, block.length);
    }
    if state.keep == Keep::Bytes {
        let pieces = blocks.iter().map(|(_, block)| block.data.clone());
        committed.data = Some(pieces.map(Option::unwrap_or_default).collect());
    }
    committed.blocks = blocks;
    let stamp = committed.stamp;
    container.put(&request.name, committed);
    Ok(stamp)
}

/// The blocks of a list in its order; one that is not where the list says is an error.
fn resolve(blob: &Blob, entries: &[Entry]) -> Result<Vec<NamedBlock>, Refusal> {
    let committed: BTreeMap<&[u8], &Block> = blob
        .committed
        .iter()
        .flat_map(|committed| &committed.blocks)
        .map(|(id, block)| (&**id, block))
        .collect();
    entries
        .iter()
        .map(|entry| {
            let old = committed.get(&*entry.id).copied();
            let new = blob.uncommitted.get(&entry.id);
            let found = match entry.wanted {
                Wanted::Latest => new.or(old),
                Wanted::Committed => old,
                Wanted::Uncommitted => new,
            };
            let block = found.ok_or_else(|| {
                let message = "The specified block list is invalid.";
                Refusal::new(400, "InvalidBlockList", message)
            })?;
            Ok((entry.id.clone(), block.clone()))
        })
        .collect()
}

/// Get Block List.
pub(crate) fn get_block_list(state: &State, request: &Request) -> Result<Response<Body>, Refusal> {
    let kind = request.query.get("blocklisttype").unwrap_or("committed");
    if !["committed", "uncommitted", "all"].contains(&kind) {
        let message =
            "Value for one of the query parameters specified in the request URI is invalid.";
        return Err(Refusal::new(400, "InvalidQueryParameterValue", message));
    }
    let mut store = lock(&state.blob);
    let container = store.container(&request.account, &request.container)?;
    let blob = container.blobs.get(&request.name).ok_or_else(not_found)?;
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    if kind != "uncommitted" {
        let blocks = blob.committed.iter().flat_map(|blob| &blob.blocks);
        list(&mut xml, "CommittedBlocks", blocks.map(|(id, b)| (id, b)));
    }
    if kind != "committed" {
        list(&mut xml, "UncommittedBlocks", blob.uncommitted.iter());
    }
    xml.push_str("</BlockList>");
    let mut response = Response::new(Body::text(xml));
    set(&mut response, "content-type", "application/xml");
    let committed = blob.committed.as_deref();
    let length = committed.map_or(0, |blob| blob.length);
    set(
        &mut response,
        "x-ms-blob-content-length",
        &length.to_string(),
    );
    if let Some(Committed { stamp, .. }) = committed {
        set(&mut response, "etag", &stamp.etag());
        set(&mut response, "last-modified", &http_date(stamp.modified));
    }
    Ok(response)
}

fn list<'a>(
    xml: &mut String,
    name: &str,
    blocks: impl Iterator<Item = (&'a Box<[u8]>, &'a Block)>,
) {
    xml.push_str(&format!("<{name}>"));
    for (id, block) in blocks {
        xml.push_str("<Block>");
        element(xml, "Name", &STANDARD.encode(id));
        element(xml, "Size", &block.length.to_string());
        xml.push_str("</Block>");
    }
    xml.push_str(&format!("</{name}>"));
}
