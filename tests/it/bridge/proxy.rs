//! The proxy's sockets.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, RANGE};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use md5::{Digest as _, Md5};
use tokio::net::TcpListener;

use super::call::{self, Call, Refusal};
use super::crc64;

type Body = BoxBody<Bytes, hyper::Error>;
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where requests go.
#[derive(Debug)]
struct Proxy {
    azurite: String,
    client: Client<HttpConnector, Body>,
}

/// Answers connections without end.
pub(super) async fn serve(listener: std::net::TcpListener, azurite: &str) {
    let listener = TcpListener::from_std(listener).unwrap();
    let proxy = Arc::new(Proxy::new(azurite));
    while let Ok((stream, _)) = listener.accept().await {
        let proxy = Arc::clone(&proxy);
        let service = service_fn(move |request| {
            let proxy = Arc::clone(&proxy);
            async move { Ok::<_, Infallible>(proxy.answer(request).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

impl Proxy {
    fn new(azurite: &str) -> Self {
        Self {
            azurite: azurite.to_owned(),
            // Azurite closes idle connections after five seconds.
            client: Client::builder(TokioExecutor::new())
                .pool_idle_timeout(Duration::from_secs(2))
                .build_http(),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let translated = call::translated(request.method(), request.uri(), request.headers());
        let answer = match translated {
            Some(call) => self.translate(call, request).await,
            None => self.forward(request.map(BodyExt::boxed)).await,
        };
        answer.unwrap_or_else(|error| {
            let text = Full::from(format!("bridge: {error}")).map_err(|never| match never {});
            let mut answer = Response::new(text.boxed());
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        })
    }

    /// Sends a request to Azurite with its path and query as they are.
    async fn forward(&self, mut request: Request<Body>) -> Result<Response<Body>, Failure> {
        let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
        *request.uri_mut() = format!("{}{path}", self.azurite).parse::<Uri>()?;
        Ok(self.client.request(request).await?.map(BodyExt::boxed))
    }

    async fn translate(
        &self,
        call: Call,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Failure> {
        let (mut head, _) = request.into_parts();
        let (source_headers, data) = match self.fetch(call, &head.headers).await? {
            Ok(fetched) => fetched,
            Err(refusal) => return Ok(refused(&refusal, &head.headers)),
        };
        let md5_asked = head.headers.contains_key("x-ms-source-content-md5");
        let digests = match check(&head.headers, &data) {
            Ok(digests) => digests,
            Err(refusal) => return Ok(refused(&refusal, &head.headers)),
        };
        head.headers = call::forwarded(call, &head.headers, &source_headers);
        head.headers.insert(CONTENT_LENGTH, data.len().into());
        let mut answer = self.forward(Request::from_parts(head, full(data))).await?;
        if answer.status().is_success() {
            digests.tell(answer.headers_mut(), call == Call::PutBlock && md5_asked);
        }
        Ok(answer)
    }

    /// Gets the source's headers and bytes, or says why the service would refuse.
    async fn fetch(
        &self,
        call: Call,
        headers: &HeaderMap,
    ) -> Result<Result<(HeaderMap, Bytes), Refusal>, Failure> {
        let source = match call::source(call, headers) {
            Ok(source) => source,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut request = Request::get(source.url).body(empty())?;
        let ranged = source.range.is_some();
        if let Some(range) = source.range {
            request.headers_mut().insert(RANGE, range);
        }
        let Ok(answer) = self.client.request(request).await else {
            return Ok(Err(Refusal::unreachable()));
        };
        let expected = if ranged {
            StatusCode::PARTIAL_CONTENT
        } else {
            StatusCode::OK
        };
        if answer.status() != expected {
            return Ok(Err(Refusal::source(answer.status())));
        }
        let (head, body) = answer.into_parts();
        Ok(Ok((head.headers, body.collect().await?.to_bytes())))
    }
}

/// What the service tells about the bytes it fetched.
struct Digests {
    md5: String,
    crc64: String,
}

/// Compares the bytes with the digests the client sent along.
fn check(request: &HeaderMap, data: &[u8]) -> Result<Digests, Refusal> {
    let digests = Digests {
        md5: BASE64_STANDARD.encode(Md5::digest(data)),
        crc64: crc64::header(data),
    };
    let differs = |name: &str, real: &str| request.get(name).is_some_and(|sent| sent != real);
    if differs("x-ms-source-content-md5", &digests.md5) {
        return Err(Refusal::new("Md5Mismatch", "The source's MD5 is another."));
    }
    if differs("x-ms-source-content-crc64", &digests.crc64) {
        return Err(Refusal::new(
            "Crc64Mismatch",
            "The source's CRC64 is another.",
        ));
    }
    Ok(digests)
}

impl Digests {
    /// The live service answers with the CRC, and no MD5; a block whose MD5 was sent, with that.
    fn tell(&self, headers: &mut HeaderMap, md5: bool) {
        headers.remove("content-md5");
        let (name, value) = if md5 {
            ("content-md5", &self.md5)
        } else {
            ("x-ms-content-crc64", &self.crc64)
        };
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    }
}

fn refused(refusal: &Refusal, request: &HeaderMap) -> Response<Body> {
    let version = request
        .get("x-ms-version")
        .and_then(|value| value.to_str().ok());
    let (headers, body) = call::error_body(refusal, version.unwrap_or_default());
    let mut answer = Response::new(full(body.into()));
    *answer.status_mut() = refusal.status;
    *answer.headers_mut() = headers;
    answer
}

fn full(data: Bytes) -> Body {
    Full::new(data).map_err(|never| match never {}).boxed()
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}
