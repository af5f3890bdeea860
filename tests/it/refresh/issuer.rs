//! Hands out credentials of three seconds for both clouds: a container agent, STS, single sign-on
//! and the metadata of both clouds' machines.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use simcloud::{ACCOUNT, SimCloud};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;

use crate::bad_input::run::World;

/// How long a credential lives.
pub(super) const LIFE: Duration = Duration::from_secs(3);

/// Serves until the test ends.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) url: String,
    pub(super) mint: Arc<Mint>,
}

/// Makes credentials and tells the clouds of them.
#[derive(Debug)]
pub(super) struct Mint {
    cloud: Weak<SimCloud>,
    issued: AtomicUsize,
    sign_on: Mutex<SignOn>,
}

/// Who is signed on: by the last of so many tokens, until its end.
#[derive(Debug)]
struct SignOn {
    number: usize,
    end: SystemTime,
}

struct Session {
    key: String,
    secret: String,
    token: String,
    end: OffsetDateTime,
}

impl Issuer {
    pub(super) async fn start(world: &World) -> Self {
        let mint = Arc::new(Mint {
            cloud: Arc::downgrade(&world.cloud),
            issued: AtomicUsize::new(0),
            sign_on: Mutex::new(SignOn {
                number: 0,
                end: SystemTime::UNIX_EPOCH,
            }),
        });
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", plain.local_addr().unwrap());
        let served = mint.clone();
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: String| {
            let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", "21600")];
            let answer = served.answer(&method, &uri, &headers, &body);
            std::future::ready((ttl, answer))
        };
        let app = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(plain, app).await });
        Self { url, mint }
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

impl Mint {
    fn end(&self) -> SystemTime {
        self.cloud.upgrade().unwrap().now() + LIFE
    }

    fn next(&self) -> (usize, SystemTime) {
        (self.issued.fetch_add(1, Ordering::SeqCst) + 1, self.end())
    }

    fn session(&self) -> Session {
        let (number, end) = self.next();
        let session = Session {
            key: format!("ASIA{number}"),
            secret: format!("SECRET-OF-{number}"),
            token: format!("TOKEN-OF-{number}"),
            end: end.into(),
        };
        let cloud = self.cloud.upgrade().unwrap();
        cloud.add_session_key(&session.key, &session.secret, &session.token, end);
        session
    }

    /// A token for the storage account.
    pub(super) fn bearer(&self) -> (String, OffsetDateTime) {
        let (number, end) = self.next();
        let token = format!("TOKEN-OF-{number}");
        self.cloud
            .upgrade()
            .unwrap()
            .add_token(ACCOUNT, &token, end);
        (token, end.into())
    }

    fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &str) -> Response {
        match (method.as_str(), uri.path()) {
            ("GET", "/agent" | "/latest/meta-data/iam/security-credentials/mover") => {
                self.session().json()
            }
            ("GET", "/process") => self.session().json(),
            ("PUT", "/latest/api/token") => "metadata-token".into_response(),
            ("GET", "/latest/meta-data/iam/security-credentials/") => "mover".into_response(),
            ("POST", "/sts" | "/sts/") => self.session().xml(body).into_response(),
            ("POST", "/token") => self.sign_on(&serde_json::from_str(body).unwrap()),
            ("GET", "/federation/credentials") => {
                self.signed_on(headers["x-amz-sso_bearer_token"].to_str().unwrap());
                assert!(uri.query().unwrap().contains("role_name=mover"), "{uri}");
                self.session().portal()
            }
            ("GET", "/metadata/identity/oauth2/token") => {
                let (token, end) = self.bearer();
                answer(&json!({
                    "access_token": token, "expires_on": end.unix_timestamp().to_string(),
                    "token_type": "Bearer", "resource": "r",
                }))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Takes each refresh token once.
    fn sign_on(&self, asked: &Value) -> Response {
        let mut last = self.sign_on.lock().unwrap();
        let expected = json!({
            "clientId": "cli", "clientSecret": "S3CR3T", "grantType": "refresh_token",
            "refreshToken": format!("S3CR3T-{}", last.number),
        });
        assert_eq!(*asked, expected);
        *last = SignOn {
            number: last.number + 1,
            end: self.end(),
        };
        answer(&json!({
            "accessToken": format!("TOKEN-OF-SIGN-ON-{}", last.number), "tokenType": "Bearer",
            "refreshToken": format!("S3CR3T-{}", last.number), "expiresIn": LIFE.as_secs(),
        }))
    }

    fn signed_on(&self, token: &str) {
        let last = self.sign_on.lock().unwrap();
        assert_eq!(token, format!("TOKEN-OF-SIGN-ON-{}", last.number));
        assert!(self.cloud.upgrade().unwrap().now() < last.end, "{last:?}");
    }
}

impl Session {
    /// As agents, processes and the metadata service write it.
    fn json(&self) -> Response {
        answer(&json!({
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
            "Version": 1, "AccessKeyId": self.key, "SecretAccessKey": self.secret,
            "Token": self.token, "SessionToken": self.token,
            "Expiration": self.end.format(&Rfc3339).unwrap(),
        }))
    }

    /// As the portal of single sign-on writes it.
    fn portal(&self) -> Response {
        let end = self.end.unix_timestamp_nanos() / 1_000_000;
        answer(&json!({"roleCredentials": {
            "accessKeyId": self.key, "secretAccessKey": self.secret,
            "sessionToken": self.token, "expiration": i64::try_from(end).unwrap(),
        }}))
    }

    /// As STS writes it.
    fn xml(&self, body: &str) -> String {
        let action = match body.contains("Action=AssumeRoleWithWebIdentity") {
            true => "AssumeRoleWithWebIdentity",
            false => "AssumeRole",
        };
        let Self {
            key, secret, token, ..
        } = self;
        let end = self.end.format(&Rfc3339).unwrap();
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

fn answer(body: &Value) -> Response {
    ([("content-type", "application/json")], body.to_string()).into_response()
}
