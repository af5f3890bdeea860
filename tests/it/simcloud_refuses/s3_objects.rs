//! What objects can have besides bytes.

use simcloud::{Object, OpKind, SimCloud};

use super::{Row, address, call, check_s3, cloud, signed, signer};

async fn with_tags() -> SimCloud {
    let cloud = cloud().await;
    for bucket in ["photos", "open"] {
        let object = Object::bytes("hello").tag("colour", "blue & <red>");
        cloud.put_object(bucket, "tagged", object.tag("Länge", ""));
    }
    cloud
}

#[tokio::test]
async fn requests_for_tags() {
    let cloud = with_tags().await;
    let sign = signer(&cloud);
    let get = |target: &str| call(&cloud, "GET", target);
    let mut later = sign.sign(get("/photos/tagged"));
    later.target.push_str("?tagging");
    let rows: Vec<Row<'_>> = vec![
        ("tags", sign.sign(get("/photos/tagged?tagging")), 200, ""),
        (
            "presigned",
            sign.presign(get("/photos/tagged?tagging"), "60"),
            200,
            "",
        ),
        (
            "no tags",
            sign.sign(get("/photos/a%20b%2Bc?tagging")),
            200,
            "",
        ),
        (
            "of the version that has none",
            sign.sign(get("/photos/tagged?tagging&versionId=null")),
            200,
            "",
        ),
        (
            "unsigned",
            get("/photos/tagged?tagging"),
            403,
            "AccessDenied",
        ),
        (
            "unsigned, public bucket",
            get("/open/tagged?tagging"),
            403,
            "AccessDenied",
        ),
        (
            "signed without the parameter",
            later,
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "of no object",
            sign.sign(get("/photos/nothing?tagging")),
            404,
            "NoSuchKey",
        ),
    ];
    check_s3(&cloud, rows).await;
    assert_eq!(cloud.requests(OpKind::GetObjectTagging), 8);
    assert_eq!(cloud.refused(OpKind::GetObjectTagging), 4);
}

#[tokio::test]
async fn tags_are_told_and_counted() {
    let cloud = with_tags().await;
    let get = |target: &str| call(&cloud, "GET", target);
    let set = signed(&cloud, get("/photos/tagged?tagging")).await;
    let inner = set.element("TagSet").unwrap();
    assert_eq!(
        inner,
        "<Tag><Key>colour</Key><Value>blue &amp; &lt;red&gt;</Value></Tag>\
         <Tag><Key>Länge</Key><Value></Value></Tag>"
    );
    let none = signed(&cloud, get("/photos/a%20b%2Bc?tagging")).await;
    assert_eq!(none.element("TagSet").as_deref(), Some(""));
    for method in ["HEAD", "GET"] {
        let count = |key: &str| signed(&cloud, call(&cloud, method, &format!("/photos/{key}")));
        let some = count("tagged").await;
        assert_eq!(some.header("x-amz-tagging-count"), Some("2"), "{method}");
        let none = count("a%20b%2Bc").await;
        assert_eq!(none.header("x-amz-tagging-count"), None, "{method}");
    }
    let anyone = get("/open/tagged").send(&address(&cloud.s3_url())).await;
    let count = anyone.header("x-amz-tagging-count");
    assert_eq!((anyone.status, count), (200, None), "not without the right");
}

/// What an object was given comes back with HEAD and with GET, valid or not.
#[tokio::test]
async fn headers_and_metadata() {
    let cloud = cloud().await;
    let headers = [
        ("Content-Type", "text/x"),
        ("Content-Language", "de, en"),
        ("Content-Encoding", "gzip"),
        ("Content-Disposition", "attachment; filename=\"a b\""),
        ("Cache-Control", "no-store"),
        ("Expires", "0"),
        ("x-amz-website-redirect-location", "/other"),
        ("x-amz-missing-meta", "2"),
        ("x-amz-server-side-encryption", "aws:kms"),
    ];
    let metadata = [
        ("plain", "a b; c=\"d\"", "a b; c=\"d\""),
        (
            "umlaut",
            "schön grün_2?",
            "=?UTF-8?Q?sch=C3=B6n_gr=C3=BCn=5F2=3F?=",
        ),
        ("control", "a\u{85}", "=?UTF-8?B?YcKF?="),
        ("encoded", "=?UTF-8?B?w6Q=?=", "=?UTF-8?B?w6Q=?="),
    ];
    let mut object = Object::bytes("hello");
    for (name, value) in headers {
        object = object.header(name, value);
    }
    for (name, value, _) in metadata {
        object = object.metadata(name, value);
    }
    let object = object.metadata("twice", "a").metadata("Twice", "b");
    cloud.put_object("photos", "dressed", object);
    for method in ["HEAD", "GET"] {
        let told = signed(&cloud, call(&cloud, method, "/photos/dressed")).await;
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            assert_eq!(told.header(&name), Some(value), "{method} {name}");
        }
        for (name, _, wired) in metadata {
            let name = format!("x-amz-meta-{name}");
            assert_eq!(told.header(&name), Some(wired), "{method} {name}");
        }
        assert_eq!(told.header("x-amz-meta-twice"), Some("a,b"), "{method}");
    }
    let plain = signed(&cloud, call(&cloud, "HEAD", "/photos/a%20b%2Bc")).await;
    assert_eq!(plain.header("content-type"), Some("binary/octet-stream"));
    assert_eq!(plain.header("expires"), None);
}
