//! Keys in URLs, and keys in listings: percent-encoding both ways, and what Azure cannot fetch.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::failure::{Failure, Reason, Result};

/// What SigV4 leaves as it is in a query: the unreserved characters of RFC 3986.
const QUERY: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// In a path the slash stays too (AWS, "Create a signed request": S3 encodes once).
const PATH: AsciiSet = QUERY.remove(b'/');

/// A key or bucket as it stands in a path.
pub(crate) fn encode_path(text: &str) -> String {
    utf8_percent_encode(text, &PATH).to_string()
}

/// A value as it stands in a query.
pub(super) fn encode_query(text: &str) -> String {
    utf8_percent_encode(text, &QUERY).to_string()
}

/// Undoes percent-encoding, strictly: every `%` is followed by two hexadecimal digits and the
/// result is UTF-8, or there is none. With `plus`, `+` means a space (HTML forms, the S3 console,
/// and `encoding-type=url` in listings).
pub(super) fn decode(text: &str, plus: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let complete = bytes.iter().enumerate().all(|(at, byte)| {
        *byte != b'%'
            || bytes
                .get(at + 1..at + 3)
                .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if !complete {
        return None;
    }
    let spaced = if plus && text.contains('+') {
        text.replace('+', " ")
    } else {
        text.to_owned()
    };
    percent_decode_str(&spaced)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

/// Refuses a key that Azure's fetcher would ask S3 for under another name.
///
/// Like every URL library it drops `.` and `..` segments, encoded or not, so that `/a/../b` would
/// fetch `/b`: another object. Beyond that it takes `\` for `/` and drops the dots at a segment's
/// end. With a signature S3 then refuses, and all Azure says is 403
/// (<https://github.com/Azure/azure-storage-azcopy/issues/957>); of a public bucket it would get
/// another object.
///
/// # Errors
/// [`Reason::SourceUnaddressable`].
pub(super) fn fetchable(key: &str) -> Result<()> {
    let fault = if key.contains('\\') {
        "it holds a `\\`"
    } else if key.split('/').any(|segment| segment.ends_with('.')) {
        "a segment of it ends in `.`"
    } else {
        return Ok(());
    };
    Err(Failure::give_up(
        Reason::SourceUnaddressable,
        format!(
            "Azure cannot ask for this key, {fault}: let it be relayed (--relay=auto), or rename \
             the object at the source"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn awkward_keys_are_encoded_once_and_entirely() {
        let rows = [
            ("a b", "a%20b"),
            ("a+b", "a%2Bb"),
            ("100%", "100%25"),
            ("%2E", "%252E"),
            ("a#b?c", "a%23b%3Fc"),
            ("\"'", "%22%27"),
            ("a//b/", "a//b/"),
            ("/a", "/a"),
            ("é", "%C3%A9"),
            ("a\\b", "a%5Cb"),
            ("-._~", "-._~"),
            ("\u{0}\n", "%00%0A"),
        ];
        for (key, path) in rows {
            assert_eq!(encode_path(key), path);
            assert_eq!(decode(path, false).as_deref(), Some(key));
        }
        assert_eq!(encode_query("a/b"), "a%2Fb");
    }

    #[test]
    fn decoding_is_strict() {
        assert_eq!(decode("a+b%2Bc", true).as_deref(), Some("a b+c"));
        assert_eq!(decode("a+b", false).as_deref(), Some("a+b"));
        for bad in ["%", "100%", "%4", "%zz", "%C3", "%%41"] {
            assert_eq!(decode(bad, false), None, "{bad}");
        }
    }

    #[test]
    fn keys_the_service_would_rewrite_are_refused() {
        for key in ["a.", "...", "a./b", "a/b./c", ".", "a/..", "a\\b", "\\"] {
            let failure = fetchable(key).unwrap_err();
            assert_eq!(failure.reason, Reason::SourceUnaddressable, "{key}");
        }
        for key in ["a.b", ".a", "..a/b", "a//b", "/a", "a/", "%5C", "a. "] {
            assert!(fetchable(key).is_ok(), "{key}");
        }
    }

    proptest! {
        #[test]
        fn any_key_survives_the_way_there_and_back(
            key in proptest::collection::vec(any::<char>(), 0..12),
        ) {
            let key = String::from_iter(key);
            prop_assert_eq!(decode(&encode_path(&key), false), Some(key.clone()));
        }
    }
}
