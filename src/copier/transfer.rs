//! Copies one object: look at it, plan it, have Azure fetch it, make sure it is the same.

use std::time::Duration;

use tokio::time::Instant;

use super::plan::{self, Plan};
use super::{Shared, blocks, proof};
use crate::clients::JobClients;
use crate::destination::client::{
    BlobError, BlobHeaders, BlobName, Conditions, ContainerState, CopySource, Stored,
};
use crate::destination::metadata::{self, SourceProperties};
use crate::destination::naming;
use crate::failure::{Failure, Reason, Result};
use crate::job::{InvalidMetadata, JobSpec, Root};
use crate::message::{CopyTask, Ending};
use crate::source::client::{BucketRef, ObjectHead};
use crate::source::sign::PresignedUrl;

/// How long a presigned URL may be used; Azure begins to fetch at once.
pub(super) const URL_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// One object on its way: where from, where to, and with whom.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    pub(super) shared: Shared,
    pub(super) clients: std::sync::Arc<JobClients>,
    pub(super) bucket: BucketRef,
    pub(super) key: String,
    pub(super) version: Option<String>,
    pub(super) blob: BlobName,
}

/// Copies the object of a task, whatever was done for it before.
pub(super) async fn copy(shared: &Shared, spec: &JobSpec, task: &CopyTask) -> Result<Ending> {
    let root = root_of(spec, task.root)?;
    let clients = shared.copier.clients.of(spec)?;
    let bucket = BucketRef {
        name: root.bucket.clone(),
        region: root.region.clone(),
    };
    // Before the blob's name is looked at: a key that cannot be asked for is the cause, not the
    // name it would have had.
    clients.source.check_key(&bucket, &task.object.key)?;
    let mut passage = Passage {
        shared: shared.clone(),
        clients,
        bucket,
        key: task.object.key.clone(),
        version: task.object.version.clone(),
        blob: blob_name(root, &task.object.key)?,
    };
    let source = passage.look(spec, task).await?;
    passage.version = passage.version.or_else(|| source.version.clone());
    match plan::plan(source.size, &source.identity(), &spec.options)? {
        Plan::Whole => whole(&passage, &source).await,
        Plan::Blocks(plan) => blocks::copy(&passage, &source, &plan).await,
    }
}

/// What is known of the object before it is copied.
#[derive(Clone, Debug)]
pub(super) struct SourceObject {
    pub(super) size: u64,
    pub(super) etag: Option<String>,
    pub(super) modified: i64,
    pub(super) version: Option<String>,
    /// MD5 of the content, where the ETag is one.
    pub(super) md5: Option<[u8; 16]>,
    /// CRC-64/NVME of the content, where S3 keeps it.
    pub(super) crc64: Option<u64>,
    pub(super) headers: BlobHeaders,
}

impl SourceObject {
    /// Names the content: two objects of one identity have the same bytes.
    fn identity(&self) -> String {
        match (&self.version, &self.etag) {
            (Some(version), _) => format!("version {version}"),
            (None, Some(etag)) => format!("etag {etag} {} {}", self.modified, self.size),
            (None, None) => format!("modified {} {}", self.modified, self.size),
        }
    }

    fn of_head(key: &str, head: ObjectHead) -> Result<Self> {
        let md5 = proof::content_md5(&head);
        let properties = SourceProperties {
            content_type: head.content_type,
            cache_control: head.cache_control,
            content_encoding: head.content_encoding,
            content_language: head.content_language,
            content_disposition: head.content_disposition,
            metadata: head.metadata,
        };
        let carried = metadata::carry(&properties, InvalidMetadata::ExcludeIfInvalid)?;
        if !carried.excluded.is_empty() {
            tracing::warn!(
                object.key = key,
                excluded = ?carried.excluded,
                "metadata that Azure cannot hold is left out"
            );
        }
        Ok(Self {
            size: head.size,
            etag: head.etag,
            modified: head.modified,
            version: head.version,
            md5,
            crc64: head.checksum_crc64nvme,
            headers: carried.headers,
        })
    }

    /// Is this still the object that was looked at before?
    pub(super) fn same_as(&self, head: &ObjectHead) -> bool {
        self.size == head.size && self.modified == head.modified && self.etag == head.etag
    }
}

impl Passage {
    async fn look(&self, spec: &JobSpec, task: &CopyTask) -> Result<SourceObject> {
        if spec.options.properties.preserve {
            return SourceObject::of_head(&self.key, self.head().await?);
        }
        Ok(SourceObject {
            size: task.object.size,
            etag: task.object.etag.clone(),
            modified: task.object.modified,
            version: task.object.version.clone(),
            md5: None,
            crc64: None,
            headers: BlobHeaders::default(),
        })
    }

    /// HEAD of the source object.
    pub(super) async fn head(&self) -> Result<ObjectHead> {
        let started = Instant::now();
        let head = self
            .clients
            .source
            .head(&self.bucket, &self.key, self.version.as_deref())
            .await;
        self.observe(("s3", "head_object"), started, head.as_ref().err());
        head
    }

    /// A fresh presigned URL of the source object.
    pub(super) async fn presign(&self) -> Result<PresignedUrl> {
        let version = self.version.as_deref();
        self.clients
            .source
            .presign_get(&self.bucket, &self.key, version, URL_LIFETIME)
            .await
    }

    pub(super) fn observe(
        &self,
        call: (&'static str, &'static str),
        started: Instant,
        failure: Option<&Failure>,
    ) {
        let seconds = started.elapsed().as_secs_f64();
        self.shared.copier.metrics.request(call, seconds, failure);
    }

    /// Sends one From-URL request with a fresh presigned URL. A missing container is made once;
    /// a source failure that Azure only relays is explained by a look at the source.
    pub(super) async fn send<T, F>(
        &self,
        call: (&'static str, &'static str),
        request: impl Fn(PresignedUrl) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T, BlobError>>,
    {
        let mut made_container = None;
        loop {
            let url = self.presign().await?;
            let started = Instant::now();
            let answer = request(url).await;
            self.observe(
                call,
                started,
                answer.as_ref().err().map(|error| &error.failure),
            );
            match answer {
                Ok(value) => return Ok(value),
                Err(error) if error.is("ContainerNotFound") => {
                    made_container = Some(self.missing_container(error, made_container).await?);
                }
                Err(error) if error.is("CannotVerifyCopySource") => {
                    return Err(self.head().await.err().unwrap_or(error.failure));
                }
                Err(error) => return Err(error.failure),
            }
        }
    }

    /// Makes a missing container, once; says why it is missing still.
    async fn missing_container(
        &self,
        error: BlobError,
        made: Option<ContainerState>,
    ) -> Result<ContainerState> {
        let containers = &self.clients.containers;
        let name = &self.blob.container;
        let Some(made) = made else {
            return containers.ensure(&self.clients.destination, name).await;
        };
        if made == ContainerState::Unknown {
            return Err(Failure::give_up(
                Reason::ContainerRejected,
                format!(
                    "container {name} does not exist and the SAS may not create it; create it, or \
                     give a SAS that may"
                ),
            ));
        }
        containers.forget(name).await;
        Err(error.failure)
    }
}

async fn whole(passage: &Passage, source: &SourceObject) -> Result<Ending> {
    let destination = &passage.clients.destination;
    let stored = passage
        .send(("blob", "put_blob_from_url"), async |url| {
            destination
                .put_blob_from_url(
                    &passage.blob,
                    &CopySource {
                        url: url.expose(),
                        length: source.size,
                        md5: source.md5,
                    },
                    &source.headers,
                    &Conditions::default(),
                )
                .await
        })
        .await?;
    verify(passage, source, &stored).await?;
    Ok(Ending::Copied {
        bytes: source.size,
        crc64: stored.crc64,
    })
}

/// Length and content are proved by a digest that Azure checked or returned, or by a pinned
/// version; only where there is neither is the blob's length asked for.
async fn verify(passage: &Passage, source: &SourceObject, stored: &Stored) -> Result<()> {
    match (source.crc64, stored.crc64) {
        (Some(expected), Some(actual)) if expected != actual => {
            return Err(Failure::retry(
                Reason::ChecksumMismatch,
                format!("CRC-64 is {actual:016x} at the destination, {expected:016x} at S3"),
            ));
        }
        (Some(_), Some(_)) => return Ok(()),
        _ => {}
    }
    if source.md5.is_some() || passage.version.is_some() {
        return Ok(());
    }
    let started = Instant::now();
    let found = passage.clients.destination.head_blob(&passage.blob).await;
    let failure = found.as_ref().err().map(|error| &error.failure);
    passage.observe(("blob", "head_blob"), started, failure);
    match found.map_err(|error| error.failure)? {
        Some(blob) if blob.length == source.size => Ok(()),
        Some(blob) => Err(Failure::retry(
            Reason::SourceChanged,
            format!("{} bytes arrived of {}", blob.length, source.size),
        )),
        None => Err(Failure::retry(
            Reason::DestinationUnavailable,
            "the blob just written is not there: is someone else deleting it?",
        )),
    }
}

fn blob_name(root: &Root, key: &str) -> Result<BlobName> {
    let kept = key.get(root.strip..).ok_or_else(|| {
        Failure::give_up(
            Reason::Internal,
            "the key is shorter than the listed prefix",
        )
    })?;
    let blob = format!("{}{kept}", root.blob_prefix);
    naming::check_blob(&root.container, &blob)?;
    Ok(BlobName {
        container: root.container.clone(),
        blob,
    })
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
