//! The bridge, moto, and the scripts that seed and compare, proved on each other: objects that
//! boto3 put into moto are copied through the bridge from URLs that boto3 presigned, then read
//! back by Azure's own library.

use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::client::Http;
use super::{Bridge, sas_with, start};
use crate::moto::{self, Moto};
use crate::parts;

const MIB: u64 = 1 << 20;
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

fn blob_url(bridge: &Bridge, blob: &str) -> String {
    let blob = utf8_percent_encode(blob, IN_PATH);
    bridge.destination(&format!("con/{blob}"))
}

/// Properties and metadata of a presigned object as request headers.
fn described(object: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pairs = |field: &str| object[field].as_object().unwrap().clone();
    let properties = pairs("properties").into_iter().map(|(k, v)| (k, text(&v)));
    let metadata = pairs("metadata").into_iter();
    let metadata = metadata.map(|(k, v)| (format!("x-ms-meta-{k}"), text(&v)));
    properties.chain(metadata).collect()
}

fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect()
}

/// Copies one object as the product would: up to 1 MiB at once, above it in blocks of 1 MiB.
async fn copy(http: &Http, bridge: &Bridge, object: &Value) {
    let url = blob_url(bridge, object["key"].as_str().unwrap());
    let source = object["url"].as_str().unwrap();
    let size = object["size"].as_u64().unwrap();
    let described = described(object);
    if size <= MIB {
        let mut headers = vec![
            ("x-ms-blob-type", "BlockBlob"),
            ("x-ms-copy-source", source),
        ];
        headers.push(("x-ms-copy-source-blob-properties", "false"));
        headers.extend(borrowed(&described));
        let answer = http.put(&url, &headers).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{url}: {}", answer.body);
        assert!(answer.header("x-ms-content-crc64").is_some());
        return;
    }
    let mut list = String::from("<BlockList>");
    for index in 0..size.div_ceil(MIB) {
        let id = format!("block{index:03}");
        let end = ((index + 1) * MIB).min(size) - 1;
        let range = format!("bytes={}-{end}", index * MIB);
        let headers = [("x-ms-copy-source", source), ("x-ms-source-range", &range)];
        let block = format!("{url}&comp=block&blockid={id}");
        let answer = http.put(&block, &headers).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        list += &format!("<Latest>block{index:03}</Latest>");
    }
    list += "</BlockList>";
    let url = format!("{url}&comp=blocklist");
    let answer = http
        .send(Method::PUT, &url, &borrowed(&described), list)
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
}

fn compare(moto: &Moto, blob: &str, rules: &Value) -> Value {
    let rules = parts::json_file(rules);
    let sas = super::sas();
    let rules = rules.path().to_str().unwrap();
    parts::script(
        "compare.py",
        &[
            "--s3",
            moto.url(),
            "--blob",
            blob,
            "--sas",
            &sas,
            "--rules",
            rules,
        ],
    )
}

#[tokio::test]
async fn presigned_objects_arrive_with_bytes_properties_and_metadata() {
    let (moto, bridge, http) = (moto::seeded(), start(), Http::new());
    http.container(&bridge, "con").await;
    let objects = moto.presigned(None);
    let bucket = |name| move |object: &&Value| object["bucket"] == name;
    for object in objects.as_array().unwrap().iter().filter(bucket("pre-one")) {
        if !object["key"].as_str().unwrap().ends_with('/') {
            copy(&http, &bridge, object).await;
        }
    }
    let rules = json!({"only": true, "rules": [{"bucket": "pre-one", "container": "con"}]});
    // Read once at Azurite and once through the bridge, which must not stand in the way.
    for blob in [bridge.azurite(), bridge.url()] {
        let verdict = compare(moto, &blob, &rules);
        assert_eq!(verdict["differences"], json!([]));
        assert_eq!(verdict["markers"], 2);
        assert_eq!(verdict["compared"], 61);
        assert_eq!(verdict["objects"], 63);
        assert_eq!(verdict["bytes"], verdict["bytes_compared"]);
    }
}

#[tokio::test]
async fn the_comparison_finds_every_kind_of_difference() {
    let (moto, bridge, http) = (moto::start(), start(), Http::new());
    let plan = six_objects();
    moto.seed(Some(&plan));
    http.container(&bridge, "con").await;
    http.container(&bridge, "stray").await;
    let presigned = moto.presigned(Some(&plan));
    let object = |index: usize| presigned[index].clone();
    let altered = |index: usize, field: &str, value: Value| {
        let mut object = object(index);
        object[field] = value;
        object
    };
    let image = json!({"x-ms-blob-content-type": "image/png"});
    for object in [
        altered(0, "url", object(5)["url"].clone()),
        // Number 2 is never copied.
        altered(3, "properties", image),
        altered(4, "metadata", json!({"a": "c"})),
        object(5),
        altered(5, "key", json!("extra")),
    ] {
        copy(&http, &bridge, &object).await;
    }
    let text = [
        ("x-ms-blob-type", "BlockBlob"),
        ("content-type", "text/plain"),
    ];
    let headers = [text.as_slice(), &[("x-ms-meta-a", "b")]].concat();
    let url = blob_url(&bridge, "1-size");
    let answer = http.send(Method::PUT, &url, &headers, "short").await;
    assert_eq!(answer.status, StatusCode::CREATED);

    let rules = json!({"only": true, "rules": [{"bucket": "bkt", "container": "con"}]});
    let verdict = compare(&moto, &bridge.azurite(), &rules);
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let differences = verdict["differences"].as_array().unwrap().iter();
    let found: Vec<String> = differences
        .map(|it| {
            ["what", "container", "blob"]
                .map(|part| text(&it[part]))
                .join(" ")
        })
        .collect();
    let expected = [
        "content con 0-bytes",
        "content_md5 con 0-bytes",
        "content_md5 con 1-size",
        "size con 1-size",
        "missing con 2-missing",
        "content_type con 3-property",
        "metadata con 4-metadata",
        "unexpected con extra",
        "container stray -",
    ];
    assert_eq!(found, expected, "{verdict:#}");
}

fn six_objects() -> Value {
    let keys = [
        "0-bytes",
        "1-size",
        "2-missing",
        "3-property",
        "4-metadata",
        "5-same",
    ];
    let headers = json!({"ContentType": "text/plain"});
    let metadata = json!({"a": "b"});
    let object = |key| json!({"key": key, "size": 9, "headers": headers, "metadata": metadata});
    let objects: Vec<Value> = keys.into_iter().map(object).collect();
    json!({"buckets": [{"name": "bkt", "region": "eu-west-1", "objects": objects}]})
}

#[tokio::test]
async fn a_source_that_refuses_is_mirrored() {
    let (moto, bridge, http) = (moto::seeded(), start(), Http::new());
    http.container(&bridge, "con").await;
    let missing = format!("{}/pre-one/no-such-key?X-Amz-Signature=0", moto.url());
    let unsigned = format!("{}/pre-one/plain.txt", moto.url());
    let blob = blob_url(&bridge, "blob");
    let block = format!("{blob}&comp=block&blockid=AAAA");
    for (source, status) in [(missing, 404), (unsigned, 403)] {
        for (url, kind) in [
            (&blob, Some(("x-ms-blob-type", "BlockBlob"))),
            (&block, None),
        ] {
            let mut headers = vec![("x-ms-copy-source", source.as_str())];
            headers.extend(kind);
            let answer = http.put(url, &headers).await;
            assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
            assert_eq!(
                answer.header("x-ms-error-code"),
                Some("CannotVerifyCopySource")
            );
            let told = answer.header("x-ms-copy-source-status-code");
            assert_eq!(told, Some(status.to_string().as_str()));
            assert!(answer.body.contains("<Code>CannotVerifyCopySource</Code>"));
        }
    }
    let answer = http.send(Method::HEAD, &blob, &[], "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

/// Permissions of the SAS | source | a further header | the answer.
const REFUSED: &str = "
    rw | GOOD&x=LONG                      |                                | 400 InvalidHeaderValue
    rw | ftp://127.0.0.1/x                |                                | 400 InvalidHeaderValue
    rw | http://127.0.0.1:1/x             |                                | 500 CannotVerifyCopySource
    rw | GOOD                             | x-ms-source-range: bytes=0-1   | 400 UnsupportedHeader
    rw | GOOD                             | x-ms-source-content-md5: AAAA  | 400 Md5Mismatch
    rw | GOOD                             | authorization: SharedKey a:b   | 400 BridgeCannotForwardSharedKey
    r  | GOOD                             |                                | 403 AuthorizationPermissionMismatch
    rw | GOOD                             | if-none-match: *               | 201 -
    rw | GOOD                             | if-none-match: *               | 409 BlobAlreadyExists";

#[tokio::test]
async fn requests_the_service_refuses_are_refused() {
    let (moto, bridge, http) = (moto::seeded(), start(), Http::new());
    http.container(&bridge, "con").await;
    let good = format!("{}/pre-one/plain.txt?X-Amz-Signature=0", moto.url());
    for row in REFUSED.trim().lines() {
        let [permissions, source, extra, expected] =
            row.split('|').map(str::trim).collect::<Vec<_>>()[..]
        else {
            panic!("{row}")
        };
        let sas = sas_with(permissions, "2099-01-01T00:00:00Z");
        let url = format!("{}/con/blob?{sas}", bridge.url());
        let source = source
            .replace("GOOD", &good)
            .replace("LONG", &"y".repeat(2048));
        let mut headers = vec![
            ("x-ms-blob-type", "BlockBlob"),
            ("x-ms-copy-source", &source),
        ];
        headers.extend(extra.split_once(": "));
        let answer = http.put(&url, &headers).await;
        let code = answer.header("x-ms-error-code").unwrap_or("-");
        assert_eq!(
            format!("{} {code}", answer.status.as_u16()),
            expected,
            "{row}"
        );
    }
    let headers = [("x-ms-blob-type", "BlockBlob"), ("x-ms-copy-source", &good)];
    let url = blob_url(&bridge, "blob");
    let answer = http.send(Method::PUT, &url, &headers, "not empty").await;
    assert_eq!(answer.header("x-ms-error-code"), Some("InvalidHeaderValue"));
}

#[tokio::test]
async fn digests_are_answered_as_the_service_does() {
    let (moto, bridge, http) = (moto::seeded(), start(), Http::new());
    http.container(&bridge, "con").await;
    let source = format!("{}/pre-one/sizes/0.bin?X-Amz-Signature=0", moto.url());
    let blob = blob_url(&bridge, "blob");
    let empty_md5 = "1B2M2Y8AsgTpgAmY7PhCfg==";
    let headers = [
        ("x-ms-blob-type", "BlockBlob"),
        ("x-ms-copy-source", &source),
        ("x-ms-source-content-md5", empty_md5),
    ];
    let answer = http.put(&blob, &headers).await;
    assert_eq!(answer.header("x-ms-content-crc64"), Some("AAAAAAAAAAA="));
    assert_eq!(answer.header("content-md5"), None);
    // The source's properties are taken over unless that is declined.
    let answer = http.send(Method::HEAD, &blob, &[], "").await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(
        answer.header("cache-control"),
        Some("max-age=60, no-transform")
    );
    assert_eq!(answer.header("content-md5"), Some(empty_md5));

    let source = format!("{}/pre-one/plain.txt?X-Amz-Signature=0", moto.url());
    let block = format!("{blob}&comp=block&blockid=AAAA");
    let headers = [
        ("x-ms-copy-source", source.as_str()),
        ("x-ms-source-range", "bytes=0-10"),
    ];
    let answer = http.put(&block, &headers).await;
    let crc = answer.header("x-ms-content-crc64").unwrap().to_owned();
    let checked = [
        headers.as_slice(),
        &[("x-ms-source-content-crc64", crc.as_str())],
    ]
    .concat();
    assert_eq!(http.put(&block, &checked).await.status, StatusCode::CREATED);
    let wrong = [
        headers.as_slice(),
        &[("x-ms-source-content-crc64", "AAAAAAAAAAA=")],
    ]
    .concat();
    let answer = http.put(&block, &wrong).await;
    assert_eq!(answer.header("x-ms-error-code"), Some("Crc64Mismatch"));
}

#[tokio::test]
async fn a_path_reaches_azurite_as_it_was_sent() {
    let (bridge, http) = (start(), Http::new());
    http.container(&bridge, "con").await;
    for name in ["a/../b", "a/./c", "/lead", "d//e"] {
        let url = bridge.destination(&format!("con/{name}"));
        let headers = [("x-ms-blob-type", "BlockBlob")];
        let answer = http
            .send(Method::PUT, &url, &headers, name.to_owned())
            .await;
        assert_eq!(
            answer.status,
            StatusCode::CREATED,
            "{name}: {}",
            answer.body
        );
    }
    let url = bridge.destination("con") + "&restype=container&comp=list";
    let listing = http.send(Method::GET, &url, &[], "").await.body;
    for name in ["a/../b", "a/./c", "/lead", "d//e"] {
        assert!(
            listing.contains(&format!("<Name>{name}</Name>")),
            "{name}: {listing}"
        );
    }
}
