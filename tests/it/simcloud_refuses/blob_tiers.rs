//! Access tiers, and what an archived blob refuses.

use simcloud::{ACCOUNT, Origin};

use super::{blob, block, block_from_url, check_blob, from_url, list, put, send, source, with_box};
use crate::simcloud_wire::{Call, shared_key};

fn read(method: &str, name: &str) -> Call {
    Call::new(method, &format!("/{ACCOUNT}/box/{name}")).header("x-ms-version", super::VERSION)
}

#[tokio::test]
async fn tiers_are_checked_however_they_come() {
    let cloud = with_box().await;
    let good = source(&cloud, "a%20b%2Bc");
    for (tier, code) in [
        ("Hot", ""),
        ("Cool", ""),
        ("Cold", ""),
        ("Lukewarm", "InvalidHeaderValue"),
        ("GLACIER", "InvalidHeaderValue"),
        ("Archive", ""),
    ] {
        let status = if code.is_empty() { 201 } else { 400 };
        let with = |call: Call| call.header("x-ms-access-tier", tier);
        let rows = vec![
            ("put", with(blob("put")), status, code),
            ("copy", with(from_url(&good)), status, code),
            ("a block", block("one", 1), 201, ""),
            ("commit", with(list(&["one"])), status, code),
        ];
        check_blob(&cloud, rows).await;
        if !code.is_empty() {
            continue;
        }
        for name in ["put", "copy", "blob"] {
            let view = cloud.blob(ACCOUNT, "box", name).unwrap();
            assert_eq!(view.tier.as_deref(), Some(tier), "{name}");
            let key = cloud.account_key(ACCOUNT);
            let head = shared_key(read("HEAD", name), ACCOUNT, &key, cloud.now());
            let head = send(&cloud, head).await;
            assert_eq!(head.header("x-ms-access-tier"), Some(tier), "{name}");
            assert_eq!(head.header("x-ms-access-tier-inferred"), None, "{name}");
        }
    }
}

#[tokio::test]
async fn archived_blobs_can_be_looked_at_and_deleted() {
    let cloud = with_box().await;
    let good = source(&cloud, "a%20b%2Bc");
    let tier = |tier: &str| blob("b").header("x-ms-access-tier", tier);
    let at = |call: Call, target: &str| Call {
        target: format!("/{ACCOUNT}/box/{target}"),
        ..call
    };
    let refused = "BlobArchived";
    let rows = vec![
        ("over nothing", tier("Archive"), 201, ""),
        ("HEAD", read("HEAD", "b"), 200, ""),
        ("GET", read("GET", "b"), 409, refused),
        ("over it", tier("Hot"), 409, refused),
        ("the same again", tier("Archive"), 409, refused),
        ("a copy over it", at(from_url(&good), "b"), 409, refused),
        (
            "a block",
            at(block("one", 1), "b?comp=block&blockid=YQ%3D%3D"),
            409,
            refused,
        ),
        (
            "a block of a copy",
            at(block_from_url(&good), "b?comp=block&blockid=YQ%3D%3D"),
            409,
            refused,
        ),
        ("a list", at(list(&[]), "b?comp=blocklist"), 409, refused),
        (
            "only if missing",
            tier("Hot").header("if-none-match", "*"),
            409,
            "BlobAlreadyExists",
        ),
        (
            "its tags",
            put("/box/b?comp=tags").body(b"<Tags><TagSet/></Tags>"),
            204,
            "",
        ),
        ("deleted", read("DELETE", "b"), 202, ""),
        ("over nothing again", tier("Hot"), 201, ""),
    ];
    check_blob(&cloud, rows).await;
    assert_eq!(cloud.writes(ACCOUNT, "box", "b"), 2);
}

/// What tests can tell of a blob: whether its bytes were fetched or brought.
#[tokio::test]
async fn origins_are_kept() {
    let cloud = with_box().await;
    let good = source(&cloud, "a%20b%2Bc");
    let fetched = || {
        let target = format!("/{ACCOUNT}/box/blob?comp=block&blockid=dHdv");
        Call {
            target,
            ..block_from_url(&good)
        }
    };
    let origin = |name: &str| cloud.blob(ACCOUNT, "box", name).unwrap().origin;
    let rows = vec![
        ("put", blob("put"), 201, ""),
        ("copy", from_url(&good), 201, ""),
        ("brought", block("one", 1), 201, ""),
        ("fetched", fetched(), 201, ""),
        ("both", list(&["one", "two"]), 201, ""),
    ];
    check_blob(&cloud, rows).await;
    assert_eq!((origin("put"), origin("copy")), (Origin::Body, Origin::Url));
    assert_eq!(origin("blob"), Origin::Both);
    check_blob(&cloud, vec![("the one", list(&["one"]), 201, "")]).await;
    assert_eq!(origin("blob"), Origin::Body);
    check_blob(
        &cloud,
        vec![
            ("fetched", fetched(), 201, ""),
            ("two", list(&["two"]), 201, ""),
        ],
    )
    .await;
    assert_eq!(origin("blob"), Origin::Url);
    check_blob(&cloud, vec![("none", list(&[]), 201, "")]).await;
    assert_eq!(origin("blob"), Origin::Nowhere);
}
