//! Before a bucket is listed: can Azure fetch from it, and may its blobs be written? One byte of
//! its first object is staged where the job writes, and never committed.

mod verdict;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::timeout;

use self::verdict::Verdict;
pub(crate) use self::verdict::Writers;
use crate::clients::JobClients;
use crate::destination::client::{BlobError, BlobName, BlockRange, ContainerState, CopySource};
use crate::failure::{Failure, Result};
use crate::job::{JobSpec, Relay, Root, Scope};
use crate::lister::fetch::Fetch;
use crate::lister::page::{self, Rules};
use crate::message::{KeyRange, ListTask, ListedObject};
use crate::metrics::Metrics;
use crate::source::client::BucketRef;

use super::{containers, relay};

/// The blob the byte is staged for, in the folder the job writes to: a credential may be good for
/// that alone. As nothing is committed, no listing shows it, and the service removes it after a
/// week (<https://learn.microsoft.com/rest/api/storageservices/put-block>, Remarks).
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

/// Says what keeps a job's buckets from being copied, as far as one byte of each tells. What keeps a
/// probe from being made, or may pass, is left to the job to find.
///
/// # Errors
/// Nothing of the job can be written, whoever writes it.
pub(crate) async fn check(
    clients: &Arc<JobClients>,
    spec: &JobSpec,
    metrics: &Metrics,
    writers: Writers,
) -> Result<()> {
    if spec.options.relay == Relay::Always || relay::is_out_of_reach(spec) {
        return Ok(());
    }
    let roots = buckets(spec);
    let all = covers_all(spec, &roots);
    let count = roots.len();
    let only_creates = clients.destination.only_creates();
    let probes = stream::iter(roots).map(|(number, root)| async move {
        let probe = Probe {
            clients,
            spec,
            root,
            number,
        };
        let error = match timeout(EACH, probe.run(metrics)).await {
            Ok(answer) => answer.err()?,
            Err(_) => {
                tracing::debug!(bucket = root.bucket, "the probe took too long");
                return None;
            }
        };
        match verdict::of(&error, writers, only_creates) {
            Verdict::Hopeless => Some((root, error.failure)),
            verdict => {
                say(root, verdict, &error.failure);
                None
            }
        }
    });
    let mut hopeless = Vec::new();
    let mut probes = std::pin::pin!(probes.buffer_unordered(AT_ONCE));
    let probed = async {
        while let Some(answer) = probes.next().await {
            hopeless.extend(answer);
        }
    };
    if timeout(ALL, probed).await.is_err() {
        tracing::debug!("not every bucket was probed");
    }
    if all
        && hopeless.len() == count
        && let Some((_, failure)) = hopeless.pop()
    {
        return Err(unwritable(&failure));
    }
    for (root, failure) in hopeless {
        say(root, Verdict::Hopeless, &failure);
    }
    Ok(())
}

/// The buckets that are listed, each by the first of its roots.
fn buckets(spec: &JobSpec) -> Vec<(u32, &Root)> {
    let mut seen = HashSet::new();
    (0..)
        .zip(&spec.roots)
        .filter(|(_, root)| root.refused.is_none() && is_listed(root))
        .filter(|(_, root)| seen.insert(&root.bucket))
        .collect()
}

/// Does whatever the job writes go where these roots' blobs go?
fn covers_all(spec: &JobSpec, roots: &[(u32, &Root)]) -> bool {
    let probed: HashSet<_> = roots.iter().map(|(_, root)| place(root)).collect();
    let mut written = spec.roots.iter().filter(|root| root.refused.is_none());
    written.all(|root| probed.contains(&place(root)))
}

/// Container and folder of a root's blobs.
fn place(root: &Root) -> (&str, &str) {
    let folder = root.blob_prefix.rfind('/').map_or(0, |slash| slash + 1);
    let folder = root.blob_prefix.get(..folder).unwrap_or_default();
    (&root.container, folder)
}

/// A single object is its own probe.
fn is_listed(root: &Root) -> bool {
    !matches!(root.scope, Scope::Object { .. })
}

/// Tells what was found out about one bucket, where the command goes on.
fn say(root: &Root, verdict: Verdict, failure: &Failure) {
    let Root {
        bucket, container, ..
    } = root;
    match verdict {
        Verdict::Source => tracing::warn!(
            bucket,
            "bucket {bucket}: Azure cannot fetch its first object, and probably none: {failure}"
        ),
        Verdict::Hopeless => tracing::warn!(
            bucket,
            container,
            "bucket {bucket}: nothing can be written to container {container}: {failure}"
        ),
        Verdict::OursAlone => tracing::warn!(
            bucket,
            container,
            "bucket {bucket}: this process may not write to container {container}, and copiers of \
             the same credential may not: {failure}"
        ),
        Verdict::BlocksAlone => tracing::warn!(
            bucket,
            container,
            "bucket {bucket}: objects that go in blocks cannot be written to container \
             {container}, as the SAS may only create blobs (sp=rcw lets it write): {failure}"
        ),
        Verdict::Perhaps => tracing::debug!(bucket, %failure, "not probed"),
    }
}

/// What ends the command.
fn unwritable(failure: &Failure) -> Failure {
    let message = format!("nothing was begun, as nothing could be written: {failure}");
    Failure::stop(failure.reason, message)
}

/// One bucket of a job.
struct Probe<'a> {
    clients: &'a JobClients,
    spec: &'a JobSpec,
    root: &'a Root,
    number: u32,
}

impl Probe<'_> {
    async fn run(&self, metrics: &Metrics) -> std::result::Result<(), BlobError> {
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
            Err(error) if error.is("CannotVerifyCopySource") => {
                let seen = source.head(&bucket, &object.key, version).await;
                Err(seen.err().map_or(error, BlobError::from))
            }
            answer => answer,
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
        let (container, folder) = place(self.root);
        let blob = BlobName::new(container, format!("{folder}{BLOB}"));
        let source = &self.clients.source;
        let destination = &self.clients.destination;
        let mut made = None;
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
            match (
                destination.put_block_from_url(&blob, &byte, &from).await,
                made,
            ) {
                (Err(error), None) if error.is("ContainerNotFound") => {
                    made = Some(
                        self.clients
                            .containers
                            .ensure(destination, container)
                            .await?,
                    );
                }
                (Err(error), Some(ContainerState::Unknown)) if error.is("ContainerNotFound") => {
                    return Err(containers::missing(container).into());
                }
                (answer, _) => return answer.map(drop),
            }
        }
    }
}
