//! The forms of AzCopy's documentation and source, one row each.

use proptest::prelude::*;

use super::*;
use crate::failure::Remedy;

const MINIO: &str = "http://127.0.0.1:9000";

/// A source in short: level, bucket and key, region, endpoint's flags.
fn brief(url: &SourceUrl) -> String {
    let star = if url.contents_only { " contents" } else { "" };
    let what = match &url.level {
        Level::Service => "service".to_owned(),
        Level::BucketPattern(pattern) => format!("pattern {}", pattern.as_str()),
        Level::Bucket { bucket } => format!("bucket {bucket}"),
        Level::Path {
            bucket,
            key,
            version,
            directory,
        } => {
            let kind = if *directory { "dir" } else { "key" };
            let version = version
                .as_deref()
                .map_or(String::new(), |version| format!(" version {version}"));
            format!("{kind} {bucket} {key}{version}")
        }
    };
    let region = url.region.as_deref().unwrap_or("-");
    let place = match &url.endpoint {
        SourceEndpoint::Custom { url, .. } => format!(" at {url}"),
        SourceEndpoint::Aws {
            suffix,
            fips,
            dualstack,
        } => {
            let suffix = if suffix == AWS { "" } else { suffix.as_str() };
            let fips = if *fips { " fips" } else { "" };
            let dual = if *dualstack { " dual" } else { "" };
            format!(
                "{}{suffix}{fips}{dual}",
                if suffix.is_empty() { "" } else { " " }
            )
        }
    };
    format!("{what}{star} | {region}{place}")
}

fn check(rows: &[(&str, &str)], endpoint: Option<&str>) {
    for (text, wanted) in rows {
        let got = SourceUrl::parse(text, endpoint);
        let got = got.map_or_else(|failure| format!("refused: {failure}"), |url| brief(&url));
        assert_eq!(got, *wanted, "{text}");
    }
}

/// The rows of a table: `argument => result`, `#` for comments.
fn table(text: &str) -> Vec<(&str, &str)> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
        .map(|line| line.split_once(" => ").unwrap())
        .collect()
}

#[test]
fn every_form_of_s3_source_is_read() {
    let rows = table(include_str!("accepted.txt"));
    assert!(rows.len() > 70);
    check(&rows, None);
}

#[test]
fn a_custom_endpoint_replaces_the_host() {
    check(
        &[
            (
                "http://127.0.0.1:9000",
                "service | - at http://127.0.0.1:9000",
            ),
            (
                "http://127.0.0.1:9000/b/d/k",
                "key b d/k | - at http://127.0.0.1:9000",
            ),
            (
                "https://127.0.0.1:9000/b/*",
                "bucket b contents | - at http://127.0.0.1:9000",
            ),
            (
                "http://127.0.0.1:9000/p*",
                "pattern p* | - at http://127.0.0.1:9000",
            ),
            ("s3://b/k", "key b k | - at http://127.0.0.1:9000"),
            (
                "https://b.s3.eu-west-1.amazonaws.com/k",
                "key b k | eu-west-1 at http://127.0.0.1:9000",
            ),
            (
                "https://s3-rds.eu-north-1.amazonaws.com",
                "service | eu-north-1 at http://127.0.0.1:9000",
            ),
        ],
        Some(MINIO),
    );
    check(
        &[(
            "https://s3.example.net:443/b",
            "bucket b | - at https://s3.example.net",
        )],
        Some("https://S3.example.net/"),
    );
    for bad in [
        "127.0.0.1:9000",
        "ftp://h",
        "http://u:SECRET@h",
        "http://h?q=1",
    ] {
        let failure = SourceUrl::parse("s3://b", Some(bad)).unwrap_err();
        assert_eq!(failure.reason, Reason::Usage, "{bad}");
        assert!(!failure.message.contains("SECRET"));
    }
}

#[test]
fn what_cannot_be_copied_is_refused_with_reason_and_remedy() {
    let rows = table(include_str!("refused.txt"));
    assert!(rows.len() > 40);
    for (text, wanted) in rows {
        let failure = SourceUrl::parse(text, None).unwrap_err();
        assert_eq!(
            (failure.reason, failure.remedy),
            (Reason::Usage, Remedy::Stop)
        );
        assert!(failure.message.contains(wanted), "{text}: {failure}");
    }
}

#[test]
fn a_secret_in_the_argument_is_never_repeated() {
    for text in [
        "https://b.s3.amazonaws.com/k?X-Amz-Credential=AKID&X-Amz-Signature=SECRET",
        "https://b.s3.amazonaws.com/k?AWSAccessKeyId=AKID&Signature=SECRET",
        "https://b.s3.amazonaws.com/k?SECRET",
        "https://AKID:SECRET@b.s3.amazonaws.com/k",
        "https://AKID:SECRET@example.com/k",
        "https://b.s3.amazonaws.com/k?versionId=1&sig=SECRET",
        "AKID:SECRET@b",
    ] {
        let failure = SourceUrl::parse(text, None).unwrap_err();
        let shown = format!("{failure} {failure:?}");
        assert!(
            !shown.contains("SECRET") && !shown.contains("AKID"),
            "{shown}"
        );
    }
}

#[test]
fn one_thing_has_one_identity() {
    let id = |text| SourceUrl::parse(text, None).unwrap().identity();
    let same = [
        "https://s3.amazonaws.com/bkt/d/k",
        "https://bkt.s3.amazonaws.com/d/k",
        "https://bkt.s3.eu-west-1.amazonaws.com:443/d/k",
        "http://s3-fips.us-east-1.amazonaws.com/bkt/d/k",
        "s3://bkt/d/k",
    ];
    for text in same {
        assert_eq!(id(text), "https://s3.amazonaws.com/bkt/d/k");
    }
    let different = [
        "s3://",
        "s3://*",
        "s3://bkt",
        "s3://bkt/*",
        "s3://bkt/d",
        "s3://bkt/d/",
        "s3://bkt/d/*",
        "https://s3.amazonaws.com/bkt/d/%2A",
        "https://s3.amazonaws.com/bkt/d?versionId=1",
        "https://s3.amazonaws.com/bkt/d%3FversionId=1",
        "https://s3.eu-west-1.amazonaws.com",
        "https://s3.cn-north-1.amazonaws.com.cn/bkt",
    ];
    let ids: std::collections::BTreeSet<_> = different.into_iter().map(id).collect();
    assert_eq!(ids.len(), different.len(), "{ids:?}");
}

#[test]
fn a_region_can_be_given_beside_the_url() {
    let parse = |text| SourceUrl::parse(text, None).unwrap();
    let china = parse("s3://").with_region("cn-north-1").unwrap();
    assert_eq!(brief(&china), "service | cn-north-1 amazonaws.com.cn");
    assert_eq!(china.home_region(), "cn-north-1");
    assert_eq!(parse("s3://").home_region(), "us-east-1");
    let same = parse("https://s3.eu-west-1.amazonaws.com").with_region("eu-west-1");
    assert_eq!(brief(&same.unwrap()), "service | eu-west-1");
    let other = parse("https://s3.eu-west-1.amazonaws.com").with_region("eu-west-2");
    assert!(other.unwrap_err().message.contains("give one of them"));
    assert!(parse("s3://").with_region("Eu West").is_err());
}

#[test]
fn bucket_patterns_match_as_globs() {
    let matches = |pattern: &str, name: &str| BucketPattern::new(pattern).unwrap().matches(name);
    assert!(matches("*", "any.bucket"));
    assert!(matches("**", "any"));
    assert!(matches("log-*", "log-2024"));
    assert!(!matches("log-*", "my-log-2024"));
    assert!(matches("l?g*", "lag"));
    assert!(matches("[ab]*", "b1"));
    assert!(!matches("[^ab]*", "b1"));
}

proptest! {
    #[test]
    fn the_identity_reads_back_as_the_same_source(
        bucket in "[a-z0-9][a-z0-9.-]{1,10}[a-z0-9]",
        key in proptest::collection::vec(any::<char>(), 0..12),
        version in proptest::option::of("[ -~]{1,8}"),
    ) {
        let key = String::from_iter(key);
        let version = version.filter(|_| !key.is_empty() && !key.ends_with('/'));
        let mut text = format!("https://s3.amazonaws.com/{bucket}/{}", encode_path(&key));
        if let Some(version) = &version {
            text = format!("{text}?versionId={}", encode_query(version));
        }
        let source = SourceUrl::parse(&text, None).unwrap();
        match &source.level {
            Level::Path { bucket: b, key: k, version: v, .. } => {
                prop_assert_eq!((b, k, v), (&bucket, &key, &version));
            }
            Level::Bucket { bucket: b } => prop_assert!(*b == bucket && key.is_empty()),
            other => prop_assert!(false, "{other:?}"),
        }
        prop_assert_eq!(SourceUrl::parse(&source.identity(), None).unwrap(), source);
    }

    #[test]
    fn no_argument_panics(text in any::<String>(), host in "[a-z0-9.*-]{0,20}") {
        for text in [
            text.clone(),
            format!("s3://{text}"),
            format!("https://{text}"),
            format!("https://{host}.amazonaws.com/{text}"),
        ] {
            if let Err(failure) = SourceUrl::parse(&text, Some(&text)).and(SourceUrl::parse(&text, None)) {
                prop_assert_eq!(failure.reason, Reason::Usage);
            }
        }
    }
}
