//! Versions of objects: one that has a version id is kept when another is put over it or when it
//! is deleted, and can be asked for by its id.

use std::borrow::Cow;
use std::collections::btree_map::Entry;

use super::store::{Bucket, Keys, Stored};
use crate::refusal::Refusal;

/// Length of the version ids S3 makes.
const LENGTH: usize = 32;

impl Bucket {
    /// Puts an object; one of another version that was there is kept below it.
    pub(crate) fn put(&mut self, key: Box<str>, stored: Stored) {
        let Keys::Stored(keys) = &mut self.keys else {
            return;
        };
        match keys.entry(key) {
            Entry::Vacant(place) => {
                place.insert(stored);
            }
            Entry::Occupied(mut place) => {
                let other = place.get().version_id() != stored.version_id();
                let before = place.insert(stored);
                if other {
                    let older = self.older.entry(place.key().clone()).or_default();
                    older.push(before);
                }
            }
        }
    }

    /// Deletes what is listed; a version that has an id is kept behind the delete marker.
    pub(crate) fn delete(&mut self, key: &str) {
        let Keys::Stored(keys) = &mut self.keys else {
            return;
        };
        if let Some((key, stored)) = keys.remove_entry(key)
            && stored.version().is_some()
        {
            self.older.entry(key).or_default().push(stored);
        }
    }

    /// Deletes one version for good.
    pub(crate) fn delete_version(&mut self, key: &str, version: &str) {
        if let Some(older) = self.older.get_mut(key) {
            older.retain(|stored| stored.version_id() != version);
        }
        let Keys::Stored(keys) = &mut self.keys else {
            return;
        };
        let listed = keys.get(key).map(Stored::version_id);
        if listed == Some(version) {
            keys.remove(key);
            if let Some(next) = self.older.get_mut(key).and_then(Vec::pop) {
                keys.insert(key.into(), next);
            }
        }
    }

    /// The object of a key: the listed one, or the very version that is asked for.
    pub(crate) fn find(
        &self,
        key: &str,
        version: Option<&str>,
    ) -> Result<Cow<'_, Stored>, Refusal> {
        let listed = self.keys.get(key);
        let Some(version) = version else {
            return listed.ok_or_else(|| self.no_such_key(key));
        };
        if let Some(listed) = listed.filter(|stored| stored.version_id() == version) {
            return Ok(listed);
        }
        let older = self.older.get(key).into_iter().flatten();
        let mut older = older.filter(|stored| stored.version_id() == version);
        let found = older.next().map(Cow::Borrowed);
        found.ok_or_else(|| no_such_version(key, version))
    }

    fn no_such_key(&self, key: &str) -> Refusal {
        let refusal = Refusal::new(404, "NoSuchKey", "The specified key does not exist.");
        let refusal = refusal.element("Key", key);
        match self.older.get(key) {
            Some(older) if !older.is_empty() => refusal.header("x-amz-delete-marker", "true"),
            _ => refusal,
        }
    }
}

/// S3 refuses ids it cannot have made in another way than those of no version.
fn no_such_version(key: &str, version: &str) -> Refusal {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    if version == "null" || (version.len() == LENGTH && version.chars().all(plain)) {
        let message = "The specified version does not exist.";
        return Refusal::new(404, "NoSuchVersion", message)
            .element("Key", key)
            .element("VersionId", version);
    }
    let message = match version {
        "" => "Version id cannot be the empty string",
        _ => "Invalid version id specified",
    };
    Refusal::new(400, "InvalidArgument", message)
        .element("ArgumentName", "versionId")
        .element("ArgumentValue", version)
}
