//! Connections as the environment's proxies want them (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`,
//! `NO_PROXY`), as the usual client makes them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Connects to a server, or to the proxy before it.
#[derive(Clone, Debug)]
pub(super) struct ProxyConnector {
    matcher: Arc<Matcher>,
    tcp: HttpConnector,
}

impl ProxyConnector {
    /// Proxies as the process's environment has them.
    pub(super) fn new(tcp: HttpConnector) -> Self {
        Self {
            matcher: Arc::new(Matcher::from_env()),
            tcp,
        }
    }

    /// What a request without TLS must say to the proxy it goes through.
    pub(super) fn authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        let plain = uri.scheme_str() == Some("http");
        let proxy = self.matcher.intercept(uri).filter(|_| plain)?;
        proxy.basic_auth().cloned()
    }
}

impl Service<Uri> for ProxyConnector {
    type Response = Stream;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Failed>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let mut tcp = self.tcp.clone();
        let proxy = self.matcher.intercept(&to);
        Box::pin(async move {
            let Some(proxy) = proxy else {
                let io = tcp.call(to).await?;
                return Ok(Stream {
                    io,
                    forwards: false,
                });
            };
            if to.scheme_str() == Some("http") {
                let io = tcp.call(proxy.uri().clone()).await?;
                return Ok(Stream { io, forwards: true });
            }
            let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            let io = tunnel.call(to).await?;
            Ok(Stream {
                io,
                forwards: false,
            })
        })
    }
}

/// A connection, perhaps to a proxy that forwards requests, which must then name the whole URL.
#[derive(Debug)]
pub(super) struct Stream {
    io: TokioIo<TcpStream>,
    forwards: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.forwards)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
