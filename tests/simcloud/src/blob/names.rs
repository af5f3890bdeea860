//! Azure's rules for names and metadata ("Naming and Referencing Containers, Blobs, and
//! Metadata").

use hyper::HeaderMap;

use crate::refusal::Refusal;

const LONGEST_NAME: usize = 1024;
const MOST_SEGMENTS: usize = 254;
/// Names and values together, in bytes.
const MOST_METADATA: usize = 8 * 1024;

/// 3 to 63 lower-case letters, digits and single inner hyphens.
pub(crate) fn check_container(name: &str) -> Result<(), Refusal> {
    if matches!(name, "$root" | "$web" | "$logs") {
        return Ok(());
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = name.chars().all(|c| plain(c) || c == '-')
        && name.starts_with(plain)
        && name.ends_with(plain)
        && !name.contains("--");
    if !(3..=63).contains(&name.len()) {
        return Err(out_of_range());
    }
    if !good {
        let message = "The specified resource name contains invalid characters.";
        return Err(Refusal::new(400, "InvalidResourceName", message));
    }
    Ok(())
}

/// 1 to 1,024 characters, at most 254 segments, no control characters nor non-characters.
pub(crate) fn check_blob(name: &str) -> Result<(), Refusal> {
    let forbidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{fdd1}'..='\u{fdef}' | '\u{fff0}'..='\u{ffff}')
            || u32::from(c) & 0xfffe == 0xfffe
    };
    if name.chars().count() > LONGEST_NAME {
        return Err(out_of_range());
    }
    if name.chars().any(forbidden) || name.split('/').count() > MOST_SEGMENTS {
        let message = "The specified resource name contains invalid characters.";
        return Err(Refusal::new(400, "InvalidResourceName", message));
    }
    Ok(())
}

/// The metadata a request sets, in the order of names.
pub(crate) fn metadata(headers: &HeaderMap) -> Result<Vec<(String, String)>, Refusal> {
    let mut found = Vec::new();
    let mut size = 0;
    for name in headers.keys() {
        let Some(key) = name.as_str().strip_prefix("x-ms-meta-") else {
            continue;
        };
        let values: Vec<_> = headers.get_all(name).iter().collect();
        let [value] = values[..] else {
            return Err(invalid_metadata(key));
        };
        let value = value.to_str().map_err(|_| invalid_metadata(key))?;
        if !is_identifier(key) {
            return Err(invalid_metadata(key));
        }
        size += key.len() + value.len();
        found.push((key.to_owned(), value.to_owned()));
    }
    if size > MOST_METADATA {
        let message = "The metadata specified exceeds the maximum permissible limit (8KB).";
        return Err(Refusal::new(400, "MetadataTooLarge", message));
    }
    found.sort();
    Ok(found)
}

/// A C# identifier, of ASCII since it is part of a header's name.
fn is_identifier(key: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    key.starts_with(first) && key.chars().all(|c| first(c) || c.is_ascii_digit())
}

fn invalid_metadata(key: &str) -> Refusal {
    if key.is_empty() {
        let message = "The key for one of the metadata key-value pairs is empty.";
        return Refusal::new(400, "EmptyMetadataKey", message);
    }
    let message = "The metadata specified is invalid. It has characters that are not permitted.";
    Refusal::new(400, "InvalidMetadata", message).element("HeaderName", format!("x-ms-meta-{key}"))
}

fn out_of_range() -> Refusal {
    Refusal::new(
        400,
        "OutOfRangeInput",
        "One of the request inputs is out of range.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(result: Result<(), Refusal>) -> String {
        result.map_or_else(|refusal| refusal.code.into_owned(), |()| "ok".into())
    }

    #[test]
    fn containers() {
        for (name, expected) in [
            ("abc", "ok"),
            ("a-1-b", "ok"),
            ("$root", "ok"),
            ("ab", "OutOfRangeInput"),
            ("Abc", "InvalidResourceName"),
            ("a.b.c", "InvalidResourceName"),
            ("a--b", "InvalidResourceName"),
            ("-abc", "InvalidResourceName"),
            ("abc-", "InvalidResourceName"),
        ] {
            assert_eq!(code(check_container(name)), expected, "{name}");
        }
        assert_eq!(code(check_container(&"a".repeat(64))), "OutOfRangeInput");
    }

    #[test]
    fn blobs() {
        assert_eq!(code(check_blob("a//b ä+%")), "ok");
        assert_eq!(code(check_blob(&"ä".repeat(1024))), "ok");
        assert_eq!(code(check_blob(&"a".repeat(1025))), "OutOfRangeInput");
        assert_eq!(code(check_blob(&"a/".repeat(253))), "ok");
        assert_eq!(code(check_blob(&"a/".repeat(254))), "InvalidResourceName");
        assert_eq!(code(check_blob("a\nb")), "InvalidResourceName");
        assert_eq!(code(check_blob("a\u{81}")), "InvalidResourceName");
        assert_eq!(code(check_blob("a\u{fdd1}")), "InvalidResourceName");
    }
}
