//! The digest Azure answers with.
//!
//! `x-ms-content-crc64` and S3's `x-amz-checksum-crc64nvme` are the same CRC-64/NVME; Azure writes
//! its eight bytes in little-endian order, S3 in big-endian order. Compare the numbers, never the
//! texts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The CRC-64/NVME in an `x-ms-content-crc64` header; `None` where it is not eight bytes.
pub fn decode_crc64(text: &str) -> Option<u64> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// The MD5 in a `Content-MD5` header; `None` where it is not sixteen bytes.
pub fn decode_md5(text: &str) -> Option<[u8; 16]> {
    STANDARD.decode(text.trim()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of Azure's own SDKs and of recordings of the live service.
    #[test]
    fn azures_digests_are_little_endian() {
        for (text, value) in [
            ("AAAAAAAAAAA=", 0),
            ("iJh5CoYUi64=", 0xAE8B_1486_0A79_9888),
            ("DtjZpL9/o8c=", 0xC7A3_7FBF_A4D9_D80E),
            ("vo7q9sPVKY0=", 0x8D29_D5C3_F6EA_8EBE),
            ("O89OTUNzNM8=", 0xCF34_7343_4D4E_CF3B),
        ] {
            assert_eq!(decode_crc64(text), Some(value), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_digest() {
        for text in ["", "AAAA", "not base64", "AAAAAAAAAAAAAAAAAAAAAA=="] {
            assert_eq!(decode_crc64(text), None, "{text}");
        }
        assert_eq!(decode_md5("AAAAAAAAAAA="), None);
        assert_eq!(decode_md5("AAAAAAAAAAAAAAAAAAAAAA=="), Some([0; 16]));
    }
}
