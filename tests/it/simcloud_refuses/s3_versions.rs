//! Versions of objects.

use simcloud::{ACCOUNT, Object, SimCloud};

use super::{Row, call, check_blob, check_s3, cloud, from_url, signed, signer, source, with_box};

const FIRST: &str = "3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH";
const SECOND: &str = "v5n1PPUjOCMHLyyfq0ayjoZ5RZLfVQKA";
const NOBODYS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn put(cloud: &SimCloud) {
    cloud.put_object("photos", "v", Object::bytes("zeroth"));
    let first = Object::bytes("first").version(FIRST).tag("a", "1");
    cloud.put_object("photos", "v", first);
    cloud.put_object("photos", "v", Object::bytes("second").version(SECOND));
}

/// Body and version of GET, signed in headers, in the query, and of HEAD without the body.
async fn read(cloud: &SimCloud, query: &str) -> (String, Option<String>) {
    let target = format!("/photos/v{query}");
    let version = |answer: &crate::simcloud_wire::Answer| {
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        answer.header("x-amz-version-id").map(str::to_owned)
    };
    let got = signed(cloud, call(cloud, "GET", &target)).await;
    let presigned = signer(cloud).presign(call(cloud, "GET", &target), "60");
    let presigned = presigned.send(&super::address(&cloud.s3_url())).await;
    let head = signed(cloud, call(cloud, "HEAD", &target)).await;
    assert_eq!(presigned.body, got.body, "{query}");
    assert_eq!(version(&presigned), version(&got), "{query}");
    assert_eq!(version(&head), version(&got), "{query}");
    assert_eq!(head.header("etag"), got.header("etag"), "{query}");
    (got.text(), version(&got))
}

#[tokio::test]
async fn each_version_can_be_asked_for() {
    let cloud = cloud().await;
    put(&cloud);
    let of = |version: &str| format!("?versionId={version}");
    let expected = |body: &str, version: Option<&str>| (body.to_owned(), version.map(Into::into));
    let second = expected("second", Some(SECOND));
    assert_eq!(read(&cloud, "").await, second);
    assert_eq!(read(&cloud, &of(SECOND)).await, second);
    assert_eq!(
        read(&cloud, &of(FIRST)).await,
        expected("first", Some(FIRST))
    );
    assert_eq!(read(&cloud, &of("null")).await, expected("zeroth", None));
    let tags = format!("/photos/v?tagging&versionId={FIRST}");
    let tags = signed(&cloud, call(&cloud, "GET", &tags)).await;
    assert_eq!(tags.element("Key").as_deref(), Some("a"));
    assert_eq!(tags.header("x-amz-version-id"), Some(FIRST));
    let page = signed(&cloud, call(&cloud, "GET", "/photos?list-type=2&prefix=v")).await;
    assert_eq!(page.text().matches("<Contents>").count(), 1);
    assert_eq!(
        page.element("Size").as_deref(),
        Some("6"),
        "the newest is listed"
    );

    cloud.delete_object("photos", "v");
    let gone = signed(&cloud, call(&cloud, "HEAD", "/photos/v")).await;
    let marker = gone.header("x-amz-delete-marker");
    assert_eq!((gone.status, marker), (404, Some("true")));
    assert_eq!(read(&cloud, &of(SECOND)).await, second, "behind the marker");
    put(&cloud);
    cloud.delete_version("photos", "v", SECOND);
    assert_eq!(read(&cloud, "").await, expected("first", Some(FIRST)));
}

#[tokio::test]
async fn versions_that_are_not() {
    let cloud = cloud().await;
    put(&cloud);
    let sign = signer(&cloud);
    let of = |method: &str, key: &str, version: &str| {
        let target = format!("/photos/{key}?versionId={version}");
        sign.sign(call(&cloud, method, &target))
    };
    let unknown = "NoSuchVersion";
    let rows: Vec<Row<'_>> = vec![
        (
            "a version of another key",
            of("GET", "a%20b%2Bc", FIRST),
            404,
            unknown,
        ),
        ("nobody's version", of("GET", "v", NOBODYS), 404, unknown),
        ("of no key", of("GET", "nothing", NOBODYS), 404, unknown),
        ("the only version", of("GET", "a%20b%2Bc", "null"), 200, ""),
        ("HEAD of nobody's", of("HEAD", "v", NOBODYS), 404, ""),
        (
            "a version that cannot be",
            of("GET", "v", "abc"),
            400,
            "InvalidArgument",
        ),
        ("HEAD of such", of("HEAD", "v", "abc"), 400, ""),
        (
            "an empty version",
            of("GET", "v", ""),
            400,
            "InvalidArgument",
        ),
        (
            "tags of nobody's",
            sign.sign(call(
                &cloud,
                "GET",
                &format!("/photos/v?tagging&versionId={NOBODYS}"),
            )),
            404,
            unknown,
        ),
    ];
    check_s3(&cloud, rows).await;
    cloud.delete_version("photos", "v", FIRST);
    check_s3(
        &cloud,
        vec![("deleted", of("GET", "v", FIRST), 404, unknown)],
    )
    .await;
}

/// A copy of a presigned version gets that very one.
#[tokio::test]
async fn a_version_is_copied() {
    let cloud = with_box().await;
    put(&cloud);
    let old = from_url(&source(&cloud, &format!("v?versionId={FIRST}")));
    check_blob(&cloud, vec![("the first", old, 201, "")]).await;
    let copied = cloud.blob(ACCOUNT, "box", "copy").unwrap();
    assert_eq!(copied.bytes.as_deref(), Some(&b"first"[..]));
}
