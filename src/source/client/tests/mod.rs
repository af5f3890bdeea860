//! The client against a server on a loopback socket.

mod bucket;
mod keys;
mod server;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use http::Response;

use super::*;
use crate::failure::Remedy;
use crate::http::{Roots, Transport};
use crate::source::list::BucketEntry;

use self::server::{Asked, Server, answer, error};

fn clock() -> Clock {
    Clock::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000))
}

fn source_with(url: &str, credentials: Credentials) -> Source {
    let endpoint = SourceEndpoint::custom(url);
    let http = Transport::new(&Roots::Only(Vec::new()), Duration::from_secs(5)).unwrap();
    Source::new(endpoint, credentials, http, clock())
}

fn source(url: &str) -> Source {
    source_with(url, Credentials::fixed("AKID", "SECRETKEY", Some("TOKEN")))
}

fn bucket() -> BucketRef {
    BucketRef {
        name: "bkt".into(),
        region: "eu-north-1".into(),
    }
}

/// Amazon's own endpoints; for what sends nothing.
fn amazon(credentials: Credentials) -> Source {
    let endpoint = SourceEndpoint::Aws {
        suffix: "amazonaws.com".into(),
        fips: false,
        dualstack: false,
    };
    let http = Transport::new(&Roots::Only(Vec::new()), Duration::from_secs(5)).unwrap();
    Source::new(endpoint, credentials, http, clock())
}

#[tokio::test]
async fn a_head_is_signed_and_its_headers_are_read() {
    let server = Server::start(|_| {
        answer(
            200,
            &[
                ("content-length", "5"),
                ("etag", "\"e\""),
                ("content-encoding", "gzip"),
                ("content-type", "text/plain"),
                ("x-amz-version-id", "v7"),
                ("x-amz-meta-k", "v"),
            ],
            "",
        )
    })
    .await;
    let head = source(&server.url)
        .head(&bucket(), "a b+c%/é?#//", Some("v/7"))
        .await;
    let head = head.unwrap();
    assert_eq!((head.size, head.etag.as_deref()), (5, Some("e")));
    assert_eq!(head.content_encoding.as_deref(), Some("gzip"));
    assert_eq!(head.metadata, [("k".to_owned(), "v".to_owned())]);
    let asked = &server.asked()[0];
    assert_eq!(asked.method, "HEAD");
    assert_eq!(
        asked.target,
        "/bkt/a%20b%2Bc%25/%C3%A9%3F%23//?versionId=v%2F7"
    );
    assert_eq!(asked.header("x-amz-checksum-mode"), "ENABLED");
    assert_eq!(asked.header("x-amz-security-token"), "TOKEN");
    assert_eq!(asked.header("x-amz-date"), "20231114T221320Z");
    let authorization = asked.header("authorization");
    let wanted = "AWS4-HMAC-SHA256 Credential=AKID/20231114/eu-north-1/s3/aws4_request, \
                  SignedHeaders=host;x-amz-checksum-mode;x-amz-content-sha256;x-amz-date;\
                  x-amz-security-token, Signature=";
    assert!(authorization.starts_with(wanted), "{authorization}");
}

#[tokio::test]
async fn anonymous_requests_are_unsigned() {
    let server = Server::start(|_| answer(200, &[("content-length", "0")], "")).await;
    let source = source_with(&server.url, Credentials::anonymous());
    source.head(&bucket(), "k", None).await.unwrap();
    assert!(server.asked()[0].headers.get("authorization").is_none());
    let url = source
        .presign_get(&bucket(), "a b", Some("1"), Duration::from_secs(9))
        .await;
    assert_eq!(
        url.unwrap().expose(),
        format!("{}/bkt/a%20b?versionId=1", server.url)
    );
    let failure = amazon(Credentials::anonymous())
        .list_buckets(None)
        .await
        .unwrap_err();
    assert!(failure.message.contains("name a bucket"), "{failure}");
}

#[tokio::test]
async fn a_presigned_url_goes_to_the_buckets_own_endpoint_and_hides_itself() {
    let source = amazon(Credentials::fixed("AKID", "SECRETKEY", None));
    let lifetime = Duration::from_secs(900);
    let url = source
        .presign_get(&bucket(), "d/k+1", None, lifetime)
        .await
        .unwrap();
    let wanted = "https://bkt.s3.eu-north-1.amazonaws.com/d/k%2B1?X-Amz-Algorithm=AWS4-HMAC-SHA256\
                  &X-Amz-Credential=AKID%2F20231114%2Feu-north-1%2Fs3%2Faws4_request\
                  &X-Amz-Date=20231114T221320Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
                  &X-Amz-Signature=";
    assert!(url.expose().starts_with(wanted), "{}", url.expose());
    let shown = format!("{url:?} {source:?}");
    assert!(
        !shown.contains("X-Amz") && !shown.contains("SECRETKEY"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_presigned_url_ends_no_later_than_its_credentials() {
    let expiry = clock().now() + Duration::from_secs(600);
    let provider = move || async move {
        Ok(aws_credential_types::Credentials::builder()
            .access_key_id("AKID")
            .secret_access_key("S")
            .session_token("T")
            .expiry(expiry)
            .provider_name("test")
            .build())
    };
    let provider = aws_credential_types::credential_fn::provide_credentials_fn(provider);
    let source = amazon(Credentials::from_provider(provider, clock()));
    for (lifetime, wanted) in [(900, 600), (60, 60), (0, 1)] {
        let url = source
            .presign_get(&bucket(), "k", None, Duration::from_secs(lifetime))
            .await;
        let url = url.unwrap();
        let part = format!("&X-Amz-Expires={wanted}&");
        assert!(url.expose().contains(&part), "{lifetime}");
    }
}

#[tokio::test]
async fn a_refused_head_is_explained_by_a_get() {
    let refuse = |asked: &Asked| match (asked.method.as_str(), asked.path()) {
        ("HEAD", "/bkt/gone") => answer(404, &[], ""),
        ("HEAD", "/bkt/slow") => answer(503, &[("retry-after", "3")], ""),
        ("HEAD", "/bkt/far") => answer(400, &[("x-amz-bucket-region", "us-west-2")], ""),
        ("HEAD", _) => answer(403, &[], ""),
        (_, "/bkt/cold") => error(403, "InvalidObjectState", ""),
        (_, "/bkt/mute") => answer(403, &[], "no XML"),
        _ => error(
            403,
            "AccessDenied",
            "<Message>user AKID token TOKEN</Message>",
        ),
    };
    let server = Server::start(refuse).await;
    let source = source(&server.url);
    for (key, reason, requests, words) in [
        ("gone", Reason::SourceNotFound, 1, "HTTP 404"),
        ("slow", Reason::SourceThrottled, 1, "slower"),
        (
            "far",
            Reason::SourceRejected,
            // Once more without what the server may not know.
            3,
            "in region us-west-2, not eu-north-1",
        ),
        ("cold", Reason::SourceArchived, 2, "restore it first"),
        ("mute", Reason::SourceDenied, 2, "HTTP 403"),
        (
            "shut",
            Reason::SourceDenied,
            2,
            "AccessDenied, HTTP 403: user *** token ***",
        ),
    ] {
        let failure = source.head(&bucket(), key, None).await.unwrap_err();
        assert_eq!(failure.reason, reason, "{key}");
        assert!(failure.message.contains(words), "{failure}");
        assert!(
            failure
                .message
                .starts_with(&format!("HEAD s3://bkt/{key}: ")),
            "{failure}"
        );
        let asked = server.asked();
        assert_eq!(asked.len(), requests, "{key}");
        if requests >= 2 {
            assert_eq!(asked[requests - 1].header("range"), "bytes=0-0");
        }
    }
}

#[tokio::test]
async fn expired_credentials_are_exchanged_for_new_ones() {
    static FIRST: AtomicBool = AtomicBool::new(true);
    let provider = || async {
        let token = if FIRST.swap(false, Ordering::SeqCst) {
            "OLD"
        } else {
            "NEW"
        };
        Ok(aws_credential_types::Credentials::builder()
            .access_key_id("AKID")
            .secret_access_key("S")
            .session_token(token)
            .provider_name("test")
            .build())
    };
    let provider = aws_credential_types::credential_fn::provide_credentials_fn(provider);
    let server = Server::start(|asked| match asked.header("x-amz-security-token") {
        "NEW" => answer(200, &[("content-length", "0")], ""),
        _ => error(400, "ExpiredToken", ""),
    })
    .await;
    let source = source_with(&server.url, Credentials::from_provider(provider, clock()));
    let failure = source.head(&bucket(), "k", None).await.unwrap_err();
    assert_eq!(
        (failure.reason, failure.remedy),
        (Reason::SourceDenied, Remedy::Retry)
    );
    source.head(&bucket(), "k", None).await.unwrap();
}

#[tokio::test]
async fn an_unreachable_server_may_be_tried_again() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let failure = source(&url).head(&bucket(), "k", None).await.unwrap_err();
    assert_eq!(
        (failure.reason, failure.remedy),
        (Reason::SourceUnavailable, Remedy::Retry)
    );
    assert!(
        failure.message.contains(&format!("no answer from {url}")),
        "{failure}"
    );
}

fn buckets_xml(names: &[&str], token: &str) -> Response<String> {
    let buckets: String = names
        .iter()
        .map(|name| match name.split_once('@') {
            Some((name, region)) => {
                format!("<Bucket><Name>{name}</Name><BucketRegion>{region}</BucketRegion></Bucket>")
            }
            None => format!("<Bucket><Name>{name}</Name></Bucket>"),
        })
        .collect();
    let token = format!("<ContinuationToken>{token}</ContinuationToken>");
    let body = format!("<Buckets>{buckets}</Buckets>{token}");
    answer(
        200,
        &[],
        &format!("<ListAllMyBucketsResult>{body}</ListAllMyBucketsResult>"),
    )
}

#[tokio::test]
async fn buckets_are_listed_page_by_page_and_sorted_out_by_region() {
    let server = Server::start(|asked| {
        let query = asked.query();
        let token = query.get("continuation-token").map(String::as_str);
        match (asked.path(), token) {
            ("/", None) => buckets_xml(&["a@eu-north-1", "b"], "page/2="),
            ("/", Some("page/2=")) => buckets_xml(&["c", "d@us-east-1", "e"], ""),
            ("/b", _) => answer(403, &[("x-amz-bucket-region", "eu-north-1")], ""),
            ("/c", _) => answer(200, &[("x-amz-bucket-region", "us-west-2")], ""),
            _ => answer(404, &[], ""),
        }
    })
    .await;
    let source = source(&server.url);
    let entry = |name: &str, region: Option<&str>| BucketEntry {
        name: name.into(),
        region: region.map(str::to_owned),
    };
    let north = Some("eu-north-1");
    let all = source.list_buckets(None).await.unwrap();
    let names: Vec<_> = all.iter().map(|bucket| bucket.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    assert_eq!(server.asked()[0].query()["max-buckets"], "10000");
    let some = source.list_buckets(north).await.unwrap();
    assert_eq!(
        some,
        [entry("a", north), entry("b", north), entry("e", None)]
    );
}

#[tokio::test]
async fn a_listing_of_buckets_that_repeats_itself_is_refused() {
    let server = Server::start(|_| buckets_xml(&["a"], "same")).await;
    let failure = source(&server.url).list_buckets(None).await.unwrap_err();
    assert!(failure.message.contains("repeats a page"), "{failure}");
}

#[tokio::test]
async fn a_buckets_region_is_found_one_way_or_another() {
    let located = |region: &str| {
        answer(
            200,
            &[],
            &format!("<LocationConstraint>{region}</LocationConstraint>"),
        )
    };
    let server = Server::start(move |asked| match (asked.method.as_str(), asked.path()) {
        ("HEAD", "/moved") => answer(301, &[("x-amz-bucket-region", "us-west-2")], ""),
        ("HEAD", "/gone") => answer(404, &[], ""),
        ("HEAD", "/busy") => answer(503, &[], ""),
        ("HEAD", _) => answer(403, &[], ""),
        (_, "/old") => located("EU"),
        (_, "/here") => located(""),
        (_, "/odd") => answer(200, &[], "hello"),
        _ => error(403, "AccessDenied", ""),
    })
    .await;
    let source = source(&server.url);
    for (bucket, region) in [
        ("moved", "us-west-2"),
        ("old", "eu-west-1"),
        ("here", "us-east-1"),
        ("shut", "us-east-1"),
        ("odd", "us-east-1"),
    ] {
        assert_eq!(
            source.bucket_region(bucket).await.unwrap(),
            region,
            "{bucket}"
        );
    }
    let home = source.clone().with_home_region("us-east-2");
    assert_eq!(home.bucket_region("shut").await.unwrap(), "us-east-2");
    for (bucket, reason) in [
        ("gone", Reason::SourceNotFound),
        ("busy", Reason::SourceThrottled),
    ] {
        assert_eq!(
            source.bucket_region(bucket).await.unwrap_err().reason,
            reason
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_s3_is_named_as_such() {
    let server = Server::start(|_| answer(200, &[], "<html>welcome</html>")).await;
    let source = source(&server.url);
    let request = ListRequest::default();
    let failures = [
        source.list_page(&bucket(), &request).await.unwrap_err(),
        source.list_buckets(None).await.unwrap_err(),
    ];
    for failure in failures {
        assert_eq!(failure.reason, Reason::SourceRejected);
        assert!(
            failure
                .message
                .contains("is this the address of an S3 service?"),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn of_a_long_error_only_the_beginning_is_read() {
    let server = Server::start(|_| {
        let padding = format!("<HostId>{}</HostId>", "x".repeat(20 << 20));
        error(
            503,
            "SlowDown",
            &format!("<Message>later</Message>{padding}"),
        )
    })
    .await;
    let source = source(&server.url);
    let failure = source.tags(&bucket(), "k", None).await.unwrap_err();
    assert_eq!(failure.reason, Reason::SourceThrottled);
    assert!(
        failure.message.contains("SlowDown, HTTP 503: later"),
        "{failure}"
    );
    assert!(failure.message.len() < 300, "{failure}");
}

#[tokio::test]
async fn a_code_of_megabytes_makes_a_short_failure() {
    let code = "Z".repeat(1 << 20);
    for cut in [code.as_str(), &format!("{code}\u{202e}")] {
        let code = cut.to_owned();
        let server = Server::start(move |_| error(418, &code, "")).await;
        let failure = source(&server.url)
            .tags(&bucket(), "k", None)
            .await
            .unwrap_err();
        assert!(failure.message.len() <= 1024, "{}", failure.message.len());
    }
}
