//! What proves an object's content. Pure.

use crate::failure::{Failure, Reason, Result};
use crate::source::client::ObjectHead;

/// The MD5 of the content, where the ETag is one: single uploads that are stored in plain or under
/// S3's own key (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>, ETag).
pub(super) fn content_md5(head: &ObjectHead) -> Option<[u8; 16]> {
    let own_key = head
        .server_side_encryption
        .as_deref()
        .is_none_or(|kind| kind == "AES256");
    let etag = head.etag.as_deref();
    etag.filter(|_| own_key && !head.customer_key)
        .and_then(md5_of_etag)
}

/// The MD5 an ETag looks like; it is one only under the conditions of [`content_md5`].
pub(super) fn md5_of_etag(etag: &str) -> Option<[u8; 16]> {
    if etag.len() != 32 {
        return None;
    }
    let digits: Vec<u8> = etag
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    bytes.try_into().ok()
}

/// Compares the MD5 that an answer tells of a blob with the object's, where one is known; `false`
/// where there are not two.
///
/// # Errors
/// [`Reason::ChecksumMismatch`] (worth a retry): what arrived is not what was sent.
pub(super) fn same_md5(expected: Option<[u8; 16]>, actual: Option<[u8; 16]>) -> Result<bool> {
    match (expected, actual) {
        (Some(expected), Some(actual)) if expected != actual => Err(Failure::retry(
            Reason::ChecksumMismatch,
            format!(
                "MD5 is {:032x} at the destination, {:032x} at S3",
                u128::from_be_bytes(actual),
                u128::from_be_bytes(expected)
            ),
        )),
        (Some(_), Some(_)) => Ok(true),
        _ => Ok(false),
    }
}

/// Compares two CRC-64/NVME of one content; `false` where there are not two.
///
/// # Errors
/// [`Reason::ChecksumMismatch`] (worth a retry): what arrived is not what was sent.
pub(super) fn same_crc64(expected: Option<u64>, actual: Option<u64>) -> Result<bool> {
    match (expected, actual) {
        (Some(expected), Some(actual)) if expected != actual => Err(Failure::retry(
            Reason::ChecksumMismatch,
            format!("CRC-64 is {actual:016x} at the destination, {expected:016x} at S3"),
        )),
        (Some(_), Some(_)) => Ok(true),
        _ => Ok(false),
    }
}
