//! An entry of a list of paths: an object, a folder, or with all below it asked for, both.

use super::fetch::{Fetch, named};
use super::page::Listing;
use crate::failure::{Failure, Reason, Remedy, Result};
use crate::message::KeyRange;
use crate::source::client::{ListRequest, ObjectHead, Onward};

/// An entry as its scope has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    pub(super) top_level_only: bool,
    pub(super) inside: &'a [usize],
}

impl Fetch<'_> {
    /// A page of an entry. Its first range decides what it is; one that goes on is of its folder.
    pub(super) async fn entry(&self, entry: Entry<'_>, range: &KeyRange) -> Result<Listing> {
        if range.after.is_some() {
            return self.folder(entry, range).await;
        }
        named(entry.key, self.first(entry, range).await)
    }

    async fn first(&self, entry: Entry<'_>, range: &KeyRange) -> Result<Listing> {
        let object = match entry.key.ends_with('/') {
            true => Err(neither(&self.bucket.name, entry.key)),
            false => self.object(entry.key).await?,
        };
        if self.covered(entry, object.is_ok()).await? {
            return Ok(Listing::default());
        }
        let failure = match object {
            Ok(head) => {
                let mut listing = self.one(entry.key, None, head);
                if self.is_folder_too(entry).await? {
                    // All keys of the folder come behind the object's.
                    listing.next = Some(Onward {
                        after: Some(entry.key.to_owned()),
                        cursor: None,
                    });
                }
                return Ok(listing);
            }
            Err(failure) => failure,
        };
        let denied = failure.reason == Reason::SourceDenied;
        match self.folder(entry, range).await {
            Ok(listing) if is_empty(&listing) => {
                // A folder may hold nothing at its top level.
                if entry.top_level_only && self.any_below(entry.key).await? {
                    return Ok(listing);
                }
                let neither = neither(&self.bucket.name, entry.key);
                Err(if denied { failure } else { neither })
            }
            // Whoever may not list is told 403 of what is not there: the object's is the answer.
            Err(listing) if denied && listing.remedy == Remedy::GiveUp => Err(failure),
            other => other,
        }
    }

    /// The object of a key, or why there is none to be seen.
    async fn object(&self, key: &str) -> Result<Result<ObjectHead>> {
        match self.head(key, None).await {
            // What may be a gateway's directory.
            Ok(head) if head.size == 0 && !self.is_listed(key).await? => {
                Ok(Err(neither(&self.bucket.name, key)))
            }
            Ok(head) => Ok(Ok(head)),
            Err(failure)
                if failure.remedy == Remedy::GiveUp
                    && matches!(
                        failure.reason,
                        Reason::SourceNotFound | Reason::SourceDenied
                    ) =>
            {
                Ok(Err(failure))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Does another entry of the list bring the same keys?
    async fn covered(&self, entry: Entry<'_>, is_object: bool) -> Result<bool> {
        for end in entry.inside {
            let outer = entry.key.get(..*end).unwrap_or_default();
            if outer == entry.key {
                if !is_object {
                    return Ok(true);
                }
            } else if (is_object || !entry.top_level_only)
                && self.is_folder(outer, entry.top_level_only).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Are there keys below an object to be listed, for which no other entry stands?
    async fn is_folder_too(&self, entry: Entry<'_>) -> Result<bool> {
        let is_alone = entry.top_level_only || entry.inside.contains(&entry.key.len());
        Ok(!is_alone && self.any_below(entry.key).await?)
    }

    /// Is another entry one whose keys are listed?
    async fn is_folder(&self, key: &str, top_level_only: bool) -> Result<bool> {
        if key.ends_with('/') {
            return Ok(true);
        }
        match self.object(key).await? {
            Ok(_) if top_level_only => Ok(false),
            Ok(_) => self.any_below(key).await,
            Err(failure) if failure.reason == Reason::SourceNotFound => Ok(true),
            Err(_) => self.any_below(key).await,
        }
    }

    async fn folder(&self, entry: Entry<'_>, range: &KeyRange) -> Result<Listing> {
        self.below(&prefix(entry.key), entry.top_level_only, range)
            .await
    }

    /// Is there any key below it that may be listed?
    async fn any_below(&self, key: &str) -> Result<bool> {
        let prefix = prefix(key);
        let request = ListRequest {
            prefix: &prefix,
            max_keys: 1,
            ..ListRequest::default()
        };
        match self.list(&request).await {
            Ok(page) => Ok(!page.objects.is_empty()),
            Err(failure) if failure.remedy == Remedy::GiveUp => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

fn is_empty(listing: &Listing) -> bool {
    listing.objects.is_empty() && listing.next.is_none() && listing.unreadable.is_empty()
}

fn prefix(key: &str) -> String {
    format!("{}/", key.strip_suffix('/').unwrap_or(key))
}

fn neither(bucket: &str, key: &str) -> Failure {
    Failure::give_up(
        Reason::SourceNotFound,
        format!(
            "s3://{bucket}/{key} is neither an object nor a folder: check the list's entry, which \
             is relative to the source"
        ),
    )
}
