//! Each trouble of the stand-in accounts is what its name says.

use simcloud::{ACCOUNT, Config, Object, Quirk, SimCloud};

use super::{VERSION, blob, check_blob, from_url, put, send, source};
use crate::simcloud_wire::{Answer, Call, shared_key};

async fn odd(quirk: Quirk) -> SimCloud {
    let config = Config {
        quirks: vec![quirk],
        ..Config::default()
    };
    let cloud = SimCloud::start(config).await.unwrap();
    cloud.add_bucket("photos", "us-east-1");
    cloud.put_object("photos", "k", Object::bytes("hello"));
    cloud.add_container(ACCOUNT, "box");
    cloud
}

async fn signed(cloud: &SimCloud, call: Call) -> Answer {
    let key = cloud.account_key(ACCOUNT);
    send(cloud, shared_key(call, ACCOUNT, &key, cloud.now())).await
}

#[tokio::test]
async fn one_blob_is_busy_and_those_beside_it_are_not() {
    let cloud = odd(Quirk::BusyBlobs).await;
    let rows = vec![
        ("it", blob("a/busy"), 503, "ServerBusy"),
        ("again", blob("a/busy"), 503, "ServerBusy"),
        ("another", blob("a/busy2"), 201, ""),
    ];
    check_blob(&cloud, rows).await;
    assert!(cloud.blob(ACCOUNT, "box", "a/busy").is_none());
    let head = Call::new("HEAD", &format!("/{ACCOUNT}/box/a/busy")).header("x-ms-version", VERSION);
    assert_eq!(signed(&cloud, head).await.status, 503);
}

#[tokio::test]
async fn another_md5_is_told_than_the_contents() {
    let cloud = odd(Quirk::OtherMd5Told).await;
    let good = source(&cloud, "k");
    let to = |name: &str| Call {
        target: format!("/{ACCOUNT}/box/{name}"),
        ..from_url(&good)
    };
    let well = signed(&cloud, to("well")).await;
    assert_eq!((well.status, well.header("content-md5")), (201, None));
    let astray = signed(&cloud, to("astray")).await;
    let told = Some("BwcHBwcHBwcHBwcHBwcHBw==");
    assert_eq!((astray.status, astray.header("content-md5")), (201, told));
    assert_eq!(cloud.blob(ACCOUNT, "box", "astray").unwrap().length, 5);
}

#[tokio::test]
async fn page_blobs_have_no_blocks() {
    let cloud = odd(Quirk::PageBlobs).await;
    let block = |name: &str| put(&format!("/box/{name}?comp=block&blockid=YQ%3D%3D")).body(b"x");
    let rows = vec![
        ("there", blob("disk.vhd"), 201, ""),
        ("a block", block("disk.vhd"), 409, "InvalidBlobType"),
        ("of another", block("disk"), 201, ""),
        ("another", blob("disk"), 201, ""),
    ];
    check_blob(&cloud, rows).await;
    for (name, kind) in [("disk.vhd", "PageBlob"), ("disk", "BlockBlob")] {
        let target = format!("/{ACCOUNT}/box/{name}");
        let head = Call::new("HEAD", &target).header("x-ms-version", VERSION);
        let head = signed(&cloud, head).await;
        assert_eq!(head.header("x-ms-blob-type"), Some(kind), "{name}");
    }
}

#[tokio::test]
async fn a_container_takes_a_while_to_be_gone() {
    let cloud = odd(Quirk::ContainersBeingDeleted).await;
    let make = || put("/crate?restype=container");
    let mut rows = vec![("deleted", make(), 409, "ContainerBeingDeleted"); 10];
    rows.push(("gone", make(), 201, ""));
    check_blob(&cloud, rows).await;
    assert_eq!(cloud.containers(ACCOUNT), ["box", "crate"]);
}
