//! Entra ID, and a proxy by which the clouds' real names lead to the stand-ins.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::CertifiedKey;
use serde_json::json;
use simcloud::SimCloud;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::issuer::{LIFE, Mint};

/// Who issues Entra ID's tokens.
const HOST: &str = "login.microsoftonline.com";
/// Where, for the one tenant there is.
const PATH: &str = "/tenant/oauth2/v2.0/token";
/// The same as an assertion names it.
pub(super) const AUDIENCE: &str = "https://login.microsoftonline.com/tenant/oauth2/v2.0/token";

/// The fields of a request for a token.
pub(super) type Form = HashMap<String, String>;

/// Whether a request proves who it is from.
pub(super) type Proof = Box<dyn Fn(&Form) -> bool + Send + Sync>;

/// Serves until the test ends.
#[derive(Debug)]
pub(super) struct Entra {
    /// Leads to Entra ID under its own name, and to the clouds under any other.
    pub(super) proxy: String,
    /// The authority behind the proxy's Entra ID.
    pub(super) root: String,
}

/// Gives one token for one proof.
struct Desk {
    mint: Arc<Mint>,
    proof: Proof,
}

impl Entra {
    pub(super) async fn start(cloud: &SimCloud, mint: Arc<Mint>, proof: Proof) -> Self {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let root = made.cert.pem();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let acceptor = acceptor(&made);
        let clouds = cloud.tls_address().unwrap();
        let desk = Arc::new(Desk { mint, proof });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, desk) = (acceptor.clone(), desk.clone());
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let host = connect(&mut stream).await?;
                    if host == HOST {
                        desk.serve(acceptor.accept(stream).await?).await;
                        return Ok(());
                    }
                    let mut cloud = TcpStream::connect(clouds).await?;
                    tokio::io::copy_bidirectional(&mut stream, &mut cloud).await?;
                    Ok::<_, std::io::Error>(())
                });
            }
        });
        Self { proxy, root }
    }
}

/// Reads a CONNECT to its end and says yes; gives the host.
async fn connect(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let host = head.strip_prefix("CONNECT ").unwrap().split(':').next();
    Ok(host.unwrap().to_owned())
}

fn acceptor(made: &CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key);
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

impl Desk {
    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(async |request: Request<Incoming>| {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let (status, text) = self.answer(parts.uri.path(), &body);
            let response = Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(text)));
            Ok::<_, Infallible>(response.unwrap())
        });
        let http = hyper::server::conn::http1::Builder::new();
        // A client that goes away is no fault of Entra ID.
        drop(http.serve_connection(TokioIo::new(stream), service).await);
    }

    fn answer(&self, path: &str, body: &[u8]) -> (u16, String) {
        let form = format!("http://form/?{}", String::from_utf8_lossy(body));
        let form = reqwest::Url::parse(&form).unwrap();
        let form: Form = form.query_pairs().into_owned().collect();
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        let asked = path == PATH
            && field("client_id") == "app"
            && field("scope") == "https://storage.azure.com/.default";
        if !asked || !(self.proof)(&form) {
            let refusal = json!({"error": "invalid_client", "error_description": "no proof"});
            return (401, refusal.to_string());
        }
        let (token, _) = self.mint.bearer();
        let life = LIFE.as_secs();
        let token = json!({"access_token": token, "expires_in": life, "token_type": "Bearer"});
        (200, token.to_string())
    }
}
