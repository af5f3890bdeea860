//! Names that can be turned back, for objects whose own name Azure cannot hold.
//!
//! What cannot stand in a blob's name becomes `%XX`, byte by byte; so does every `%` of such a name.
//! A name that merely looks escaped is escaped too, so that no two names become one. A name that is
//! then too long is cut and ends in a digest of the whole; only its metadata tells what it was.

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use super::{MAX_BLOB_NAME, Namespace, blob_fault, is_refused};

/// Stands before the digest of a name that was cut; `%~` begins no escape.
const CUT: &str = "%~";

/// Hexadecimal digits of the digest: 128 bits.
const DIGITS: usize = 32;

/// The name a blob gets instead of `name`; `None` where it keeps its own.
pub fn escape(namespace: Namespace, container: &str, name: &str) -> Option<String> {
    if blob_fault(namespace, container, name).is_none() && !looks_escaped(name) {
        return None;
    }
    let escaped = written(namespace, container, name);
    if blob_fault(namespace, container, &escaped).is_none() {
        return Some(escaped);
    }
    Some(cut(&escaped, name))
}

/// What [`escape`] made a name of; `None` for a name that was cut.
pub fn unescape(name: &str) -> Option<String> {
    if name.contains(CUT) {
        return None;
    }
    let decoded = percent_decode_str(name).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// Could [`escape`] have made this?
fn looks_escaped(name: &str) -> bool {
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
    name.contains(CUT)
        || name
            .as_bytes()
            .windows(3)
            .any(|three| matches!(three, [b'%', high, low] if hex(high) && hex(low)))
}

fn written(namespace: Namespace, container: &str, name: &str) -> String {
    let flat = container == "$root";
    let mut segments = 0;
    let mut escaped = String::with_capacity(name.len() + 8);
    for (at, segment) in name.split('/').enumerate() {
        if at > 0 {
            segments += 1;
            let nameless = segment.is_empty() || escaped.is_empty() || escaped.ends_with('/');
            let no_folder = namespace == Namespace::Hierarchical && nameless;
            if flat || segments >= namespace.segments() || no_folder {
                escaped.push_str("%2F");
            } else {
                escaped.push('/');
            }
        }
        push_segment(&mut escaped, segment);
    }
    escaped
}

fn push_segment(escaped: &mut String, segment: &str) {
    let kept = segment.trim_end_matches('.').len();
    for (at, c) in segment.char_indices() {
        if at >= kept || matches!(c, '%' | '\\') || is_refused(c) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                escaped.push_str(&format!("%{byte:02X}"));
            }
        } else {
            escaped.push(c);
        }
    }
}

/// As much of the name as fits before its digest.
fn cut(escaped: &str, name: &str) -> String {
    let digest: String = Sha256::digest(name.as_bytes())
        .iter()
        .take(DIGITS / 2)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let room = MAX_BLOB_NAME - CUT.len() - DIGITS;
    let mut kept = String::new();
    let mut units = 0;
    for c in escaped.chars() {
        units += c.len_utf16();
        if units > room {
            break;
        }
        kept.push(c);
    }
    // An escape is not cut in two.
    let begun = kept.len().saturating_sub(2);
    if let Some(at) = kept.rfind('%').filter(|at| *at >= begun) {
        kept.truncate(at);
    }
    format!("{}{CUT}{digest}", kept.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_cannot_stand_is_written_otherwise() {
        for (name, escaped) in [
            ("a/b", None),
            ("100%", None),
            ("a//b", None),
            ("a.", Some("a%2E")),
            ("a../b", Some("a%2E%2E/b")),
            ("a/./b", Some("a/%2E/b")),
            ("a\\b", Some("a%5Cb")),
            ("a\nb", Some("a%0Ab")),
            ("5%/é.", Some("5%25/é%2E")),
            ("a%2E", Some("a%252E")),
            ("", Some("%~e3b0c44298fc1c149afbf4c8996fb924")),
        ] {
            let made = escape(Namespace::Flat, "abc", name);
            assert_eq!(made.as_deref(), escaped, "{name}");
        }
        let hierarchical = |name| escape(Namespace::Hierarchical, "abc", name);
        assert_eq!(hierarchical("a//b").as_deref(), Some("a%2F/b"));
        assert_eq!(hierarchical("a/").as_deref(), Some("a%2F"));
        assert_eq!(hierarchical("/a").as_deref(), Some("%2Fa"));
    }

    #[test]
    fn what_is_too_long_ends_in_a_digest() {
        let long = "é.".repeat(600);
        let escaped = escape(Namespace::Flat, "abc", &long).unwrap();
        assert_eq!(blob_fault(Namespace::Flat, "abc", &escaped), None);
        assert_eq!(unescape(&escaped), None);
        let other = format!("{long}x");
        assert_ne!(escape(Namespace::Flat, "abc", &other).unwrap(), escaped);
    }

    fn name() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("/".to_owned()),
            Just(".".to_owned()),
            Just("%".to_owned()),
            Just("2E".to_owned()),
            Just("%2F".to_owned()),
            Just("\\".to_owned()),
            Just("a".to_owned()),
            any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(part, 1..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn every_name_can_be_turned_back_and_no_two_become_one(
            names in proptest::collection::hash_set(name(), 1..40),
            hierarchical in any::<bool>(),
        ) {
            let namespace = if hierarchical { Namespace::Hierarchical } else { Namespace::Flat };
            let mut blobs = HashMap::new();
            for name in names {
                let made = escape(namespace, "abc", &name);
                if let Some(made) = &made {
                    prop_assert_eq!(unescape(made), Some(name.clone()));
                }
                let blob = made.unwrap_or_else(|| name.clone());
                prop_assert_eq!(blob_fault(namespace, "abc", &blob), None, "{:?}", name);
                let other = blobs.insert(blob, name.clone());
                prop_assert_eq!(other, None, "{:?}", name);
            }
        }
    }
}
