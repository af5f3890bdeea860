//! A storage account and the issuers of its tokens, at loopback sockets, in a time of its own.
//!
//! A token is `tok.NUMBER.EXPIRY`; the account takes it until its expiry and unless its number was
//! revoked.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use blobfleet::clock::Clock;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Seconds a token lives.
pub(super) const LIFE: i64 = 6;

/// A request to an issuer.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// How the issuers behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issuers {
    Give,
    Refuse,
    Down,
}

pub(super) struct World {
    offset: AtomicI64,
    issued: AtomicI64,
    revoked: AtomicI64,
    issuers: Mutex<Issuers>,
    asked: Mutex<Vec<Asked>>,
    /// Tokens that came with requests to the account, good or not.
    seen: Mutex<Vec<String>>,
}

/// The world and where it listens.
pub(super) struct Place {
    pub(super) world: Arc<World>,
    /// Account and Entra ID, with TLS.
    pub(super) secure: SocketAddr,
    /// Managed identity, without.
    pub(super) plain: SocketAddr,
    /// The authority that signed the certificate.
    pub(super) root: Vec<u8>,
}

impl Place {
    pub(super) async fn start() -> Self {
        let world = Arc::new(World {
            offset: AtomicI64::new(0),
            issued: AtomicI64::new(0),
            revoked: AtomicI64::new(0),
            issuers: Mutex::new(Issuers::Give),
            asked: Mutex::default(),
            seen: Mutex::default(),
        });
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let root = made.cert.pem().into_bytes();
        let (secure, plain) = (listen().await, listen().await);
        let place = Self {
            world: world.clone(),
            secure: secure.local_addr().unwrap(),
            plain: plain.local_addr().unwrap(),
            root,
        };
        let acceptor = acceptor(&made);
        let secured = world.clone();
        tokio::spawn(accept(secure, move |stream| {
            let (acceptor, world) = (acceptor.clone(), secured.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, world).await;
                }
            }
        }));
        tokio::spawn(accept(plain, move |stream| serve(stream, world.clone())));
        place
    }
}

impl World {
    pub(super) fn advance(&self, seconds: i64) {
        self.offset.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(super) fn offset(&self) -> i64 {
        self.offset.load(Ordering::SeqCst)
    }

    pub(super) fn revoke(&self, up_to: i64) {
        self.revoked.store(up_to, Ordering::SeqCst);
    }

    pub(super) fn issuers(&self, issuers: Issuers) {
        *self.issuers.lock().unwrap() = issuers;
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The numbers of the tokens the account saw, in order.
    pub(super) fn seen(&self) -> Vec<i64> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|token| parse(token).unwrap().0).collect()
    }

    pub(super) fn clock(self: &Arc<Self>) -> Clock {
        let world = self.clone();
        let real = Clock::system();
        Clock::new(move || real.now() + Duration::from_secs(world.offset().unsigned_abs()))
    }

    fn now(&self) -> i64 {
        let real = Clock::system().now().duration_since(SystemTime::UNIX_EPOCH);
        i64::try_from(real.unwrap().as_secs()).unwrap() + self.offset()
    }

    fn answer(&self, target: &str, headers: HeaderMap, body: String) -> (u16, String) {
        if target.starts_with("/dev/") {
            return self.account(&headers);
        }
        let identity = target.contains("/metadata/identity/") || target.contains("/msi/token");
        self.asked.lock().unwrap().push(Asked {
            target: target.to_owned(),
            headers,
            body,
        });
        let issuers = *self.issuers.lock().unwrap();
        match (issuers, identity) {
            (Issuers::Down, _) => (503, "{}".to_owned()),
            (Issuers::Refuse, true) => (400, "{}".to_owned()),
            (Issuers::Refuse, false) => (
                401,
                r#"{"error_codes":[7000215],"error_description":"AADSTS7000215: Invalid client secret provided."}"#.to_owned(),
            ),
            (Issuers::Give, _) => (200, self.issue(identity)),
        }
    }

    fn issue(&self, identity: bool) -> String {
        let number = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let expiry = self.now() + LIFE;
        let token = format!("tok.{number}.{expiry}");
        if identity {
            format!(
                r#"{{"access_token":"{token}","expires_on":"{expiry}","token_type":"Bearer","resource":"r"}}"#
            )
        } else {
            // The library adds this to the machine's own time.
            let life = LIFE + self.offset();
            format!(r#"{{"access_token":"{token}","expires_in":{life},"token_type":"Bearer"}}"#)
        }
    }

    fn account(&self, headers: &HeaderMap) -> (u16, String) {
        let value = headers.get("authorization").map(|value| value.to_str());
        let token = value.unwrap().unwrap().strip_prefix("Bearer ").unwrap();
        self.seen.lock().unwrap().push(token.to_owned());
        let (number, expiry) = parse(token).unwrap();
        let good = expiry > self.now() && number > self.revoked.load(Ordering::SeqCst);
        (if good { 200 } else { 401 }, String::new())
    }
}

fn parse(token: &str) -> Option<(i64, i64)> {
    let (number, expiry) = token.strip_prefix("tok.")?.split_once('.')?;
    Some((number.parse().ok()?, expiry.parse().ok()?))
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn acceptor(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn accept<F>(listener: TcpListener, handle: impl Fn(tokio::net::TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(handle(stream));
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send, world: Arc<World>) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let world = world.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            let target = parts.uri.path_and_query().unwrap().as_str();
            let (status, text) = world.answer(target, parts.headers, body);
            let response = Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(text)));
            Ok::<_, Infallible>(response.unwrap())
        }
    });
    let http = hyper::server::conn::http1::Builder::new();
    // A client that goes away is no fault of the world.
    drop(http.serve_connection(TokioIo::new(stream), service).await);
}
