//! Bad input of every kind: each ends with one line that names cause and remedy, exit code 1 or 2,
//! without a panic, a hang, or a secret on the screen, and nothing half-counted.

mod disk;
mod fleet;
mod jobs;
mod lists;
mod messages;
pub(crate) mod run;
mod secrets;
mod state;
mod table;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::net::TcpListener;

use self::run::World;

/// Cases run at a time.
const AT_ONCE: usize = 4;

async fn each_is_refused(table: &str) {
    let world = &World::start().await;
    let faults: Vec<String> = stream::iter(table::read(table))
        .map(|case| async move {
            let ended = world.run(&case.line, &case.env).await;
            let error = ended.error().to_owned();
            let missing = case.says.iter().filter(|part| !error.contains(**part));
            let missing: Vec<_> = missing.collect();
            let right = ended.code == Some(case.code) && missing.is_empty();
            (!right).then(|| format!("\n{}: {case:?}: without {missing:?}: {ended:#?}", case.name))
        })
        .buffered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(faults.is_empty(), "{}", faults.concat());
    assert!(
        world.cloud.blobs(simcloud::ACCOUNT).is_empty(),
        "nothing was copied"
    );
}

#[tokio::test]
async fn wrong_use() {
    each_is_refused(include_str!("wrong_use.txt")).await;
}

#[tokio::test]
async fn credentials() {
    each_is_refused(include_str!("credentials.txt")).await;
}

#[tokio::test]
async fn places() {
    each_is_refused(include_str!("places.txt")).await;
}

/// A profile that names no URL: nobody is asked with the keys that are meant for it.
#[tokio::test]
async fn a_profile_whose_endpoint_is_no_url() {
    let world = World::start().await;
    let home = tempfile::TempDir::new().unwrap();
    let path = home.path().join("config");
    let profile = path.to_str().unwrap();
    let env = [("AWS_CONFIG_FILE", profile), ("AWS_ENDPOINT_URL_S3", "-")];
    for url in ["minio:9000", "not a url", "ftp://minio", "http://", "minio"] {
        std::fs::write(&path, format!("[default]\nendpoint_url = {url}\n")).unwrap();
        let line = "blobfleet copy s3://photos {blob}/cont --recursive";
        let ended = world.run(line, &env).await;
        assert_eq!(ended.code, Some(2), "{url}: {ended:?}");
        for part in ["endpoint_url of the AWS profile", "http://HOST"] {
            assert!(ended.error().contains(part), "{part}: {ended:?}");
        }
    }
    assert!(world.cloud.blobs(simcloud::ACCOUNT).is_empty());
}

/// The kernel accepts for a listener that nobody serves: connected, and then silence.
#[tokio::test]
async fn silence_is_not_waited_for_without_end() {
    let world = World::start().await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = format!("http://{}", mute.local_addr().unwrap());
    let metadata = [
        ("AWS_ACCESS_KEY_ID", "-"),
        ("AWS_SECRET_ACCESS_KEY", "-"),
        ("AWS_EC2_METADATA_DISABLED", "-"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", mute.as_str()),
    ];
    let identity = [
        ("AZURE_STORAGE_KEY", "-"),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", mute.as_str()),
    ];
    let endpoint = [("AWS_ENDPOINT_URL_S3", mute.as_str())];
    let here = "blobfleet copy s3://photos {blob}/cont --recursive";
    let there = "blobfleet copy s3://photos https://acct.blob.core.windows.net/cont --recursive";
    let runs = [
        (here, &metadata[..], 15, "AWS_ACCESS_KEY_ID"),
        (there, &identity, 12, "managed identity: no answer"),
        (here, &endpoint, 30, "within 30 s; check --s3-endpoint"),
    ]
    .map(|(line, env, seconds, part)| {
        let world = &world;
        async move {
            let ended = world.run(line, env).await;
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert!(ended.error().contains(part), "{part}: {ended:?}");
            let limit = Duration::from_secs(seconds + 10);
            assert!(ended.took < limit, "{part}: {ended:?}");
        }
    });
    futures_util::future::join_all(runs).await;
}
