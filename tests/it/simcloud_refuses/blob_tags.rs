//! Index tags, given with a blob and changed later.

use simcloud::{ACCOUNT, SimCloud};

use super::{blob, block, check_blob, from_url, list, put, send, source, with_box};
use crate::simcloud_wire::{Answer, Call, encode, minutes, shared_key};

type Pair<'a> = (&'a str, &'a str);

fn header(tags: &[Pair<'_>]) -> String {
    let pairs = tags.iter();
    let pairs: Vec<String> = pairs
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
        .collect();
    pairs.join("&")
}

/// Set Blob Tags.
fn set(name: &str, tags: &[Pair<'_>]) -> Call {
    let tags = tags.iter();
    let tags: String = tags
        .map(|(key, value)| {
            let (key, value) = (key.replace('&', "&amp;"), value.replace('&', "&amp;"));
            format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>")
        })
        .collect();
    let xml = format!("<Tags><TagSet>{tags}</TagSet></Tags>");
    put(&format!("/box/{name}?comp=tags")).body(xml.as_bytes())
}

fn get(name: &str) -> Call {
    Call::new("GET", &format!("/{ACCOUNT}/box/{name}?comp=tags"))
        .header("x-ms-version", super::VERSION)
}

async fn ask(cloud: &SimCloud, call: Call) -> Answer {
    let key = cloud.account_key(ACCOUNT);
    send(cloud, shared_key(call, ACCOUNT, &key, cloud.now())).await
}

/// Each set of tags in each of the four ways to give a blob some.
#[tokio::test]
async fn tags_are_checked_however_they_come() {
    let cloud = with_box().await;
    check_blob(&cloud, vec![("a blob", blob("set"), 201, "")]).await;
    let good = source(&cloud, "a%20b%2Bc");
    let keys: Vec<String> = (0..11).map(|n| format!("k{n}")).collect();
    let many: Vec<Pair<'_>> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    let (long, longer) = ("k".repeat(128), "k".repeat(129));
    let (value, too_long) = ("v".repeat(256), "v".repeat(257));
    let rows: [(&str, &[Pair<'_>], &str); 13] = [
        ("ten tags", &many[..10], ""),
        ("eleven tags", &many, "TagsTooLarge"),
        ("every character", &[("aZ09 +-./:=_", " +-./:=_aZ09")], ""),
        ("no value", &[("k", "")], ""),
        ("no key", &[("", "v")], "EmptyTagName"),
        ("a key of 128", &[(&long, "v")], ""),
        ("a key of 129", &[(&longer, "v")], "TagsTooLarge"),
        ("a value of 256", &[("k", &value)], ""),
        ("a value of 257", &[("k", &too_long)], "TagsTooLarge"),
        ("S3's @", &[("k", "a@b")], "InvalidTag"),
        ("an ampersand", &[("a&b", "v")], "InvalidTag"),
        ("a letter beyond ASCII", &[("k", "ä")], "InvalidTag"),
        (
            "a key twice",
            &[("k", "v"), ("k", "w")],
            "DuplicateTagNames",
        ),
    ];
    for (what, tags, code) in rows {
        let status = |good| if code.is_empty() { good } else { 400 };
        let with = |call: Call| call.header("x-ms-tags", &header(tags));
        let ways = vec![
            ("put", with(blob("put")), status(201), code),
            ("copy", with(from_url(&good)), status(201), code),
            ("a block", block("one", 1), 201, ""),
            ("commit", with(list(&["one"])), status(201), code),
            ("set", set("set", tags), status(204), code),
        ];
        for way in ways {
            let name = format!("{what}, {}", way.0);
            check_blob(&cloud, vec![(&name, way.1, way.2, way.3)]).await;
        }
        if !code.is_empty() {
            continue;
        }
        for name in ["put", "copy", "blob", "set"] {
            let view = cloud.blob(ACCOUNT, "box", name).unwrap();
            let mut tags = tags.to_vec();
            tags.sort_unstable();
            let kept: Vec<Pair<'_>> = view.tags.iter().map(|(k, v)| (&**k, &**v)).collect();
            assert_eq!(kept, tags, "{what}, {name}");
        }
    }
}

#[tokio::test]
async fn wrong_requests_about_tags() {
    let cloud = with_box().await;
    let long = header(&[("k", &"v".repeat(2047))]);
    let rows = vec![
        ("a blob", blob("b"), 201, ""),
        (
            "a header of over 2 KiB",
            blob("c").header("x-ms-tags", &long),
            400,
            "TagsTooLarge",
        ),
        (
            "no pair",
            blob("c").header("x-ms-tags", "a"),
            400,
            "InvalidHeaderValue",
        ),
        (
            "copied from the source",
            from_url("http://127.0.0.1:1/a").header("x-ms-copy-source-tag-option", "COPY"),
            501,
            "NotImplemented",
        ),
        ("of no blob", get("c"), 404, "BlobNotFound"),
        ("for no blob", set("c", &[]), 404, "BlobNotFound"),
        (
            "a document that is none",
            put("/box/b?comp=tags").body(b"<Tags/>"),
            400,
            "InvalidXmlDocument",
        ),
        (
            "a wrong CRC",
            set("b", &[]).header("x-ms-content-crc64", "AAAAAAAAAAA="),
            400,
            "Crc64Mismatch",
        ),
        (
            "another state",
            set("b", &[]).header("if-match", "\"0x1\""),
            412,
            "ConditionNotMet",
        ),
    ];
    check_blob(&cloud, rows).await;
}

#[tokio::test]
async fn tags_are_replaced_as_a_whole() {
    let cloud = with_box().await;
    let tagged = blob("b").header("x-ms-tags", &header(&[("a", "1"), ("b", "x y")]));
    check_blob(&cloud, vec![("a blob with tags", tagged.clone(), 201, "")]).await;
    let before = cloud.blob(ACCOUNT, "box", "b").unwrap();
    let told = ask(&cloud, get("b")).await;
    let expected =
        "<Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>x y</Value></Tag>";
    assert_eq!(told.element("TagSet").as_deref(), Some(expected));
    let head = || put("/box/b").without("content-length");
    let head = || Call {
        method: "HEAD".into(),
        ..head()
    };
    let count = ask(&cloud, head()).await;
    assert_eq!(count.header("x-ms-tag-count"), Some("2"));

    check_blob(
        &cloud,
        vec![("other tags", set("b", &[("c", "3")]), 204, "")],
    )
    .await;
    let after = cloud.blob(ACCOUNT, "box", "b").unwrap();
    assert_eq!(after.tags, [("c".to_owned(), "3".to_owned())]);
    assert_eq!(after.etag, before.etag, "tags are no part of the state");
    check_blob(&cloud, vec![("no tags", set("b", &[]), 204, "")]).await;
    let none = ask(&cloud, head()).await;
    assert_eq!(none.header("x-ms-tag-count"), None);
    check_blob(
        &cloud,
        vec![("tags", tagged, 201, ""), ("none", blob("b"), 201, "")],
    )
    .await;
    let bare = cloud.blob(ACCOUNT, "box", "b").unwrap();
    assert_eq!(bare.tags, [], "what is not given is cleared");
}

#[tokio::test]
async fn tags_need_a_right_of_their_own() {
    let cloud = with_box().await;
    check_blob(&cloud, vec![("a blob", blob("b"), 201, "")]).await;
    let soon = cloud.now() + minutes(5);
    cloud.add_token(ACCOUNT, "owner", soon);
    cloud.add_token_without_tags(ACCOUNT, "contributor", soon);
    let sas = |permissions: &str| cloud.sas(ACCOUNT, permissions, soon);
    let with_sas = |call: Call, permissions: &str| Call {
        target: format!("{}&{}", call.target, sas(permissions)),
        ..call
    };
    let bearer = |call: Call, token: &str| call.header("authorization", &format!("Bearer {token}"));
    let tagged = || blob("b").header("x-ms-tags", "a=1");
    let mismatch = "AuthorizationPermissionMismatch";
    let rows = vec![
        ("reading by SAS", with_sas(get("b"), "t"), 200, ""),
        (
            "reading without t",
            with_sas(get("b"), "rwdlac"),
            403,
            mismatch,
        ),
        ("setting by SAS", with_sas(set("b", &[]), "t"), 204, ""),
        (
            "setting without t",
            with_sas(set("b", &[]), "rwdlac"),
            403,
            mismatch,
        ),
        ("reading by an owner", bearer(get("b"), "owner"), 200, ""),
        ("writing by an owner", bearer(tagged(), "owner"), 201, ""),
        (
            "a contributor reading",
            bearer(get("b"), "contributor"),
            403,
            mismatch,
        ),
        (
            "a contributor writing",
            bearer(tagged(), "contributor"),
            403,
            mismatch,
        ),
        (
            "the same without tags",
            bearer(blob("b"), "contributor"),
            201,
            "",
        ),
    ];
    for (what, call, status, code) in rows {
        let answer = send(&cloud, call).await;
        let got = (answer.status, answer.code());
        assert_eq!(got, (status, code.to_owned()), "{what}: {}", answer.text());
    }
}
