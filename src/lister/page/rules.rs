//! What becomes of a listed key before any copier sees it. Pure.

use super::Found;
use crate::failure::{Reason, Result};
use crate::filter::Filter;
use crate::job::{CopyOptions, Root, Scope};
use crate::message::{Ending, KeyRange};
use crate::skip::Skip;
use crate::source::client::Onward;

/// No key that goes on after a prefix comes behind the prefix and this.
const LAST: char = char::MAX;

/// The longest key there is, in bytes; S3 takes no longer `prefix` or `start-after`.
const LONGEST_KEY: usize = 1024;

/// A job's rules for the keys of its listings.
#[derive(Clone, Debug)]
pub struct Rules {
    filter: Filter,
    directory_stubs: bool,
}

impl Rules {
    /// The rules of a job.
    ///
    /// # Errors
    /// Filters that a submit would have refused.
    pub fn new(options: &CopyOptions) -> Result<Self> {
        Ok(Self {
            filter: Filter::new(&options.filters)?,
            directory_stubs: options.directory_stubs,
        })
    }

    /// What is asked for instead of all keys below `prefix`: the shortest prefix that everything
    /// the filters admit has.
    pub fn narrowed(&self, prefix: &str, top_level_only: bool) -> String {
        let begins = self.filter.begins_with();
        let begins = match begins.split_once('/') {
            // Behind a further slash the delimiter would mean another level.
            Some((top, _)) if top_level_only => top,
            _ => begins,
        };
        let narrowed = format!("{prefix}{begins}");
        if narrowed.len() <= LONGEST_KEY {
            narrowed
        } else {
            prefix.to_owned()
        }
    }

    pub(super) fn admits(&self, root: &Root, found: &Found) -> bool {
        let object = &found.object;
        self.filter
            .admits(root.relative(&object.key), object.modified)
    }

    /// The range that is left behind a page. Where the order of keys is promised it begins behind
    /// all keys of an excluded path the page ended in.
    pub(super) fn onward(
        &self,
        root: &Root,
        range: &KeyRange,
        next: Onward,
        is_order_promised: bool,
    ) -> Option<KeyRange> {
        let Onward { after, cursor } = next;
        let jump = after
            .as_deref()
            .filter(|_| is_order_promised)
            .and_then(|after| self.behind_left_out(root, after));
        let (after, cursor) = match jump {
            Some(edge) => (Some(edge), None),
            None => (after, cursor),
        };
        let unsorted = cursor.as_ref().is_some_and(|cursor| cursor.unsorted);
        let until = range.until.as_ref();
        let left =
            unsorted || until.is_none_or(|until| after.as_ref().is_none_or(|after| after < until));
        left.then(|| KeyRange {
            after,
            until: range.until.clone(),
            cursor: cursor.map(Box::new),
        })
    }

    fn behind_left_out(&self, root: &Root, after: &str) -> Option<String> {
        let relative = root.relative(after);
        let path = self.filter.left_out(relative)?;
        let base = after.strip_suffix(relative)?;
        let edge = format!("{base}{path}{LAST}");
        (edge.len() <= LONGEST_KEY && edge.as_str() > after).then_some(edge)
    }

    /// What the lister can decide itself.
    pub(super) fn decided(&self, root: &Root, found: &Found) -> Option<Ending> {
        let key = &found.object.key;
        // One that holds bytes is an object like any other.
        let marker = key.ends_with('/') && found.object.size == 0;
        if marker && !self.copied_marker(root, key) {
            return Some(Skip::FolderMarker.ending(""));
        }
        if let Some(message) = &root.refused {
            return Some(Ending::Failed {
                reason: Reason::ContainerRejected,
                message: message.clone(),
            });
        }
        let class = found.archived.as_ref()?;
        let message = format!("storage class {class}: restore the object at S3, then copy again");
        Some(Skip::Archived.ending(message))
    }

    fn copied_marker(&self, root: &Root, key: &str) -> bool {
        let named_by_user = matches!(&root.scope, Scope::Object { key: named, .. } if named == key);
        named_by_user || (self.directory_stubs && root.blob(key).is_some())
    }
}
