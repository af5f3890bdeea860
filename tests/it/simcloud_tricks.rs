//! What the stand-in can do that the real clouds do not on demand: misbehave, and hold objects of
//! any size and number.

use std::sync::Arc;
use std::time::Duration;

use simcloud::{
    ACCESS_KEY, ACCOUNT, Action, Config, Content, Faults, Fetch, Keep, Object, OpKind, SECRET_KEY,
    SimCloud,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::simcloud_wire::{Answer, AwsSigner, Call, encode, minutes};

const TIB: u64 = 1 << 40;

fn host(url: &str) -> String {
    let rest = url.trim_start_matches("http://");
    rest.split('/').next().unwrap_or_default().to_owned()
}

async fn cloud(config: Config) -> SimCloud {
    let cloud = SimCloud::start(config).await.unwrap();
    cloud.add_bucket("photos", "us-east-1");
    cloud.add_container(ACCOUNT, "box");
    cloud
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

async fn list(cloud: &SimCloud, query: &str) -> Answer {
    let s3 = host(&cloud.s3_url());
    let call = Call::new("GET", &format!("/photos?{query}&list-type=2")).header("host", &s3);
    let answer = signer(cloud).sign(call).send(&s3).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

/// Texts of all elements of this name.
fn all(answer: &Answer, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let text = answer.text();
    let parts = text.split(&open).skip(1);
    parts
        .filter_map(|part| Some(part.split_once(&close)?.0.to_owned()))
        .collect()
}

/// A From-URL call for an object of bucket `photos`, with a SAS.
fn copy(cloud: &SimCloud, key: &str, blob: &str, query: &str) -> Call {
    let s3 = host(&cloud.s3_url());
    let source = Call::new("GET", &format!("/photos/{key}")).header("host", &s3);
    let source = signer(cloud).presign(source, "600").target;
    let sas = cloud.sas(ACCOUNT, "rwdlac", cloud.now() + minutes(10));
    Call::new("PUT", &format!("/{ACCOUNT}/box/{blob}?{query}{sas}"))
        .header("x-ms-version", "2021-12-02")
        .header("content-length", "0")
        .header("x-ms-copy-source", &format!("http://{s3}{source}"))
}

fn whole(cloud: &SimCloud, key: &str, blob: &str) -> Call {
    copy(cloud, key, blob, "").header("x-ms-blob-type", "BlockBlob")
}

async fn send(cloud: &SimCloud, call: &Call) -> Answer {
    call.send(&host(&cloud.blob_url(ACCOUNT))).await
}

/// Sends a call and gives what comes before the connection ends: nothing, if it is broken.
async fn raw(cloud: &SimCloud, call: &Call) -> Vec<u8> {
    let address = host(&cloud.blob_url(ACCOUNT));
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let mut text = format!(
        "{} {} HTTP/1.1\r\nhost: {address}\r\n",
        call.method, call.target
    );
    for (name, value) in &call.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all((text + "\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is what some of the callers ask for.
    stream.read_to_end(&mut answer).await.ok();
    answer
}

#[tokio::test]
async fn hooks_decide_what_becomes_of_a_request() {
    let cloud = cloud(Config::default()).await;
    cloud.put_object("photos", "a", Object::bytes("hello"));
    let act = |action: Action| {
        cloud.on_request(move |op| match op.kind {
            OpKind::PutBlobFromUrl => action.clone(),
            _ => Action::Pass,
        });
    };
    let writes = || cloud.writes(ACCOUNT, "box", "a");
    let call = whole(&cloud, "a", "a");

    act(Action::Fail {
        status: 503,
        code: "ServerBusy",
    });
    let busy = send(&cloud, &call).await;
    assert_eq!(
        (busy.status, busy.code(), writes()),
        (503, "ServerBusy".into(), 0)
    );
    act(Action::ResetBefore);
    assert_eq!((raw(&cloud, &call).await, writes()), (vec![], 0));
    act(Action::ResetAfter);
    assert_eq!((raw(&cloud, &call).await, writes()), (vec![], 1));
    cloud.set_faults(Faults {
        hold: Duration::from_millis(1),
        ..Faults::default()
    });
    act(Action::SilentBefore);
    assert_eq!((raw(&cloud, &call).await, writes()), (vec![], 1));
    act(Action::SilentAfter);
    assert_eq!((raw(&cloud, &call).await, writes()), (vec![], 2));

    let gate = Arc::new(Notify::new());
    act(Action::Hold(Arc::clone(&gate)));
    let (held, ()) = tokio::join!(send(&cloud, &call), async { gate.notify_one() });
    assert_eq!((held.status, writes()), (201, 3));
    assert_eq!(cloud.requests(OpKind::PutBlobFromUrl), 6);
    assert_eq!(cloud.refused(OpKind::PutBlobFromUrl), 1);
    assert_eq!(cloud.lost_answers(OpKind::PutBlobFromUrl), 2);
}

#[tokio::test]
async fn pages_are_as_short_as_they_are_wanted() {
    let cloud = cloud(Config::default()).await;
    for key in ["a", "b", "c"] {
        cloud.put_object("photos", key, Object::bytes(key));
    }
    cloud.set_page_keys(2);
    let page = list(&cloud, "max-keys=1000").await;
    assert_eq!(all(&page, "Key"), ["a", "b"]);
    assert_eq!(page.element("MaxKeys").as_deref(), Some("1000"));
    assert_eq!(page.element("IsTruncated").as_deref(), Some("true"));
    assert_eq!(all(&list(&cloud, "start-after=b").await, "Key"), ["c"]);
}

#[tokio::test]
async fn a_source_that_breaks_off_leaves_nothing() {
    let cloud = cloud(Config::default()).await;
    cloud.put_object("photos", "a", Object::generated(1, 1 << 20));
    cloud.on_request(|op| match op.kind {
        OpKind::GetObject if op.number == 1 => Action::CutBody,
        _ => Action::Pass,
    });
    let call = whole(&cloud, "a", "a");
    let broken = send(&cloud, &call).await;
    assert_eq!(
        (broken.status, broken.code()),
        (500, "InternalError".into())
    );
    assert_eq!(cloud.blob(ACCOUNT, "box", "a"), None);
    assert_eq!(send(&cloud, &call).await.status, 201);
    let content = Content::Generated {
        seed: 1,
        length: 1 << 20,
    };
    assert!(cloud.blob(ACCOUNT, "box", "a").unwrap().equals(&content));
}

#[tokio::test]
async fn throttling_comes_through_as_the_sources_own() {
    let faults = Faults {
        throttle: 1.0,
        only: vec![OpKind::GetObject],
        ..Faults::default()
    };
    let cloud = cloud(Config {
        faults,
        ..Config::default()
    })
    .await;
    cloud.put_object("photos", "a", Object::bytes("hello"));
    let answer = send(&cloud, &whole(&cloud, "a", "a")).await;
    assert_eq!(
        (answer.status, answer.code()),
        (503, "CannotVerifyCopySource".into())
    );
    assert_eq!(answer.header("x-ms-copy-source-status-code"), Some("503"));
}

/// Ten tebibytes: ranges are checked by S3 as ever, their checksums computed, no byte is sent.
#[tokio::test]
async fn huge_objects_cost_nothing() {
    let config = Config {
        keep: Keep::Digest,
        fetch: Fetch::Computed,
        ..Config::default()
    };
    let cloud = cloud(config).await;
    let huge = Content::Generated {
        seed: 5,
        length: 10 * TIB,
    };
    cloud.put_object("photos", "huge", Object::new(huge.clone()));
    let step = 1 << 30;
    for (id, start) in [("YQ==", 0), ("Yg==", 9 * TIB)] {
        let query = format!("blockid={}&comp=block&", encode(id));
        let range = format!("bytes={start}-{}", start + step - 1);
        let call = copy(&cloud, "huge", "huge", &query).header("x-ms-source-range", &range);
        let answer = send(&cloud, &call).await;
        let crc64 = simcloud::azure_base64(huge.crc64(start, start + step));
        assert_eq!(
            answer.header("x-ms-content-crc64"),
            Some(crc64.as_str()),
            "{}",
            answer.text()
        );
    }
    let waiting = cloud.uncommitted(ACCOUNT, "box", "huge");
    assert_eq!(waiting, [(b"a".to_vec(), step), (b"b".to_vec(), step)]);
    let range = format!("bytes={}-", 10 * TIB);
    let beyond = copy(&cloud, "huge", "huge", "blockid=Yw%3D%3D&comp=block&");
    let beyond = send(&cloud, &beyond.header("x-ms-source-range", &range)).await;
    assert_eq!(
        (beyond.status, beyond.code()),
        (416, "CannotVerifyCopySource".into())
    );
    assert_eq!(cloud.requests(OpKind::GetObject), 3);
}

#[tokio::test]
async fn listings_page_and_group() {
    let cloud = cloud(Config::default()).await;
    let keys = ["a", "a/", "a/b", "a/c", "a0", "b+ c", "ä", "\u{ffff}", "😀"];
    for key in keys {
        cloud.put_object("photos", key, Object::bytes(key.to_owned()));
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = list(&cloud, &format!("{token}encoding-type=url&max-keys=2")).await;
        seen.extend(all(&page, "Key"));
        match page.element("NextContinuationToken") {
            Some(next) => token = format!("continuation-token={}&", encode(&next)),
            None => break,
        }
    }
    let expected = keys.map(|key| encode(key).replace("%20", "+").replace("%2F", "/"));
    assert_eq!(seen, expected, "in the order of UTF-8 bytes");

    let first = list(&cloud, "delimiter=%2F&max-keys=2").await;
    assert_eq!(all(&first, "Key"), ["a"]);
    assert_eq!(
        first.element("CommonPrefixes").as_deref(),
        Some("<Prefix>a/</Prefix>")
    );
    let token = encode(&first.element("NextContinuationToken").unwrap());
    let second = list(
        &cloud,
        &format!("continuation-token={token}&delimiter=%2F&max-keys=2"),
    )
    .await;
    assert_eq!(all(&second, "Key"), ["a0", "b+ c"], "the group comes once");
    let below = list(&cloud, "max-keys=9&prefix=a%2F&start-after=a%2Fb").await;
    assert_eq!(all(&below, "Key"), ["a/c"]);
    assert_eq!(below.element("IsTruncated").as_deref(), Some("false"));
}

#[tokio::test]
async fn a_series_of_billions_is_listed_from_anywhere() {
    let cloud = cloud(Config::default()).await;
    cloud.add_series_bucket("photos", "us-east-1", "k/", 5_000_000_000, 10);
    let page = list(&cloud, "max-keys=2&start-after=k%2F4999999996").await;
    assert_eq!(all(&page, "Key"), ["k/4999999997", "k/4999999998"]);
    assert_eq!(page.element("IsTruncated").as_deref(), Some("true"));
    let answer = send(&cloud, &whole(&cloud, "k/4999999997", "copy")).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let content = Content::Generated {
        seed: 4_999_999_997,
        length: 10,
    };
    assert!(cloud.blob(ACCOUNT, "box", "copy").unwrap().equals(&content));
    let none = send(&cloud, &whole(&cloud, "k/5000000000", "copy")).await;
    assert_eq!(none.status, 404);
}
