//! The service's own reading of a copy source: a pool of keep-alive connections.
//!
//! Amazon's and Azure's host names lead to simcloud itself; anything else must be loopback, so
//! a test never leaves the machine.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::lock;
use crate::source_url::SourceUrl;

type Connection = SendRequest<Empty<Bytes>>;
/// TLS or not, and authority.
type PoolKey = (bool, String);

/// Idle connections kept for one source.
const IDLE: usize = 256;

/// Where the clouds' own host names lead.
#[derive(Clone)]
pub(crate) struct Routes {
    pub(crate) s3: SocketAddr,
    pub(crate) blob: SocketAddr,
    pub(crate) tls: Option<(SocketAddr, TlsConnector)>,
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Routes {{ s3: {}, blob: {} }}", self.s3, self.blob)
    }
}

/// Reads copy sources.
#[derive(Debug)]
pub(crate) struct Fetcher {
    routes: Routes,
    idle: Mutex<HashMap<PoolKey, Vec<Connection>>>,
}

/// An answer and the connection to put back after its body was read.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) response: Response<Incoming>,
    pub(crate) lease: Lease,
}

/// A connection in use.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Connection,
    key: PoolKey,
}

impl Fetcher {
    pub(crate) fn new(routes: Routes) -> Self {
        Self {
            routes,
            idle: Mutex::default(),
        }
    }

    /// Sends a GET; `None` when the source cannot be reached.
    pub(crate) async fn get(&self, url: &SourceUrl, range: Option<&str>) -> Option<Fetched> {
        let key = (url.tls, url.authority.clone());
        loop {
            let idle = lock(&self.idle).get_mut(&key).and_then(Vec::pop);
            let reused = idle.is_some();
            let mut connection = match idle {
                Some(connection) => connection,
                None => self.connect(url).await?,
            };
            match connection.send_request(request(url, range)?).await {
                Ok(response) => {
                    let lease = Lease { connection, key };
                    return Some(Fetched { response, lease });
                }
                Err(_) if reused => {}
                Err(_) => return None,
            }
        }
    }

    /// Takes a connection back once its answer was read to the end.
    pub(crate) fn put_back(self: &Arc<Self>, mut lease: Lease) {
        let pool = Arc::clone(self);
        if lease.connection.is_ready() {
            pool.keep(lease);
            return;
        }
        tokio::spawn(async move {
            if lease.connection.ready().await.is_ok() {
                pool.keep(lease);
            }
        });
    }

    fn keep(&self, lease: Lease) {
        let mut idle = lock(&self.idle);
        let connections = idle.entry(lease.key).or_default();
        if connections.len() < IDLE {
            connections.push(lease.connection);
        }
    }

    async fn connect(&self, url: &SourceUrl) -> Option<Connection> {
        let stream = TcpStream::connect(self.address(url)?).await.ok()?;
        stream.set_nodelay(true).ok()?;
        if !url.tls {
            let (connection, driver) = http1::handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(driver);
            return Some(connection);
        }
        let (_, connector) = self.routes.tls.as_ref()?;
        let name = ServerName::try_from(url.host.clone()).ok()?;
        let stream = connector.connect(name, stream).await.ok()?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(driver);
        Some(connection)
    }

    fn address(&self, url: &SourceUrl) -> Option<SocketAddr> {
        let amazon =
            url.host.ends_with(".amazonaws.com") || url.host.ends_with(".amazonaws.com.cn");
        let azure = url.host.contains(".blob.");
        match (amazon, azure, url.tls) {
            (false, false, _) if url.host.ends_with("localhost") => {
                Some(SocketAddr::from(([127, 0, 0, 1], url.port)))
            }
            (false, false, _) => {
                let ip: std::net::IpAddr = url.host.parse().ok()?;
                ip.is_loopback().then(|| SocketAddr::new(ip, url.port))
            }
            (_, _, true) => self.routes.tls.as_ref().map(|(address, _)| *address),
            (true, _, false) => Some(self.routes.s3),
            (false, true, false) => Some(self.routes.blob),
        }
    }
}

pub(crate) fn request(url: &SourceUrl, range: Option<&str>) -> Option<Request<Empty<Bytes>>> {
    let mut request = Request::get(&url.target).header("host", &url.authority);
    if let Some(range) = range {
        request = request.header("range", range);
    }
    request.body(Empty::new()).ok()
}
