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
        SourceEndpoint::Custom { url } => format!(" at {url}"),
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

#[test]
fn azcopys_forms_are_read_alike() {
    check(
        &[
            ("https://s3.amazonaws.com", "service | -"),
            ("https://s3.amazonaws.com/", "service | -"),
            ("https://s3.us-east-1.amazonaws.com/", "service | us-east-1"),
            (
                "https://s3-ap-southeast-1.amazonaws.com/",
                "service | ap-southeast-1",
            ),
            ("https://s3.amazonaws.com/bucket", "bucket bucket | -"),
            ("https://s3.amazonaws.com/bucket/", "bucket bucket | -"),
            (
                "https://s3.amazonaws.com/bucket/dir/obj",
                "key bucket dir/obj | -",
            ),
            (
                "https://s3-ap-southeast-1.amazonaws.com/bkt/Test.pdf",
                "key bkt Test.pdf | ap-southeast-1",
            ),
            (
                "https://s3.eu-west-2.amazonaws.com/bkt/dir/",
                "dir bkt dir/ | eu-west-2",
            ),
            (
                "https://s3.dualstack.ap-northeast-2.amazonaws.com/bkt/k?versionId=V",
                "key bkt k version V | ap-northeast-2 dual",
            ),
            ("https://bkt.s3.amazonaws.com", "bucket bkt | -"),
            ("https://bkt.s3.amazonaws.com/", "bucket bkt | -"),
            ("https://bkt.s3.amazonaws.com/d/k", "key bkt d/k | -"),
            (
                "https://bkt.s3-aws-region.amazonaws.com/d/k",
                "key bkt d/k | aws-region",
            ),
            (
                "https://bkt.s3.us-west-2.amazonaws.com/k",
                "key bkt k | us-west-2",
            ),
            (
                "https://bkt.s3.dualstack.us-west-2.amazonaws.com/d/",
                "dir bkt d/ | us-west-2 dual",
            ),
            (
                "https://s3.cn-north-1.amazonaws.com.cn/bkt/k",
                "key bkt k | cn-north-1 amazonaws.com.cn",
            ),
            (
                "https://bkt.s3.cn-north-1.amazonaws.com.cn/k",
                "key bkt k | cn-north-1 amazonaws.com.cn",
            ),
            (
                "https://s3-us-gov-west-1.amazonaws.com/bkt/k",
                "key bkt k | us-gov-west-1",
            ),
            (
                "https://s3.us-gov-west-1.amazonaws.com/bkt/k",
                "key bkt k | us-gov-west-1",
            ),
            ("https://s3.amazonaws.com/*", "pattern * | -"),
            ("https://s3.amazonaws.com/prefix*/", "pattern prefix* | -"),
            (
                "https://s3.us-west-2.amazonaws.com/prefix*",
                "pattern prefix* | us-west-2",
            ),
            (
                "https://s3.amazonaws.com/bucket/*",
                "bucket bucket contents | -",
            ),
            (
                "https://s3.amazonaws.com/bucket/dir/*",
                "dir bucket dir/ contents | -",
            ),
            // AzCopy takes the region for a bucket here and `bkt/` for a key.
            (
                "https://us-west-2.s3.amazonaws.com/bkt/",
                "bucket bkt | us-west-2",
            ),
        ],
        None,
    );
}

#[test]
fn the_documentations_examples_are_read() {
    check(
        &[
            (
                "https://s3.amazonaws.com/mybucket/myobject",
                "key mybucket myobject | -",
            ),
            (
                "https://s3.amazonaws.com/mybucket/mydirectory",
                "key mybucket mydirectory | -",
            ),
            ("https://s3.amazonaws.com/mybucket", "bucket mybucket | -"),
            ("https://s3.amazonaws.com", "service | -"),
            (
                "https://s3-rds.eu-north-1.amazonaws.com",
                "service | eu-north-1",
            ),
            ("http://s3.amazonaws.com/mybucket", "bucket mybucket | -"),
            ("http://bucket.s3.amazonaws.com", "bucket bucket | -"),
        ],
        None,
    );
}

#[test]
fn what_azcopy_breaks_on_is_read_where_s3_serves_it() {
    check(
        &[
            ("https://a.b.s3.amazonaws.com/k", "key a.b k | -"),
            (
                "https://a.b.s3.eu-west-1.amazonaws.com/k",
                "key a.b k | eu-west-1",
            ),
            ("https://my.files.s3.amazonaws.com/k", "key my.files k | -"),
            ("https://s3.s3.amazonaws.com/k", "key s3 k | -"),
            (
                "https://x.s3.y.s3-eu-west-1.amazonaws.com/k",
                "key x.s3.y k | eu-west-1",
            ),
            ("https://bkt.s3.amazonaws.com:443/k", "key bkt k | -"),
            (
                "https://s3.us-east-1.amazonaws.com:443",
                "service | us-east-1",
            ),
            (
                "https://s3-fips.us-gov-west-1.amazonaws.com/b/k",
                "key b k | us-gov-west-1 fips",
            ),
            (
                "https://s3-fips-us-gov-west-1.amazonaws.com/b/k",
                "key b k | us-gov-west-1 fips",
            ),
            (
                "https://b.s3-fips.dualstack.us-east-2.amazonaws.com/k",
                "key b k | us-east-2 fips dual",
            ),
            ("https://bkt.s3-accelerate.amazonaws.com/k", "key bkt k | -"),
            (
                "https://bkt.s3-accelerate.dualstack.amazonaws.com/k",
                "key bkt k | - dual",
            ),
            (
                "https://s3.dualstack.amazonaws.com/bkt",
                "bucket bkt | - dual",
            ),
            (
                "https://s3-external-1.amazonaws.com/bkt/k",
                "key bkt k | us-east-1",
            ),
            (
                "https://s3.eusc-de-east-1.amazonaws.eu/b",
                "bucket b | eusc-de-east-1 amazonaws.eu",
            ),
            (
                "https://prod-east-1.s3.amazonaws.com/k",
                "key prod-east-1 k | -",
            ),
            ("HTTPS://S3.AMAZONAWS.COM/Bkt/Key", "key Bkt Key | -"),
            ("https://s3.amazonaws.com./bkt", "bucket bkt | -"),
            ("https://s3.amazonaws.com/bkt//lead", "key bkt /lead | -"),
            (
                "https://bkt.s3.amazonaws.com//lead//x",
                "key bkt /lead//x | -",
            ),
            ("https://bkt.s3.amazonaws.com/*", "bucket bkt contents | -"),
            (
                "https://s3.amazonaws.com/bkt/a+b%2Bc%20d",
                "key bkt a b+c d | -",
            ),
            ("https://s3.amazonaws.com/bkt/st%2Ar", "key bkt st*r | -"),
            ("https://s3.amazonaws.com/bkt/%2A", "key bkt * | -"),
            (
                "https://s3.amazonaws.com/bkt/a%3Fb%23c%25d",
                "key bkt a?b#c%d | -",
            ),
            ("https://s3.amazonaws.com/bkt/a/../b", "key bkt a/../b | -"),
            (
                "https://s3.amazonaws.com/bkt/k?VERSIONID=a%2Bb",
                "key bkt k version a+b | -",
            ),
            ("https://s3.amazonaws.com/bkt/é", "key bkt é | -"),
        ],
        None,
    );
}

#[test]
fn the_short_form_takes_keys_as_they_are() {
    check(
        &[
            ("s3://", "service | -"),
            ("s3://bucket", "bucket bucket | -"),
            ("s3://bucket/", "bucket bucket | -"),
            ("S3://bucket/key", "key bucket key | -"),
            ("s3://bucket/a+b%20c?d#e", "key bucket a+b%20c?d#e | -"),
            ("s3://bucket/dir/", "dir bucket dir/ | -"),
            ("s3://bucket//k", "key bucket /k | -"),
            ("s3://bucket/*", "bucket bucket contents | -"),
            ("s3://bucket/dir/*", "dir bucket dir/ contents | -"),
            ("s3://pre*", "pattern pre* | -"),
            ("s3://pre*/", "pattern pre* | -"),
            ("s3://*", "pattern * | -"),
        ],
        None,
    );
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
        "http://h/path",
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
    let rows = [
        ("https://bucket.amazonawstypo.com", "not an Amazon S3 host"),
        (
            "https://bucket.s3.amazonawstypo.com",
            "not an Amazon S3 host",
        ),
        ("https://s3-test.blob.core.windows.net", "is an Azure host"),
        ("https://acct.dfs.core.windows.net/x", "is an Azure host"),
        ("http://127.0.0.1:9000/b", "set --s3-endpoint"),
        ("http://[::1]:9000/b", "set --s3-endpoint"),
        ("https://s3.wasabisys.com/b", "set --s3-endpoint"),
        ("https://s3.amazonaws.com:9000/b", "has no such port"),
        (
            "https://s3.console.aws.amazon.com/s3/buckets/b",
            "the AWS console",
        ),
        ("https://ec2.us-east-1.amazonaws.com/", "is no S3 endpoint"),
        ("https://s3-rds.amazonaws.com", "is no S3 endpoint"),
        ("https://s3.nowhere.amazonaws.com", "is no S3 endpoint"),
        ("https://amazonaws.com/", "not an Amazon S3 host"),
        ("https://.s3.amazonaws.com/", "an empty label"),
        (
            "https://b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com/k",
            "is an S3 Express directory bucket",
        ),
        (
            "https://bucket.vpce-1a2b-5e6f.s3.us-east-1.vpce.amazonaws.com/b/k",
            "is a private endpoint",
        ),
        (
            "https://ap-123.s3-accesspoint.us-west-2.amazonaws.com/k",
            "is an access point",
        ),
        (
            "https://m.accesspoint.s3-global.amazonaws.com/k",
            "is an access point",
        ),
        (
            "https://b.s3-website-us-east-1.amazonaws.com/k",
            "is a website endpoint",
        ),
        (
            "https://b.s3-website.eu-central-1.amazonaws.com/k",
            "is a website endpoint",
        ),
        (
            "https://b.s3-outposts.us-east-1.amazonaws.com/k",
            "serves no buckets",
        ),
        ("https://*.s3.amazonaws.com", "cannot stand in the host"),
        (
            "https://pre*.s3.amazonaws.com/k",
            "cannot stand in the host",
        ),
        (
            "https://s3.amazonaws.com/pre*/k",
            "cannot follow a bucket pattern",
        ),
        (
            "https://s3.amazonaws.com/pre*/*",
            "cannot follow a bucket pattern",
        ),
        (
            "https://s3.amazonaws.com/b/d*/k",
            "write a star in a key as %2A",
        ),
        (
            "https://s3.amazonaws.com/b/d*",
            "write a star in a key as %2A",
        ),
        (
            "https://s3.amazonaws.com/b/**",
            "write a star in a key as %2A",
        ),
        ("https://s3.amazonaws.com/[a*", "bucket pattern [a*"),
        ("s3://b/d*", "wildcards stand for buckets"),
        ("s3:///key", "the bucket's name is empty"),
        (
            "https://s3.amazonaws.com//b/k",
            "the bucket's name is empty",
        ),
        (
            "https://s3.amazonaws.com/b%20c/k",
            "a bucket's name has only",
        ),
        ("https://s3.amazonaws.com/../k", "a bucket's name has only"),
        (
            "https://s3.amazonaws.com/b/100%",
            "write a percent sign as %25",
        ),
        ("https://s3.amazonaws.com/b/a#b", "write it as %23"),
        (
            "https://s3.amazonaws.com/b/d/?versionId=V",
            "names a version of one object",
        ),
        (
            "https://s3.amazonaws.com/b?versionId=V",
            "names a version of one object",
        ),
        (
            "https://s3.amazonaws.com/b/k?versionId=",
            "versionId is empty",
        ),
        ("/data/files", "must begin with s3:// or https://"),
        (
            "ftp://s3.amazonaws.com/b",
            "must begin with s3:// or https://",
        ),
        ("arn:aws:s3:::b/k", "write s3://BUCKET/KEY"),
        ("", "must begin with s3:// or https://"),
    ];
    for (text, wanted) in rows {
        let failure = SourceUrl::parse(text, None).unwrap_err();
        assert_eq!(
            (failure.reason, failure.remedy),
            (Reason::Usage, Remedy::Stop)
        );
        assert!(failure.message.contains(wanted), "{text}: {failure}");
        assert!(!failure.message.contains('\n'));
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
        let _ = SourceUrl::parse(&text, None);
        let _ = SourceUrl::parse(&format!("https://{host}.amazonaws.com/{text}"), None);
        let _ = SourceUrl::parse(&format!("s3://{text}"), Some(&text));
    }
}
