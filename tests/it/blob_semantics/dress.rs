//! What a write gives a blob besides its bytes, and the checksums it comes with.

use super::endpoint::Endpoint;
use super::{CRC64, MD5, TEXT};
use crate::simcloud_wire::Call;

const WRONG_MD5: &str = "AAAAAAAAAAAAAAAAAAAAAA==";

/// Bodies of whole blobs and of blocks.
pub(super) async fn checksums(at: &Endpoint) {
    let blob = |name: &str, value: &str| at.blob("s", TEXT).header(name, value);
    let block = |name: &str, value: &str| at.block("s", "s1", TEXT).header(name, value);
    let mismatch = if at.exact {
        "Md5Mismatch"
    } else {
        "InvalidOperation"
    };
    let put = at
        .expect("right MD5", blob("content-md5", MD5), 201, "")
        .await;
    assert_eq!(put.header("content-md5"), Some(MD5));
    let wrong = blob("content-md5", WRONG_MD5);
    at.expect("wrong MD5", wrong, 400, mismatch).await;
    let stored = blob("x-ms-blob-content-md5", MD5);
    at.expect("right MD5 to be stored", stored, 201, "").await;
    let wrong = blob("x-ms-blob-content-md5", WRONG_MD5);
    at.expect("wrong MD5 to be stored", wrong, 400, mismatch)
        .await;
    assert_eq!(at.get("s").await.header("content-md5"), Some(MD5));

    let asked = at
        .expect("right MD5", block("content-md5", MD5), 201, "")
        .await;
    let wrong = block("content-md5", WRONG_MD5);
    at.expect("wrong MD5", wrong, 400, mismatch).await;
    if !at.exact {
        return;
    }
    assert_eq!(asked.header("content-md5"), Some(MD5));
    assert_eq!(put.header("x-ms-content-crc64"), Some(CRC64));
    for body in [at.blob("s", TEXT), at.block("s", "s1", TEXT)] {
        let call = |name: &str, value: &str| body.clone().header(name, value);
        let right = call("x-ms-content-crc64", CRC64);
        let right = at.expect("right CRC", right, 201, "").await;
        assert_eq!(right.header("x-ms-content-crc64"), Some(CRC64));
        let wrong = call("x-ms-content-crc64", "AAAAAAAAAAA=");
        at.expect("wrong CRC", wrong, 400, "Crc64Mismatch").await;
        let both = call("content-md5", MD5).header("x-ms-content-crc64", CRC64);
        at.expect("both", both, 400, "BothCrc64AndMd5HeaderPresent")
            .await;
    }
}

/// Index tags as `key=value`, in the order of keys.
async fn tags_of(at: &Endpoint, name: &str) -> Vec<String> {
    let call = at.call("GET", &format!("/box/{name}?comp=tags"));
    let answer = at.expect(name, call, 200, "").await;
    let text = answer.text();
    let mut tags: Vec<String> = text
        .split("<Tag>")
        .skip(1)
        .map(|tag| {
            let part = |name: &str| {
                let rest = tag.split_once(&format!("<{name}>"));
                rest.map_or("", |(_, rest)| rest.split('<').next().unwrap())
            };
            format!("{}={}", part("Key"), part("Value"))
        })
        .collect();
    tags.sort();
    tags
}

async fn count(at: &Endpoint, name: &str) -> Option<String> {
    let head = at.call("HEAD", &format!("/box/{name}"));
    let head = at.expect("head", head, 200, "").await;
    head.header("x-ms-tag-count").map(str::to_owned)
}

fn tagged(call: Call, tags: &str) -> Call {
    call.header("x-ms-tags", tags)
}

pub(super) async fn tags(at: &Endpoint) {
    let put = tagged(at.blob("t", TEXT), "b=2&a=x+y%2B%20%3A%2F");
    let put = at.expect("put", put, 201, "").await;
    assert_eq!(tags_of(at, "t").await, ["a=x y+ :/", "b=2"]);
    assert_eq!(count(at, "t").await.as_deref(), Some("2"));
    let set = |name: &str, pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        let tags: String = pairs
            .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"))
            .collect();
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Tags><TagSet>{tags}</TagSet></Tags>"
        );
        at.put(&format!("/box/{name}?comp=tags"))
            .body(xml.as_bytes())
    };
    at.expect("set", set("t", &[("c", "3")]), 204, "").await;
    assert_eq!(tags_of(at, "t").await, ["c=3"], "all are replaced");
    assert_eq!(at.get("t").await.header("etag"), put.header("etag"));
    at.expect("over it", at.blob("t", TEXT), 201, "").await;
    assert!(
        tags_of(at, "t").await.is_empty(),
        "what is not given is cleared"
    );
    assert_eq!(count(at, "t").await, None);
    at.expect("block", at.block("t", "t1", TEXT), 201, "").await;
    let commit = tagged(at.list("t", &[("Latest", "t1")]), "d=4");
    at.expect("commit", commit, 201, "").await;
    assert_eq!(tags_of(at, "t").await, ["d=4"]);
    let missing = at.call("GET", "/box/nothing?comp=tags");
    at.expect("missing", missing, 404, "BlobNotFound").await;
    at.expect("missing", set("nothing", &[]), 404, "BlobNotFound")
        .await;
}

/// Tags no write takes, whole or by a list.
pub(super) async fn refused_tags(at: &Endpoint) {
    let many: Vec<String> = (0..11).map(|n| format!("k{n}=v")).collect();
    let invalid = if at.exact {
        "InvalidTag"
    } else {
        "DuplicateTagNames"
    };
    for (what, tags, code) in [
        ("eleven", many.join("&"), "TagsTooLarge"),
        ("no key", "=v".to_owned(), "EmptyTagName"),
        ("long key", format!("{}=v", "k".repeat(129)), "TagsTooLarge"),
        (
            "long value",
            format!("k={}", "v".repeat(257)),
            "TagsTooLarge",
        ),
        ("an at sign", "k=a%40b".to_owned(), invalid),
        ("an umlaut", "k=%C3%A4".to_owned(), invalid),
    ] {
        at.expect(what, tagged(at.blob("t2", TEXT), &tags), 400, code)
            .await;
        at.expect("block", at.block("t3", "t1", TEXT), 201, "")
            .await;
        let commit = tagged(at.list("t3", &[("Latest", "t1")]), &tags);
        at.expect(what, commit, 400, code).await;
    }
    let longest = format!("{}={}", "k".repeat(128), "v".repeat(256));
    at.expect("longest", tagged(at.blob("t2", TEXT), &longest), 201, "")
        .await;
    assert_eq!(tags_of(at, "t2").await, [longest]);
}

pub(super) async fn tiers(at: &Endpoint) {
    let with = |call: Call, tier: &str| call.header("x-ms-access-tier", tier);
    let lukewarm = with(at.blob("w", TEXT), "Lukewarm");
    at.expect("tier", lukewarm, 400, "InvalidHeaderValue").await;
    for tier in ["Hot", "Cool", "Cold", "Archive"] {
        let (put, list) = (format!("w-{tier}"), format!("w-{tier}-blocks"));
        at.expect(tier, with(at.blob(&put, TEXT), tier), 201, "")
            .await;
        at.expect("block", at.block(&list, "w1", TEXT), 201, "")
            .await;
        let commit = at.list(&list, &[("Latest", "w1")]);
        at.expect(tier, with(commit, tier), 201, "").await;
        for name in [&put, &list] {
            let head = at.call("HEAD", &format!("/box/{name}"));
            let head = at.expect(name, head, 200, "").await;
            assert_eq!(head.header("x-ms-access-tier"), Some(tier), "{name}");
        }
    }
    let archived = at.call("GET", "/box/w-Archive");
    at.expect("reading", archived, 409, "BlobArchived").await;
    let over = at.blob("w-Archive", TEXT);
    at.expect("over it", over, 409, "BlobArchived").await;
    let delete = at.call("DELETE", "/box/w-Archive");
    at.expect("delete", delete, 202, "").await;
    at.expect("again", at.blob("w-Archive", TEXT), 201, "")
        .await;
    assert_eq!(at.get("w-Archive").await.body, TEXT);
}
