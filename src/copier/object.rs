//! What is known of an object before it is copied.

use super::proof;
use crate::destination::client::BlobHeaders;
use crate::message::{ListedObject, UNKNOWN_TIME};
use crate::source::client::ObjectHead;

/// An object as it was looked at.
#[derive(Clone, Debug)]
pub(super) struct SourceObject {
    pub(super) head: ObjectHead,
    /// MD5 of the content, where the ETag is one.
    pub(super) md5: Option<[u8; 16]>,
    /// What its blob will carry.
    pub(super) headers: BlobHeaders,
    /// Entries of metadata and tags that were left out.
    pub(super) excluded: u32,
    /// Names the content: two objects of one identity have the same bytes.
    pub(super) identity: String,
    /// Its version names this content alone, now and later.
    pub(super) pinned: bool,
    /// It is known from its listing alone, which does not tell how it is encrypted: its ETag is
    /// taken for an MD5 where it looks like one, until Azure finds otherwise.
    pub(super) from_listing: bool,
}

/// Where an object lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    /// The version it is read by, where it is.
    pub(super) version: Option<&'a str>,
    /// It lies at Amazon, not at another server that speaks S3.
    pub(super) at_amazon: bool,
}

impl SourceObject {
    pub(super) fn new(
        place: Place<'_>,
        head: ObjectHead,
        headers: BlobHeaders,
        excluded: usize,
    ) -> Self {
        let pin = pin(place);
        Self {
            md5: proof::content_md5(&head),
            identity: identity(place, pin, &head),
            pinned: pin.is_some(),
            from_listing: false,
            head,
            headers,
            excluded: u32::try_from(excluded).unwrap_or(u32::MAX),
        }
    }

    /// Is this still the object that was looked at before?
    pub(super) fn same_as(&self, head: &ObjectHead) -> bool {
        let known = &self.head;
        known.size == head.size
            && known.modified == head.modified
            && known.etag == head.etag
            && known
                .version
                .as_ref()
                .zip(head.version.as_ref())
                .is_none_or(|(a, b)| a == b)
    }
}

/// A version by which an object is asked for, so that its content does not change between two
/// requests. `null` is what an object has that was written without versioning: it is replaced in
/// place (S3 user guide, "Adding objects to versioning-suspended buckets").
pub(super) fn named_version(head: &ObjectHead) -> Option<&str> {
    head.version.as_deref().filter(|version| *version != NULL)
}

/// The version of an object that has none.
const NULL: &str = "null";

/// The version, where it names one content for good. Only Amazon promises that a version id is
/// never given twice: elsewhere there are counters, and fixed words.
fn pin(place: Place<'_>) -> Option<&str> {
    place
        .version
        .filter(|version| place.at_amazon && *version != NULL)
}

fn identity(place: Place<'_>, pin: Option<&str>, head: &ObjectHead) -> String {
    if let Some(version) = pin {
        return format!("version {version}");
    }
    // Of two buckets and of two keys that go to one blob, versions, ETags and times may be alike.
    let Place {
        bucket,
        key,
        version,
        ..
    } = place;
    let version = version.unwrap_or_default();
    let etag = head.etag.as_deref().unwrap_or_default();
    format!(
        "object {bucket}/{key}\nversion {version}\netag {etag}\n{} {}",
        head.modified, head.size
    )
}

/// What the listing alone tells, where no HEAD is sent.
pub(super) fn from_listing(object: &ListedObject) -> ObjectHead {
    ObjectHead {
        size: object.size,
        etag: object.etag.clone(),
        modified: object.modified,
        version: object.version.clone(),
        storage_class: object.storage_class.clone(),
        ..ObjectHead::default()
    }
}

/// Has the object changed since it was listed?
pub(super) fn changed_since(listed: &ListedObject, head: &ObjectHead) -> bool {
    let etags = listed.etag.as_ref().zip(head.etag.as_ref());
    let dated = [listed.modified, head.modified]
        .iter()
        .all(|time| *time != UNKNOWN_TIME);
    listed.size != head.size
        || (dated && listed.modified != head.modified)
        || etags.is_some_and(|(listed, now)| listed != now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(
        at_amazon: bool,
        version: Option<&'static str>,
        place: (&str, &str),
        etag: &str,
    ) -> SourceObject {
        let head = ObjectHead {
            size: 5,
            etag: Some(etag.to_owned()),
            version: version.map(str::to_owned),
            ..ObjectHead::default()
        };
        let place = Place {
            bucket: place.0,
            key: place.1,
            version,
            at_amazon,
        };
        SourceObject::new(place, head, BlobHeaders::default(), 0)
    }

    #[test]
    fn only_amazons_versions_pin_and_keep_their_identity() {
        let real = object(true, Some("3sL4kqtJlcpXroDTDmJ"), ("b", "k"), "e");
        assert!(real.pinned);
        assert_eq!(real.identity, "version 3sL4kqtJlcpXroDTDmJ");
        for (at_amazon, version) in [
            (true, None),
            (true, Some("null")),
            (false, Some("null")),
            (false, Some("1")),
            (false, Some("3sL4kqtJlcpXroDTDmJ")),
        ] {
            assert!(
                !object(at_amazon, version, ("b", "k"), "e").pinned,
                "{version:?}"
            );
        }
    }

    #[test]
    fn what_is_not_pinned_is_named_by_bucket_key_and_content() {
        for version in [None, Some("null"), Some("1")] {
            let one = |place, etag| object(false, version, place, etag).identity;
            let known = one(("b", "k"), "e");
            assert_eq!(known, one(("b", "k"), "e"));
            assert_ne!(known, one(("c", "k"), "e"));
            assert_ne!(known, one(("b", "l"), "e"));
            assert_ne!(known, one(("b", "k"), "f"));
        }
    }

    #[test]
    fn null_is_no_version_to_ask_by() {
        let head = |version: Option<&str>| ObjectHead {
            version: version.map(str::to_owned),
            ..ObjectHead::default()
        };
        assert_eq!(named_version(&head(Some("null"))), None);
        assert_eq!(named_version(&head(None)), None);
        assert_eq!(named_version(&head(Some("7"))), Some("7"));
    }
}
