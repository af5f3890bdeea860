//! Keys that look like paths to be tidied up: S3 does not touch them, Azure's fetcher does.

use simcloud::{ACCOUNT, Object, OpKind, SimCloud};

use super::{address, call, cloud, from_url, send, signer, source};
use crate::simcloud_wire::{Answer, Call, encode, shared_key};

/// Keys, and which other one Azure's fetcher asks for; none where it is the same.
const KEYS: &[(&str, Option<&str>)] = &[
    ("a/../b", Some("b")),
    ("a/./b", Some("a/b")),
    ("./b", Some("b")),
    ("x/..", Some("")),
    ("b.", Some("b")),
    ("b...", Some("b")),
    ("a./b", Some("a/b")),
    ("a\\b", Some("a/b")),
    ("a\\..\\b", Some("b")),
    ("..b/.c", None),
    ("a//b", None),
    ("/b", None),
    ("a/", None),
    ("%2E%2E/b", None),
    ("a%5Cb", None),
];

/// A bucket with an object for each key, whose content is the key.
async fn with_keys(bucket: &str) -> SimCloud {
    let cloud = cloud().await;
    cloud.add_container(ACCOUNT, "box");
    for key in ["b", "a/b"] {
        cloud.put_object(bucket, key, Object::bytes(key));
    }
    for (key, _) in KEYS {
        cloud.put_object(bucket, key, Object::bytes(*key));
    }
    cloud
}

/// A key as it stands in a path: all but slashes and what RFC 3986 does not reserve is encoded.
fn path(key: &str) -> String {
    encode(key).replace("%2F", "/")
}

#[tokio::test]
async fn keys_are_served_as_they_are() {
    let cloud = with_keys("photos").await;
    let sign = signer(&cloud);
    let s3 = address(&cloud.s3_url());
    for (key, _) in KEYS {
        let plain = path(key);
        let asked = |method: &str| call(&cloud, method, &format!("/photos/{plain}"));
        // The signature is over the key, so dots may be encoded on the way as well.
        let with_dots = |call: Call| Call {
            target: call.target.replacen(&plain, &plain.replace('.', "%2E"), 1),
            ..call
        };
        for (what, call) in [
            ("signed", sign.sign(asked("GET"))),
            ("presigned", sign.presign(asked("GET"), "60")),
            ("signed, dots encoded", with_dots(sign.sign(asked("GET")))),
            (
                "presigned, dots encoded",
                with_dots(sign.presign(asked("GET"), "60")),
            ),
        ] {
            let got = call.send(&s3).await;
            assert_eq!(
                (got.status, got.text().as_str()),
                (200, *key),
                "{key}, {what}"
            );
        }
        let head = sign.sign(asked("HEAD")).send(&s3).await;
        let length = key.len().to_string();
        assert_eq!(
            head.header("content-length"),
            Some(length.as_str()),
            "{key}"
        );
    }
}

async fn copy(cloud: &SimCloud, source: &str) -> Answer {
    let key = cloud.account_key(ACCOUNT);
    send(
        cloud,
        shared_key(from_url(source), ACCOUNT, &key, cloud.now()),
    )
    .await
}

fn copied(cloud: &SimCloud) -> String {
    let bytes = cloud.blob(ACCOUNT, "box", "copy").unwrap().bytes.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The signature does not fit what the fetcher asks for.
#[tokio::test]
async fn presigned_sources_that_are_tidied_up_are_refused() {
    let cloud = with_keys("photos").await;
    for (key, other) in KEYS {
        let answer = copy(&cloud, &source(&cloud, &path(key))).await;
        let got = (answer.status, answer.code());
        if other.is_some() {
            assert_eq!(got, (403, "CannotVerifyCopySource".into()), "{key}");
        } else {
            assert_eq!((got.0, copied(&cloud).as_str()), (201, *key));
        }
    }
    let refused = KEYS.iter().filter(|(_, other)| other.is_some()).count();
    assert_eq!(cloud.refused(OpKind::PutBlobFromUrl), refused as u64);
}

/// Without a signature the fetcher brings another object than the one that was meant.
#[tokio::test]
async fn unsigned_sources_that_are_tidied_up_are_others() {
    let cloud = with_keys("open").await;
    for (key, other) in KEYS {
        let source = format!("{}/open/{}", cloud.s3_url(), path(key));
        let answer = copy(&cloud, &source).await;
        match other {
            Some("") => assert_eq!(answer.status, 501, "{key}: the bucket itself"),
            other => {
                let expected = other.unwrap_or(key);
                assert_eq!(
                    (answer.status, copied(&cloud).as_str()),
                    (201, expected),
                    "{key}"
                );
            }
        }
    }
}
