//! Every source of AWS credentials, at a loopback socket, with a life of seconds: a process works on
//! while its credentials are renewed under it.
//!
//! aws-config reads the environment and the home folder of its own process, so each case runs this
//! test binary again, as [`child`], under an environment of its own.

mod issuer;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use blobfleet::clock::Clock;
use blobfleet::failure::Remedy;
use blobfleet::http::{Roots, Transport};
use blobfleet::job::SourceEndpoint;
use blobfleet::source::client::{BucketRef, Source};
use blobfleet::source::credentials::Credentials;
use tempfile::TempDir;
use tokio::process::Command;

use self::issuer::Issuer;

/// Tells a child where to work.
const CHILD: &str = "BLOBFLEET_TEST_SOURCE";

/// The work of a child: asks for an object's properties until it has been answered under as many
/// different credentials as the server wants to see.
#[tokio::test]
async fn child() {
    let Some(url) = std::env::var_os(CHILD) else {
        return;
    };
    let clock = Clock::system();
    let http = Transport::new(&Roots::Only(Vec::new()), Duration::from_secs(20)).unwrap();
    let source = Source::new(
        SourceEndpoint::custom(url.into_string().unwrap()),
        Credentials::from_chain("us-east-1", http.usual().clone(), clock.clone()),
        http,
        clock,
    );
    let bucket = BucketRef {
        name: "bkt".into(),
        region: "us-east-1".into(),
    };
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let begun = tokio::time::Instant::now();
    let mut retried = 0;
    loop {
        pace.tick().await;
        match source.head(&bucket, "k", None).await {
            Ok(head) if head.metadata.iter().any(|(name, _)| name == "enough") => break,
            Ok(_) => {}
            Err(failure) if failure.remedy == Remedy::Retry && retried < 3 => retried += 1,
            Err(failure) => {
                println!("\nfailure: {failure} ({:?})", failure.remedy);
                break;
            }
        }
    }
    println!(
        "\nretried: {retried} elapsed: {}",
        begun.elapsed().as_secs()
    );
}

/// A home folder and an environment for a child.
struct Case {
    home: TempDir,
    env: Vec<(&'static str, String)>,
}

impl Case {
    fn new(env: &[(&'static str, &str)]) -> Self {
        let own = |(name, value): &(&'static str, &str)| (*name, (*value).to_owned());
        Self {
            home: TempDir::new().unwrap(),
            env: env.iter().map(own).collect(),
        }
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn path(&self, path: &str) -> String {
        self.home.path().join(path).to_str().unwrap().to_owned()
    }

    async fn run(&self, issuer: &Issuer) -> String {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "source_credentials::child", "--nocapture"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env(CHILD, &issuer.url)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for (name, value) in &self.env {
            command.env(name, value);
        }
        let run = tokio::time::timeout(Duration::from_secs(60), command.output());
        let Output { stdout, stderr, .. } = run.await.unwrap().unwrap();
        let out = String::from_utf8_lossy(&stdout).into_owned();
        let all = format!("{out}{}", String::from_utf8_lossy(&stderr));
        for secret in ["SECRET-OF", "TOKEN-OF"] {
            assert!(!all.contains(secret), "{all}");
        }
        let worked = |line: &&str| line.starts_with("failure: ") || line.starts_with("retried: ");
        let lines: Vec<_> = out.lines().filter(worked).collect();
        assert!(!lines.is_empty(), "{all}");
        lines.join("\n")
    }
}

/// Runs a case that must see its credentials renewed twice without a single failed call.
async fn renewed(issuer: &Issuer, case: &Case, kind: &str) {
    let said = case.run(issuer).await;
    assert!(said.starts_with("retried: 0 "), "{kind}: {said}");
    let used = issuer.used();
    assert_eq!(used, [1, 2, 3].map(|number| format!("{kind}{number}")));
}

const NO_IMDS: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

#[tokio::test]
async fn static_keys_with_a_session_token_from_the_environment() {
    // Nor does it take a certificate on the machine to use them.
    let issuer = Issuer::start().await;
    issuer.accept("ENV1", 1);
    let case = Case::new(&[
        ("AWS_ACCESS_KEY_ID", "ENV1"),
        ("AWS_SECRET_ACCESS_KEY", "SECRET-OF-ENV1"),
        ("AWS_SESSION_TOKEN", "TOKEN-OF-ENV1"),
        ("SSL_CERT_FILE", "/nonexistent"),
        ("SSL_CERT_DIR", "/nonexistent"),
    ]);
    let said = case.run(&issuer).await;
    assert!(said.starts_with("retried: 0 "), "{said}");
    assert_eq!(issuer.used(), ["ENV1"]);
}

#[tokio::test]
async fn a_profile_whose_keys_are_replaced_in_its_file() {
    let issuer = Issuer::start().await;
    let keys = |name: &str| {
        format!(
            "[work]\naws_access_key_id = {name}\naws_secret_access_key = SECRET-OF-{name}\n\
             aws_session_token = TOKEN-OF-{name}\n"
        )
    };
    let case = Case::new(&[("AWS_PROFILE", "work"), NO_IMDS]);
    let case = case.file(".aws/credentials", &keys("FILE1"));
    issuer.accept("FILE1", 2);
    let file = case.path(".aws/credentials");
    let second = keys("FILE2");
    issuer.expire_after("FILE1", 10, move |issuer| {
        std::fs::write(Path::new(&file), &second).unwrap();
        issuer.accept("FILE2", 2);
    });
    let said = case.run(&issuer).await;
    assert!(said.starts_with("retried: 1 "), "{said}");
    assert_eq!(issuer.used(), ["FILE1", "FILE2"]);
}

#[tokio::test]
async fn a_profile_that_asks_another_program() {
    let issuer = Issuer::start().await;
    let case = Case::new(&[NO_IMDS]);
    let config = format!(
        "[default]\ncredential_process = curl -s {}/process\n",
        issuer.url
    );
    renewed(&issuer, &case.file(".aws/config", &config), "PROC").await;
}

#[tokio::test]
async fn single_sign_on() {
    let issuer = Issuer::start().await;
    let case = Case::new(&[
        ("AWS_PROFILE", "sso"),
        ("AWS_ENDPOINT_URL_SSO", &issuer.url),
        NO_IMDS,
    ]);
    let case = case
        .file(
            ".aws/config",
            "[profile sso]\nsso_start_url = https://example.awsapps.com/start\n\
             sso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = Reader\n",
        )
        // Named by the SHA-1 of the start URL.
        .file(
            ".aws/sso/cache/e8be5486177c5b5392bd9aa76563515b29358e6e.json",
            "{\"accessToken\": \"bearer\", \"expiresAt\": \"2099-01-01T00:00:00Z\", \
             \"region\": \"eu-west-1\", \"startUrl\": \"https://example.awsapps.com/start\"}",
        );
    renewed(&issuer, &case, "SSO").await;
}

#[tokio::test]
async fn an_assumed_role() {
    let issuer = Issuer::start().await;
    let case = Case::new(&[
        ("AWS_PROFILE", "role"),
        ("AWS_ENDPOINT_URL_STS", &issuer.url),
        NO_IMDS,
    ]);
    let case = case.file(
        ".aws/config",
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/mover\n\
         source_profile = base\n[profile base]\naws_access_key_id = BASE\n\
         aws_secret_access_key = SECRET-OF-BASE\n",
    );
    renewed(&issuer, &case, "ROLE").await;
}

#[tokio::test]
async fn a_web_identity() {
    let issuer = Issuer::start().await;
    let case = Case::new(&[
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/mover"),
        ("AWS_ENDPOINT_URL_STS", &issuer.url),
        NO_IMDS,
    ]);
    let mut case = case.file("token", "jwt");
    let file = case.path("token");
    case.env.push(("AWS_WEB_IDENTITY_TOKEN_FILE", file));
    renewed(&issuer, &case, "WEB").await;
}

#[tokio::test]
async fn a_containers_agent() {
    let issuer = Issuer::start().await;
    let case = Case::new(&[
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            &format!("{}/container", issuer.url),
        ),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "agent"),
        NO_IMDS,
    ]);
    renewed(&issuer, &case, "BOX").await;
}

#[tokio::test]
async fn instance_metadata() {
    let issuer = Issuer::start().await;
    let case = Case::new(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &issuer.url)]);
    renewed(&issuer, &case, "EC2").await;
}

#[tokio::test]
async fn no_credentials_at_all_is_one_line_within_seconds() {
    let issuer = Issuer::start().await;
    // Accepts connections and never answers, as a firewalled metadata service does.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    for env in [NO_IMDS, ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &address)] {
        let said = Case::new(&[env]).run(&issuer).await;
        assert!(
            said.starts_with("failure: no AWS credentials found: set "),
            "{said}"
        );
        assert!(
            said.contains("--s3-anonymous") && said.contains("(Stop)"),
            "{said}"
        );
        let elapsed: u64 = said.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(elapsed <= 16, "{said}");
    }
    assert!(issuer.used().is_empty());
}

#[tokio::test]
async fn a_refused_role_says_why() {
    let issuer = Issuer::start().await;
    issuer.refuse();
    let case = Case::new(&[
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/mover"),
        ("AWS_ENDPOINT_URL_STS", &issuer.url),
        NO_IMDS,
    ]);
    let mut case = case.file("token", "jwt");
    let file = case.path("token");
    case.env.push(("AWS_WEB_IDENTITY_TOKEN_FILE", file));
    let said = case.run(&issuer).await;
    assert!(said.starts_with("failure: AWS credentials: "), "{said}");
    assert!(said.contains("not authorized"), "{said}");
}
