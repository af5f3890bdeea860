//! Credentials that end in mid-job: a copy goes on under new ones, whatever they come from.
//!
//! Every credential lives three seconds, and the job takes longer than two of them. The clouds
//! check: a request under an ended one is refused.

mod ending;
mod entra;
mod issuer;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::Value;
use simcloud::{ACCOUNT, Config, Faults, Object, OpKind};
use tempfile::TempDir;

use self::entra::{AUDIENCE, Entra, Form, Proof};
use self::issuer::Issuer;
use crate::bad_input::run::{Ended, World};

const OBJECTS: usize = 160;
/// What each copy takes, eight at a time.
const EACH: Duration = Duration::from_millis(350);
const COPY: &str = "blobfleet copy s3://many {blob}/cont --recursive --concurrency 8 \
                    --output-type json";
/// Where the AWS tools keep a sign-on: named by the SHA-1 of its session's name.
const SIGNED_ON: &str = ".aws/sso/cache/9e10e28cb9c3e381c13d13fa97dd97148982cdaa.json";
const NO_KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "-"), ("AWS_SECRET_ACCESS_KEY", "-")];

async fn world(config: Config) -> World {
    let faults = Faults {
        latency: [(OpKind::PutBlobFromUrl, EACH)].into(),
        ..Faults::default()
    };
    let world = World::with(Config { faults, ..config }).await;
    world.cloud.add_bucket("many", "eu-west-1");
    let objects = (0..OBJECTS).map(|n| (format!("k{n:03}"), Object::generated(n as u64, 100)));
    world.cloud.put_objects("many", objects);
    world
}

fn all_arrived(world: &World, ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let count = OBJECTS as u64;
    assert_eq!(ended.totals(), [count, count, 0, 0], "{ended:?}");
    let blobs = world.cloud.blobs(ACCOUNT);
    let objects = world.cloud.objects("many");
    assert_eq!(blobs.len(), objects.len());
    for ((key, content), (_, blob)) in objects.iter().zip(blobs) {
        assert_eq!(*key, blob.name);
        assert!(blob.equals(content), "{key}");
    }
    assert!(ended.took > Duration::from_secs(6), "{ended:?}");
}

async fn aws(env: &[(&str, &str)], files: &[(&str, &str)]) {
    let mut world = world(Config::default()).await;
    let issuer = Issuer::start(&world).await;
    world.secrets.extend(issuer.secrets());
    let home = TempDir::new().unwrap();
    let fill = |text: &str| {
        let home = home.path().to_str().unwrap();
        text.replace("{issuer}", &issuer.url)
            .replace("{home}", home)
    };
    for (path, text) in files {
        write(&home.path().join(path), &fill(text));
    }
    let env: Vec<(&str, String)> = env
        .iter()
        .map(|(name, value)| (*name, fill(value)))
        .collect();
    let mut all = NO_KEYS.to_vec();
    all.extend(env.iter().map(|(name, value)| (*name, value.as_str())));
    let ended = world.run_in(COPY, &all, home.path()).await;
    all_arrived(&world, &ended);
    assert!(
        issuer.issued() >= 3,
        "{} issued: {ended:?}",
        issuer.issued()
    );
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn a_container_agent() {
    aws(
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "{issuer}/agent"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "S3CR3T"),
        ],
        &[],
    )
    .await;
}

#[tokio::test]
async fn a_web_identity() {
    aws(
        &[
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/mover"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "{home}/token"),
            ("AWS_ENDPOINT_URL_STS", "{issuer}/sts"),
        ],
        &[("token", "S3CR3T")],
    )
    .await;
}

#[tokio::test]
async fn a_role_that_is_assumed() {
    let profiles = "[profile mover]\nrole_arn = arn:aws:iam::123456789012:role/mover\n\
                    source_profile = base\n[profile base]\naws_access_key_id = AKIABASE\n\
                    aws_secret_access_key = S3CR3T\n";
    aws(
        &[
            ("AWS_PROFILE", "mover"),
            ("AWS_ENDPOINT_URL_STS", "{issuer}/sts"),
        ],
        &[(".aws/config", profiles)],
    )
    .await;
}

/// The process asks the issuer itself, with what bash has.
#[tokio::test]
async fn a_process() {
    let script = "exec 3<>/dev/tcp/$(echo {issuer} | cut -d/ -f3 | tr : /)\n\
                  printf 'GET /process HTTP/1.0\\r\\n\\r\\n' >&3\n\
                  tr -d '\\r' <&3 | sed '1,/^$/d'\n";
    let profile = "[default]\ncredential_process = bash {home}/issue.sh\n";
    aws(&[], &[("issue.sh", script), (".aws/config", profile)]).await;
}

#[tokio::test]
async fn instance_metadata() {
    aws(
        &[
            ("AWS_EC2_METADATA_DISABLED", "-"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "{issuer}"),
        ],
        &[],
    )
    .await;
}

/// The sign-on is the one of `aws sso login`, whose own token ends in mid-job too.
#[tokio::test]
async fn a_single_sign_on() {
    let profile = "[default]\nsso_session = mover\nsso_account_id = 123456789012\n\
                   sso_role_name = mover\n[sso-session mover]\nsso_region = eu-west-1\n\
                   sso_start_url = https://example.awsapps.com/start\n";
    let signed_on = "{\"accessToken\": \"TOKEN-OF-SIGN-ON-0\", \
                     \"expiresAt\": \"2026-01-01T00:00:00Z\", \"refreshToken\": \"S3CR3T-0\", \
                     \"clientId\": \"cli\", \"clientSecret\": \"S3CR3T\", \
                     \"registrationExpiresAt\": \"2099-01-01T00:00:00Z\", \
                     \"region\": \"eu-west-1\", \
                     \"startUrl\": \"https://example.awsapps.com/start\"}";
    aws(
        &[
            ("AWS_ENDPOINT_URL_SSO", "{issuer}"),
            ("AWS_ENDPOINT_URL_SSO_OIDC", "{issuer}"),
        ],
        &[(".aws/config", profile), (SIGNED_ON, signed_on)],
    )
    .await;
}

/// Both clouds under their real names, with TLS, through a proxy that leads to the stand-ins.
async fn azure(env: &[(&str, &str)], files: &[(&str, &str)], proof: Proof) {
    let mut world = world(Config {
        tls: true,
        ..Config::default()
    })
    .await;
    let issuer = Issuer::start(&world).await;
    let entra = Entra::start(&world.cloud, issuer.mint.clone(), proof).await;
    world.secrets.extend(issuer.secrets());
    let home = TempDir::new().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let roots = format!("{}{}", world.cloud.ca_pem().unwrap(), entra.root);
    for (name, text) in [("roots.pem", roots.as_str())].iter().chain(files) {
        write(&home.path().join(name), text);
    }
    let mut all = vec![
        ("AZURE_STORAGE_KEY", "-".to_owned()),
        ("AZURE_STORAGE_ACCOUNT", "-".to_owned()),
        ("AWS_ENDPOINT_URL_S3", "-".to_owned()),
        ("HTTPS_PROXY", entra.proxy.clone()),
        ("SSL_CERT_FILE", path("roots.pem")),
    ];
    let env = env.iter().map(|(name, value)| {
        let value = value.replace("{issuer}", &issuer.url);
        (
            *name,
            value.replace("{home}", home.path().to_str().unwrap()),
        )
    });
    all.extend(env);
    let all: Vec<_> = all
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let line = COPY.replace(
        "{blob}",
        &format!("https://{ACCOUNT}.blob.core.windows.net"),
    );
    let ended = world.run_in(&line, &all, home.path()).await;
    all_arrived(&world, &ended);
    assert!(
        issuer.issued() >= 3,
        "{} issued: {ended:?}",
        issuer.issued()
    );
}

/// The application that every proof is for.
const APPLICATION: [(&str, &str); 2] = [("AZURE_TENANT_ID", "tenant"), ("AZURE_CLIENT_ID", "app")];

async fn application(
    variable: (&str, &str),
    file: Option<(&str, &str)>,
    proof: impl Fn(&Form) -> bool + Send + Sync + 'static,
) {
    let [tenant, client] = APPLICATION;
    let files: Vec<_> = file.into_iter().collect();
    azure(&[tenant, client, variable], &files, Box::new(proof)).await;
}

#[tokio::test]
async fn a_client_secret() {
    application(("AZURE_CLIENT_SECRET", "S3CR3T"), None, |form| {
        form["client_secret"] == "S3CR3T"
    })
    .await;
}

/// Entra ID takes an assertion once, signed by the certificate's key.
#[tokio::test]
async fn a_client_certificate() {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate = CertificateParams::new(vec![]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let pem = key.serialize_pem() + &certificate.pem();
    let public = DecodingKey::from_rsa_pem(key.public_key_pem().as_bytes()).unwrap();
    let mut rules = Validation::new(Algorithm::PS256);
    rules.set_audience(&[AUDIENCE]);
    rules.set_issuer(&["app"]);
    let seen = Mutex::new(BTreeSet::new());
    application(
        ("AZURE_CLIENT_CERTIFICATE_PATH", "{home}/app.pem"),
        Some(("app.pem", &pem)),
        move |form| {
            let assertion = decode::<Value>(&form["client_assertion"], &public, &rules);
            let id = assertion.unwrap().claims["jti"].to_string();
            seen.lock().unwrap().insert(id)
        },
    )
    .await;
}

#[tokio::test]
async fn a_workload_identity() {
    application(
        ("AZURE_FEDERATED_TOKEN_FILE", "{home}/token"),
        Some(("token", "S3CR3T")),
        |form| form["client_assertion"] == "S3CR3T",
    )
    .await;
}

#[tokio::test]
async fn a_managed_identity() {
    let nobody = Box::new(|_: &Form| false);
    azure(
        &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "{issuer}")],
        &[],
        nobody,
    )
    .await;
}
