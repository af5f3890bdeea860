//! AzCopy, which nobody here wrote, finds nothing wrong with the stand-in cloud.
//!
//! AzCopy takes S3 only from Amazon's own hosts and only over TLS. It honours HTTPS_PROXY, so a
//! tiny proxy leads every tunnel to the stand-in, and SSL_CERT_FILE names its authority: no hosts
//! file, no privileged port.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use simcloud::{ACCESS_KEY, ACCOUNT, Config, Object, OpKind, SECRET_KEY, SimCloud};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::parts;

/// A proxy whose every tunnel ends at one address.
struct Tunnels {
    address: std::net::SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Tunnels {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tunnels {
    async fn to(target: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, target));
            }
        });
        Self { address, task }
    }
}

async fn tunnel(stream: TcpStream, target: std::net::SocketAddr) {
    let mut client = BufReader::new(stream);
    let mut line = String::new();
    while client.read_line(&mut line).await.is_ok_and(|read| read > 2) {
        line.clear();
    }
    let reply = b"HTTP/1.1 200 Connection established\r\n\r\n";
    if client.write_all(reply).await.is_ok()
        && let Ok(mut server) = TcpStream::connect(target).await
    {
        // Either end may hang up at any time.
        copy_bidirectional(&mut client, &mut server).await.ok();
    }
}

/// Runs AzCopy against a cloud that speaks TLS, with a home of its own.
pub(crate) async fn run(cloud: &SimCloud, home: &Path, arguments: &[&str]) -> Output {
    let tunnels = Tunnels::to(cloud.tls_address().unwrap()).await;
    let authority = home.join("authority.pem");
    std::fs::write(&authority, cloud.ca_pem().unwrap()).unwrap();
    let mut azcopy = Command::new(program());
    azcopy
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("AZCOPY_LOG_LOCATION", home)
        .env("AZCOPY_JOB_PLAN_LOCATION", home)
        .env("AZCOPY_DISABLE_SYSLOG", "true")
        .env("HTTPS_PROXY", format!("http://{}", tunnels.address))
        .env("SSL_CERT_FILE", &authority)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_secs(120), azcopy.output()).await;
    ended.expect("AzCopy came to no end").unwrap()
}

/// `AZCOPY_BIN`, or else the one among the parts.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by the environment which AzCopy to run"
)]
fn program() -> PathBuf {
    std::env::var("AZCOPY_BIN").map_or_else(|_| parts::path("azcopy/azcopy"), Into::into)
}

#[tokio::test(flavor = "multi_thread")]
async fn azcopy_copies_a_bucket() {
    let config = Config {
        tls: true,
        ..Config::default()
    };
    let cloud = SimCloud::start(config).await.unwrap();
    cloud.add_bucket("holiday", "eu-west-1");
    for (index, key) in ["a", "d/b c+d", "d/ä%25.txt", "d/e/#f?g"]
        .iter()
        .enumerate()
    {
        let object = Object::generated(index as u64, 3000)
            .header("content-type", "text/sim")
            .header("cache-control", "no-cache")
            .metadata("colour", "green");
        cloud.put_object("holiday", key, object);
    }
    cloud.put_object("holiday", "empty", Object::bytes(""));
    cloud.put_object("holiday", "large", Object::generated(9, 20 << 20));
    let sas = cloud.sas(ACCOUNT, "rwdlac", cloud.now() + Duration::from_secs(3600));
    let destination = format!("{}/holiday?{sas}", cloud.blob_url(ACCOUNT));
    let home = tempfile::tempdir().unwrap();
    let source = "https://s3.eu-west-1.amazonaws.com/holiday";
    let flags = ["--from-to=S3Blob", "--recursive", "--output-type=text"];
    let arguments = [&["copy", source, &destination][..], &flags].concat();

    let output = run(&cloud, home.path(), &arguments).await;

    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{:#?}", cloud.refusals());
    assert!(said.contains("Final Job Status: Completed\n"), "{said}");
    let blobs = cloud.blobs(ACCOUNT);
    let objects = cloud.objects("holiday");
    assert_eq!(blobs.len(), objects.len(), "{said}");
    for ((_, blob), (key, content)) in blobs.iter().zip(&objects) {
        assert_eq!(blob.name, *key);
        assert!(blob.equals(content), "{key}");
    }
    let (_, blob) = &blobs[1];
    assert_eq!(blob.header("content-type"), Some("text/sim"));
    assert_eq!(blob.header("cache-control"), Some("no-cache"));
    assert_eq!(blob.metadata, [("colour".into(), "green".into())]);
    assert_eq!(cloud.requests(OpKind::PutBlockFromUrl), 3, "20 MiB by 8");
}

/// The whole service: buckets of two regions, asked for at each region's own endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn azcopy_copies_all_buckets() {
    let config = Config {
        tls: true,
        ..Config::default()
    };
    let cloud = SimCloud::start(config).await.unwrap();
    for (name, region) in [("one", "us-east-1"), ("two.dots", "eu-central-1")] {
        cloud.add_bucket(name, region);
        cloud.put_object(name, "a/b", Object::bytes(name));
    }
    let sas = cloud.sas(ACCOUNT, "rwdlac", cloud.now() + Duration::from_secs(3600));
    let destination = format!("{}/?{sas}", cloud.blob_url(ACCOUNT));
    let home = tempfile::tempdir().unwrap();
    let source = "https://s3.amazonaws.com/";
    let flags = ["--from-to=S3Blob", "--recursive", "--output-type=text"];
    let arguments = [&["copy", source, &destination][..], &flags].concat();

    let output = run(&cloud, home.path(), &arguments).await;

    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{:#?}", cloud.refusals());
    for (container, content) in [("one", "one"), ("two-dots", "two.dots")] {
        let blob = cloud.blob(ACCOUNT, container, "a/b");
        let blob = blob.unwrap_or_else(|| panic!("{said}\n{:#?}", cloud.refusals()));
        assert_eq!(blob.bytes.as_deref(), Some(content.as_bytes()));
    }
}
