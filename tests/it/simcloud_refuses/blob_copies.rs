//! Copy sources and the checksums of copies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use simcloud::ACCOUNT;

use super::{block_from_url, check_blob, from_url, send, source, with_box};
use crate::simcloud_wire::shared_key;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn copy_sources() {
    let cloud = with_box().await;
    let good = source(&cloud, "a%20b%2Bc");
    let padded = |length: usize| format!("{good}&response-expires={}", "a".repeat(length));
    let long = "http://127.0.0.1:1/".to_owned() + &"a".repeat(2048 - 19);
    let longer = format!("{long}a");
    let expired = good.replace("X-Amz-Expires=60", "X-Amz-Expires=61");
    let md5 = |digest: [u8; 16]| STANDARD.encode(digest);
    let right_md5 = STANDARD.decode("XUFAKrxLKna5cZ2REBfFkg==").unwrap();
    let right_md5 = md5(right_md5.try_into().unwrap());
    let wrong_md5 = md5([1; 16]);
    let hosted = "http://photos.s3.eu-west-1.amazonaws.com/a";
    let denied = "CannotVerifyCopySource";
    let rows = vec![
        ("the right source", from_url(&good), 201, ""),
        ("a block of it", block_from_url(&good), 201, ""),
        (
            "no length",
            from_url(&good).without("content-length"),
            411,
            "MissingContentLengthHeader",
        ),
        (
            "a body",
            from_url(&good).body(b"x"),
            400,
            "InvalidHeaderValue",
        ),
        (
            "an old version",
            from_url(&good).replace("x-ms-version", "2019-12-12"),
            400,
            "InvalidHeaderValue",
        ),
        (
            "a range of a whole blob",
            from_url(&good).header("x-ms-source-range", "bytes=0-1"),
            400,
            "UnsupportedHeader",
        ),
        (
            "a source that is no URL",
            from_url("/photos/a"),
            400,
            "InvalidHeaderValue",
        ),
        (
            "a URL with a space",
            from_url("http://127.0.0.1:1/a b"),
            400,
            "InvalidHeaderValue",
        ),
        ("2,048 bytes", from_url(&long), 500, denied),
        ("2,049 bytes", from_url(&longer), 400, "OutOfRangeInput"),
        (
            "the same for a block",
            block_from_url(&longer),
            400,
            "OutOfRangeInput",
        ),
        ("a tampered source", from_url(&expired), 403, denied),
        ("a parameter not signed", from_url(&padded(1)), 403, denied),
        (
            "no such key",
            from_url(&source(&cloud, "nothing")),
            404,
            denied,
        ),
        (
            "an archived source",
            from_url(&source(&cloud, "cold")),
            403,
            denied,
        ),
        (
            "a key the service rewrites",
            from_url(&source(&cloud, "x/../a%20b%2Bc")),
            403,
            denied,
        ),
        ("a redirect", from_url(hosted), 400, denied),
        (
            "the right MD5",
            from_url(&good).header("x-ms-source-content-md5", &right_md5),
            201,
            "",
        ),
        (
            "a wrong MD5",
            from_url(&good).header("x-ms-source-content-md5", &wrong_md5),
            400,
            "Md5Mismatch",
        ),
        (
            "a wrong CRC",
            block_from_url(&good).header("x-ms-source-content-crc64", "AAAAAAAAAAA="),
            400,
            "Crc64Mismatch",
        ),
        (
            "only if missing",
            from_url(&good).header("if-none-match", "*"),
            409,
            "BlobAlreadyExists",
        ),
        (
            "only if it is another",
            from_url(&good).header("if-match", "\"0x1\""),
            412,
            "ConditionNotMet",
        ),
        (
            "a condition on a block",
            block_from_url(&good).header("if-match", "*"),
            400,
            "ConditionHeadersNotSupported",
        ),
        (
            "a condition on the source",
            from_url(&good).header("x-ms-source-if-match", "\"a\""),
            501,
            "NotImplemented",
        ),
        (
            "an asynchronous copy",
            from_url(&good).without("x-ms-blob-type"),
            501,
            "NotImplemented",
        ),
    ];
    check_blob(&cloud, rows).await;
    assert_eq!(
        cloud.writes(ACCOUNT, "box", "copy"),
        2,
        "nothing refused was written"
    );

    let key = cloud.account_key(ACCOUNT);
    let call = shared_key(from_url(&expired), ACCOUNT, &key, cloud.now());
    let answer = send(&cloud, call).await;
    let status = answer.header("x-ms-copy-source-status-code");
    assert_eq!(
        (status, answer.element("CopySourceStatusCode").as_deref()),
        (Some("403"), Some("403"))
    );
    assert_eq!(
        answer.header("x-ms-copy-source-error-code"),
        None,
        "S3's code is not passed on"
    );
}

/// Which checksums the answers name, as recorded of the live service.
#[tokio::test]
async fn checksums_in_answers() {
    let cloud = with_box().await;
    let good = source(&cloud, "a%20b%2Bc");
    let md5 = "XUFAKrxLKna5cZ2REBfFkg==";
    let crc64 = simcloud::azure_base64(simcloud::crc64(b"hello"));
    let crc64 = crc64.as_str();
    for (what, call, told_crc64, told_md5) in [
        ("blob", from_url(&good), Some(crc64), None),
        ("block", block_from_url(&good), Some(crc64), None),
        (
            "block, MD5 given",
            block_from_url(&good).header("x-ms-source-content-md5", md5),
            None,
            Some(md5),
        ),
        (
            "block, CRC given",
            block_from_url(&good).header("x-ms-source-content-crc64", crc64),
            None,
            None,
        ),
    ] {
        let call = shared_key(call, ACCOUNT, &cloud.account_key(ACCOUNT), cloud.now());
        let answer = send(&cloud, call).await;
        let told = (
            answer.header("x-ms-content-crc64"),
            answer.header("content-md5"),
        );
        assert_eq!(told, (told_crc64, told_md5), "{what}");
    }
}
