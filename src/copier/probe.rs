//! Before a bucket is listed: can Azure fetch from it? One byte of its first object is staged,
//! and never committed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::timeout;

use crate::clients::JobClients;
use crate::destination::client::{BlobError, BlobName, BlockRange, CopySource};
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobSpec, Relay, Root, Scope};
use crate::lister::fetch::Fetch;
use crate::lister::page::{self, Rules};
use crate::message::{KeyRange, ListTask, ListedObject};
use crate::metrics::Metrics;
use crate::source::client::BucketRef;

use super::relay;

/// The blob the byte is staged for. As nothing is committed, no listing shows it, and the service
/// removes it after a week
/// (<https://learn.microsoft.com/rest/api/storageservices/put-block>, Remarks).
const BLOB: &str = ".blobfleet-probe";
/// The block's id in base64; the same every time, so that a second probe replaces the first.
const BLOCK: &str = "cHJvYmU=";
/// Buckets probed at a time.
const AT_ONCE: usize = 16;
/// How long one bucket may take, and all of them.
const EACH: Duration = Duration::from_secs(15);
const ALL: Duration = Duration::from_secs(60);
/// How long the URL of a probe may be used.
const URL_LIFETIME: Duration = Duration::from_secs(60);

/// Warns of every bucket of a job that Azure cannot fetch from. What keeps a probe from being made
/// is left to the job to find.
pub(crate) async fn warn(clients: &Arc<JobClients>, spec: &JobSpec, metrics: &Metrics) {
    if spec.options.relay == Relay::Always || relay::is_out_of_reach(spec) {
        return;
    }
    let mut seen = HashSet::new();
    let roots: Vec<(u32, &Root)> = (0..)
        .zip(&spec.roots)
        .filter(|(_, root)| root.refused.is_none() && is_listed(root))
        .filter(|(_, root)| seen.insert(&root.bucket))
        .collect();
    let probes = stream::iter(roots).map(|(number, root)| async move {
        let probe = Probe {
            clients,
            spec,
            root,
            number,
        };
        match timeout(EACH, probe.run(metrics)).await {
            Ok(Err(failure)) if is_the_sources(&failure) => tracing::warn!(
                bucket = root.bucket,
                "bucket {}: Azure cannot fetch its first object, and probably none: {failure}",
                root.bucket
            ),
            Ok(Err(failure)) => tracing::debug!(bucket = root.bucket, %failure, "not probed"),
            Ok(Ok(())) => {}
            Err(_) => tracing::debug!(bucket = root.bucket, "the probe took too long"),
        }
    });
    let probes = probes.buffer_unordered(AT_ONCE).collect::<Vec<()>>();
    if timeout(ALL, probes).await.is_err() {
        tracing::debug!("not every bucket was probed");
    }
}

/// A single object is its own probe.
fn is_listed(root: &Root) -> bool {
    !matches!(root.scope, Scope::Object { .. })
}

fn is_the_sources(failure: &Failure) -> bool {
    matches!(
        failure.reason,
        Reason::SourceDenied | Reason::SourceRejected | Reason::SourceUnavailable
    )
}

/// One bucket of a job.
struct Probe<'a> {
    clients: &'a JobClients,
    spec: &'a JobSpec,
    root: &'a Root,
    number: u32,
}

impl Probe<'_> {
    async fn run(&self, metrics: &Metrics) -> Result<()> {
        let Some(object) = self.first(metrics).await? else {
            return Ok(());
        };
        let source = &self.clients.source;
        let bucket = BucketRef {
            name: self.root.bucket.clone(),
            region: self.root.region.clone(),
        };
        let version = object.version.as_deref();
        if source.has_customer_key()
            || source
                .fetchable(&bucket, &object.key, version)
                .await
                .is_err()
        {
            return Ok(());
        }
        match self.stage(&bucket, &object).await {
            Ok(()) => Ok(()),
            Err(error) if error.is("CannotVerifyCopySource") => {
                let seen = source.head(&bucket, &object.key, version).await;
                Err(seen.err().unwrap_or(error.failure))
            }
            Err(error) => Err(error.failure),
        }
    }

    /// The first object that would be copied, of those the first page shows.
    async fn first(&self, metrics: &Metrics) -> Result<Option<ListedObject>> {
        let rules = Rules::new(&self.spec.options)?;
        let task = ListTask {
            job: self.spec.id.clone(),
            id: 0,
            root: self.number,
            range: KeyRange::default(),
            round: 0,
            only: Vec::new(),
            without: Vec::new(),
        };
        let fetch = Fetch::new(&self.clients.source, metrics, self.root, &rules);
        let listing = fetch.page(&task.range).await?;
        let draft = page::draft(&task, self.root, &rules, 0, listing)?;
        let mut objects = draft.tasks.into_iter().map(|task| task.object);
        Ok(objects.find(|object| object.size > 0))
    }

    /// Has Azure fetch one byte; makes the container where it is missing, as the job would.
    async fn stage(
        &self,
        bucket: &BucketRef,
        object: &ListedObject,
    ) -> std::result::Result<(), BlobError> {
        let blob = BlobName::new(&self.root.container, BLOB);
        let source = &self.clients.source;
        let destination = &self.clients.destination;
        let mut made = false;
        loop {
            let version = object.version.as_deref();
            let url = source
                .presign_get(bucket, &object.key, version, URL_LIFETIME)
                .await?;
            let byte = BlockRange {
                id: BLOCK,
                bytes: 0..1,
            };
            let from = CopySource {
                url: url.expose(),
                length: 1,
                md5: None,
            };
            match destination.put_block_from_url(&blob, &byte, &from).await {
                Err(error) if error.is("ContainerNotFound") && !made => {
                    let name = &self.root.container;
                    self.clients.containers.ensure(destination, name).await?;
                    made = true;
                }
                answer => return answer.map(drop),
            }
        }
    }
}
