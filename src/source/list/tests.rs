//! Documents of the S3 API reference, and documents that are none.

use proptest::prelude::*;

use super::*;

const NS: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

fn failure<T: std::fmt::Debug>(result: Result<T, Unexpected>) -> Failure {
    match result.unwrap_err() {
        Unexpected::Malformed(failure) => failure,
        Unexpected::Error(error) => panic!("{error:?}"),
    }
}

fn content(key: &str, more: &str) -> String {
    format!(
        "<Contents><Key>{key}</Key><LastModified>2024-02-29T12:00:01.000Z</LastModified>\
         <ETag>&quot;abc-2&quot;</ETag><Size>7</Size>{more}</Contents>"
    )
}

fn listing(truncated: bool, inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult {NS}><Name>b</Name>\
         <EncodingType>url</EncodingType><KeyCount>1</KeyCount>\
         <IsTruncated>{truncated}</IsTruncated>{inner}</ListBucketResult>"
    )
}

#[test]
fn yes_and_no_are_read_as_servers_write_them() {
    let inner = content("k", "") + "<NextContinuationToken>t</NextContinuationToken>";
    let plain = listing(true, &inner);
    for (text, truncated) in [
        ("True", true),
        ("TRUE", true),
        (" 1 ", true),
        ("False", false),
    ] {
        let body = plain.replace("<IsTruncated>true<", &format!("<IsTruncated>{text}<"));
        assert_eq!(
            objects(&body, KeyForm::AsSaid).unwrap().truncated,
            truncated,
            "{text}"
        );
    }
    let body = plain.replace("<IsTruncated>true<", "<IsTruncated>perhaps<");
    let refused = format!("{:?}", objects(&body, KeyForm::AsSaid).unwrap_err());
    assert!(refused.contains("neither true nor false"), "{refused}");
}

#[test]
fn a_page_of_objects_is_read() {
    let body = listing(
        true,
        &format!(
            "{}{}<NextContinuationToken>t/1=</NextContinuationToken>\
             <CommonPrefixes><Prefix>x+y/</Prefix></CommonPrefixes>",
            content(
                "a+b%2Bc%25%F0%9F%98%80%0A",
                "<StorageClass>STANDARD</StorageClass>"
            ),
            content(
                "d",
                "<StorageClass>GLACIER</StorageClass><RestoreStatus><IsRestoreInProgress>false\
                 </IsRestoreInProgress><RestoreExpiryDate>2024-03-01T00:00:00Z\
                 </RestoreExpiryDate></RestoreStatus>"
            ),
        ),
    );
    let page = objects(&body, KeyForm::AsSaid).unwrap();
    assert_eq!(
        page.objects[0],
        S3Object {
            key: "a b+c%😀\n".into(),
            size: Some(7),
            etag: Some("abc-2".into()),
            modified: 1_709_208_001,
            storage_class: Some("STANDARD".into()),
            restored: false,
        }
    );
    assert!(page.objects[1].restored && !page.objects[1].archived());
    assert_eq!(page.common_prefixes, ["x y/"]);
    assert!(page.truncated);
    assert_eq!(page.token.as_deref(), Some("t/1="));
}

#[test]
fn archived_objects_are_told_by_class_and_restore() {
    let row = |more: &str| {
        let page = objects(&listing(false, &content("k", more)), KeyForm::AsSaid).unwrap();
        page.objects[0].archived()
    };
    assert!(row("<StorageClass>GLACIER</StorageClass>"));
    assert!(row("<StorageClass>DEEP_ARCHIVE</StorageClass>"));
    assert!(row("<StorageClass>GLACIER</StorageClass><RestoreStatus>\
         <IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"));
    for readable in [
        "GLACIER_IR",
        "STANDARD_IA",
        "INTELLIGENT_TIERING",
        "ONEZONE_IA",
    ] {
        assert!(
            !row(&format!("<StorageClass>{readable}</StorageClass>")),
            "{readable}"
        );
    }
    assert!(!row(""));
}

#[test]
fn keys_without_encoding_keep_their_blanks() {
    let body = listing(false, &content(" a+b &amp; %20 ", ""))
        .replace("<EncodingType>url</EncodingType>", "");
    assert_eq!(
        objects(&body, KeyForm::AsSaid).unwrap().objects[0].key,
        " a+b & %20 "
    );
}

#[test]
fn an_empty_bucket_is_an_empty_page() {
    let page = objects(&listing(false, ""), KeyForm::AsSaid).unwrap();
    assert!(page.objects.is_empty() && !page.truncated);
}

#[test]
fn what_would_lose_objects_is_refused() {
    for (body, wanted) in [
        (
            listing(false, "").replace("<IsTruncated>false</IsTruncated>", ""),
            "IsTruncated",
        ),
        (
            listing(false, &content("a", "")).replace("</ListBucketResult>", ""),
            "not one of S3",
        ),
        ("<html><body>hello</body></html>".into(), "another document"),
        ("<!DOCTYPE html><html><br></html>".into(), "not one of S3"),
        ("{\"error\": 1}".into(), "not one of S3"),
        (String::new(), "not one of S3"),
    ] {
        let failure = failure(objects(&body, KeyForm::AsSaid));
        assert_eq!(failure.reason, Reason::SourceRejected);
        assert!(failure.message.contains(wanted), "{body}: {failure}");
    }
}

/// One row that cannot be read hides no other.
#[test]
fn a_row_that_cannot_be_read_is_told_by_itself() {
    let long = "k".repeat(1025);
    for (bad, wanted) in [
        (content("%zz", ""), "not validly encoded"),
        (content("caf%E9", ""), "not validly encoded"),
        (content("caf\u{fdd0}", ""), "not UTF-8"),
        (content("a&#0;b", ""), "U+0000"),
        (content(&long, ""), "1025 bytes"),
        (content("", ""), "no key"),
        (
            content("x", "").replace(">7<", ">18446744073709551615<"),
            "size",
        ),
    ] {
        let body = listing(false, &(content("a", "") + &bad + &content("z", "")));
        let page = objects(&body, KeyForm::AsSaid).unwrap();
        let keys: Vec<_> = page
            .objects
            .iter()
            .map(|object| object.key.as_str())
            .collect();
        assert_eq!(keys, ["a", "z"], "{bad}");
        assert_eq!(page.unreadable.len(), 1, "{bad}");
        assert!(page.unreadable[0].contains(wanted), "{:?}", page.unreadable);
        assert!(page.unreadable[0].len() < 400);
    }
    let huge = content("a", "").replace(">7<", ">9000000000000000000<");
    let page = objects(&listing(false, &huge.repeat(3)), KeyForm::AsSaid).unwrap();
    assert_eq!(
        (page.objects.len(), page.unreadable.len()),
        (2, 1),
        "no sum wraps"
    );
}

#[test]
fn what_a_row_may_leave_out_is_none() {
    for (from, to, size, dated) in [
        ("<Size>7</Size>", "", None, true),
        (">7<", ">-7<", None, true),
        (">7<", "><", None, true),
        ("2024-02-29", "2023-02-29", Some(7), false),
    ] {
        let body = listing(false, &content("a", "").replace(from, to));
        let page = objects(&body, KeyForm::AsSaid).unwrap();
        let object = &page.objects[0];
        assert_eq!(object.size, size, "{from} -> {to}");
        assert_eq!(object.modified != UNKNOWN_TIME, dated, "{from} -> {to}");
    }
}

#[test]
fn times_are_read_in_the_forms_that_are_seen() {
    const AT: i64 = 1_520_961_904;
    for text in [
        "2018-03-13T17:25:04Z",
        "2018-03-13T17:25:04.000Z",
        "2018-03-13T17:25:04.123456789+00:00",
        "2018-03-13T18:25:04+01:00",
        "2018-03-13T17:25:04.000+0000",
        "2018-03-13T19:25:04+0200",
        "2018-03-13T17:25:04",
        "2018-03-13 17:25:04",
        "2018-03-13 17:25:04.5",
        "2018-03-13 17:25:04Z",
        "Tue, 13 Mar 2018 17:25:04 GMT",
        "Tue, 13 Mar 2018 17:25:04 +0000",
        " 2018-03-13T17:25:04Z ",
    ] {
        assert_eq!(time_of(text), AT, "{text}");
    }
    for text in [
        "",
        " ",
        "yesterday",
        ":2018",
        "0001-01-01T00:00:00Z",
        "2018-13-01T00:00:00Z",
    ] {
        assert_eq!(time_of(text), UNKNOWN_TIME, "{text}");
    }
    assert_eq!(time_of("1970-01-01T00:00:00.000Z"), 0);
}

#[test]
fn keys_are_read_encoded_where_that_is_known_otherwise() {
    let body =
        listing(false, &content("a%20b+c", "")).replace("<EncodingType>url</EncodingType>", "");
    let raw = objects(&body, KeyForm::AsSaid).unwrap();
    assert_eq!(raw.objects[0].key, "a%20b+c");
    assert!(raw.is_encoding_unsaid);
    let encoded = objects(&body, KeyForm::Encoded).unwrap();
    assert_eq!(encoded.objects[0].key, "a b c");
}

#[test]
fn weak_etags_keep_their_mark() {
    assert_eq!(unquoted("\"abc\""), "abc");
    assert_eq!(unquoted("W/\"abc\""), "W/abc");
    assert!(is_weak("W/abc") && !is_weak("abc"));
}

#[test]
fn utf8_order_is_the_order_of_keys() {
    let body = listing(
        false,
        &(content("%EF%BC%A1", "") + &content("%F0%9F%98%80", "")),
    );
    assert_eq!(objects(&body, KeyForm::AsSaid).unwrap().objects.len(), 2);
}

#[test]
fn buckets_and_their_regions_are_read() {
    let body = format!(
        "<ListAllMyBucketsResult {NS}><Owner><ID>1</ID></Owner><Buckets>\
         <Bucket><Name>a</Name><CreationDate>x</CreationDate>\
         <BucketRegion>eu-north-1</BucketRegion></Bucket><Bucket><Name>b</Name></Bucket>\
         </Buckets><ContinuationToken>more</ContinuationToken></ListAllMyBucketsResult>"
    );
    let page = buckets(&body).unwrap();
    let entry = |name: &str, region: Option<&str>| BucketEntry {
        name: name.into(),
        region: region.map(str::to_owned),
    };
    assert_eq!(
        page.buckets,
        [entry("a", Some("eu-north-1")), entry("b", None)]
    );
    assert_eq!(page.token.as_deref(), Some("more"));
    let none = format!("<ListAllMyBucketsResult {NS}><Buckets/></ListAllMyBucketsResult>");
    assert!(buckets(&none).unwrap().buckets.is_empty());
    assert!(
        failure(buckets(&listing(false, "")))
            .message
            .contains("another document")
    );
}

#[test]
fn locations_are_read() {
    let read = |inner: &str| location(&format!("<LocationConstraint {NS}{inner}")).unwrap();
    assert_eq!(read("/>"), "");
    assert_eq!(read("></LocationConstraint>"), "");
    assert_eq!(read(">eu-north-1</LocationConstraint>"), "eu-north-1");
}

#[test]
fn an_error_in_a_200_is_an_error() {
    let body = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Reduce &lt;rate&gt;\
                </Message><Region>eu-west-1</Region><HostId>h</HostId></Error>";
    let Err(Unexpected::Error(error)) = objects(body, KeyForm::AsSaid) else {
        panic!("no error");
    };
    assert_eq!(error.code, "SlowDown");
    assert_eq!(error.message, "Reduce <rate>");
    assert_eq!(error.region.as_deref(), Some("eu-west-1"));
    assert_eq!(service_error(body), Some(error));
    assert_eq!(service_error("<Error/>"), Some(ServiceError::default()));
    assert_eq!(service_error("upstream connect error"), None);
}

proptest! {
    #[test]
    fn no_body_panics(text in any::<String>(), tag in "(Error|ListBucketResult|Contents|Key)") {
        let inner = format!("<{tag}>{text}</{tag}>");
        for body in [text, listing(true, &inner), inner] {
            let read = (objects(&body, KeyForm::AsSaid).is_ok(), buckets(&body).is_ok(), location(&body).is_ok());
            prop_assert!(!read.1 && !read.2);
        }
    }
}
