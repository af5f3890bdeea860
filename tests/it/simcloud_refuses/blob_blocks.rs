//! Whole blobs, blocks and their lists.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use simcloud::ACCOUNT;

use super::{blob, block, check_blob, list, put, with_box};
use crate::simcloud_wire::encode;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn writes_and_blocks() {
    let cloud = with_box().await;
    let rows = vec![
        ("the right blob", blob("blob"), 201, ""),
        (
            "no version",
            blob("blob").without("x-ms-version"),
            400,
            "MissingRequiredHeader",
        ),
        (
            "a version that never was",
            blob("blob").replace("x-ms-version", "2021-01-01"),
            400,
            "InvalidHeaderValue",
        ),
        (
            "no length",
            blob("blob").without("content-length"),
            411,
            "MissingContentLengthHeader",
        ),
        (
            "no type",
            blob("blob").without("x-ms-blob-type"),
            400,
            "MissingRequiredHeader",
        ),
        (
            "a page blob",
            blob("blob").replace("x-ms-blob-type", "PageBlob"),
            501,
            "NotImplemented",
        ),
        (
            "only if missing",
            blob("blob").header("if-none-match", "*"),
            409,
            "BlobAlreadyExists",
        ),
        (
            "only if it is another",
            blob("blob").header("if-match", "\"0x1\""),
            412,
            "ConditionNotMet",
        ),
        (
            "only if it was there",
            blob("new").header("if-match", "*"),
            412,
            "ConditionNotMet",
        ),
        (
            "wrong MD5",
            blob("blob").header("content-md5", &STANDARD.encode([1; 16])),
            400,
            "Md5Mismatch",
        ),
        (
            "an MD5 that is none",
            blob("blob").header("content-md5", "AAAA"),
            400,
            "InvalidMd5",
        ),
        (
            "wrong MD5 to be stored",
            blob("blob").header("x-ms-blob-content-md5", &STANDARD.encode([1; 16])),
            400,
            "Md5Mismatch",
        ),
        (
            "a CRC that is none",
            blob("blob").header("x-ms-content-crc64", "AAAA"),
            400,
            "InvalidHeaderValue",
        ),
        (
            "wrong CRC",
            blob("blob").header("x-ms-content-crc64", "AAAAAAAAAAA="),
            400,
            "Crc64Mismatch",
        ),
        (
            "S3's byte order",
            blob("blob").header(
                "x-ms-content-crc64",
                &simcloud::s3_base64(simcloud::crc64(b"hello")),
            ),
            400,
            "Crc64Mismatch",
        ),
        (
            "Azure's byte order",
            blob("blob").header(
                "x-ms-content-crc64",
                &simcloud::azure_base64(simcloud::crc64(b"hello")),
            ),
            201,
            "",
        ),
        (
            "both sums",
            blob("blob")
                .header("content-md5", "AA==")
                .header("x-ms-content-crc64", "AA=="),
            400,
            "BothCrc64AndMd5HeaderPresent",
        ),
        (
            "a lease",
            blob("blob").header("x-ms-lease-id", "1"),
            501,
            "NotImplemented",
        ),
        ("a block", block("one", 3), 201, ""),
        ("an empty block", block("one", 0), 400, "InvalidHeaderValue"),
        (
            "a block of a wrong MD5",
            block("one", 3).header("content-md5", &STANDARD.encode([1; 16])),
            400,
            "Md5Mismatch",
        ),
        (
            "a block of a wrong CRC",
            block("one", 3).header("x-ms-content-crc64", "AAAAAAAAAAA="),
            400,
            "Crc64Mismatch",
        ),
        (
            "a block with both sums",
            block("one", 3)
                .header("content-md5", "AA==")
                .header("x-ms-content-crc64", "AA=="),
            400,
            "BothCrc64AndMd5HeaderPresent",
        ),
        (
            "a block id of another length",
            block("three", 3),
            400,
            "InvalidBlobOrBlock",
        ),
        (
            "a block id that is no base64",
            put("/box/blob?comp=block&blockid=%21").body(b"x"),
            400,
            "InvalidQueryParameterValue",
        ),
        (
            "a block id of 64 bytes",
            put(&format!(
                "/box/other?comp=block&blockid={}",
                encode(&STANDARD.encode([7; 64]))
            ))
            .body(b"x"),
            201,
            "",
        ),
        (
            "a block id of 65 bytes",
            put(&format!(
                "/box/other2?comp=block&blockid={}",
                encode(&STANDARD.encode([7; 65]))
            ))
            .body(b"x"),
            400,
            "InvalidQueryParameterValue",
        ),
        (
            "a condition on a block",
            block("two", 1).header("if-none-match", "*"),
            400,
            "ConditionHeadersNotSupported",
        ),
        (
            "a block nobody staged",
            list(&["one", "two"]),
            400,
            "InvalidBlockList",
        ),
        (
            "a list of 50,001",
            list(&vec!["one"; 50_001]),
            400,
            "BlockListTooLong",
        ),
        (
            "no list",
            put("/box/blob?comp=blocklist").body(b"<Blocks/>"),
            400,
            "InvalidXmlDocument",
        ),
        (
            "a list with the blob's CRC",
            list(&["one"]).header(
                "x-ms-content-crc64",
                &simcloud::azure_base64(simcloud::crc64(b"xxx")),
            ),
            400,
            "Crc64Mismatch",
        ),
        (
            "a list with the blob's MD5",
            list(&["one"]).header("content-md5", &STANDARD.encode(Md5::digest(b"xxx"))),
            400,
            "Md5Mismatch",
        ),
        (
            "a list only if missing",
            list(&["one"]).header("if-none-match", "*"),
            409,
            "BlobAlreadyExists",
        ),
        (
            "a list only for another state",
            list(&["one"]).header("if-match", "\"0x1\""),
            412,
            "ConditionNotMet",
        ),
        ("the right list", list(&["one"]), 201, ""),
        (
            "blocks are gone after a commit",
            list(&["two"]),
            400,
            "InvalidBlockList",
        ),
    ];
    check_blob(&cloud, rows).await;
    assert_eq!(cloud.writes(ACCOUNT, "box", "blob"), 3);
    let view = cloud.blob(ACCOUNT, "box", "blob").unwrap();
    assert_eq!(view.bytes.as_deref(), Some(&b"xxx"[..]));
}
