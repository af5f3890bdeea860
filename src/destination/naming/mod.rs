//! Azure's naming rules.
//!
//! Source: Microsoft Learn, "Naming and referencing containers, blobs, and metadata". What it says
//! to avoid because names are altered on the way (a segment ending in `.`, a `\`) counts as what
//! cannot be held: a name that may become another object's is never risked.

mod containers;
mod escape;

pub use self::containers::{ContainerNames, check_map};
pub use self::escape::{escape, unescape};
use crate::failure::{Failure, Reason, Result};

/// Longest blob name, in UTF-16 units.
pub const MAX_BLOB_NAME: usize = 1024;

/// Most `/`-separated parts of a blob name.
pub const MAX_SEGMENTS: usize = 254;

/// The same in an account with a hierarchical namespace; measured, not documented.
pub const MAX_DEPTH: usize = 61;

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

/// How an account keeps its blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// A `/` is a character like any other.
    Flat,
    /// Folders are real (Data Lake Storage Gen2).
    Hierarchical,
}

impl Namespace {
    /// Most `/`-separated parts of a name.
    pub(super) fn segments(self) -> usize {
        match self {
            Self::Flat => MAX_SEGMENTS,
            Self::Hierarchical => MAX_DEPTH,
        }
    }
}

/// Why a blob cannot have this name; `None` where it can.
pub fn blob_fault(namespace: Namespace, container: &str, name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.encode_utf16().count() > MAX_BLOB_NAME {
        Some("it is longer than 1,024 characters")
    } else if name.split('/').count() > MAX_SEGMENTS {
        Some("it has more than 254 path segments")
    } else if name.split('/').count() > namespace.segments() {
        Some("it has more than the 61 folders of a hierarchical namespace")
    } else if name.split('/').any(|segment| segment.ends_with('.')) {
        Some("a part of it ends in a dot, which would be dropped")
    } else if name.contains('\\') {
        Some("it holds a \\, which would become a /")
    } else if name.chars().any(is_refused) {
        Some("it holds a character that Azure refuses")
    } else if container == "$root" && name.contains('/') {
        Some("blobs in $root cannot hold a /")
    } else if namespace == Namespace::Hierarchical && name.split('/').any(str::is_empty) {
        Some("an account with a hierarchical namespace has no folders without a name")
    } else {
        None
    }
}

/// Control characters and non-characters, which Azure answers with 400.
fn is_refused(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fdd0}'..='\u{fdef}'
        | '\u{fff0}'..='\u{ffff}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Checks a blob name before it is sent, by the rules of every account.
///
/// # Errors
/// [`Reason::NameRejected`] with the rule it breaks: this object cannot be stored under its name.
pub fn check_blob(container: &str, name: &str) -> Result<()> {
    blob_fault(Namespace::Flat, container, name).map_or(Ok(()), |fault| Err(rejected(fault)))
}

/// The failure of a name that breaks a rule.
pub fn rejected(fault: &str) -> Failure {
    Failure::give_up(
        Reason::NameRejected,
        format!(
            "Azure cannot hold a blob of this name: {fault}; --invalid-name-handle=escape gives \
             it another that can be turned back"
        ),
    )
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
    fn blob_names_are_refused_where_they_would_be_altered_or_refused() {
        let longest = "é".repeat(1024);
        let deepest = vec!["a"; 254].join("/");
        for name in [
            "a", "/a", "a//b", "a/", ".a", "a b", "%2E", "\u{a0}", "\u{e000}", &longest, &deepest,
        ] {
            assert_eq!(blob_fault(Namespace::Flat, "abc", name), None, "{name}");
        }
        let too_long = "𐐷".repeat(513);
        let too_deep = vec!["a"; 255].join("/");
        for (container, name) in [
            ("abc", ""),
            ("abc", "."),
            ("abc", "a."),
            ("abc", "a./b"),
            ("abc", "a/./b"),
            ("abc", "a/.."),
            ("abc", "a\\b"),
            ("abc", "a\nb"),
            ("abc", "a\u{85}"),
            ("abc", "a\u{ffff}"),
            ("abc", "a\u{1fffe}"),
            ("abc", too_long.as_str()),
            ("abc", too_deep.as_str()),
            ("$root", "a/b"),
        ] {
            let failure = check_blob(container, name).unwrap_err();
            assert_eq!(failure.reason, Reason::NameRejected, "{name}");
        }
    }

    #[test]
    fn a_hierarchical_account_holds_fewer_names() {
        let fault = |name| blob_fault(Namespace::Hierarchical, "abc", name);
        assert_eq!(fault("a/b"), None);
        for name in ["/a", "a//b", "a/", &vec!["a"; 62].join("/")] {
            assert!(fault(name).is_some(), "{name}");
        }
    }
}
