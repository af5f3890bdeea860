//! What the bridge's own tests speak to it with.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::Bridge;

/// A client that sends a path as it is given.
pub(super) struct Http(Client<HttpConnector, Full<Bytes>>);

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Http {
    pub(super) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    pub(super) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in [("x-ms-version", "2025-11-05")].iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let answer = self.0.request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    pub(super) async fn put(&self, url: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("content-length", "0")];
        all.extend(headers);
        self.send(Method::PUT, url, &all, "").await
    }

    pub(super) async fn container(&self, bridge: &Bridge, name: &str) {
        let url = bridge.destination(name) + "&restype=container";
        assert_eq!(self.put(&url, &[]).await.status, StatusCode::CREATED);
    }
}
