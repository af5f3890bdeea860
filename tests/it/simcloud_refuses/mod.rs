//! The stand-in cloud refuses each kind of wrong request with the status and the code of the
//! cloud it plays, and serves the right one beside it.

mod blob_blocks;
mod blob_copies;
mod blob_hierarchy;
mod blob_keys;
mod blob_names;
mod blob_quirks;
mod blob_tags;
mod blob_tiers;
mod s3_archived;
mod s3_customer_keys;
mod s3_objects;
mod s3_paths;
mod s3_presigned;
mod s3_quirks;
mod s3_regions;
mod s3_signed;
mod s3_versions;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use simcloud::{ACCESS_KEY, ACCOUNT, Config, Object, SECRET_KEY, SimCloud};

use crate::simcloud_wire::{Answer, AwsSigner, Call, encode, minutes, shared_key};

const TOKEN: &str = "session/token+with=signs";

async fn cloud() -> SimCloud {
    let cloud = SimCloud::start(Config::default()).await.unwrap();
    cloud.add_bucket("photos", "us-east-1");
    cloud.add_bucket("oldtown", "eu-west-1");
    cloud.add_bucket("newtown", "eu-south-1");
    cloud.add_bucket("open", "us-east-1");
    cloud.make_public("open");
    for bucket in ["photos", "oldtown", "newtown", "open"] {
        cloud.put_object(bucket, "a b+c", Object::bytes("hello"));
    }
    cloud.put_object(
        "photos",
        "cold",
        Object::bytes("ice").storage_class("GLACIER"),
    );
    let end = cloud.now() + minutes(10);
    cloud.add_session_key("ASIASESSION", "session-secret", TOKEN, end);
    cloud
}

/// Host and port of an `http://` URL.
fn address(url: &str) -> String {
    let rest = url.trim_start_matches("http://");
    rest.split('/').next().unwrap_or_default().to_owned()
}

fn signer(cloud: &SimCloud) -> AwsSigner {
    AwsSigner {
        access_key: ACCESS_KEY.into(),
        secret: SECRET_KEY.into(),
        token: None,
        region: "us-east-1".into(),
        service: "s3".into(),
        when: cloud.now(),
        leave_out: Vec::new(),
    }
}

fn session(cloud: &SimCloud) -> AwsSigner {
    AwsSigner {
        access_key: "ASIASESSION".into(),
        secret: "session-secret".into(),
        token: Some(TOKEN.into()),
        ..signer(cloud)
    }
}

/// A call with the host header that is to be signed.
fn call(cloud: &SimCloud, method: &str, target: &str) -> Call {
    Call::new(method, target).header("host", &address(&cloud.s3_url()))
}

/// Signs a call to S3 and sends it.
async fn signed(cloud: &SimCloud, call: Call) -> Answer {
    let call = signer(cloud).sign(call);
    call.send(&address(&cloud.s3_url())).await
}

/// Sends a call to S3 and gives status and code (of HEAD, which has no body, status alone).
async fn ask(cloud: &SimCloud, call: Call) -> (u16, String) {
    let answer = call.send(&address(&cloud.s3_url())).await;
    (answer.status, answer.code())
}

/// What is wrong, the request, and the status and code it gets.
type Row<'a> = (&'a str, Call, u16, &'a str);

async fn check_s3(cloud: &SimCloud, rows: Vec<Row<'_>>) {
    for (what, call, status, code) in rows {
        let got = ask(cloud, call).await;
        assert_eq!(got, (status, code.to_owned()), "{what}");
    }
}

const VERSION: &str = "2021-12-02";

/// A call with a version and no body, still to be signed.
fn put(target: &str) -> Call {
    Call::new("PUT", &format!("/{ACCOUNT}{target}"))
        .header("x-ms-version", VERSION)
        .header("content-length", "0")
}

fn block(id: &str, length: usize) -> Call {
    let id = encode(&STANDARD.encode(id));
    put(&format!("/box/blob?comp=block&blockid={id}")).body(&vec![b'x'; length])
}

fn list(ids: &[&str]) -> Call {
    let lines = ids.iter().map(|id| STANDARD.encode(id));
    let lines: String = lines.map(|id| format!("<Latest>{id}</Latest>")).collect();
    let xml = format!("<BlockList>{lines}</BlockList>");
    put("/box/blob?comp=blocklist").body(xml.as_bytes())
}

fn blob(name: &str) -> Call {
    put(&format!("/box/{name}"))
        .header("x-ms-blob-type", "BlockBlob")
        .body(b"hello")
}

/// A presigned URL of an object in bucket `photos`.
fn source(cloud: &SimCloud, key: &str) -> String {
    let host = address(&cloud.s3_url());
    let call = Call::new("GET", &format!("/photos/{key}")).header("host", &host);
    format!("http://{host}{}", signer(cloud).presign(call, "60").target)
}

fn from_url(source: &str) -> Call {
    put("/box/copy")
        .header("x-ms-blob-type", "BlockBlob")
        .header("x-ms-copy-source", source)
}

fn block_from_url(source: &str) -> Call {
    put("/box/copy?comp=block&blockid=YQ%3D%3D").header("x-ms-copy-source", source)
}

async fn send(cloud: &SimCloud, call: Call) -> Answer {
    call.send(&address(&cloud.blob_url(ACCOUNT))).await
}

/// Signs each call with the account's key and checks its answer.
async fn check_blob(cloud: &SimCloud, rows: Vec<Row<'_>>) {
    for (what, call, status, code) in rows {
        let key = cloud.account_key(ACCOUNT);
        let call = shared_key(call, ACCOUNT, &key, cloud.now());
        let answer = send(cloud, call).await;
        let got = (answer.status, answer.code());
        assert_eq!(got, (status, code.to_owned()), "{what}: {}", answer.text());
    }
}

async fn with_box() -> SimCloud {
    let cloud = cloud().await;
    cloud.add_container(ACCOUNT, "box");
    cloud
}
