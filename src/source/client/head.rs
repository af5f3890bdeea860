//! What the headers of a HEAD say of an object. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};

use crate::failure::{Failure, Reason, Result};
use crate::message::UNKNOWN_TIME;
use crate::source::list::{is_archive, time_of, unquoted};

/// Prefix of user metadata.
const META: &str = "x-amz-meta-";

/// An object's properties (S3 API reference, HeadObject).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectHead {
    /// Size in bytes.
    pub size: u64,
    /// ETag without its quotes.
    pub etag: Option<String>,
    /// Last-Modified in seconds since 1970, or [`UNKNOWN_TIME`].
    pub modified: i64,
    /// The version, in versioned buckets (`null` for objects older than versioning).
    pub version: Option<String>,
    /// Content-Type.
    pub content_type: Option<String>,
    /// Cache-Control.
    pub cache_control: Option<String>,
    /// Content-Encoding.
    pub content_encoding: Option<String>,
    /// Content-Language.
    pub content_language: Option<String>,
    /// Content-Disposition.
    pub content_disposition: Option<String>,
    /// Expires, as it was put.
    pub expires: Option<String>,
    /// Storage class; absent for STANDARD.
    pub storage_class: Option<String>,
    /// Intelligent-Tiering's archive tier the object lies in.
    pub archive_status: Option<String>,
    /// A restored copy of an archived object can be read now.
    pub restored: bool,
    /// Until when, as S3 writes it.
    pub restored_until: Option<String>,
    /// How the object is encrypted: `AES256`, `aws:kms`, …
    pub server_side_encryption: Option<String>,
    /// It is encrypted with a customer's key, which every read must show.
    pub customer_key: bool,
    /// How many tags it has.
    pub tag_count: u32,
    /// The whole object's CRC-64/NVME, where S3 has it.
    pub checksum_crc64nvme: Option<u64>,
    /// User metadata without the `x-amz-meta-`, in the order of the answer; values as sent (those
    /// outside ASCII in RFC 2047 words).
    pub metadata: Vec<(String, String)>,
    /// How many entries of user metadata S3 could not put into headers.
    pub missing_meta: u32,
}

impl ObjectHead {
    /// Must the object be restored before it can be read?
    pub fn archived(&self) -> bool {
        let archived = is_archive(self.storage_class.as_deref()) || self.archive_status.is_some();
        archived && !self.restored
    }

    /// Reads an answer's headers; `size` is what is known of the size by other means.
    ///
    /// # Errors
    /// [`Reason::SourceRejected`] where even the size is missing.
    pub(super) fn read(headers: &HeaderMap, size: Option<u64>) -> Result<Self> {
        let get = |name: &str| {
            headers
                .get(name)
                .map(text)
                .filter(|value| !value.is_empty())
        };
        let told = get(header::CONTENT_LENGTH.as_str()).and_then(|size| size.parse().ok());
        Ok(Self {
            size: size.or(told).ok_or_else(no_size)?,
            etag: get("etag").map(|etag| unquoted(&etag)),
            modified: get("last-modified").map_or(UNKNOWN_TIME, |date| time_of(&date)),
            version: get("x-amz-version-id"),
            content_type: get("content-type"),
            cache_control: get("cache-control"),
            content_encoding: get("content-encoding").and_then(|value| stored_encoding(&value)),
            content_language: get("content-language"),
            content_disposition: get("content-disposition"),
            expires: get("expires"),
            storage_class: get("x-amz-storage-class"),
            archive_status: get("x-amz-archive-status"),
            restored: get("x-amz-restore").is_some_and(|status| restored(&status)),
            restored_until: get("x-amz-restore").and_then(|status| expiry(&status)),
            server_side_encryption: get("x-amz-server-side-encryption"),
            customer_key: get("x-amz-server-side-encryption-customer-algorithm").is_some(),
            tag_count: get("x-amz-tagging-count")
                .and_then(|count| count.parse().ok())
                .unwrap_or_default(),
            checksum_crc64nvme: get("x-amz-checksum-crc64nvme").and_then(|sum| crc64(&sum)),
            metadata: metadata(headers),
            missing_meta: get("x-amz-missing-meta")
                .and_then(|count| count.parse().ok())
                .unwrap_or_default(),
        })
    }
}

fn no_size() -> Failure {
    Failure::give_up(
        Reason::SourceRejected,
        "the answer has no Content-Length: is this the address of an S3 service?",
    )
}

/// A header's value: UTF-8 where it is that, else byte for byte (ISO 8859-1, RFC 9110 5.5).
fn text(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    std::str::from_utf8(bytes).map_or_else(
        |_| bytes.iter().map(|byte| char::from(*byte)).collect(),
        str::to_owned,
    )
}

/// The encodings an object is stored in, of those its header names: `aws-chunked` is how it was
/// sent, which some servers keep (S3 API reference, "Transferring payload in multiple chunks").
fn stored_encoding(value: &str) -> Option<String> {
    let tokens = value.split(',').map(str::trim);
    let stored: Vec<&str> = tokens
        .filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!stored.is_empty()).then(|| stored.join(", "))
}

/// `ongoing-request="false", expiry-date="…"`: restored, until then.
fn restored(status: &str) -> bool {
    status.contains("ongoing-request=\"false\"")
}

/// The `expiry-date` of a restored copy.
fn expiry(status: &str) -> Option<String> {
    let (_, date) = status.split_once("expiry-date=\"")?;
    let (date, _) = date.split_once('"')?;
    Some(date.to_owned())
}

/// Base64 of eight bytes, the first the highest. A part's sum (`…-N`) is not the object's.
fn crc64(sum: &str) -> Option<u64> {
    let bytes = STANDARD.decode(sum).ok()?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// Entries of one name come joined by commas, as S3 joins them itself.
fn metadata(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .keys()
        .filter_map(|name| {
            let key = name.as_str().strip_prefix(META)?;
            let values: Vec<_> = headers.get_all(name).iter().map(text).collect();
            Some((key.to_owned(), values.join(",")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(rows: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in rows {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn every_property_is_read() {
        let head = ObjectHead::read(
            &headers(&[
                ("content-length", b"18446744073709551615"),
                ("etag", b"\"0123-2\""),
                ("last-modified", b"Thu, 29 Feb 2024 12:00:01 GMT"),
                ("x-amz-version-id", b"v1"),
                ("content-type", b"text/plain; charset=utf-8"),
                ("cache-control", b"no-cache"),
                ("content-encoding", b"gzip"),
                ("content-language", b"de"),
                ("content-disposition", b"attachment; filename=\"x\""),
                ("expires", b"0"),
                ("x-amz-storage-class", b"DEEP_ARCHIVE"),
                ("x-amz-server-side-encryption", b"aws:kms"),
                ("x-amz-checksum-crc64nvme", b"AQIDBAUGBwg="),
                ("x-amz-meta-b", b"2"),
                ("x-amz-meta-a", b"=?UTF-8?B?w6k=?="),
                ("x-amz-meta-b", b"3"),
                ("x-amz-meta-", b"nameless"),
                ("x-amz-meta-raw", b"\xe9"),
                ("x-amz-missing-meta", b"4"),
                ("x-amz-tagging-count", b"3"),
            ]),
            None,
        );
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let some = |text: &str| Some(text.to_owned());
        let wanted = ObjectHead {
            size: u64::MAX,
            etag: some("0123-2"),
            modified: 1_709_208_001,
            version: some("v1"),
            content_type: some("text/plain; charset=utf-8"),
            cache_control: some("no-cache"),
            content_encoding: some("gzip"),
            content_language: some("de"),
            content_disposition: some("attachment; filename=\"x\""),
            expires: some("0"),
            storage_class: some("DEEP_ARCHIVE"),
            archive_status: None,
            restored: false,
            restored_until: None,
            server_side_encryption: some("aws:kms"),
            customer_key: false,
            tag_count: 3,
            checksum_crc64nvme: Some(0x0102_0304_0506_0708),
            metadata: vec![
                pair("b", "2,3"),
                pair("a", "=?UTF-8?B?w6k=?="),
                pair("", "nameless"),
                pair("raw", "é"),
            ],
            missing_meta: 4,
        };
        assert_eq!(head.unwrap(), wanted);
    }

    #[test]
    fn how_an_object_was_sent_is_no_encoding_of_it() {
        for (header, stored) in [
            ("gzip", Some("gzip")),
            ("aws-chunked", None),
            ("aws-chunked,gzip", Some("gzip")),
            ("gzip, AWS-Chunked", Some("gzip")),
            ("aws-chunked, gzip,br", Some("gzip, br")),
            (" , ", None),
        ] {
            assert_eq!(stored_encoding(header).as_deref(), stored, "{header}");
        }
    }

    #[test]
    fn archived_and_restored_are_told_apart() {
        let archived = |rows: &[(&'static str, &[u8])]| {
            let mut headers = headers(rows);
            headers.insert("content-length", HeaderValue::from_static("1"));
            ObjectHead::read(&headers, None).unwrap().archived()
        };
        assert!(!archived(&[]));
        assert!(!archived(&[("x-amz-storage-class", b"GLACIER_IR")]));
        assert!(archived(&[("x-amz-storage-class", b"GLACIER")]));
        assert!(archived(&[(
            "x-amz-archive-status",
            b"DEEP_ARCHIVE_ACCESS"
        )]));
        assert!(archived(&[
            ("x-amz-storage-class", b"GLACIER"),
            ("x-amz-restore", b"ongoing-request=\"true\""),
        ]));
        assert!(!archived(&[
            ("x-amz-storage-class", b"GLACIER"),
            (
                "x-amz-restore",
                b"ongoing-request=\"false\", expiry-date=\"Fri, 01 Mar 2024 00:00:00 GMT\"",
            ),
        ]));
    }

    #[test]
    fn until_when_a_copy_is_restored_is_read() {
        for (status, until) in [
            ("ongoing-request=\"true\"", None),
            (
                "ongoing-request=\"false\", expiry-date=\"Fri, 01 Mar 2024 00:00:00 GMT\"",
                Some("Fri, 01 Mar 2024 00:00:00 GMT"),
            ),
            ("ongoing-request=\"false\", expiry-date=\"", None),
            ("", None),
        ] {
            assert_eq!(expiry(status).as_deref(), until, "{status}");
        }
    }

    #[test]
    fn foreign_headers_are_taken_with_care() {
        let read = |rows| ObjectHead::read(&headers(rows), None);
        assert!(read(&[]).is_err());
        assert!(read(&[("content-length", b"-1")]).is_err());
        let odd = read(&[
            ("content-length", b"0"),
            ("last-modified", b"yesterday"),
            ("x-amz-checksum-crc64nvme", b"AAAAAA=="),
            ("x-amz-missing-meta", b"many"),
        ]);
        let empty = ObjectHead {
            modified: UNKNOWN_TIME,
            ..ObjectHead::default()
        };
        assert_eq!(odd.unwrap(), empty);
        let sized = ObjectHead::read(&headers(&[]), Some(7)).unwrap();
        assert_eq!(sized.size, 7, "known from elsewhere");
    }
}
