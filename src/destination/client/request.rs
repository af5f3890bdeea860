//! One request and its answer.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::error::{BlobError, BlobResult, Refusal, Target};
use super::types::{BlobHeaders, BlobProperties, Conditions, CopySource, Stored};
use super::{MAX_SOURCE_URL, SHORT, VERSION, deadline, encode_query, header, unreadable};
use crate::destination::crc::decode_md5;
use crate::failure::{Failure, Reason, Result};
use crate::http::{AnswerRoom, LARGEST_ERROR, transport_failure};

/// Most bytes of an answer that are read: a list of 150,000 blocks has about 25 MB.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// A request before it is signed.
pub(super) struct Call {
    operation: &'static str,
    shown: String,
    pub(super) target: Target,
    pub(super) method: Method,
    /// Below the account, percent-encoded, without a leading slash.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) deadline: Duration,
}

impl Call {
    pub(super) fn new(
        operation: &'static str,
        method: Method,
        target: Target,
        path: String,
        shown: &str,
    ) -> Self {
        Self {
            operation,
            shown: shown.to_owned(),
            target,
            method,
            path,
            query: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            deadline: SHORT,
        }
    }

    /// What is done to what, for messages.
    pub(super) fn what(&self) -> String {
        self.to_string()
    }

    pub(super) fn set(&mut self, name: &'static str, value: &str) -> Result<()> {
        self.insert(HeaderName::from_static(name), value, Reason::Internal)
    }

    pub(super) fn set_source(&mut self, source: &CopySource<'_>) -> Result<()> {
        if source.url.len() > MAX_SOURCE_URL {
            return Err(Failure::give_up(
                Reason::SourceUrlTooLong,
                format!(
                    "the presigned source URL has {} bytes, Azure accepts {MAX_SOURCE_URL}; a \
                     shorter key or credentials without a session token would do",
                    source.url.len()
                ),
            ));
        }
        let name = HeaderName::from_static("x-ms-copy-source");
        self.insert(name, source.url, Reason::SourceUnaddressable)?;
        if let Some(value) = self.headers.get_mut("x-ms-copy-source") {
            value.set_sensitive(true);
        }
        if let Some(md5) = source.md5 {
            self.set("x-ms-source-content-md5", &STANDARD.encode(md5))?;
        }
        self.deadline = deadline(source.length);
        Ok(())
    }

    pub(super) fn set_headers(&mut self, headers: &BlobHeaders) -> Result<()> {
        let md5 = headers.content_md5.map(|md5| STANDARD.encode(md5));
        let pairs = [
            ("x-ms-blob-content-type", &headers.content_type),
            ("x-ms-blob-cache-control", &headers.cache_control),
            ("x-ms-blob-content-encoding", &headers.content_encoding),
            ("x-ms-blob-content-language", &headers.content_language),
            (
                "x-ms-blob-content-disposition",
                &headers.content_disposition,
            ),
            ("x-ms-blob-content-md5", &md5),
            ("x-ms-access-tier", &headers.tier),
        ];
        for (name, value) in pairs {
            if let Some(value) = value {
                let name = HeaderName::from_static(name);
                self.insert(name, value, Reason::MetadataRejected)?;
            }
        }
        for (name, value) in &headers.metadata {
            self.insert(metadata_header(name)?, value, Reason::MetadataRejected)?;
        }
        match tags_header(&headers.tags) {
            Some(tags) => self.set("x-ms-tags", &tags),
            None => Ok(()),
        }
    }

    pub(super) fn set_conditions(&mut self, conditions: &Conditions) -> Result<()> {
        if let Some(etag) = &conditions.if_match {
            self.set("if-match", etag)?;
        }
        if let Some(etag) = &conditions.if_none_match {
            self.set("if-none-match", etag)?;
        }
        if let Some(seconds) = conditions.unmodified_since {
            let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
            let time = time.map(httpdate::fmt_http_date).unwrap_or_default();
            self.set("if-unmodified-since", &time)?;
        }
        Ok(())
    }

    fn insert(&mut self, name: HeaderName, value: &str, reason: Reason) -> Result<()> {
        let value = HeaderValue::from_str(value).map_err(|_| {
            Failure::give_up(reason, format!("the value of {name} is no header value"))
        })?;
        self.headers.insert(name, value);
        Ok(())
    }
}

/// A call as failures name it: operation and what it is about.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation, self.shown)
    }
}

/// The longest `x-ms-tags`, in bytes (Microsoft Learn, "Set Blob Tags").
const MAX_TAGS: usize = 2048;

/// The header that gives a new blob its tags; `None` for none, and for those that are too long for
/// a header: [`super::Destination::set_tags`] sets them.
pub(super) fn tags_header(tags: &[(String, String)]) -> Option<String> {
    let pairs = tags.iter();
    let pairs = pairs.map(|(k, v)| format!("{}={}", encode_query(k), encode_query(v)));
    let header = pairs.collect::<Vec<_>>().join("&");
    (!header.is_empty() && header.len() <= MAX_TAGS).then_some(header)
}

fn metadata_header(name: &str) -> Result<HeaderName> {
    HeaderName::from_bytes(format!("x-ms-meta-{name}").as_bytes()).map_err(|_| {
        Failure::give_up(
            Reason::MetadataRejected,
            format!("the metadata name {name:?} cannot stand in a header"),
        )
    })
}

/// What every request carries. `Content-Length` is there even where it is 0: Azure wants it.
pub(super) fn set_common(headers: &mut HeaderMap, call: &Call, now: SystemTime) -> Result<()> {
    let date = httpdate::fmt_http_date(now);
    let id = format!("{:032x}", rand::random::<u128>());
    let mut set = |name: &'static str, value: &str| {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Failure::stop(Reason::Internal, format!("{name} is no header value")))?;
        headers.insert(HeaderName::from_static(name), value);
        Ok::<_, Failure>(())
    };
    set("x-ms-version", VERSION)?;
    set("x-ms-date", &date)?;
    set("x-ms-client-request-id", &id)?;
    set(
        "user-agent",
        concat!("blobfleet/", env!("CARGO_PKG_VERSION")),
    )?;
    if call.method == Method::PUT {
        set("content-length", &call.body.len().to_string())?;
    }
    Ok(())
}

/// Sends a signed request; any status but `expected` is a failure, 200 for 201 too.
pub(super) async fn exchange(
    http: &reqwest::Client,
    request: reqwest::Request,
    call: &Call,
    expected: u16,
) -> BlobResult<Answer> {
    let origin = request.url().origin().ascii_serialization();
    let lost = |error: reqwest::Error| {
        let what = if error.is_connect() {
            format!(
                "{}: cannot reach {origin}, check the account name and the network",
                call.what()
            )
        } else {
            call.what()
        };
        transport_failure(Reason::DestinationUnavailable, &what, error)
    };
    let mut response = http.execute(request).await.map_err(&lost)?;
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = BytesMut::new();
    let mut room = AnswerRoom::default();
    while let Some(chunk) = response.chunk().await.map_err(&lost)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(unreadable(&call.what(), "it is longer than 64 MiB"));
        }
        body.extend_from_slice(&chunk);
        if status != expected && body.len() >= LARGEST_ERROR {
            // An error says what it has to say at its beginning.
            body.truncate(LARGEST_ERROR);
            break;
        }
        room.grow(body.len(), call).await;
    }
    if status == expected {
        return Ok(Answer {
            what: call.what(),
            headers,
            body: body.freeze(),
        });
    }
    let tagged = call.headers.contains_key("x-ms-tags") || call.query.contains("comp=tags");
    let refusal = Refusal::read(status, &headers, &body).of_tagged(tagged);
    Err(refusal.into_error(&call.what(), call.target))
}

/// An expected answer.
#[derive(Debug)]
pub(super) struct Answer {
    what: String,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub(super) fn md5(&self) -> Option<[u8; 16]> {
        self.header("content-md5").and_then(decode_md5)
    }

    /// ETag and times of a blob that was made; digests are the caller's, who knows of what.
    pub(super) fn stored(&self) -> BlobResult<Stored> {
        Ok(Stored {
            etag: self.etag()?,
            last_modified: self.time("last-modified"),
            date: self.time("date"),
            crc64: None,
            content_md5: None,
        })
    }

    pub(super) fn properties(&self) -> BlobResult<BlobProperties> {
        let text = |name| self.header(name).map(str::to_owned);
        let length = self.header("content-length").and_then(|n| n.parse().ok());
        Ok(BlobProperties {
            length: length.ok_or_else(|| unreadable(&self.what, "it has no Content-Length"))?,
            etag: self.etag()?,
            last_modified: self.time("last-modified"),
            date: self.time("date"),
            blob_type: text("x-ms-blob-type").unwrap_or_default(),
            headers: BlobHeaders {
                content_type: text("content-type"),
                cache_control: text("cache-control"),
                content_encoding: text("content-encoding"),
                content_language: text("content-language"),
                content_disposition: text("content-disposition"),
                content_md5: self.md5(),
                metadata: self.metadata(),
                tier: text("x-ms-access-tier"),
                tags: Vec::new(),
            },
        })
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let headers = self.headers.iter();
        headers
            .filter_map(|(name, value)| {
                let name = name.as_str().strip_prefix("x-ms-meta-")?;
                let value = String::from_utf8_lossy(value.as_bytes());
                Some((name.to_owned(), value.into_owned()))
            })
            .collect()
    }

    fn etag(&self) -> BlobResult<String> {
        let etag = self.header("etag").map(str::to_owned);
        etag.ok_or_else(|| {
            let error: BlobError = unreadable(&self.what, "it has no ETag");
            BlobError {
                failure: error.failure.perhaps(),
                ..error
            }
        })
    }

    pub(super) fn time(&self, name: &str) -> Option<i64> {
        time(&self.headers, name)
    }
}

/// A header's time in seconds since 1970.
pub(super) fn time(headers: &HeaderMap, name: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(header(headers, name)?).ok()?;
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}
