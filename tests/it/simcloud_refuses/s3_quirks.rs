//! Each quirk of the stand-in S3 does what its name says.

use simcloud::{ACCESS_KEY, Config, Object, Quirk, SECRET_KEY, SimCloud};

use super::{address, signed};
use crate::simcloud_wire::{Answer, AwsSigner, Call};

async fn odd(quirk: Quirk) -> SimCloud {
    let config = Config {
        quirks: vec![quirk],
        ..Config::default()
    };
    let cloud = SimCloud::start(config).await.unwrap();
    cloud.add_bucket("photos", "us-east-1");
    for key in ["foo.conda", "foo/1", "foo/2 é", "latin", "unreadable"] {
        cloud.put_object("photos", key, Object::bytes("hello"));
    }
    cloud.put_object(
        "photos",
        "cold",
        Object::bytes("ice").storage_class("GLACIER"),
    );
    cloud.set_page_keys(2);
    cloud
}

async fn ask(cloud: &SimCloud, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut call = Call::new(method, target).header("host", &address(&cloud.s3_url()));
    for (name, value) in headers {
        call = call.header(name, value);
    }
    signed(cloud, call).await
}

async fn get(cloud: &SimCloud, target: &str) -> Answer {
    ask(cloud, "GET", target, &[]).await
}

/// What stands between the tags of that name, in their order.
fn elements(answer: &Answer, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let text = answer.text();
    let parts = text.split(&open).skip(1);
    let texts = parts.filter_map(|part| part.split_once(&close));
    texts.map(|(text, _)| text.to_owned()).collect()
}

const LIST: &str = "/photos?list-type=2&encoding-type=url";

/// Every key as it is told, page after page by the tokens.
async fn listed(cloud: &SimCloud) -> (Vec<String>, usize) {
    let (mut keys, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = get(cloud, &format!("{LIST}{token}")).await;
        pages += 1;
        keys.extend(elements(&page, "Key"));
        match elements(&page, "NextContinuationToken").first() {
            Some(next) => token = format!("&continuation-token={}", next.replace('=', "%3D")),
            None => return (keys, pages),
        }
    }
}

const SORTED: [&str; 6] = [
    "cold",
    "foo.conda",
    "foo/1",
    "foo/2+%C3%A9",
    "latin",
    "unreadable",
];

#[tokio::test]
async fn optional_headers_and_parameters_are_refused() {
    let object = "/photos/latin";
    for (quirk, target, header, status) in [
        (
            Quirk::ChecksumModeRefused,
            object,
            "x-amz-checksum-mode",
            400,
        ),
        (
            Quirk::OptionalAttributesRefused,
            "/photos?list-type=2",
            "x-amz-optional-object-attributes",
            501,
        ),
    ] {
        let cloud = odd(quirk).await;
        let value = match header {
            "x-amz-checksum-mode" => "ENABLED",
            _ => "RestoreStatus",
        };
        let refused = ask(&cloud, "GET", target, &[(header, value)]).await;
        assert_eq!(refused.status, status, "{quirk}");
        assert_eq!(get(&cloud, target).await.status, 200, "{quirk}");
    }
    let cloud = odd(Quirk::EncodingTypeRefused).await;
    assert_eq!(get(&cloud, LIST).await.status, 400);
    assert_eq!(get(&cloud, "/photos?list-type=2").await.status, 200);
    let cloud = odd(Quirk::TokensExpire).await;
    let page = get(&cloud, "/photos?list-type=2&max-keys=1").await;
    let token = &elements(&page, "NextContinuationToken")[0];
    let next = format!("/photos?list-type=2&continuation-token={token}");
    assert_eq!(get(&cloud, &next).await.status, 400);
    let cloud = odd(Quirk::MaxBucketsRefused).await;
    assert_eq!(get(&cloud, "/?max-buckets=5").await.status, 400);
    assert_eq!(get(&cloud, "/").await.status, 200);
}

#[tokio::test]
async fn requests_are_refused_whatever_they_ask() {
    let cloud = odd(Quirk::RequesterPays).await;
    let payer = [("x-amz-request-payer", "requester")];
    for target in ["/photos/latin", LIST] {
        assert_eq!(get(&cloud, target).await.status, 403, "{target}");
        assert_eq!(ask(&cloud, "GET", target, &payer).await.status, 200);
    }
    let cloud = odd(Quirk::UnreadableObjects).await;
    assert_eq!(get(&cloud, "/photos/unreadable").await.code(), "SlowDown");
    assert_eq!(get(&cloud, "/photos/latin").await.status, 200);
    let cloud = odd(Quirk::AllObjectsBusy).await;
    assert_eq!(get(&cloud, "/photos/latin").await.status, 503);
    assert_eq!(get(&cloud, LIST).await.status, 200);
    for (quirk, region) in [
        (Quirk::RegionUntold, None),
        (Quirk::OtherRegionTold, Some("elsewhere-1")),
    ] {
        let head = ask(&odd(quirk).await, "HEAD", "/photos", &[]).await;
        let told = head.header("x-amz-bucket-region");
        assert_eq!((head.status, told), (200, region), "{quirk}");
    }
}

#[tokio::test]
async fn the_bucket_must_stand_in_the_host() {
    let cloud = odd(Quirk::VirtualHostOnly).await;
    let refused = get(&cloud, "/photos/latin").await;
    assert_eq!(refused.code(), "SecondLevelDomainForbidden");
    let socket = address(&cloud.s3_url());
    let port = socket.split(':').nth(1).unwrap();
    let host = format!("photos.localhost:{port}");
    let signer = AwsSigner {
        access_key: ACCESS_KEY.into(),
        secret: SECRET_KEY.into(),
        token: None,
        region: "us-east-1".into(),
        service: "s3".into(),
        when: cloud.now(),
        leave_out: Vec::new(),
    };
    for (target, text) in [("/foo/1", "hello"), ("/?list-type=2", "<Key>cold</Key>")] {
        let call = signer.sign(Call::new("GET", target).header("host", &host));
        let answer = call.send(&socket).await;
        assert!(answer.text().contains(text), "{target}: {}", answer.text());
    }
}

#[tokio::test]
async fn keys_are_listed_in_ways_of_their_own() {
    let unsorted = [
        "cold",
        "foo/1",
        "foo/2+%C3%A9",
        "foo.conda",
        "latin",
        "unreadable",
    ];
    let latin = [
        "cold",
        "foo.conda",
        "foo/1",
        "foo/2+%C3%A9",
        "caf%E9",
        "unreadable",
    ];
    let raw = [
        "cold",
        "foo.conda",
        "foo/1",
        "foo/2 é",
        "latin",
        "unreadable",
    ];
    let twice: Vec<&str> = SORTED.iter().flat_map(|key| [*key, *key]).collect();
    let edges = [
        "cold",
        "foo.conda",
        "foo.conda",
        "foo/1",
        "foo/2+%C3%A9",
        "foo/2+%C3%A9",
        "latin",
        "unreadable",
    ];
    for (quirk, keys, pages) in [
        (Quirk::RegionUntold, &SORTED[..], 3),
        (Quirk::Unsorted, &unsorted[..], 3),
        (Quirk::EmptyPages, &SORTED[..], 12),
        (Quirk::RepeatsAtEdge, &edges[..], 3),
        (Quirk::RepeatsKeys, &twice[..], 3),
        (Quirk::EncodingTypeUnsaid, &SORTED[..], 3),
        (Quirk::NeverEncodes, &raw[..], 3),
        (Quirk::LatinKeys, &latin[..], 3),
    ] {
        let cloud = odd(quirk).await;
        let (listed, asked) = listed(&cloud).await;
        assert_eq!(
            (listed, asked),
            (keys.iter().map(|key| (*key).to_owned()).collect(), pages),
            "{quirk}"
        );
        let said = elements(&get(&cloud, LIST).await, "EncodingType").len();
        let silent = [Quirk::EncodingTypeUnsaid, Quirk::NeverEncodes].contains(&quirk);
        assert_eq!(said, usize::from(!silent), "{quirk}");
    }
}

#[tokio::test]
async fn listings_start_where_they_please() {
    for (quirk, keys) in [
        (Quirk::StartAfterIncluded, ["foo/1", "foo/2+%C3%A9"]),
        (Quirk::ListV1Only, ["cold", "foo.conda"]),
    ] {
        let cloud = odd(quirk).await;
        let page = get(&cloud, &format!("{LIST}&start-after=foo%2F1")).await;
        assert_eq!(elements(&page, "Key"), keys, "{quirk}");
    }
    let cloud = odd(Quirk::ListV1Only).await;
    let page = get(&cloud, "/photos?marker=foo%2F1").await;
    assert_eq!(elements(&page, "Key"), ["foo/2 é", "latin"]);
    assert!(elements(&page, "NextContinuationToken").is_empty());
}

#[tokio::test]
async fn rows_tell_less_or_otherwise() {
    for (quirk, name, shown) in [
        (Quirk::NoDates, "LastModified", Some("")),
        (Quirk::NoSizes, "Size", None),
        (
            Quirk::WeakEtags,
            "ETag",
            Some("W/&quot;5d41402abc4b2a76b9719d911017c592&quot;"),
        ),
        (
            Quirk::EtagsNoMd5,
            "ETag",
            Some("&quot;a2bebfd543b4d589468e626eefe83a6d&quot;"),
        ),
    ] {
        let cloud = odd(quirk).await;
        // An ETag is told by the odd listing alone where there is one.
        let page = get(&cloud, "/photos?list-type=2&prefix=latin").await;
        let told = elements(&page, name);
        if name == "ETag" {
            let head = ask(&cloud, "HEAD", "/photos/latin", &[]).await;
            let want = shown.unwrap().replace("&quot;", "\"");
            assert_eq!(head.header("etag"), Some(want.as_str()), "{quirk}");
        }
        assert_eq!(told.first().map(String::as_str), shown, "{quirk}");
    }
    for (quirk, ends) in [(Quirk::HttpDates, " GMT"), (Quirk::DatesWithoutZone, "000")] {
        let page = get(&odd(quirk).await, LIST).await;
        let told = elements(&page, "LastModified");
        assert!(told[0].ends_with(ends), "{quirk}: {told:?}");
    }
}

#[tokio::test]
async fn objects_are_told_and_read_in_ways_of_their_own() {
    let range = [("range", "bytes=1-2")];
    let cloud = odd(Quirk::IgnoresRange).await;
    let whole = ask(&cloud, "GET", "/photos/latin", &range).await;
    assert_eq!((whole.status, whole.text().as_str()), (200, "hello"));
    let cloud = odd(Quirk::HeadWithoutLength).await;
    let head = ask(&cloud, "HEAD", "/photos/latin", &[]).await;
    assert_eq!((head.status, head.header("content-length")), (200, None));
    let cloud = odd(Quirk::HeadOfNothing).await;
    let head = ask(&cloud, "HEAD", "/photos/latin", &[]).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("0"))
    );
    let cloud = odd(Quirk::HeadRefused).await;
    let head = ask(&cloud, "HEAD", "/photos/latin", &[]).await;
    assert_eq!(head.status, 405);
    assert_eq!(get(&cloud, "/photos/latin").await.text(), "hello");
    let cloud = odd(Quirk::NullVersions).await;
    let named = get(&cloud, "/photos/latin?versionId=null").await;
    assert_eq!(
        (named.status, named.header("x-amz-version-id")),
        (200, Some("null"))
    );
    let cloud = odd(Quirk::ClassesAreNames).await;
    assert_eq!(get(&cloud, "/photos/cold").await.text(), "ice");
    let cloud = odd(Quirk::FoldersAnswerHead).await;
    let head = async |target| ask(&cloud, "HEAD", target, &[]).await.status;
    assert_eq!(head("/photos/foo").await, 200);
    assert_eq!(head("/photos/fo").await, 404);
    assert_eq!(get(&cloud, "/photos/foo").await.status, 404);
}
