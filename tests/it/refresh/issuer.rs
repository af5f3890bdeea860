//! Hands out credentials of three seconds for both clouds: a container agent, STS, the instance's
//! metadata and Entra ID; and a proxy by which the clouds' real names lead to the stand-ins.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::{Method, Uri};
use rcgen::CertifiedKey;
use serde_json::json;
use simcloud::{ACCOUNT, SimCloud};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::bad_input::run::World;

/// How long a credential lives.
const LIFE: Duration = Duration::from_secs(3);
/// Who issues Entra ID's tokens.
const ENTRA: &str = "login.microsoftonline.com";

/// Serves until the test ends.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) url: String,
    pub(super) proxy: String,
    /// The authority behind the proxy's `login.microsoftonline.com`.
    pub(super) root: String,
    mint: Arc<Mint>,
}

/// Makes credentials and tells the clouds of them.
#[derive(Debug)]
struct Mint {
    cloud: Weak<SimCloud>,
    issued: AtomicUsize,
}

struct Session {
    key: String,
    secret: String,
    token: String,
    end: String,
}

impl Issuer {
    pub(super) async fn start(world: &World) -> Self {
        let mint = Arc::new(Mint {
            cloud: Arc::downgrade(&world.cloud),
            issued: AtomicUsize::new(0),
        });
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", plain.local_addr().unwrap());
        let served = mint.clone();
        let answer = move |method: Method, uri: Uri, body: String| {
            let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", "21600")];
            std::future::ready((ttl, served.answer(&method, &uri, &body)))
        };
        let app = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(plain, app).await });

        let made = rcgen::generate_simple_self_signed([ENTRA.to_owned()]).unwrap();
        let root = made.cert.pem();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let acceptor = acceptor(&made);
        let (clouds, entra) = (world.cloud.tls_address(), mint.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, entra) = (acceptor.clone(), entra.clone());
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let host = connect(&mut stream).await?;
                    if host == ENTRA {
                        return entra.issue_over(acceptor.accept(stream).await?).await;
                    }
                    let mut cloud = TcpStream::connect(clouds.unwrap()).await?;
                    tokio::io::copy_bidirectional(&mut stream, &mut cloud).await?;
                    Ok(())
                });
            }
        });
        Self {
            url,
            proxy,
            root,
            mint,
        }
    }

    /// How many credentials there were.
    pub(super) fn issued(&self) -> usize {
        self.mint.issued.load(Ordering::SeqCst)
    }

    /// What all of them have in common and nobody may print.
    pub(super) fn secrets(&self) -> Vec<String> {
        ["SECRET-OF-", "TOKEN-OF-"].map(str::to_owned).to_vec()
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

impl Mint {
    fn next(&self) -> (usize, SystemTime) {
        let number = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        (number, self.cloud.upgrade().unwrap().now() + LIFE)
    }

    fn session(&self) -> Session {
        let (number, end) = self.next();
        let session = Session {
            key: format!("ASIA{number}"),
            secret: format!("SECRET-OF-{number}"),
            token: format!("TOKEN-OF-{number}"),
            end: OffsetDateTime::from(end).format(&Rfc3339).unwrap(),
        };
        let cloud = self.cloud.upgrade().unwrap();
        cloud.add_session_key(&session.key, &session.secret, &session.token, end);
        session
    }

    fn bearer(&self) -> (String, OffsetDateTime) {
        let (number, end) = self.next();
        let token = format!("TOKEN-OF-{number}");
        self.cloud
            .upgrade()
            .unwrap()
            .add_token(ACCOUNT, &token, end);
        (token, end.into())
    }

    fn answer(&self, method: &Method, uri: &Uri, body: &str) -> String {
        match (method.as_str(), uri.path()) {
            ("GET", "/agent" | "/latest/meta-data/iam/security-credentials/mover") => {
                self.session().json()
            }
            ("GET", "/process") => self.session().json(),
            ("PUT", "/latest/api/token") => "metadata-token".to_owned(),
            ("GET", "/latest/meta-data/iam/security-credentials/") => "mover".to_owned(),
            ("POST", "/sts" | "/sts/") => self.session().xml(body),
            ("GET", "/metadata/identity/oauth2/token") => {
                let (token, end) = self.bearer();
                json!({"access_token": token, "expires_on": end.unix_timestamp().to_string(),
                       "token_type": "Bearer", "resource": "r"})
                .to_string()
            }
            other => panic!("{other:?}"),
        }
    }

    /// One token for one request.
    async fn issue_over<S>(&self, mut stream: S) -> std::io::Result<()>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let mut asked = vec![0; 16 * 1024];
        let mut length = 0;
        while !String::from_utf8_lossy(&asked[..length]).contains("client_secret=S3CR3T") {
            match stream.read(&mut asked[length..]).await? {
                0 => return Ok(()),
                more => length += more,
            }
        }
        let (token, _) = self.bearer();
        let body = json!({"access_token": token, "expires_in": LIFE.as_secs(),
                          "token_type": "Bearer"})
        .to_string();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    }
}

impl Session {
    /// As agents, processes and the metadata service write it.
    fn json(&self) -> String {
        json!({
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
            "Version": 1, "AccessKeyId": self.key, "SecretAccessKey": self.secret,
            "Token": self.token, "SessionToken": self.token, "Expiration": self.end,
        })
        .to_string()
    }

    /// As STS writes it.
    fn xml(&self, body: &str) -> String {
        let action = match body.contains("Action=AssumeRoleWithWebIdentity") {
            true => "AssumeRoleWithWebIdentity",
            false => "AssumeRole",
        };
        let Self {
            key,
            secret,
            token,
            end,
        } = self;
        format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <{action}Result><AssumedRoleUser><AssumedRoleId>R:s</AssumedRoleId>\
             <Arn>arn:aws:sts::1:assumed-role/mover/s</Arn></AssumedRoleUser><Credentials>\
             <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{token}</SessionToken><Expiration>{end}</Expiration></Credentials>\
             </{action}Result></{action}Response>"
        )
    }
}
