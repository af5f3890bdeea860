//! Put Blob and Put Blob From URL, and what all writes share.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response, StatusCode};

use super::copy::CopySource;
use super::grant::Grant;
use super::names;
use super::receive;
use super::request::{Request, invalid_header, text};
use super::store::{Committed, Origin, Properties, Stamp};
use super::tags::{self, Tags};
use crate::body::Body;
use crate::clock::http_date;
use crate::conditions::Conditions;
use crate::crc;
use crate::ingest::Ingested;
use crate::lock;
use crate::quirks::Quirk;
use crate::refusal::Refusal;
use crate::state::State;

/// Put Blob.
pub(crate) async fn put_blob(
    state: &Arc<State>,
    request: &Request,
    parts: &Parts,
    body: Incoming,
    grant: &Grant,
) -> Result<Response<Body>, Refusal> {
    check_type(&parts.headers)?;
    let draft = Draft::read(&parts.headers)?;
    draft.check(state, request, grant)?;
    let ingested = receive::blob(state, &parts.headers, body).await?;
    let stamp = draft.put(state, request, grant, &ingested, Origin::Body)?;
    let mut response = created(&stamp);
    let md5 = ingested.md5.unwrap_or_default();
    set(&mut response, "content-md5", &STANDARD.encode(md5));
    let crc64 = crc::azure_base64(ingested.crc64);
    set(&mut response, "x-ms-content-crc64", &crc64);
    Ok(response)
}

/// Put Blob From URL. As the recordings of the live service show, the answer names the CRC64 and
/// not the MD5, which is stored on the blob all the same.
pub(crate) async fn put_blob_from_url(
    state: &Arc<State>,
    request: &Request,
    parts: &Parts,
    grant: &Grant,
) -> Result<Response<Body>, Refusal> {
    check_type(&parts.headers)?;
    let source = CopySource::read(request, &parts.headers)?;
    let mut draft = Draft::read(&parts.headers)?;
    draft.check(state, request, grant)?;
    let ingested = source.fetch(state).await?;
    if text(&parts.headers, "x-ms-copy-source-blob-properties") != Some("false") {
        draft.take_properties(&ingested.source);
    }
    let stamp = draft.put(state, request, grant, &ingested, Origin::Url)?;
    let mut response = created(&stamp);
    if source.tells_crc64() {
        let crc64 = crc::azure_base64(ingested.crc64);
        set(&mut response, "x-ms-content-crc64", &crc64);
    }
    if state.quirks.has(Quirk::OtherMd5Told) && request.name.contains("astray") {
        set(&mut response, "content-md5", &STANDARD.encode([7; 16]));
    }
    Ok(response)
}

/// What a blob is to be besides its bytes.
pub(crate) struct Draft {
    conditions: Conditions,
    properties: Properties,
    metadata: Vec<(String, String)>,
    tags: Tags,
    tier: Option<String>,
}

impl Draft {
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        Ok(Self {
            conditions: Conditions::read(headers),
            properties: properties(headers)?,
            metadata: names::metadata(headers)?,
            tags: tags::of_header(headers)?,
            tier: tier(headers)?,
        })
    }

    /// Takes from the source's answer what the request did not give.
    fn take_properties(&mut self, source: &HeaderMap) {
        let owned = |name: &str| text(source, name).map(Into::into);
        let own = std::mem::take(&mut self.properties);
        let md5 = text(source, "content-md5").and_then(|md5| STANDARD.decode(md5).ok());
        self.properties = Properties {
            content_type: own.content_type.or_else(|| owned("content-type")),
            encoding: own.encoding.or_else(|| owned("content-encoding")),
            language: own.language.or_else(|| owned("content-language")),
            disposition: own.disposition.or_else(|| owned("content-disposition")),
            cache_control: own.cache_control.or_else(|| owned("cache-control")),
            md5: own.md5.or_else(|| md5?.try_into().ok()),
        };
    }

    /// Refuses early what the write itself would refuse.
    pub(crate) fn check(
        &self,
        state: &State,
        request: &Request,
        grant: &Grant,
    ) -> Result<(), Refusal> {
        let mut store = lock(&state.blob);
        store
            .container(&request.account, &request.container)?
            .may_replace(&request.name, &self.conditions, grant.may_overwrite())
    }

    fn put(
        self,
        state: &State,
        request: &Request,
        grant: &Grant,
        ingested: &Ingested,
        origin: Origin,
    ) -> Result<Stamp, Refusal> {
        let conditions = self.conditions.clone();
        let mut committed = self.blob(state.stamp());
        committed.origin = origin;
        committed.length = ingested.length;
        committed.crc64 = ingested.crc64;
        committed.data = ingested.data.clone().map(|data| vec![data]);
        committed.properties.md5 = committed.properties.md5.or(ingested.md5);
        let stamp = committed.stamp;
        let mut store = lock(&state.blob);
        let container = store.container(&request.account, &request.container)?;
        container.may_replace(&request.name, &conditions, grant.may_overwrite())?;
        container.put(&request.name, committed);
        Ok(stamp)
    }

    pub(crate) fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// The blob, still without bytes. A property that is not given is not set.
    pub(crate) fn blob(self, stamp: Stamp) -> Committed {
        Committed {
            stamp,
            created: stamp.modified,
            properties: self.properties,
            metadata: self.metadata,
            tags: self.tags,
            tier: self.tier,
            ..Committed::default()
        }
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    match text(headers, "x-ms-blob-type") {
        Some("BlockBlob") => Ok(()),
        None => {
            let message = "An HTTP header that's mandatory for this request is not specified.";
            Err(Refusal::new(400, "MissingRequiredHeader", message)
                .element("HeaderName", "x-ms-blob-type"))
        }
        Some("PageBlob" | "AppendBlob") => {
            let message = "simcloud does not serve this: page and append blobs";
            Err(Refusal::new(501, "NotImplemented", message))
        }
        Some(other) => Err(invalid_header("x-ms-blob-type", other)),
    }
}

/// The properties a write sets.
pub(crate) fn properties(headers: &HeaderMap) -> Result<Properties, Refusal> {
    let owned = |name: &str| text(headers, name).map(Into::into);
    let md5 = match text(headers, "x-ms-blob-content-md5") {
        None => None,
        Some(value) => {
            let bytes = STANDARD.decode(value).unwrap_or_default();
            let md5 = <[u8; 16]>::try_from(bytes);
            Some(md5.map_err(|_| invalid_header("x-ms-blob-content-md5", value))?)
        }
    };
    Ok(Properties {
        content_type: owned("x-ms-blob-content-type"),
        encoding: owned("x-ms-blob-content-encoding"),
        language: owned("x-ms-blob-content-language"),
        disposition: owned("x-ms-blob-content-disposition"),
        cache_control: owned("x-ms-blob-cache-control"),
        md5,
    })
}

fn tier(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    match text(headers, "x-ms-access-tier") {
        None => Ok(None),
        Some(tier @ ("Hot" | "Cool" | "Cold" | "Archive")) => Ok(Some(tier.to_owned())),
        Some(other) => Err(invalid_header("x-ms-access-tier", other)),
    }
}

/// 201 with ETag and Last-Modified.
pub(crate) fn created(stamp: &Stamp) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::CREATED;
    set(&mut response, "etag", &stamp.etag());
    set(&mut response, "last-modified", &http_date(stamp.modified));
    set(&mut response, "x-ms-request-server-encrypted", "true");
    response
}

pub(crate) fn set(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = hyper::header::HeaderValue::from_bytes(value.as_bytes()) {
        response.headers_mut().insert(name, value);
    }
}
