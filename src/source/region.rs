//! Regions, partitions, and the host a bucket answers on.
//!
//! Regions are recognised by their shape, not by a list: AzCopy's fixed table has broken on every
//! region that opened after it was written.

use crate::job::SourceEndpoint;

/// DNS suffix of the commercial partition and of GovCloud.
pub const AWS: &str = "amazonaws.com";
/// DNS suffix of the partition in China.
pub const CHINA: &str = "amazonaws.com.cn";
/// DNS suffix of the European Sovereign Cloud.
pub const EUROPE: &str = "amazonaws.eu";

/// The suffixes we know, the longer of two that end alike first.
pub const SUFFIXES: [&str; 3] = [CHINA, AWS, EUROPE];

/// What S3-compatible servers take for a region when they have none.
pub const DEFAULT: &str = "us-east-1";

/// Where in an area a region lies; the word before its number.
const DIRECTIONS: [&str; 9] = [
    "north",
    "south",
    "east",
    "west",
    "central",
    "northeast",
    "northwest",
    "southeast",
    "southwest",
];

/// The areas regions were named after so far.
const AREAS: [&str; 11] = [
    "us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx", "cn", "eusc",
];

/// Is this the name of a region, such as `us-east-1` or `us-gov-west-1`: an area of two to four
/// letters, perhaps more words, a direction, a number?
pub fn is_region(label: &str) -> bool {
    let parts: Vec<_> = label.split('-').collect();
    let [area, middle @ .., direction, number] = parts.as_slice() else {
        return false;
    };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    (2..=4).contains(&area.len())
        && is_word(area)
        && middle.iter().all(is_word)
        && DIRECTIONS.contains(direction)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// Is this a region in one of the areas known today? Stricter than [`is_region`], for the places
/// where a bucket's name could stand too.
pub fn is_known_region(label: &str) -> bool {
    is_region(label)
        && AREAS
            .iter()
            .any(|area| label.split('-').next() == Some(area))
}

/// The DNS suffix of the partition a region lies in; `None` where the name does not tell, which
/// means the commercial one.
pub fn suffix_of(region: &str) -> Option<&'static str> {
    match region.split('-').next() {
        Some("cn") => Some(CHINA),
        Some("eusc") => Some(EUROPE),
        _ => None,
    }
}

/// The region whose endpoint speaks for the whole partition: it lists all buckets, and is asked
/// where a bucket lies.
pub fn home(endpoint: &SourceEndpoint) -> &'static str {
    match endpoint {
        SourceEndpoint::Aws { suffix, .. } if suffix == CHINA => "cn-north-1",
        SourceEndpoint::Aws { suffix, .. } if suffix == EUROPE => "eusc-de-east-1",
        SourceEndpoint::Aws { .. } | SourceEndpoint::Custom { .. } => DEFAULT,
    }
}

/// GetBucketLocation's names for two old regions: nothing for `us-east-1`, `EU` for `eu-west-1`
/// (S3 API reference, GetBucketLocation).
pub fn from_location(constraint: &str) -> &str {
    match constraint {
        "" => DEFAULT,
        "EU" => "eu-west-1",
        region => region,
    }
}

/// Where requests for a bucket, or for the service itself, are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Scheme, host and port, e.g. `https://bkt.s3.eu-west-1.amazonaws.com`.
    pub base: String,
    /// What stands before `/key` in the path: empty, or `/bucket` for path style.
    pub path: String,
}

/// A server's address with the bucket before the name of its host.
fn in_host(url: &str, bucket: Option<&str>) -> Address {
    let base = match (bucket, url.split_once("://")) {
        (Some(bucket), Some((scheme, rest))) => format!("{scheme}://{bucket}.{rest}"),
        _ => url.to_owned(),
    };
    Address {
        base,
        path: String::new(),
    }
}

/// Where a bucket of a region is reached; the service of that region without a bucket.
///
/// Amazon's buckets are addressed virtual-hosted at their own region's endpoint (no redirect, which
/// Azure would not follow), except where a certificate for `*.s3.REGION` does not cover the name.
/// Custom endpoints are addressed path-style, or as they want it.
pub fn address(endpoint: &SourceEndpoint, region: &str, bucket: Option<&str>) -> Address {
    let (scheme, host) = match endpoint {
        SourceEndpoint::Custom {
            url,
            virtual_hosted: true,
        } => return in_host(url, bucket),
        SourceEndpoint::Custom { url, .. } => ("", url.clone()),
        SourceEndpoint::Aws {
            suffix,
            fips,
            dualstack,
        } => {
            let service = if *fips { "s3-fips" } else { "s3" };
            let stack = if *dualstack { ".dualstack" } else { "" };
            ("https://", format!("{service}{stack}.{region}.{suffix}"))
        }
    };
    let (base, path) = match bucket {
        None => (format!("{scheme}{host}"), String::new()),
        Some(name) if !scheme.is_empty() && fits_certificate(name) => {
            (format!("{scheme}{name}.{host}"), String::new())
        }
        Some(name) => (format!("{scheme}{host}"), format!("/{name}")),
    };
    Address { base, path }
}

/// Can the bucket stand as one label before the endpoint's host? Names with a dot fall outside the
/// wildcard certificate; legacy names (upper case, underscore, over 63) are no DNS labels.
fn fits_certificate(bucket: &str) -> bool {
    (3..=63).contains(&bucket.len())
        && bucket
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !bucket.starts_with('-')
        && !bucket.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aws(suffix: &str, fips: bool, dualstack: bool) -> SourceEndpoint {
        SourceEndpoint::Aws {
            suffix: suffix.into(),
            fips,
            dualstack,
        }
    }

    #[test]
    fn regions_are_told_by_their_shape() {
        for region in [
            "us-east-1",
            "us-west-2",
            "ap-southeast-7",
            "ap-northeast-3",
            "mx-central-1",
            "us-gov-west-1",
            "us-gov-east-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "cn-northwest-1",
            "me-central-1",
            "il-central-1",
            "eusc-de-east-1",
            "ca-west-1",
        ] {
            assert!(is_region(region), "{region}");
        }
        for label in [
            "",
            "s3",
            "rds",
            "s3-rds",
            "fips",
            "aws-region",
            "dualstack",
            "us-east",
            "east-1",
            "us-east-",
            "us-east-x",
            "US-east-1",
            "vpce-1a2b",
            "my-bucket-123",
            "external-1",
            "website-us-east-1",
            "app-logs-1",
            "us--west-1",
            "us-west-123",
        ] {
            assert!(!is_region(label), "{label}");
        }
    }

    #[test]
    fn a_bucket_named_like_a_region_of_no_known_area_is_no_region() {
        assert!(is_region("prod-east-1"));
        assert!(!is_known_region("prod-east-1"));
        assert!(is_known_region("us-west-2"));
    }

    #[test]
    fn a_bucket_is_reached_at_its_own_regions_endpoint() {
        let long = "x".repeat(64);
        let rows = [
            ("us-east-1", "", "s3.us-east-1.amazonaws.com", ""),
            ("eu-north-1", "bkt", "bkt.s3.eu-north-1.amazonaws.com", ""),
            ("eu-north-1", "a.b", "s3.eu-north-1.amazonaws.com", "/a.b"),
            ("us-east-1", "Old", "s3.us-east-1.amazonaws.com", "/Old"),
            ("us-east-1", "o_d", "s3.us-east-1.amazonaws.com", "/o_d"),
            ("us-east-1", "-od", "s3.us-east-1.amazonaws.com", "/-od"),
            (
                "us-east-1",
                &long,
                "s3.us-east-1.amazonaws.com",
                &format!("/{long}"),
            ),
        ];
        for (region, bucket, host, path) in rows {
            let bucket = Some(bucket).filter(|bucket| !bucket.is_empty());
            let got = address(&aws(AWS, false, false), region, bucket);
            assert_eq!(
                (got.base, got.path.as_str()),
                (format!("https://{host}"), path)
            );
        }
    }

    #[test]
    fn partitions_and_kinds_of_endpoint_have_their_own_hosts() {
        let base = |endpoint: &SourceEndpoint, region| address(endpoint, region, Some("b-1")).base;
        assert_eq!(
            base(&aws(CHINA, false, false), "cn-north-1"),
            "https://b-1.s3.cn-north-1.amazonaws.com.cn"
        );
        assert_eq!(
            base(&aws(AWS, true, false), "us-gov-west-1"),
            "https://b-1.s3-fips.us-gov-west-1.amazonaws.com"
        );
        assert_eq!(
            base(&aws(AWS, true, true), "us-east-1"),
            "https://b-1.s3-fips.dualstack.us-east-1.amazonaws.com"
        );
        let custom = SourceEndpoint::custom("http://127.0.0.1:9000");
        let got = address(&custom, "eu-north-1", Some("bkt"));
        assert_eq!(
            (got.base.as_str(), got.path.as_str()),
            ("http://127.0.0.1:9000", "/bkt")
        );
        assert_eq!(address(&custom, "eu-north-1", None).path, "");
    }

    #[test]
    fn old_location_names_are_translated() {
        assert_eq!(from_location(""), "us-east-1");
        assert_eq!(from_location("EU"), "eu-west-1");
        assert_eq!(from_location("eu-west-3"), "eu-west-3");
    }
}
