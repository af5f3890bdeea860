//! Sends a request whatever its path looks like.
//!
//! URL libraries rewrite `.` and `..` segments, encoded or not (<https://url.spec.whatwg.org>,
//! "path state"); to S3 they are parts of a key. What would be rewritten goes by a second client
//! that knows of paths as text only.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::verbatim::Verbatim;
use super::{Roots, client, root_cause};
use crate::failure::Result;

/// The clients of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Transport {
    usual: reqwest::Client,
    verbatim: Verbatim,
}

/// Why there is no answer, or no whole one. Holds no URL.
#[derive(Clone, Debug)]
pub struct TransportError {
    /// The connection was never made: nothing has happened.
    pub connecting: bool,
    /// The time was up.
    pub timed_out: bool,
    /// The innermost cause, for people.
    pub cause: String,
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct Incoming {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Usual(reqwest::Response),
    Verbatim(hyper::body::Incoming, Instant),
}

impl Transport {
    /// Makes the clients; `timeout` bounds an exchange of the usual one that sets none itself.
    ///
    /// # Errors
    /// See [`client`].
    pub fn new(roots: &Roots, timeout: Duration) -> Result<Self> {
        Ok(Self {
            usual: client(roots, timeout)?,
            verbatim: Verbatim::new(roots)?,
        })
    }

    /// The client for URLs that survive a URL library.
    pub fn usual(&self) -> &reqwest::Client {
        &self.usual
    }

    /// Sends a request without a body, its path exactly as it stands in `url`; the whole exchange
    /// may take `limit`.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        limit: Duration,
    ) -> Result<Incoming, TransportError> {
        if let Some(url) = unaltered(url) {
            let request = self.usual.request(method, url).headers(headers);
            let mut response = request.timeout(limit).send().await?;
            return Ok(Incoming {
                status: response.status(),
                headers: std::mem::take(response.headers_mut()),
                body: Body::Usual(response),
            });
        }
        let until = Instant::now() + limit;
        let sent = timeout_at(until, self.verbatim.send(method, url, headers));
        let (parts, body) = sent
            .await
            .map_err(|_| TransportError::late())??
            .into_parts();
        Ok(Incoming {
            status: parts.status,
            headers: parts.headers,
            body: Body::Verbatim(body, until),
        })
    }
}

/// The URL as the usual client takes it, if its path arrives as it stands.
fn unaltered(url: &str) -> Option<reqwest::Url> {
    let parsed = reqwest::Url::parse(url).ok()?;
    let after = url.split_once("://")?.1;
    let path = after.find('/').and_then(|at| after.get(at..))?;
    let path = path.split('?').next()?;
    (parsed.path() == path).then_some(parsed)
}

impl Incoming {
    /// The next part of the body; none at its end.
    ///
    /// # Errors
    /// The connection was lost or the time is up.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        match &mut self.body {
            Body::Usual(response) => Ok(response.chunk().await?),
            Body::Verbatim(body, until) => loop {
                let frame = timeout_at(*until, body.frame()).await;
                let frame = match frame.map_err(|_| TransportError::late())? {
                    None => return Ok(None),
                    Some(frame) => frame.map_err(|error| TransportError {
                        connecting: false,
                        timed_out: false,
                        cause: root_cause(&error),
                    })?,
                };
                // Trailers are no content.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            },
        }
    }
}

impl TransportError {
    fn late() -> Self {
        Self {
            connecting: false,
            timed_out: true,
            cause: "no answer in time".to_owned(),
        }
    }
}

impl From<reqwest::Error> for TransportError {
    fn from(error: reqwest::Error) -> Self {
        Self {
            connecting: error.is_connect(),
            timed_out: error.is_timeout(),
            cause: root_cause(&error.without_url()),
        }
    }
}

impl From<hyper_util::client::legacy::Error> for TransportError {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        Self {
            connecting: error.is_connect(),
            timed_out: false,
            cause: root_cause(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_would_be_rewritten_is_seen() {
        for url in ["http://h/a/b", "http://h:1/a.%5Cb?x=/../", "https://h/"] {
            assert!(unaltered(url).is_some(), "{url}");
        }
        for url in [
            "http://h/a/../b",
            "http://h/a/%2E%2E/b",
            "http://h/.",
            "http://h/a/./b?x=1",
        ] {
            assert!(unaltered(url).is_none(), "{url}");
        }
    }
}
