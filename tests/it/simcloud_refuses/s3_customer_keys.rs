//! Objects encrypted with a key that each request must bring (SSE-C).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use simcloud::{ACCOUNT, Object, SimCloud};

use super::{ask, call, check_blob, cloud, from_url, send, signed, signer, source};
use crate::simcloud_wire::{Call, shared_key};

const ALGORITHM: &str = "x-amz-server-side-encryption-customer-algorithm";
const KEY: &str = "x-amz-server-side-encryption-customer-key";
const KEY_MD5: &str = "x-amz-server-side-encryption-customer-key-md5";

fn with_key(call: Call, key: &[u8]) -> Call {
    call.header(ALGORITHM, "AES256")
        .header(KEY, &STANDARD.encode(key))
        .header(KEY_MD5, &STANDARD.encode(Md5::digest(key)))
}

async fn encrypted() -> SimCloud {
    let cloud = cloud().await;
    let object = Object::bytes("secret").customer_key([7; 32]).checksum();
    cloud.put_object("photos", "locked", object);
    cloud.put_object("photos", "same", Object::bytes("secret"));
    cloud
}

/// HEAD says the same as GET, without the code.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn keys_are_needed_and_checked() {
    let cloud = encrypted().await;
    let sign = signer(&cloud);
    let right = |call: Call| with_key(call, &[7; 32]);
    let md5 = STANDARD.encode([1; 16]);
    type Change<'a> = Box<dyn Fn(Call) -> Call + 'a>;
    let rows: Vec<(&str, &str, Change<'_>, u16, &str)> = vec![
        ("the key", "locked", Box::new(right), 200, ""),
        (
            "no key",
            "locked",
            Box::new(|call| call),
            400,
            "InvalidRequest",
        ),
        (
            "another key",
            "locked",
            Box::new(|call| with_key(call, &[8; 32])),
            403,
            "AccessDenied",
        ),
        (
            "a short key",
            "locked",
            Box::new(|call| with_key(call, &[7; 16])),
            403,
            "AccessDenied",
        ),
        (
            "another algorithm",
            "locked",
            Box::new(|call| right(call).replace(ALGORITHM, "AES128")),
            400,
            "InvalidEncryptionAlgorithmError",
        ),
        (
            "no algorithm",
            "locked",
            Box::new(|call| right(call).without(ALGORITHM)),
            400,
            "InvalidArgument",
        ),
        (
            "only the algorithm",
            "locked",
            Box::new(|call| call.header(ALGORITHM, "AES256")),
            400,
            "InvalidArgument",
        ),
        (
            "no MD5",
            "locked",
            Box::new(|call| right(call).without(KEY_MD5)),
            400,
            "InvalidArgument",
        ),
        (
            "the MD5 of another key",
            "locked",
            Box::new(|call| right(call).replace(KEY_MD5, &md5)),
            400,
            "InvalidArgument",
        ),
        (
            "a key that is no base64",
            "locked",
            Box::new(|call| right(call).replace(KEY, "!")),
            400,
            "InvalidArgument",
        ),
        (
            "a key for an object without",
            "same",
            Box::new(right),
            400,
            "InvalidRequest",
        ),
        (
            "no key for one without",
            "same",
            Box::new(|call| call),
            200,
            "",
        ),
    ];
    for (what, key, change, status, code) in rows {
        let of = |method: &str| change(call(&cloud, method, &format!("/photos/{key}")));
        let got = ask(&cloud, sign.sign(of("GET"))).await;
        assert_eq!(got, (status, code.to_owned()), "{what}");
        let presigned = ask(&cloud, sign.presign(of("GET"), "60")).await;
        assert_eq!(presigned, got, "{what}, presigned");
        let head = ask(&cloud, sign.sign(of("HEAD"))).await;
        assert_eq!(head, (status, String::new()), "{what}, HEAD");
    }
    let unsigned = with_key(
        sign.presign(call(&cloud, "GET", "/photos/locked"), "60"),
        &[7; 32],
    );
    let got = ask(&cloud, unsigned).await;
    assert_eq!(got, (403, "AccessDenied".into()), "headers not signed");
}

#[tokio::test]
async fn the_key_is_echoed_by_its_md5() {
    let cloud = encrypted().await;
    let get = |method: &str, key: &str| call(&cloud, method, &format!("/photos/{key}"));
    let same = signed(&cloud, get("HEAD", "same")).await;
    for method in ["HEAD", "GET"] {
        let call = with_key(get(method, "locked"), &[7; 32]);
        let call = call.header("x-amz-checksum-mode", "ENABLED");
        let got = signed(&cloud, call).await;
        let md5 = STANDARD.encode(Md5::digest([7; 32]));
        assert_eq!(got.header(ALGORITHM), Some("AES256"), "{method}");
        assert_eq!(got.header(KEY_MD5), Some(md5.as_str()), "{method}");
        assert_eq!(got.header(KEY), None, "{method}");
        let crc = simcloud::s3_base64(simcloud::crc64(b"secret"));
        assert_eq!(got.header("x-amz-checksum-crc64nvme"), Some(crc.as_str()));
        assert_ne!(got.header("etag"), same.header("etag"), "no MD5");
        if method == "GET" {
            assert_eq!(got.body, b"secret");
        }
    }
}

/// Azure has no way to be told the key.
#[tokio::test]
async fn the_service_cannot_fetch_them() {
    let cloud = encrypted().await;
    cloud.add_container(ACCOUNT, "box");
    let locked = from_url(&source(&cloud, "locked"));
    let rows = vec![(
        "an encrypted source",
        locked.clone(),
        400,
        "CannotVerifyCopySource",
    )];
    check_blob(&cloud, rows).await;
    let key = cloud.account_key(ACCOUNT);
    let refused = send(&cloud, shared_key(locked, ACCOUNT, &key, cloud.now())).await;
    assert_eq!(refused.header("x-ms-copy-source-status-code"), Some("400"));
}
