//! User metadata on the wire.
//!
//! The S3 user guide: values beyond US-ASCII are stored decoded and given back encoded as of
//! RFC 2047. Its example has base64 for a text with control characters; S3 is known to send
//! quoted text for others.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A value as HEAD and GET give it back.
pub(crate) fn wire(value: &str) -> Cow<'_, str> {
    if value
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
    {
        return Cow::Borrowed(value);
    }
    if value.chars().any(char::is_control) {
        return Cow::Owned(format!("=?UTF-8?B?{}?=", STANDARD.encode(value)));
    }
    let quoted: String = value.bytes().map(quote).collect();
    Cow::Owned(format!("=?UTF-8?Q?{quoted}?="))
}

fn quote(byte: u8) -> String {
    match byte {
        b' ' => "_".to_owned(),
        b'=' | b'?' | b'_' => format!("={byte:02X}"),
        b'!'..=b'~' => char::from(byte).to_string(),
        _ => format!("={byte:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_only_where_they_must_be() {
        for (value, wired) in [
            ("AMAZONS3", "AMAZONS3"),
            ("a_b = c?", "a_b = c?"),
            ("=?UTF-8?Q?=C3=A4?=", "=?UTF-8?Q?=C3=A4?="),
            ("ä b_c", "=?UTF-8?Q?=C3=A4_b=5Fc?="),
            // The user guide's example: "ÄMÄZÕÑ S3" sent as UTF-8 and read as Latin-1.
            (
                "\u{c3}\u{84}M\u{c3}\u{84}Z\u{c3}\u{95}\u{c3}\u{91} S3",
                "=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?=",
            ),
        ] {
            assert_eq!(wire(value), wired);
        }
    }
}
