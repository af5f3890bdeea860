//! What an S3 object's tags become on the blob: index tags, as far as Azure can hold them. Pure.

use super::metadata::rejected;
use crate::failure::Result;
use crate::job::InvalidMetadata;

/// Most index tags a blob can have.
const MAX_TAGS: usize = 10;

/// The tags a blob gets: those every blob of the job gets, then the object's own.
///
/// # Errors
/// [`crate::failure::Reason::MetadataRejected`], naming the tag: a job's own that Azure refuses, or in
/// [`InvalidMetadata::FailIfInvalid`] an object's.
pub fn carry(
    given: &[(String, String)],
    objects: &[(String, String)],
    mode: InvalidMetadata,
    excluded: &mut Vec<String>,
) -> Result<Vec<(String, String)>> {
    let mut tags = Vec::new();
    let all = given.iter().map(|tag| (tag, true));
    for ((key, value), ours) in all.chain(objects.iter().map(|tag| (tag, false))) {
        if tags.iter().any(|(known, _)| known == key) {
            continue;
        }
        match tag_fault(key, value, tags.len()) {
            None => tags.push((key.clone(), value.clone())),
            Some(_) if !ours && mode != InvalidMetadata::FailIfInvalid => {
                excluded.push(format!("tag {key}"));
            }
            Some(fault) => return Err(rejected(format!("tag {key:?} is invalid: {fault}"))),
        }
    }
    Ok(tags)
}

/// Why a blob cannot have this index tag (Microsoft Learn, "Set Blob Tags").
fn tag_fault(key: &str, value: &str, before: usize) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " +-./:=_".contains(c);
    if before >= MAX_TAGS {
        Some("a blob has 10 tags at most")
    } else if key.is_empty() || key.len() > 128 || value.len() > 256 {
        Some("keys have 1 to 128 characters, values up to 256")
    } else if !key.chars().chain(value.chars()).all(allowed) {
        Some("tags hold letters, digits, spaces and + - . / : = _ only")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::InvalidMetadata::{ExcludeIfInvalid, FailIfInvalid};
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = pairs.iter();
        pairs
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn tags_are_carried_or_named() {
        let own = pairs(&[("team", "blue")]);
        let objects = pairs(&[("team", "red"), ("a", "1"), ("mail", "x@y"), ("ü", "")]);
        let mut excluded = Vec::new();
        let tags = carry(&own, &objects, ExcludeIfInvalid, &mut excluded).unwrap();
        assert_eq!(tags, pairs(&[("team", "blue"), ("a", "1")]));
        assert_eq!(excluded, ["tag mail", "tag ü"]);
        let failure = carry(&own, &objects, FailIfInvalid, &mut excluded).unwrap_err();
        assert!(failure.message.contains("\"mail\""), "{failure}");
        let bad = pairs(&[("x@y", "1")]);
        assert!(carry(&bad, &[], ExcludeIfInvalid, &mut excluded).is_err());
        let many: Vec<_> = (0..11).map(|n| (format!("t{n}"), String::new())).collect();
        let mut excluded = Vec::new();
        let tags = carry(&[], &many, ExcludeIfInvalid, &mut excluded).unwrap();
        assert_eq!((tags.len(), excluded), (10, vec!["tag t10".to_owned()]));
    }
}
