//! Which requests the bridge translates, what it refuses, and how it answers: decisions only.

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

/// Longest source URL, in bytes.
/// <https://learn.microsoft.com/rest/api/storageservices/put-block-from-url>
const LONGEST_SOURCE: usize = 2048;

/// From this version on the service tells the source's status.
const TELLS_SOURCE_STATUS: &str = "2025-11-05";

/// Properties of the source that Put Blob From URL takes over where none are given.
const TAKEN_OVER: [(&str, &str); 5] = [
    ("content-type", "x-ms-blob-content-type"),
    ("cache-control", "x-ms-blob-cache-control"),
    ("content-encoding", "x-ms-blob-content-encoding"),
    ("content-language", "x-ms-blob-content-language"),
    ("content-disposition", "x-ms-blob-content-disposition"),
];

/// The two calls Azurite lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    PutBlob,
    PutBlock,
}

/// What the service answers instead of doing it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// The status the source answered with, where the source is at fault.
    pub(super) source: Option<StatusCode>,
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            message: message.into(),
            source: None,
        }
    }

    /// The service mirrors the source's error, and answers 400 to a redirect.
    pub(super) fn source(status: StatusCode) -> Self {
        let error = status.is_client_error() || status.is_server_error();
        Self {
            status: if error {
                status
            } else {
                StatusCode::BAD_REQUEST
            },
            code: "CannotVerifyCopySource",
            message: format!("The copy source answered {status}."),
            source: Some(status),
        }
    }

    /// The source cannot be asked at all.
    pub(super) fn unreachable() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "CannotVerifyCopySource",
            message: "The copy source cannot be reached.".into(),
            source: None,
        }
    }
}

/// What to fetch for a translated call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) url: Uri,
    pub(super) range: Option<HeaderValue>,
}

/// Tells the calls to translate from those to forward.
pub(super) fn translated(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Call> {
    if method != Method::PUT || !headers.contains_key("x-ms-copy-source") {
        return None;
    }
    let comp = uri.query().unwrap_or_default().split('&');
    match comp.filter_map(|pair| pair.strip_prefix("comp=")).next() {
        Some("block") => Some(Call::PutBlock),
        None if headers.contains_key("x-ms-blob-type") => Some(Call::PutBlob),
        _ => None,
    }
}

/// Checks the request and gives what is to be fetched.
pub(super) fn source(call: Call, headers: &HeaderMap) -> Result<Source, Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("authorization").is_some_and(|value| value.starts_with("SharedKey")) {
        return Err(Refusal::new(
            "BridgeCannotForwardSharedKey",
            "A Shared Key signature cannot survive the bridge: use a SAS.",
        ));
    }
    match text(CONTENT_LENGTH.as_str()) {
        Some("0") => {}
        Some(_) => {
            return Err(Refusal::new(
                "InvalidHeaderValue",
                "Content-Length must be 0.",
            ));
        }
        None => {
            let mut refusal =
                Refusal::new("MissingContentLengthHeader", "Content-Length is missing.");
            refusal.status = StatusCode::LENGTH_REQUIRED;
            return Err(refusal);
        }
    }
    let range = headers.get("x-ms-source-range").cloned();
    if call == Call::PutBlob && (range.is_some() || text("x-ms-source-content-crc64").is_some()) {
        return Err(Refusal::new(
            "UnsupportedHeader",
            "Put Blob From URL takes neither a source range nor a source CRC.",
        ));
    }
    let url = text("x-ms-copy-source").unwrap_or_default();
    if url.len() > LONGEST_SOURCE {
        return Err(Refusal::new(
            "InvalidHeaderValue",
            "x-ms-copy-source is over 2 KiB.",
        ));
    }
    match url.parse::<Uri>() {
        Ok(url) if url.scheme_str() == Some("http") => Ok(Source { url, range }),
        _ => Err(Refusal::new(
            "InvalidHeaderValue",
            "x-ms-copy-source is no http:// URL.",
        )),
    }
}

/// The headers of the Put Blob or Put Block that stands for the call, Content-Length aside.
pub(super) fn forwarded(call: Call, request: &HeaderMap, source: &HeaderMap) -> HeaderMap {
    let about_source = |name: &HeaderName| {
        name.as_str().starts_with("x-ms-copy-source") || name.as_str().starts_with("x-ms-source-")
    };
    let mut headers: HeaderMap = request
        .iter()
        .filter(|(name, _)| *name != CONTENT_LENGTH && !about_source(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let asked = request.get("x-ms-copy-source-blob-properties");
    if call == Call::PutBlob && asked.is_none_or(|value| value != "false") {
        for (theirs, ours) in TAKEN_OVER {
            if let (Some(value), false) = (source.get(theirs), headers.contains_key(ours)) {
                headers.insert(HeaderName::from_static(ours), value.clone());
            }
        }
    }
    headers
}

/// The body of an error, as the service writes it; the headers name it too.
pub(super) fn error_body(refusal: &Refusal, version: &str) -> (HeaderMap, String) {
    let mut headers = HeaderMap::new();
    headers.insert("x-ms-error-code", HeaderValue::from_static(refusal.code));
    headers.insert("content-type", HeaderValue::from_static("application/xml"));
    let mut detail = String::new();
    if let (Some(status), true) = (refusal.source, version >= TELLS_SOURCE_STATUS) {
        headers.insert("x-ms-copy-source-status-code", status.as_u16().into());
        detail = format!(
            "<CopySourceStatusCode>{}</CopySourceStatusCode>",
            status.as_u16()
        );
    }
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>{}</Message>{detail}</Error>",
        refusal.code, refusal.message
    );
    (headers, body)
}
