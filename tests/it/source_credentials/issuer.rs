//! STS, the SSO portal, a container agent and the metadata service on one socket, handing out
//! numbered credentials that live four seconds; and an S3 that refuses those that have ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use blobfleet::clock::Clock;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const LIFE: Duration = Duration::from_secs(4);

/// How many different credentials S3 wants to see, where they are issued here.
const WANTED: usize = 3;

type Hook = Box<dyn FnOnce(&Issuer) + Send>;

#[derive(Default)]
struct State {
    issued: BTreeMap<String, Option<OffsetDateTime>>,
    used: Vec<String>,
    wanted: usize,
    refusing: bool,
    hook: Option<(String, usize, Hook)>,
}

/// Runs until the test ends.
#[derive(Clone)]
pub(super) struct Issuer {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
}

/// Freshly issued credentials.
struct Issued {
    key: String,
    ends: OffsetDateTime,
}

impl Issuer {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::default(),
        };
        issuer.state.lock().unwrap().wanted = WANTED;
        let me = issuer.clone();
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let body = String::from_utf8(body.to_vec()).unwrap();
            std::future::ready(me.answer(&method, &uri, &headers, &body))
        };
        let app = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, app).await });
        issuer
    }

    /// Credentials from elsewhere, without an end; and how many different ones S3 wants to see.
    pub(super) fn accept(&self, key: &str, wanted: usize) {
        let mut state = self.state.lock().unwrap();
        state.issued.insert(key.to_owned(), None);
        state.wanted = wanted;
    }

    /// Ends a key after so many requests, when `hook` is run.
    pub(super) fn expire_after(
        &self,
        key: &str,
        requests: usize,
        hook: impl FnOnce(&Self) + Send + 'static,
    ) {
        self.state.lock().unwrap().hook = Some((key.to_owned(), requests, Box::new(hook)));
    }

    /// STS denies everything from now on.
    pub(super) fn refuse(&self) {
        self.state.lock().unwrap().refusing = true;
    }

    /// The keys S3 was asked with, in order of their first use.
    pub(super) fn used(&self) -> Vec<String> {
        self.state.lock().unwrap().used.clone()
    }

    fn issue(&self, kind: &str) -> Issued {
        let mut state = self.state.lock().unwrap();
        let count = state
            .issued
            .keys()
            .filter(|key| key.starts_with(kind))
            .count();
        let issued = Issued {
            key: format!("{kind}{}", count + 1),
            ends: now() + LIFE,
        };
        state.issued.insert(issued.key.clone(), Some(issued.ends));
        issued
    }

    fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &str) -> Response {
        let header = |name: &str| {
            headers
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
        };
        match (method.as_str(), uri.path()) {
            ("HEAD" | "GET", "/bkt/k") => {
                self.s3(header("authorization"), header("x-amz-security-token"))
            }
            ("POST", "/") => self.sts(header("authorization"), body),
            ("GET", "/federation/credentials") => {
                assert_eq!(header("x-amz-sso_bearer_token"), "bearer");
                assert!(uri.query().unwrap().contains("role_name=Reader"));
                self.issue("SSO").portal()
            }
            ("GET", "/process") => self.issue("PROC").json("Version"),
            ("GET", "/container") => {
                assert_eq!(header("authorization"), "agent");
                self.issue("BOX").json("Code")
            }
            ("PUT", "/latest/api/token") => (
                [("x-aws-ec2-metadata-token-ttl-seconds", "21600")],
                "session",
            )
                .into_response(),
            ("GET", path) if path.starts_with("/latest/") => {
                assert_eq!(header("x-aws-ec2-metadata-token"), "session");
                match path.strip_prefix("/latest/meta-data/iam/security-credentials/") {
                    Some("") => "role".into_response(),
                    Some("role") => self.issue("EC2").json("Code"),
                    _ => StatusCode::NOT_FOUND.into_response(),
                }
            }
            other => panic!("asked for {other:?}"),
        }
    }

    /// S3: one object, for credentials that have not ended, and whose token is theirs.
    fn s3(&self, authorization: &str, token: &str) -> Response {
        let key = authorization
            .split_once("Credential=")
            .and_then(|(_, rest)| rest.split('/').next())
            .unwrap()
            .to_owned();
        assert_eq!(token, format!("TOKEN-OF-{key}"));
        let hook = self.due(&key);
        if let Some(hook) = hook {
            hook(self);
        }
        let mut state = self.state.lock().unwrap();
        let good = state
            .issued
            .get(&key)
            .is_some_and(|ends| ends.is_none_or(|ends| now() < ends));
        if !good {
            let body = "<Error><Code>ExpiredToken</Code><Message>expired</Message></Error>";
            return (StatusCode::BAD_REQUEST, body).into_response();
        }
        if !state.used.contains(&key) {
            state.used.push(key);
        }
        let enough = state.used.len() >= state.wanted;
        let meta = if enough {
            "x-amz-meta-enough"
        } else {
            "x-amz-meta-more"
        };
        ([(meta, "yes")], "").into_response()
    }

    /// Counts a request of a key that is to end; hands out the hook when it does.
    fn due(&self, key: &str) -> Option<Hook> {
        let mut state = self.state.lock().unwrap();
        let (ending, left, _) = state.hook.as_mut().filter(|(ending, ..)| ending == key)?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let ending = ending.clone();
        state.issued.remove(&ending);
        state.hook.take().map(|(_, _, hook)| hook)
    }

    fn sts(&self, authorization: &str, body: &str) -> Response {
        if self.state.lock().unwrap().refusing {
            let body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not today: not \
                        authorized</Message></Error></ErrorResponse>";
            return (StatusCode::FORBIDDEN, body).into_response();
        }
        let (kind, action) = if body.contains("Action=AssumeRoleWithWebIdentity") {
            assert!(body.contains("WebIdentityToken=jwt"), "{body}");
            ("WEB", "AssumeRoleWithWebIdentity")
        } else {
            assert!(
                authorization.contains("Credential=BASE/"),
                "{authorization}"
            );
            ("ROLE", "AssumeRole")
        };
        let Issued { key, ends } = self.issue(kind);
        let ends = ends.format(&Rfc3339).unwrap();
        format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <AssumedRoleUser><AssumedRoleId>A:s</AssumedRoleId><Arn>arn:aws:sts::1:a/r/s</Arn>\
             </AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId>\
             <SecretAccessKey>SECRET-OF-{key}</SecretAccessKey>\
             <SessionToken>TOKEN-OF-{key}</SessionToken><Expiration>{ends}</Expiration>\
             </Credentials></{action}Result></{action}Response>"
        )
        .into_response()
    }
}

impl Issued {
    /// As agents and the metadata service say it (`Code`), and processes (`Version`).
    fn json(&self, first: &str) -> Response {
        let Self { key, ends } = self;
        let ends = ends.format(&Rfc3339).unwrap();
        let (first, token) = match first {
            "Version" => ("\"Version\": 1", "SessionToken"),
            _ => ("\"Code\": \"Success\"", "Token"),
        };
        let body = format!(
            "{{{first}, \"Type\": \"AWS-HMAC\", \"AccessKeyId\": \"{key}\", \
             \"SecretAccessKey\": \"SECRET-OF-{key}\", \"{token}\": \"TOKEN-OF-{key}\", \
             \"LastUpdated\": \"2024-01-01T00:00:00Z\", \"Expiration\": \"{ends}\"}}"
        );
        ([("content-type", "application/json")], body).into_response()
    }

    /// As the SSO portal says it.
    fn portal(&self) -> Response {
        let Self { key, ends } = self;
        let ends = ends.unix_timestamp_nanos() / 1_000_000;
        let body = format!(
            "{{\"roleCredentials\": {{\"accessKeyId\": \"{key}\", \
             \"secretAccessKey\": \"SECRET-OF-{key}\", \"sessionToken\": \"TOKEN-OF-{key}\", \
             \"expiration\": {ends}}}}}"
        );
        ([("content-type", "application/json")], body).into_response()
    }
}

fn now() -> OffsetDateTime {
    Clock::system().now().into()
}
