//! Lists one page of one range and publishes what it found.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::page::{self, Listing};
use super::{Lister, Unfinished, publish};
use crate::broker::Queue;
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobSpec, Root, Scope};
use crate::message::{Headers, KeyRange, ListTask, ListedObject, Report};
use crate::source::client::{BucketRef, ListRequest, Source};

/// How long a list task is held while the copy queue is above its mark.
const HOLD: Duration = Duration::from_secs(120);
/// How often the queue is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(200);
/// The most S3 gives in one answer.
const PAGE_KEYS: u16 = 1000;

impl Lister {
    pub(super) async fn list(
        &self,
        spec: &JobSpec,
        task: &ListTask,
        shutdown: &CancellationToken,
    ) -> Result<(), Unfinished> {
        self.wait_for_room(task, shutdown).await?;
        let root = root_of(spec, task.root).map_err(Unfinished::Failed)?;
        let clients = self.clients.of(spec).map_err(Unfinished::Failed)?;
        let listing = self
            .fetch(&clients.source, root, &task.range)
            .await
            .map_err(Unfinished::Failed)?;
        let draft = page::draft(task, root, rand::random(), listing);
        let found = u64::from(draft.objects());
        let page = publish::tasks(&*self.broker, draft)
            .await
            .map_err(Unfinished::Failed)?
            .ok_or(Unfinished::NoRoom)?;
        let headers = Headers {
            job: page.job.to_string(),
            list_task: page.list_task,
            nonce: page.nonce,
            ..Headers::default()
        };
        publish::report(&*self.broker, headers, &Report::Page(page))
            .await
            .map_err(Unfinished::Failed)?;
        self.metrics.listed_objects.inc_by(found);
        Ok(())
    }

    /// Holds the task while the job has enough to copy; gives it back after a while.
    async fn wait_for_room(
        &self,
        task: &ListTask,
        shutdown: &CancellationToken,
    ) -> Result<(), Unfinished> {
        let queue = Queue::Copy(task.job.clone());
        let until = Instant::now() + HOLD;
        loop {
            let depth = self
                .broker
                .depth(&queue)
                .await
                .map_err(Unfinished::Failed)?;
            if depth.ready < self.low_mark {
                return Ok(());
            }
            if Instant::now() >= until || shutdown.is_cancelled() {
                return Err(Unfinished::NoRoom);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn fetch(&self, source: &Source, root: &Root, range: &KeyRange) -> Result<Listing> {
        let bucket = BucketRef {
            name: root.bucket.clone(),
            region: root.region.clone(),
        };
        match &root.scope {
            Scope::Object { key, version } => {
                let started = Instant::now();
                let head = source.head(&bucket, key, version.as_deref()).await;
                self.observed("head_object", started, head.as_ref().err());
                let head = head?;
                let object = ListedObject {
                    key: key.clone(),
                    size: head.size,
                    etag: head.etag,
                    modified: head.modified,
                    version: version.clone(),
                    storage_class: head.storage_class,
                };
                Ok(Listing {
                    objects: vec![object],
                    next_after: None,
                })
            }
            Scope::Prefix {
                prefix,
                top_level_only,
            } => {
                let request = ListRequest {
                    prefix,
                    after: range.after.as_deref(),
                    delimiter: *top_level_only,
                    max_keys: PAGE_KEYS,
                };
                let started = Instant::now();
                let page = source.list_page(&bucket, &request).await;
                self.observed("list_objects", started, page.as_ref().err());
                let page = page?;
                let objects = page.objects.into_iter().map(|object| ListedObject {
                    key: object.key,
                    size: object.size,
                    etag: object.etag,
                    modified: object.modified,
                    version: None,
                    storage_class: object.storage_class,
                });
                Ok(Listing {
                    objects: objects.collect(),
                    next_after: page.next_after,
                })
            }
        }
    }

    fn observed(&self, operation: &'static str, started: Instant, failure: Option<&Failure>) {
        self.metrics
            .request(("s3", operation), started.elapsed().as_secs_f64(), failure);
    }
}

fn root_of(spec: &JobSpec, root: u32) -> Result<&Root> {
    usize::try_from(root)
        .ok()
        .and_then(|index| spec.roots.get(index))
        .ok_or_else(|| {
            Failure::give_up(
                Reason::Internal,
                format!("job {} has no root {root}", spec.id),
            )
        })
}
