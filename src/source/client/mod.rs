//! The client: one call, one request, one answer or failure. Retries are the caller's policy.

mod buckets;
mod head;
mod learned;
mod objects;
mod pages;
mod refusal;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::clock::Clock;
use crate::failure::{Failure, Reason, Result};
use crate::http::{
    AnswerRoom, Incoming, LARGEST_ERROR, Transport, TransportError, transport_failure,
};
use crate::job::SourceEndpoint;
use crate::source::credentials::{Credentials, Snapshot};
use crate::source::customer_key::CustomerKey;
use crate::source::encoding::{encode_path, encode_query, fetchable};
use crate::source::list::{ServiceError, UNREADABLE, Unexpected, service_error};
use crate::source::region::{self, address};
use crate::source::sign::Scope;

use self::learned::{Learned, Optional};
use self::refusal::Refusal;

pub use self::head::ObjectHead;
pub use self::pages::{ListPage, ListRequest, Onward};

/// How long one call may take, answer included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer that is read: far above a page of 1,000 keys of 1,024 bytes, encoded.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Says that who asks pays, as header or in the query of a presigned URL (S3 user guide,
/// "Downloading objects from Requester Pays buckets").
const PAYER: (&str, &str) = ("x-amz-request-payer", "requester");

/// Headers that are never shown.
const SECRET: [&str; 3] = [
    "authorization",
    "x-amz-security-token",
    "x-amz-server-side-encryption-customer-key",
];

/// A bucket and the region its requests are signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketRef {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
}

/// An S3 service; clones share connections and credentials.
#[derive(Clone, Debug)]
pub struct Source(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    endpoint: SourceEndpoint,
    home: String,
    credentials: Credentials,
    http: Transport,
    clock: Clock,
    customer_key: Option<CustomerKey>,
    learned: Learned,
    requester_pays: bool,
}

/// A request without a body.
#[derive(Clone)]
struct Call<'a> {
    method: Method,
    bucket: Option<&'a str>,
    /// With a bucket only.
    key: Option<&'a str>,
    region: &'a str,
    /// Names and values, not yet encoded.
    query: &'a [(&'a str, &'a str)],
    headers: &'a [(&'static str, &'a str)],
}

/// An answer, whatever its status.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    signer: Option<Snapshot>,
}

impl Source {
    /// A client for a service.
    pub fn new(
        endpoint: SourceEndpoint,
        credentials: Credentials,
        http: Transport,
        clock: Clock,
    ) -> Self {
        let home = region::home(&endpoint).to_owned();
        Self(Arc::new(Inner {
            endpoint,
            home,
            credentials,
            http,
            clock,
            customer_key: None,
            learned: Learned::default(),
            requester_pays: false,
        }))
    }

    /// The same client, asking another region where buckets lie (see
    /// [`SourceUrl::home_region`](crate::source::url::SourceUrl::home_region)).
    #[must_use]
    pub fn with_home_region(self, region: &str) -> Self {
        let inner = &self.0;
        Self(Arc::new(Inner {
            endpoint: inner.endpoint.clone(),
            home: region.to_owned(),
            credentials: inner.credentials.clone(),
            http: inner.http.clone(),
            clock: inner.clock.clone(),
            customer_key: inner.customer_key.clone(),
            learned: inner.learned.clone(),
            requester_pays: inner.requester_pays,
        }))
    }

    /// The same client whose requests say that who asks pays for them.
    #[must_use]
    pub fn with_requester_pays(self, requester_pays: bool) -> Self {
        let inner = &self.0;
        Self(Arc::new(Inner {
            endpoint: inner.endpoint.clone(),
            home: inner.home.clone(),
            credentials: inner.credentials.clone(),
            http: inner.http.clone(),
            clock: inner.clock.clone(),
            customer_key: inner.customer_key.clone(),
            learned: inner.learned.clone(),
            requester_pays,
        }))
    }

    /// The same client with the key of objects that are encrypted with a customer's own.
    #[must_use]
    pub fn with_customer_key(self, key: Option<CustomerKey>) -> Self {
        let inner = &self.0;
        Self(Arc::new(Inner {
            endpoint: inner.endpoint.clone(),
            home: inner.home.clone(),
            credentials: inner.credentials.clone(),
            http: inner.http.clone(),
            clock: inner.clock.clone(),
            customer_key: key,
            learned: inner.learned.clone(),
            requester_pays: inner.requester_pays,
        }))
    }

    /// Is it Amazon itself? See [`SourceEndpoint::is_amazon`].
    pub fn is_amazon(&self) -> bool {
        self.0.endpoint.is_amazon()
    }

    /// Is there a key for objects that are encrypted with a customer's own?
    pub fn has_customer_key(&self) -> bool {
        self.0.customer_key.is_some()
    }

    /// Sends a call; anything but 2xx is a failure.
    async fn ask(&self, call: &Call<'_>) -> Result<Answer> {
        let answer = self.send(call).await?;
        self.succeeded(call, answer)
    }

    /// The answer, if it is a 2xx.
    fn succeeded(&self, call: &Call<'_>, answer: Answer) -> Result<Answer> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        let error = service_error(&answer.body).unwrap_or_default();
        Err(self.refused(call, &answer, error))
    }

    /// Sends a call and reads the whole answer.
    async fn send(&self, call: &Call<'_>) -> Result<Answer> {
        self.send_within(call, TIMEOUT).await
    }

    /// Sends a call that may take `limit` and reads the whole answer. Bytes that are no UTF-8, of
    /// which a listing may hold a key, are told by U+FFFD.
    async fn send_within(&self, call: &Call<'_>, limit: Duration) -> Result<Answer> {
        let (mut response, signer) = self.begin(call, limit).await?;
        let body = self.read_whole(call, &mut response, limit).await?;
        let body = String::from_utf8(body).unwrap_or_else(|error| readable(error.as_bytes()));
        Ok(Answer {
            status: response.status,
            headers: response.headers,
            body,
            signer,
        })
    }

    /// Sends a call; its answer, body and all, may take `limit`.
    async fn begin(
        &self,
        call: &Call<'_>,
        limit: Duration,
    ) -> Result<(Incoming, Option<Snapshot>)> {
        let inner = &self.0;
        let url = self.url(call)?;
        let paying;
        let call = if inner.requester_pays && call.bucket.is_some() {
            paying = [call.headers, &[PAYER]].concat();
            &Call {
                headers: &paying,
                ..call.clone()
            }
        } else {
            call
        };
        let signer = inner.credentials.current().await?;
        let signing = match &signer {
            Some(credentials) => {
                let scope = Scope {
                    credentials,
                    region: call.region,
                    now: inner.clock.now(),
                };
                scope.headers(call.method.as_str(), &url, call.headers)?
            }
            None => Vec::new(),
        };
        let headers = header_map(call.headers, &signing)?;
        let sent = inner.http.send(call.method.clone(), &url, headers, limit);
        let response = sent
            .await
            .map_err(|error| self.unreachable(call, error, limit))?;
        Ok((response, signer))
    }

    async fn read_whole(
        &self,
        call: &Call<'_>,
        response: &mut Incoming,
        limit: Duration,
    ) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        let lost = |error| self.unreachable(call, error, limit);
        let mut room = AnswerRoom::default();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            body.extend_from_slice(&chunk);
            if !response.status.is_success() && body.len() >= LARGEST_ERROR {
                // An error says what it has to say at its beginning.
                body.truncate(LARGEST_ERROR);
                break;
            }
            if body.len() > LARGEST_ANSWER {
                return Err(self.no_s3(call, "it is too large"));
            }
            room.grow(body.len(), call).await;
        }
        Ok(body)
    }

    /// May leaving out an optional part help against this answer? Of Amazon itself it never does.
    /// A part that was left out in vain stays where it is.
    fn may_drop(&self, bucket: &str, part: Optional, status: StatusCode) -> bool {
        let about_the_request = matches!(status.as_u16(), 400 | 405 | 501);
        let learned = &self.0.learned;
        about_the_request && !self.is_amazon() && !learned.was_dropped_in_vain(bucket, part)
    }

    /// Where a call goes.
    fn url(&self, call: &Call<'_>) -> Result<String> {
        let address = address(&self.0.endpoint, call.region, call.bucket);
        let key = call.key.map(encode_path).unwrap_or_default();
        let path = format!("{}/{key}", encode_path(&address.path));
        let path = match (call.key, call.bucket) {
            (None, Some(_)) if !address.path.is_empty() => encode_path(&address.path),
            _ => path,
        };
        let mut url = format!("{}{path}", address.base);
        for (at, (name, value)) in call.query.iter().enumerate() {
            url.push(if at == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(&encode_query(value));
        }
        reqwest::Url::parse(&url).map_err(|error| {
            Failure::give_up(
                Reason::SourceRejected,
                format!("{call}: the source's address is no URL: {error}"),
            )
        })?;
        Ok(url)
    }

    /// [`Self::url`] for a URL that Azure will fetch.
    fn fetch_url(&self, call: &Call<'_>) -> Result<String> {
        fetchable(call.key.unwrap_or_default()).map_err(|failure| call.about(&failure))?;
        self.url(call)
    }

    /// A refusal as a failure. Credentials the service calls expired are not used again.
    fn refused(&self, call: &Call<'_>, answer: &Answer, error: ServiceError) -> Failure {
        let redact = |text: String| match &answer.signer {
            Some(signer) => signer.redact(&text),
            None => text,
        };
        let refusal = Refusal {
            what: call.to_string(),
            region: call.region,
            status: answer.status,
            headers: &answer.headers,
            error: ServiceError {
                message: redact(error.message),
                code: redact(error.code),
                region: error.region,
            },
            now: self.0.clock.now(),
        };
        if let (true, Some(signer)) = (refusal.expired(), &answer.signer) {
            self.0.credentials.reject(signer);
        }
        refusal.failure()
    }

    /// A body that holds S3's error, or is none of S3's.
    fn unexpected(&self, call: &Call<'_>, answer: &Answer, unexpected: Unexpected) -> Failure {
        match unexpected {
            Unexpected::Error(error) => self.refused(call, answer, error),
            Unexpected::Malformed(failure) => call.about(&failure),
        }
    }

    fn no_s3(&self, call: &Call<'_>, why: &str) -> Failure {
        Failure::give_up(
            Reason::SourceRejected,
            format!("{call}: the answer is not one of S3: {why}"),
        )
    }

    fn unreachable(&self, call: &Call<'_>, error: TransportError, limit: Duration) -> Failure {
        let host = address(&self.0.endpoint, call.region, call.bucket).base;
        let what = format!("{call}: no answer from {host}");
        let mut failure = if error.timed_out && !error.connecting {
            let what = format!("{what} within {} s", limit.as_secs());
            Failure::retry(Reason::SourceUnavailable, what).perhaps()
        } else {
            transport_failure(Reason::SourceUnavailable, &what, error)
        };
        failure.message.push_str(match self.0.endpoint {
            SourceEndpoint::Custom { .. } => "; check --s3-endpoint and the network",
            SourceEndpoint::Aws { .. } => "; check the network",
        });
        failure
    }
}

/// The text, with a mark in place of what is no UTF-8.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(UNREADABLE);
        }
    }
    text
}

/// The headers to send: those given, and those that sign them.
fn header_map(given: &[(&str, &str)], signing: &[(String, String)]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(given.len() + signing.len());
    let signing = signing
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in given.iter().copied().chain(signing) {
        let pair = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        );
        let (Ok(name), Ok(mut value)) = pair else {
            return Err(Failure::stop(
                Reason::SourceDenied,
                "the AWS credentials hold characters that no header can: check AWS_SESSION_TOKEN",
            ));
        };
        value.set_sensitive(SECRET.contains(&name.as_str()));
        headers.insert(name, value);
    }
    Ok(headers)
}

impl Call<'_> {
    /// A failure that will not pass, with what it is about.
    fn about(&self, failure: &Failure) -> Failure {
        Failure::give_up(failure.reason, format!("{self}: {failure}"))
    }
}

/// A call as failures name it: method and what it is about.
impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bucket = self.bucket.unwrap_or_default();
        let key = self.key.unwrap_or_default();
        write!(f, "{} s3://{bucket}", self.method)?;
        if self.key.is_some() {
            write!(f, "/{key}")?;
        }
        Ok(())
    }
}
