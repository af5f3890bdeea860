//! What is known of an object before it is copied.

use super::proof;
use crate::destination::client::BlobHeaders;
use crate::message::ListedObject;
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
}

impl SourceObject {
    pub(super) fn new(head: ObjectHead, headers: BlobHeaders, excluded: usize) -> Self {
        Self {
            md5: proof::content_md5(&head),
            head,
            headers,
            excluded: u32::try_from(excluded).unwrap_or(u32::MAX),
        }
    }

    /// Names the content: two objects of one identity have the same bytes.
    pub(super) fn identity(&self) -> String {
        let head = &self.head;
        match (&head.version, &head.etag) {
            (Some(version), _) => format!("version {version}"),
            (None, Some(etag)) => format!("etag {etag} {} {}", head.modified, head.size),
            (None, None) => format!("modified {} {}", head.modified, head.size),
        }
    }

    /// Is this still the object that was looked at before?
    pub(super) fn same_as(&self, head: &ObjectHead) -> bool {
        let known = &self.head;
        known.size == head.size && known.modified == head.modified && known.etag == head.etag
    }
}

/// What the listing alone tells, where no HEAD is sent.
pub(super) fn from_listing(object: &ListedObject) -> ObjectHead {
    ObjectHead {
        size: object.size,
        etag: object.etag.clone(),
        modified: object.modified,
        version: object.version.clone(),
        storage_class: object.storage_class.clone(),
        // How it is encrypted is not listed: its ETag may be no MD5.
        server_side_encryption: Some("unknown".to_owned()),
        ..ObjectHead::default()
    }
}

/// Has the object changed since it was listed?
pub(super) fn changed_since(listed: &ListedObject, head: &ObjectHead) -> bool {
    let etags = listed.etag.as_ref().zip(head.etag.as_ref());
    listed.size != head.size
        || listed.modified != head.modified
        || etags.is_some_and(|(listed, now)| listed != now)
}
