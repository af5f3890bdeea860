//! Asks the source for one page of a root.

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::entry::Entry;
use super::page::{Found, Listing, Rules};
use crate::failure::{Failure, Remedy, Result};
use crate::job::{Root, Scope};
use crate::message::{KeyRange, ListedObject};
use crate::metrics::Metrics;
use crate::source::client::{BucketRef, ListPage, ListRequest, ObjectHead, Source};
use crate::source::list::S3Object;

/// The most S3 gives in one answer.
const PAGE_KEYS: u16 = 1000;
/// Objects looked at by themselves at a time.
const LOOKS: usize = 16;

/// One root and whom to ask about it.
#[derive(Clone, Debug)]
pub(crate) struct Fetch<'a> {
    source: &'a Source,
    metrics: &'a Metrics,
    root: &'a Root,
    rules: &'a Rules,
    pub(super) bucket: BucketRef,
}

impl<'a> Fetch<'a> {
    pub(crate) fn new(
        source: &'a Source,
        metrics: &'a Metrics,
        root: &'a Root,
        rules: &'a Rules,
    ) -> Self {
        let bucket = BucketRef {
            name: root.bucket.clone(),
            region: root.region.clone(),
        };
        Self {
            source,
            metrics,
            root,
            rules,
            bucket,
        }
    }

    /// A page of a range; what it holds is not filtered yet.
    ///
    /// An object that the user named is looked at by itself: one that cannot be is no failure of
    /// the range but an object that failed, under its name.
    ///
    /// # Errors
    /// The source: worth another try, or the range cannot be listed.
    pub(crate) async fn page(&self, range: &KeyRange) -> Result<Listing> {
        match &self.root.scope {
            Scope::Object { key, version } => {
                let head = self.head(key, version.as_deref()).await;
                let listing = head
                    .map(|head| self.one(key, version.as_deref(), head))
                    .map_err(|failure| of_version(version.as_deref(), failure));
                named(key, listing)
            }
            Scope::Prefix {
                prefix,
                top_level_only,
            } => {
                let prefix = self.rules.narrowed(prefix, *top_level_only);
                self.below(&prefix, *top_level_only, range).await
            }
            Scope::Either {
                key,
                top_level_only,
                inside,
                ..
            } => {
                let entry = Entry {
                    key,
                    top_level_only: *top_level_only,
                    inside,
                };
                self.entry(entry, range).await
            }
        }
    }

    /// The objects of exactly these keys, in their order; each is looked at by itself, as one that
    /// the user named.
    ///
    /// # Errors
    /// The source: worth another try.
    pub(crate) async fn objects(&self, keys: &[String]) -> Result<Listing> {
        let named = |key: String| async move {
            let head = self.head(&key, None).await;
            named(&key, head.map(|head| self.one(&key, None, head)))
        };
        let looks = stream::iter(keys.to_vec()).map(named).buffered(LOOKS);
        let mut whole = Listing::default();
        let mut looks = std::pin::pin!(looks);
        while let Some(one) = looks.next().await {
            let Listing {
                objects, failed, ..
            } = one?;
            whole.objects.extend(objects);
            whole.failed.extend(failed);
        }
        Ok(whole)
    }

    pub(super) async fn head(&self, key: &str, version: Option<&str>) -> Result<ObjectHead> {
        let started = Instant::now();
        let head = self.source.head(&self.bucket, key, version).await;
        self.observed("head_object", started, head.as_ref().err());
        head
    }

    /// See [`Source::is_listed`].
    pub(super) async fn is_listed(&self, key: &str) -> Result<bool> {
        let started = Instant::now();
        let found = self.source.is_listed(&self.bucket, key).await;
        if !self.source.is_amazon() {
            self.observed("list_objects", started, found.as_ref().err());
        }
        found
    }

    pub(super) fn one(&self, key: &str, version: Option<&str>, head: ObjectHead) -> Listing {
        let archived = (self.source.is_amazon() && head.archived()).then(|| {
            let place = head.archive_status.as_ref().or(head.storage_class.as_ref());
            place.cloned().unwrap_or_default()
        });
        let object = ListedObject {
            key: key.to_owned(),
            size: head.size,
            etag: head.etag,
            modified: head.modified,
            version: version.map(str::to_owned),
            storage_class: head.storage_class,
        };
        Listing {
            objects: vec![Found { object, archived }],
            ..Listing::default()
        }
    }

    pub(super) async fn below(
        &self,
        prefix: &str,
        top_level_only: bool,
        range: &KeyRange,
    ) -> Result<Listing> {
        let request = ListRequest {
            prefix,
            after: range.after.as_deref(),
            cursor: range.cursor.as_deref(),
            delimiter: top_level_only,
            max_keys: PAGE_KEYS,
        };
        let page = self.list(&request).await?;
        let mut listing = Listing {
            next: page.next,
            unreadable: page.unreadable,
            here: page.here,
            is_order_promised: page.is_order_promised,
            ..Listing::default()
        };
        let sized = |object: S3Object| async move {
            match object.size {
                Some(size) => Ok(Ok(self.found(object, size))),
                None => self.look_up_size(object).await,
            }
        };
        let mut rows = std::pin::pin!(stream::iter(page.objects).map(sized).buffered(LOOKS));
        while let Some(row) = rows.next().await {
            match row? {
                Ok(found) => listing.objects.push(found),
                Err(failed) => listing.failed.push(failed),
            }
        }
        Ok(listing)
    }

    /// The size of an object that its listing does not tell; or the object's key, and why it cannot
    /// be had.
    async fn look_up_size(&self, object: S3Object) -> Result<Result<Found, (String, Failure)>> {
        match self.head(&object.key, None).await {
            Ok(head) => Ok(Ok(self.found(object, head.size))),
            Err(failure) if failure.remedy == Remedy::GiveUp => Ok(Err((object.key, failure))),
            Err(failure) => Err(failure),
        }
    }

    fn found(&self, object: S3Object, size: u64) -> Found {
        // Elsewhere a storage class is but a name.
        let archived = self.source.is_amazon() && object.archived();
        Found {
            archived: object.storage_class.clone().filter(|_| archived),
            object: ListedObject {
                key: object.key,
                size,
                etag: object.etag,
                modified: object.modified,
                version: None,
                storage_class: object.storage_class,
            },
        }
    }

    pub(super) async fn list(&self, request: &ListRequest<'_>) -> Result<ListPage> {
        let started = Instant::now();
        let page = self.source.list_page(&self.bucket, request).await;
        self.observed("list_objects", started, page.as_ref().err());
        page
    }

    fn observed(&self, operation: &'static str, started: Instant, failure: Option<&Failure>) {
        self.metrics
            .request(("s3", operation), started.elapsed().as_secs_f64(), failure);
    }
}

/// Of one key's versions several may fail.
fn of_version(version: Option<&str>, mut failure: Failure) -> Failure {
    if let Some(version) = version {
        failure.message = format!("version {version:?}: {}", failure.message);
    }
    failure
}

/// A named object that no other try will bring is an object that failed.
pub(super) fn named(key: &str, listing: Result<Listing>) -> Result<Listing> {
    match listing {
        Err(failure) if failure.remedy == Remedy::GiveUp => Ok(Listing {
            failed: vec![(key.to_owned(), failure)],
            ..Listing::default()
        }),
        other => other,
    }
}
