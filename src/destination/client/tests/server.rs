//! A loopback server that answers from a script and keeps what it saw.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::{KEY, SAS};
use crate::clock::Clock;
use crate::destination::auth::Auth;
use crate::destination::client::{Destination, header};
use crate::destination::sas::Sas;
use crate::http::{Roots, client};

/// What came in: method, path with query, headers, body.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        header(&self.headers, name).unwrap_or("(none)")
    }
}

/// What goes out: status, headers, body.
pub(super) type Script = (u16, Vec<(&'static str, &'static str)>, &'static str);

/// Answers one request after the other from a script and keeps what it saw.
pub(super) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(super) async fn start(script: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(VecDeque::from(script)));
        let log = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, script) = (log.clone(), script.clone());
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let (log, script) = (log.clone(), script.clone());
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        log.lock().unwrap().push(Seen {
                            method: parts.method.to_string(),
                            target: parts.uri.to_string(),
                            headers: parts.headers,
                            body: String::from_utf8(body.to_vec()).unwrap(),
                        });
                        let (status, headers, body) = script.lock().unwrap().pop_front().unwrap();
                        let mut response = http::Response::builder().status(status);
                        for (name, value) in headers {
                            response = response.header(name, value);
                        }
                        let body = Full::new(Bytes::from_static(body.as_bytes()));
                        Ok::<_, Infallible>(response.body(body).unwrap())
                    }
                });
                let io = TokioIo::new(stream);
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(io, service));
            }
        });
        Self { address, seen }
    }

    pub(super) fn destination(&self, auth: Auth) -> Destination {
        let root = format!("http://{}/dev", self.address);
        let http = client(&Roots::Only(vec![]), Duration::from_secs(30)).unwrap();
        Destination::new(&root, auth, http, clock()).unwrap()
    }

    pub(super) fn with_sas(&self) -> Destination {
        self.destination(Auth::from_sas(Sas::parse(SAS).unwrap(), clock()))
    }

    pub(super) fn with_key(&self) -> Destination {
        self.destination(Auth::from_key("dev", KEY, clock()).unwrap())
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// 2027-01-15T08:00:00Z.
pub(super) fn clock() -> Clock {
    Clock::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
}
