//! Azure's naming rules, as far as they are sure.
//!
//! Source: Microsoft Learn, "Naming and referencing containers, blobs, and metadata". Refused is
//! only what surely cannot be stored under the name it has; names that are merely unwise (control
//! characters, a segment ending in `.`) are left to the service's answer.

mod containers;

pub use self::containers::{ContainerNames, check_map};
use crate::failure::{Failure, Reason, Result};

/// Longest blob name, in UTF-16 units.
pub const MAX_BLOB_NAME: usize = 1024;

/// Most `/`-separated parts of a blob name.
pub const MAX_SEGMENTS: usize = 254;

/// Longest container name.
const MAX_CONTAINER: usize = 63;

/// Containers with a meaning of their own that users may write to.
const SPECIAL: [&str; 2] = ["$root", "$web"];

/// Why a container name breaks Azure's rules; `None` where it does not.
pub fn container_fault(name: &str) -> Option<&'static str> {
    let letter_or_digit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if SPECIAL.contains(&name) {
        None
    } else if name.len() < 3 || name.len() > MAX_CONTAINER {
        Some("it must have 3 to 63 characters")
    } else if !name.chars().all(|c| letter_or_digit(c) || c == '-') {
        Some("it may hold lower-case letters, digits and hyphens only")
    } else if !name.starts_with(letter_or_digit) || !name.ends_with(letter_or_digit) {
        Some("it must begin and end with a letter or digit")
    } else if name.contains("--") {
        Some("it may not hold two hyphens in a row")
    } else {
        None
    }
}

/// Checks a container name against Azure's rules.
///
/// # Errors
/// [`Reason::ContainerRejected`] with the rule it breaks.
pub fn check_container(name: &str) -> Result<()> {
    container_fault(name).map_or(Ok(()), |fault| {
        Err(Failure::stop(
            Reason::ContainerRejected,
            format!("{name:?} is no container name Azure accepts: {fault}; choose another"),
        ))
    })
}

/// Why a blob cannot have this name; `None` where nothing surely forbids it.
pub fn blob_fault(container: &str, name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.encode_utf16().count() > MAX_BLOB_NAME {
        Some("it is longer than 1,024 characters")
    } else if name.split('/').count() > MAX_SEGMENTS {
        Some("it has more than 254 path segments")
    } else if name
        .split('/')
        .any(|segment| [".", ".."].contains(&segment))
    {
        Some("it has a . or .. segment, which would name another blob")
    } else if container == "$root" && name.contains('/') {
        Some("blobs in $root cannot hold a /")
    } else {
        None
    }
}

/// Checks a blob name.
///
/// # Errors
/// [`Reason::NameRejected`] with the rule it breaks: this object cannot be stored under its name.
pub fn check_blob(container: &str, name: &str) -> Result<()> {
    blob_fault(container, name).map_or(Ok(()), |fault| {
        Err(Failure::give_up(
            Reason::NameRejected,
            format!("Azure cannot hold a blob of this name: {fault}"),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_names_follow_azures_rules() {
        let longest = "a".repeat(63);
        for name in ["abc", "a-b", "0a0", "a-2-b", "$root", "$web", &longest] {
            assert_eq!(container_fault(name), None, "{name}");
        }
        let too_long = "a".repeat(64);
        for (name, fault) in [
            ("", "3 to 63"),
            ("ab", "3 to 63"),
            (too_long.as_str(), "3 to 63"),
            ("Abc", "lower-case"),
            ("a.b", "lower-case"),
            ("a_b", "lower-case"),
            ("aéb", "lower-case"),
            ("$logs", "lower-case"),
            ("-ab", "begin and end"),
            ("ab-", "begin and end"),
            ("a--b", "two hyphens"),
        ] {
            let failure = check_container(name).unwrap_err();
            assert_eq!(failure.reason, Reason::ContainerRejected);
            assert!(failure.message.contains(fault), "{failure}");
        }
    }

    #[test]
    fn blob_names_are_refused_only_where_they_surely_cannot_be() {
        let longest = "é".repeat(1024);
        let deepest = vec!["a"; 254].join("/");
        for name in [
            "a", "/a", "a//b", "a/", "a.", "...", "a\\b", "\u{1}", &longest, &deepest,
        ] {
            assert_eq!(blob_fault("abc", name), None, "{name}");
        }
        let too_long = "𐐷".repeat(513);
        let too_deep = vec!["a"; 255].join("/");
        for (container, name) in [
            ("abc", ""),
            ("abc", "."),
            ("abc", "a/./b"),
            ("abc", "a/.."),
            ("abc", too_long.as_str()),
            ("abc", too_deep.as_str()),
            ("$root", "a/b"),
        ] {
            let failure = check_blob(container, name).unwrap_err();
            assert_eq!(failure.reason, Reason::NameRejected, "{name}");
        }
    }
}
