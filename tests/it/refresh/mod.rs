//! Credentials that end in mid-job: a copy goes on under new ones, whatever they come from.
//!
//! Every credential lives three seconds, and the job takes longer than two of them. The clouds
//! check: a request under an ended one is refused.

mod issuer;

use std::path::Path;
use std::time::Duration;

use simcloud::{ACCOUNT, Config, Faults, Object, OpKind};
use tempfile::TempDir;

use self::issuer::Issuer;
use crate::bad_input::run::{Ended, World};

const OBJECTS: usize = 160;
/// What each copy takes, eight at a time.
const EACH: Duration = Duration::from_millis(350);
const COPY: &str = "blobfleet copy s3://many {blob}/cont --recursive --concurrency 8 \
                    --output-type json";
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

/// Both clouds under their real names, with TLS, through a proxy that leads to the stand-ins.
async fn azure(env: &[(&str, &str)]) {
    let mut world = world(Config {
        tls: true,
        ..Config::default()
    })
    .await;
    let issuer = Issuer::start(&world).await;
    world.secrets.extend(issuer.secrets());
    let home = TempDir::new().unwrap();
    let roots = home.path().join("roots.pem");
    write(
        &roots,
        &format!("{}{}", world.cloud.ca_pem().unwrap(), issuer.root),
    );
    let mut all = vec![
        ("AZURE_STORAGE_KEY", "-".to_owned()),
        ("AZURE_STORAGE_ACCOUNT", "-".to_owned()),
        ("AWS_ENDPOINT_URL_S3", "-".to_owned()),
        ("HTTPS_PROXY", issuer.proxy.clone()),
        ("SSL_CERT_FILE", roots.to_str().unwrap().to_owned()),
    ];
    let env = env
        .iter()
        .map(|(name, value)| (*name, value.replace("{issuer}", &issuer.url)));
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

#[tokio::test]
async fn a_client_secret() {
    azure(&[
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_CLIENT_SECRET", "S3CR3T"),
    ])
    .await;
}

#[tokio::test]
async fn a_managed_identity() {
    azure(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "{issuer}")]).await;
}
