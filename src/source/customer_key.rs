//! A key of the customer's own that objects are encrypted with (SSE-C).
//!
//! Every HEAD and GET of such an object must send the key; Azure cannot, so these objects are
//! relayed (Amazon S3 user guide, "Using server-side encryption with customer-provided keys").

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use crate::failure::{Failure, Reason, Result};

/// Bytes of an AES-256 key.
const LENGTH: usize = 32;

/// A customer's key; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerKey {
    key: String,
    md5: String,
}

impl CustomerKey {
    /// The key in a file: 32 raw bytes, or their base64.
    ///
    /// # Errors
    /// [`Reason::Usage`]: the file cannot be read or holds no such key.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| {
            usage(format!(
                "--s3-sse-c-key-file: the file cannot be read: {error}"
            ))
        })?;
        Self::new(&bytes).ok_or_else(|| {
            usage(
                "--s3-sse-c-key-file: the file holds no key: 32 bytes, or their base64".to_owned(),
            )
        })
    }

    fn new(bytes: &[u8]) -> Option<Self> {
        let raw = if bytes.len() == LENGTH {
            bytes.to_vec()
        } else {
            STANDARD.decode(bytes.trim_ascii()).ok()?
        };
        (raw.len() == LENGTH).then(|| Self {
            key: STANDARD.encode(&raw),
            md5: STANDARD.encode(Md5::digest(&raw)),
        })
    }

    /// The headers that show the key, for HEAD and GET.
    pub(super) fn headers(&self) -> [(&'static str, &str); 3] {
        [
            ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
            ("x-amz-server-side-encryption-customer-key", &self.key),
            ("x-amz-server-side-encryption-customer-key-md5", &self.md5),
        ]
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey([hidden])")
    }
}

fn usage(message: String) -> Failure {
    Failure::stop(Reason::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_raw_or_in_base64() {
        let raw = [7_u8; LENGTH];
        let text = format!("{}\n", STANDARD.encode(raw));
        let key = CustomerKey::new(&raw).unwrap();
        assert_eq!(CustomerKey::new(text.as_bytes()), Some(key.clone()));
        assert_eq!(key.headers()[2].1, STANDARD.encode(Md5::digest(raw)));
        for bad in [&b""[..], b"short", &[7; 31], &[7; 33]] {
            assert_eq!(CustomerKey::new(bad), None, "{bad:?}");
        }
        assert!(!format!("{key:?}").contains(key.headers()[1].1));
    }
}
