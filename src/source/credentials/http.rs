//! aws-config's requests over this program's own HTTP client.
//!
//! Its own client would bring a second TLS stack, and panics on a machine without certificate
//! authorities even where no request is ever made.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// How long STS and SSO may take, which name no limit of their own.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The client to hand to aws-config.
#[derive(Clone, Debug)]
pub(in crate::source) struct OwnClient(reqwest::Client);

impl OwnClient {
    pub(in crate::source) fn new(http: reqwest::Client) -> Self {
        Self(http)
    }
}

/// The same with the limits of one service.
#[derive(Debug)]
struct Connector {
    http: reqwest::Client,
    timeout: Duration,
}

impl HttpClient for OwnClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connect = settings.connect_timeout().unwrap_or_default();
        SharedHttpConnector::new(Connector {
            http: self.0.clone(),
            timeout: settings.read_timeout().unwrap_or(TIMEOUT).max(connect),
        })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (http, timeout) = (self.http.clone(), self.timeout);
        HttpConnectorFuture::new(async move {
            let http = crate::http::for_url(&http, request.uri()).clone();
            let mut call = http
                .request(method(&request)?, request.uri())
                .timeout(timeout);
            for (name, value) in request.headers() {
                call = call.header(name, value);
            }
            if let Some(body) = request.body().bytes() {
                call = call.body(body.to_vec());
            }
            answer(call).await.map_err(failed)
        })
    }
}

fn method(request: &HttpRequest) -> Result<http::Method, ConnectorError> {
    http::Method::from_bytes(request.method().as_bytes())
        .map_err(|error| ConnectorError::user(error.into()))
}

async fn answer(call: reqwest::RequestBuilder) -> reqwest::Result<HttpResponse> {
    let response = call.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await?;
    let mut answer = HttpResponse::new(status.into(), body.to_vec().into());
    for (name, value) in &headers {
        if let Ok(value) = value.to_str() {
            answer
                .headers_mut()
                .append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(answer)
}

/// Without the URL, which for SSO and agents may hold more than a name.
fn failed(error: reqwest::Error) -> ConnectorError {
    let (timeout, connect) = (error.is_timeout(), error.is_connect());
    let error = error.without_url().into();
    if timeout {
        ConnectorError::timeout(error)
    } else if connect {
        ConnectorError::io(error)
    } else {
        ConnectorError::other(error, None)
    }
}
