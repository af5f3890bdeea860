//! What an S3 object's properties and user metadata become on the blob.
//!
//! Content headers go over as they are. A metadata name must be a C# identifier for Azure (Microsoft
//! Learn, "Naming and referencing … metadata"), and S3's often are not; three modes, AzCopy's, say
//! what to do. Names, which S3 gives in lower case, and values are never altered silently.

use std::collections::{BTreeMap, HashSet};

use super::client::BlobHeaders;
use super::disposition;
use crate::failure::{Failure, Reason, Result};
use crate::job::InvalidMetadata;

/// Most bytes of metadata a blob can carry, names and values together.
pub const MAX_METADATA: usize = 8 * 1024;

/// An object's properties as S3's HEAD gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceProperties {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// User metadata, names without `x-amz-meta-`.
    pub metadata: Vec<(String, String)>,
}

/// What the blob gets, and what was left out or renamed on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// For the blob.
    pub headers: BlobHeaders,
    /// Names of metadata and headers left out because Azure cannot hold them.
    pub excluded: Vec<String>,
    /// Names of metadata stored under another name.
    pub renamed: Vec<String>,
}

/// Turns an object's properties into the blob's.
///
/// # Errors
/// [`Reason::MetadataRejected`], naming the entry: invalid in [`InvalidMetadata::FailIfInvalid`],
/// not to be renamed in [`InvalidMetadata::RenameIfInvalid`], or more than [`MAX_METADATA`] in all.
pub fn carry(source: &SourceProperties, mode: InvalidMetadata) -> Result<Carried> {
    let mut carried = Carried::default();
    carry_headers(source, mode, &mut carried)?;
    carry_metadata(&source.metadata, mode, &mut carried)?;
    check_size(&carried.headers.metadata)?;
    Ok(carried)
}

fn carry_headers(
    source: &SourceProperties,
    mode: InvalidMetadata,
    carried: &mut Carried,
) -> Result<()> {
    let headers = &mut carried.headers;
    let pairs = [
        (
            "content-type",
            &source.content_type,
            &mut headers.content_type,
        ),
        (
            "cache-control",
            &source.cache_control,
            &mut headers.cache_control,
        ),
        (
            "content-encoding",
            &source.content_encoding,
            &mut headers.content_encoding,
        ),
        (
            "content-language",
            &source.content_language,
            &mut headers.content_language,
        ),
        (
            "content-disposition",
            &source.content_disposition,
            &mut headers.content_disposition,
        ),
    ];
    for (name, from, to) in pairs {
        let safe = from.as_deref().filter(|_| name == "content-disposition");
        let safe = safe.and_then(disposition::in_ascii);
        let from = if safe.is_some() { &safe } else { from };
        match from {
            Some(value) if !is_header_value(value) && mode == InvalidMetadata::ExcludeIfInvalid => {
                carried.excluded.push(name.to_owned());
            }
            Some(value) if !is_header_value(value) => return Err(bad_value(name)),
            Some(value) if !value.is_empty() => *to = Some(value.clone()),
            _ => {}
        }
    }
    Ok(())
}

fn carry_metadata(
    metadata: &[(String, String)],
    mode: InvalidMetadata,
    carried: &mut Carried,
) -> Result<()> {
    // Azure compares names without regard to case.
    let mut seen = HashSet::new();
    let mut invalid = BTreeMap::new();
    for (name, value) in metadata {
        let fault = if !is_name(name) {
            Some("its name may hold letters, digits and _ only and not begin with a digit")
        } else if !is_header_value(value) {
            Some("its value cannot stand in an HTTP header")
        } else if !seen.insert(name.to_ascii_lowercase()) {
            Some("its name is there twice, but for case")
        } else {
            None
        };
        match fault {
            None => carried.headers.metadata.push((name.clone(), value.clone())),
            Some(fault) => {
                invalid.insert(name.clone(), (value.clone(), fault));
            }
        }
    }
    for (name, (value, fault)) in invalid {
        match mode {
            InvalidMetadata::ExcludeIfInvalid => carried.excluded.push(name),
            InvalidMetadata::FailIfInvalid => {
                return Err(rejected(format!("metadata {name:?} is invalid: {fault}")));
            }
            InvalidMetadata::RenameIfInvalid => rename(&name, &value, &mut seen, carried)?,
        }
    }
    Ok(())
}

fn rename(
    name: &str,
    value: &str,
    seen: &mut HashSet<String>,
    carried: &mut Carried,
) -> Result<()> {
    if !is_header_value(value) {
        return Err(bad_value(name));
    }
    if !is_header_value(name) {
        return Err(rejected(format!(
            "the name of metadata {name:?} cannot stand in an HTTP header"
        )));
    }
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '_'
        }
    };
    let safe: String = name.chars().map(safe).collect();
    for (new, value) in [
        (format!("rename_{safe}"), value),
        (format!("rename_key_{safe}"), name),
    ] {
        if !seen.insert(new.to_ascii_lowercase()) {
            return Err(rejected(format!(
                "metadata {name:?} cannot be renamed: {new} is there already"
            )));
        }
        carried.headers.metadata.push((new, value.to_owned()));
    }
    carried.renamed.push(name.to_owned());
    Ok(())
}

fn check_size(metadata: &[(String, String)]) -> Result<()> {
    let size: usize = metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if size > MAX_METADATA {
        return Err(rejected(format!(
            "the object has {size} bytes of metadata, a blob holds {MAX_METADATA}"
        )));
    }
    Ok(())
}

/// A C# identifier in ASCII.
fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| legal(c) && !c.is_ascii_digit()) && name.chars().all(legal)
}

/// Printable ASCII; white space at the ends would be cut off on the way.
fn is_header_value(value: &str) -> bool {
    value.trim() == value && value.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

fn bad_value(name: &str) -> Failure {
    rejected(format!(
        "the value of {name:?} cannot stand in an HTTP header (printable ASCII without spaces at \
         its ends)"
    ))
}

/// The failure of metadata or tags that cannot be carried.
pub fn rejected(message: String) -> Failure {
    Failure::give_up(Reason::MetadataRejected, message)
}

#[cfg(test)]
mod tests {
    use super::InvalidMetadata::{ExcludeIfInvalid, FailIfInvalid, RenameIfInvalid};
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn carry_pairs(metadata: &[(&str, &str)], mode: InvalidMetadata) -> Result<Carried> {
        let source = SourceProperties {
            metadata: pairs(metadata),
            ..SourceProperties::default()
        };
        carry(&source, mode)
    }

    #[test]
    fn a_disposition_beyond_ascii_goes_over_in_every_mode() {
        let source = SourceProperties {
            content_disposition: Some("attachment; filename=\"é;.txt\"".into()),
            ..SourceProperties::default()
        };
        for mode in [ExcludeIfInvalid, FailIfInvalid, RenameIfInvalid] {
            let carried = carry(&source, mode).unwrap();
            let there = carried.headers.content_disposition;
            let wanted = "attachment; filename*=UTF-8''%C3%A9%3B.txt";
            assert_eq!(there.as_deref(), Some(wanted));
            assert!(carried.excluded.is_empty());
        }
    }

    #[test]
    fn headers_go_over_as_they_are() {
        let source = SourceProperties {
            content_type: Some("text/plain; charset=utf-8".into()),
            cache_control: Some("no-cache".into()),
            content_encoding: Some("gzip".into()),
            content_language: Some("en".into()),
            content_disposition: Some("attachment; filename=\"a b\"".into()),
            metadata: vec![],
        };
        let headers = carry(&source, ExcludeIfInvalid).unwrap().headers;
        assert_eq!(headers.content_type, source.content_type);
        assert_eq!(headers.cache_control, source.cache_control);
        assert_eq!(headers.content_encoding, source.content_encoding);
        assert_eq!(headers.content_language, source.content_language);
        assert_eq!(headers.content_disposition, source.content_disposition);
    }

    #[test]
    fn valid_metadata_is_kept_in_every_mode() {
        let metadata = [
            ("a", "1"),
            ("_b2", ""),
            ("Owner_Name", "x y"),
            ("abc", "a=b, \"c\""),
        ];
        for mode in [ExcludeIfInvalid, FailIfInvalid, RenameIfInvalid] {
            let carried = carry_pairs(&metadata, mode).unwrap();
            assert_eq!(carried.headers.metadata, pairs(&metadata));
            assert!(carried.excluded.is_empty() && carried.renamed.is_empty());
        }
    }

    #[test]
    fn each_mode_treats_invalid_metadata_in_its_way() {
        let metadata = [
            ("good", "1"),
            ("content-owner", "me"),
            ("2nd", "x"),
            ("ü", "y"),
        ];
        let excluded = carry_pairs(&metadata, ExcludeIfInvalid).unwrap();
        assert_eq!(excluded.headers.metadata, pairs(&[("good", "1")]));
        assert_eq!(excluded.excluded, ["2nd", "content-owner", "ü"]);

        let failure = carry_pairs(&metadata, FailIfInvalid).unwrap_err();
        assert_eq!(failure.reason, Reason::MetadataRejected);
        assert!(failure.message.contains("\"2nd\""), "{failure}");

        let renamed = carry_pairs(metadata.get(..3).unwrap(), RenameIfInvalid).unwrap();
        let expected = pairs(&[
            ("good", "1"),
            ("rename_2nd", "x"),
            ("rename_key_2nd", "2nd"),
            ("rename_content_owner", "me"),
            ("rename_key_content_owner", "content-owner"),
        ]);
        assert_eq!(renamed.headers.metadata, expected);
        assert_eq!(renamed.renamed, ["2nd", "content-owner"]);
    }

    #[test]
    fn a_rename_that_collides_fails_by_name() {
        for metadata in [
            [("a-b", "1"), ("rename_a_b", "2")],
            [("a-b", "1"), ("RENAME_KEY_A_B", "2")],
            [("a-b", "1"), ("a.b", "2")],
        ] {
            let failure = carry_pairs(&metadata, RenameIfInvalid).unwrap_err();
            assert!(failure.message.contains("is there already"), "{failure}");
        }
    }

    #[test]
    fn a_value_that_is_no_header_value_is_handled_by_name() {
        for value in ["é", "a\nb", "a\u{7f}", " a", "a "] {
            let metadata = [("good", "1"), ("bad", value)];
            let carried = carry_pairs(&metadata, ExcludeIfInvalid).unwrap();
            assert_eq!(carried.headers.metadata, pairs(&[("good", "1")]));
            assert_eq!(carried.excluded, ["bad"]);
            for mode in [FailIfInvalid, RenameIfInvalid] {
                let failure = carry_pairs(&metadata, mode).unwrap_err();
                assert!(failure.message.contains("\"bad\""), "{failure}");
            }
        }
        let source = SourceProperties {
            content_disposition: Some("é".into()),
            ..SourceProperties::default()
        };
        let carried = carry(&source, ExcludeIfInvalid).unwrap();
        assert_eq!(carried.excluded, ["content-disposition"]);
        assert!(carry(&source, FailIfInvalid).is_err());
    }

    #[test]
    fn names_that_differ_in_case_only_do_not_both_fit() {
        let carried = carry_pairs(&[("a", "1"), ("A", "2")], ExcludeIfInvalid).unwrap();
        assert_eq!(carried.headers.metadata, pairs(&[("a", "1")]));
        assert_eq!(carried.excluded, ["A"]);
    }

    #[test]
    fn more_metadata_than_a_blob_holds_fails() {
        let value = "x".repeat(MAX_METADATA - 1);
        assert!(carry_pairs(&[("a", &value)], ExcludeIfInvalid).is_ok());
        let failure = carry_pairs(&[("ab", &value)], ExcludeIfInvalid).unwrap_err();
        assert_eq!(failure.reason, Reason::MetadataRejected);
        assert!(failure.message.contains("8193 bytes"), "{failure}");
    }
}
