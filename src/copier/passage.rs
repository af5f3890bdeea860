//! One object on its way: where from, where to, with whom; and the calls both ways need.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::blocks::contended;
use super::containers;
use super::existing::head_blob;
use super::seat::{Lane, Place};
use crate::clients::JobClients;
use crate::destination::client::{BlobError, BlobName, ContainerState};
use crate::destination::naming;
use crate::failure::{Failure, Reason, Remedy, Result};
use crate::source::client::{BucketRef, ObjectHead};
use crate::source::sign::PresignedUrl;

/// How long a presigned URL may be used; Azure begins to fetch at once.
const URL_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Others that were answered so long ago are answered still.
const LATELY: Duration = Duration::from_secs(120);

/// What makes of a blob's name one beside it.
const BESIDE: &str = ".blobfleet-probe";

/// One object on its way.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    pub(super) shared: Shared,
    pub(super) clients: Arc<JobClients>,
    pub(super) bucket: BucketRef,
    pub(super) key: String,
    pub(super) version: Option<String>,
    pub(super) blob: BlobName,
    pub(super) lane: Lane,
}

impl Passage {
    /// HEAD of the source object.
    pub(super) async fn head(&self) -> Result<ObjectHead> {
        let started = Instant::now();
        let version = self.version.as_deref();
        let source = &self.clients.source;
        let head = source.head(&self.bucket, &self.key, version).await;
        self.observe(("s3", "head_object"), started, head.as_ref().err());
        head
    }

    /// A fresh presigned URL of the source object.
    async fn presign(&self) -> Result<PresignedUrl> {
        let version = self.version.as_deref();
        let source = &self.clients.source;
        source
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
        self.lane.observe(call, started, failure);
        self.note_answer(call, failure);
    }

    /// Notes who answered and who refused.
    fn note_answer(&self, (service, operation): (&str, &str), failure: Option<&Failure>) {
        use Reason::{
            DestinationThrottled, DestinationTimedOut, DestinationUnavailable, SourceThrottled,
            SourceUnavailable,
        };
        let refusals = &self.shared.refusals;
        let by_source = service == "s3" || operation.ends_with("_from_url");
        match failure {
            Some(failure) if failure.concerns_one => {
                refusals.note_refusal(&self.container_name(), failure);
            }
            Some(failure) if matches!(failure.reason, SourceThrottled | SourceUnavailable) => {
                refusals.note_refusal(&self.source_name(), failure);
            }
            Some(failure)
                if matches!(
                    failure.reason,
                    DestinationThrottled | DestinationTimedOut | DestinationUnavailable
                ) =>
            {
                refusals.note_refusal(&self.account_name(), failure);
            }
            Some(_) => {}
            None => {
                let is_write = operation.starts_with("put_");
                if refusals.wants_answers() {
                    if by_source {
                        refusals.note_answer(&self.source_name());
                    }
                    if service == "blob" {
                        refusals.note_answer(&self.account_name());
                    }
                    if is_write {
                        refusals.note_answer(&self.container_name());
                    }
                }
                if is_write && refusals.wants_write() {
                    refusals.note_write(&self.container_name(), &self.blob.blob);
                }
            }
        }
    }

    fn source_name(&self) -> String {
        format!("bucket {}", self.bucket.name)
    }

    fn account_name(&self) -> String {
        format!("account {}", self.clients.destination.root())
    }

    fn container_name(&self) -> String {
        let account = self.clients.destination.root();
        format!("container {account}/{}", self.blob.container)
    }

    /// Is another blob of the container answered? One that was written lately tells; else one of a
    /// name beside this one's is asked for, whether it is there or not.
    async fn is_other_blob_answered(&self) -> bool {
        let refusals = &self.shared.refusals;
        if refusals.was_other_written(&self.container_name(), &self.blob.blob, LATELY) {
            return true;
        }
        let named = format!("{}{BESIDE}", self.blob.blob);
        let blob = match naming::check_blob(&self.blob.container, &named) {
            Ok(()) => named,
            // It would be too long.
            Err(_) => BESIDE.to_owned(),
        };
        let beside = BlobName::new(&self.blob.container, blob);
        match self.clients.destination.head_blob(&beside).await {
            Ok(_) => true,
            Err(error) => error
                .status
                .is_some_and(|status| status < 500 && status != 429),
        }
    }

    /// Are other requests answered that go where this object's are refused? Of a source another key
    /// of its folder is asked, as S3 throttles by prefix; of an account another blob of the
    /// container.
    pub(super) async fn do_others_answer(&self, reason: Reason) -> bool {
        if reason == Reason::DestinationThrottled {
            return self.is_other_blob_answered().await;
        }
        let end = self.key.rfind('/').map_or(0, |at| at + 1);
        let folder = self.key.get(..end).unwrap_or_default();
        let source = &self.clients.source;
        match source.find_neighbour(&self.bucket, folder, &self.key).await {
            Ok(Some(other)) => match source.head(&self.bucket, &other, None).await {
                Ok(_) => true,
                Err(failure) => failure.remedy == Remedy::GiveUp,
            },
            // It is alone there, and listed.
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// A place among the requests in flight; none where the object has its own.
    ///
    /// # Errors
    /// The copier is stopping: what was begun comes back.
    pub(super) async fn place(&self) -> Result<Option<Place>> {
        let place = match self.lane.seated {
            true => None,
            false => Some(self.lane.place_block().await?),
        };
        if self.shared.shutdown.is_cancelled() {
            let why = "the copier is stopping";
            return Err(Failure::retry(Reason::DestinationUnavailable, why));
        }
        Ok(place)
    }

    /// Waits until so many bytes more may be copied.
    pub(super) async fn pace(&self, bytes: u64) {
        if let Some(pace) = &self.shared.copier.speed.pace {
            pace.wait(bytes).await;
        }
    }

    /// Sends one From-URL request with a fresh presigned URL; a source failure that Azure only
    /// relays is explained by a look at the source.
    pub(super) async fn fetch<T, F>(
        &self,
        call: (&'static str, &'static str),
        request: impl Fn(PresignedUrl) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T, BlobError>>,
    {
        let answer = self
            .write(call, async || request(self.presign().await?).await)
            .await;
        match answer {
            Ok(value) => Ok(value),
            Err(error) if error.is("CannotVerifyCopySource") => {
                Err(self.explain_refused_source(error.failure).await)
            }
            Err(error) => Err(contended(error)),
        }
    }

    /// Why Azure could not read the source, which tells a status at most: what this process is told
    /// by HEAD, or else by a GET of one byte.
    async fn explain_refused_source(&self, failure: Failure) -> Failure {
        let head = match self.head().await {
            Ok(head) => head,
            Err(seen) => return seen,
        };
        let denied = failure.reason == Reason::SourceDenied;
        if !denied && failure.reason != Reason::SourceRejected {
            return failure;
        }
        let source = &self.clients.source;
        let (key, version) = (&self.key, self.version.as_deref());
        match source.check_readable(&self.bucket, key, version).await {
            Err(seen) if seen.reason == Reason::SourceArchived && head.restored => Failure {
                message: format!(
                    "{seen}; its restored copy has expired{}: restore it again",
                    match &head.restored_until {
                        Some(until) => format!(" (it was there until {until})"),
                        None => String::new(),
                    }
                ),
                ..seen
            },
            Err(seen) => seen,
            Ok(()) if denied => Failure {
                message: format!(
                    "{failure}; this machine may read the object, so that only Azure is refused: \
                     admit Azure's addresses in the bucket's policy, or give --relay=always"
                ),
                ..failure
            },
            Ok(()) => failure,
        }
    }

    /// Sends one request that writes. A missing container is made once.
    pub(super) async fn write<T, F>(
        &self,
        call: (&'static str, &'static str),
        request: impl Fn() -> F,
    ) -> Result<T, BlobError>
    where
        F: Future<Output = Result<T, BlobError>>,
    {
        let mut made_container = None;
        loop {
            let started = Instant::now();
            let answer = request().await;
            let failure = answer.as_ref().err().map(|error| &error.failure);
            self.observe(call, started, failure);
            match answer {
                Err(error) if error.is("ContainerNotFound") => {
                    made_container = Some(self.missing_container(error, made_container).await?);
                }
                Err(error) => return Err(self.explain_blob_type(error).await),
                other => return other,
            }
        }
    }

    /// Which blob is in the way of a block blob, where that was refused.
    pub(super) async fn explain_blob_type(&self, error: BlobError) -> BlobError {
        if !error.is_blob_type() {
            return error;
        }
        let Ok(Some(there)) = head_blob(self).await else {
            return error;
        };
        let kind = match there.blob_type.as_str() {
            "PageBlob" => "a page blob",
            "AppendBlob" => "an append blob",
            _ => return error,
        };
        let failure = Failure {
            message: format!(
                "{}; there is {kind} of {} bytes (x-ms-blob-type: {})",
                error.failure, there.length, there.blob_type
            ),
            ..error.failure
        };
        BlobError { failure, ..error }
    }

    /// Makes a missing container, once; says why it is missing still.
    async fn missing_container(
        &self,
        error: BlobError,
        made: Option<ContainerState>,
    ) -> Result<ContainerState, BlobError> {
        let made_here = &self.clients.containers;
        let name = &self.blob.container;
        let Some(made) = made else {
            let ensured = made_here.ensure(&self.clients.destination, name).await;
            if let Err(failure) = &ensured
                && failure.concerns_one
            {
                self.shared
                    .refusals
                    .note_refusal(&self.container_name(), failure);
            }
            return Ok(ensured?);
        };
        if made == ContainerState::Unknown {
            return Err(containers::missing(name).into());
        }
        made_here.forget(name).await;
        Err(error)
    }
}
