//! What proves an object's content. Pure.

use crate::source::client::ObjectHead;

/// The MD5 of the content, where the ETag is one: single uploads that are stored in plain or under
/// S3's own key (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>, ETag).
pub(super) fn content_md5(head: &ObjectHead) -> Option<[u8; 16]> {
    let own_key = head
        .server_side_encryption
        .as_deref()
        .is_none_or(|kind| kind == "AES256");
    let etag = head
        .etag
        .as_deref()
        .filter(|etag| own_key && etag.len() == 32)?;
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
