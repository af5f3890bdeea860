//! The Blob service, spoken to directly: every call is one request, built and signed anew, and
//! retrying is the caller's decision.
//!
//! From-URL calls answer only after Azure has read the whole source, so each has a deadline of its
//! own by size ([`deadline`]) which replaces the HTTP client's.

mod account;
mod block_list;
mod error;
mod request;
#[cfg(test)]
mod tests;
mod types;
mod upload;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use reqwest::Url;

use self::error::Target;
pub use self::error::{BlobError, BlobResult};
use self::request::{Answer, Call};
pub use self::types::{
    BlobHeaders, BlobName, BlobProperties, BlockList, BlockRange, Conditions, ContainerState,
    CopySource, Staged, Stored,
};
use super::auth::Auth;
use super::crc::decode_crc64;
use super::naming;
use super::url::encode_path;
use crate::clock::Clock;
use crate::failure::{Failure, Reason, Remedy, Result};

/// The service version every request asks for: the first whose answers tell the copy source's own
/// status (`x-ms-copy-source-status-code`), and the newest that Azurite 3.35 knows.
pub const VERSION: &str = "2025-11-05";

/// Longest source URL Azure accepts, in bytes.
pub const MAX_SOURCE_URL: usize = 2048;

/// What a call may take that moves no content.
const SHORT: Duration = Duration::from_secs(60);

/// How long a From-URL call of `length` bytes may take: a minute and a second for each MiB, slower
/// than any source worth waiting for.
pub fn deadline(length: u64) -> Duration {
    SHORT + Duration::from_secs(length / (1024 * 1024))
}

/// One storage account. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Destination {
    root: Url,
    auth: Auth,
    http: reqwest::Client,
    clock: Clock,
}

impl Destination {
    /// The account as messages name it.
    pub fn root(&self) -> &str {
        self.root.as_str().trim_end_matches('/')
    }

    /// `account_url` is [`super::url::DestinationUrl::account_url`]; `http` comes from
    /// [`crate::http::client`].
    ///
    /// # Errors
    /// [`Reason::Usage`] where the URL is none.
    pub fn new(account_url: &str, auth: Auth, http: reqwest::Client, clock: Clock) -> Result<Self> {
        let root = Url::parse(account_url).map_err(|error| {
            Failure::stop(
                Reason::Usage,
                format!("the destination account is no URL: {error}"),
            )
        })?;
        Ok(Self {
            root,
            auth,
            http,
            clock,
        })
    }

    /// When its credential ends: see [`Auth::ends`].
    pub fn credential_ends(&self) -> Option<i64> {
        self.auth.ends()
    }

    /// Is the credential a SAS that may only create blobs, for all it says of itself? Blocks are
    /// refused to it, and whole blobs are not.
    pub fn only_creates(&self) -> bool {
        self.auth.only_creates()
    }

    /// Whether a container exists.
    ///
    /// # Errors
    /// Whatever kept the service from answering; a service SAS may not ask this at all.
    pub async fn container_exists(&self, name: &str) -> BlobResult<bool> {
        let call = self.container_call("Get Container Properties", Method::HEAD, name)?;
        match self.send(call, 200).await {
            Ok(_) => Ok(true),
            Err(error) if error.status == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Looks whether the account answers and takes the credential, by one request about a container
    /// that need not exist. What the credential may do is not asked: one that may only write is
    /// refused here and good all the same.
    ///
    /// # Errors
    /// [`Reason::DestinationUnavailable`]: nobody answers; [`Reason::DestinationDenied`]: the
    /// credential is no good for anything.
    pub async fn check_access(&self, container: &str) -> Result<()> {
        match self.container_exists(container).await {
            Err(error) if error.status.is_none() => Err(error.failure),
            Err(error) if error.is_unauthenticated() && self.auth.opens_container() => {
                Err(error.failure)
            }
            _ => Ok(()),
        }
    }

    /// Makes a container where it is missing. Looks first, as a credential that may only write
    /// blobs can do no more.
    ///
    /// # Errors
    /// [`Reason::ContainerRejected`]: Azure refuses the name, is still deleting a container of
    /// that name (worth a retry), or the credential may not create the missing container.
    pub async fn create_container(&self, name: &str) -> BlobResult<ContainerState> {
        let seen = match self.container_exists(name).await {
            Ok(true) => return Ok(ContainerState::Existed),
            Ok(false) => true,
            Err(error) if is_forbidden(&error) => false,
            Err(error) => return Err(error),
        };
        let call = self.container_call("Create Container", Method::PUT, name)?;
        match self.send(call, 201).await {
            Ok(_) => Ok(ContainerState::Created),
            Err(error) if error.is("ContainerAlreadyExists") => Ok(ContainerState::Existed),
            Err(error) if is_forbidden(&error) && seen => Err(BlobError {
                failure: Failure::give_up(
                    Reason::ContainerRejected,
                    format!(
                        "container {name} does not exist and the credential may not create it; \
                         create it, or give a credential that may ({})",
                        error.failure.message
                    ),
                ),
                ..error
            }),
            Err(error) if is_forbidden(&error) && self.auth.is_sas() => Ok(ContainerState::Unknown),
            Err(error) => Err(error),
        }
    }

    /// Put Blob From URL: Azure fetches the whole source into a new block blob, at most 5,000 MiB.
    /// Zero bytes go this way too.
    ///
    /// # Errors
    /// See [`BlobError`]; [`Reason::SourceUrlTooLong`] above 2 KiB of URL.
    pub async fn put_blob_from_url(
        &self,
        name: &BlobName,
        source: &CopySource<'_>,
        headers: &BlobHeaders,
        conditions: &Conditions,
    ) -> BlobResult<Stored> {
        let mut call = self.blob_call("Put Blob From URL", Method::PUT, name)?;
        call.set("x-ms-blob-type", "BlockBlob")?;
        call.set("x-ms-copy-source-blob-properties", "false")?;
        call.set_source(source)?;
        call.set_headers(headers)?;
        call.set_conditions(conditions)?;
        let answer = self.send(call, 201).await?;
        Ok(Stored {
            crc64: answer.header("x-ms-content-crc64").and_then(decode_crc64),
            content_md5: answer.md5(),
            ..answer.stored()?
        })
    }

    /// Put Block From URL: Azure fetches a range of the source into an uncommitted block, at most
    /// 4,000 MiB. Staging an id again replaces the block. `source.length` and `source.md5` are the
    /// range's.
    ///
    /// # Errors
    /// See [`BlobError`]; [`Reason::SourceUrlTooLong`] above 2 KiB of URL.
    pub async fn put_block_from_url(
        &self,
        name: &BlobName,
        block: &BlockRange<'_>,
        source: &CopySource<'_>,
    ) -> BlobResult<Staged> {
        let mut call = self.blob_call("Put Block From URL", Method::PUT, name)?;
        call.query = format!("comp=block&blockid={}", encode_query(block.id));
        let last = block.bytes.end.saturating_sub(1);
        let range = format!("bytes={}-{last}", block.bytes.start);
        call.set("x-ms-source-range", &range)?;
        call.set_source(source)?;
        let answer = self.send(call, 201).await?;
        Ok(Staged {
            crc64: answer.header("x-ms-content-crc64").and_then(decode_crc64),
        })
    }

    /// Put Block List: makes the blob of the latest blocks with these ids, in this order. Whatever
    /// `headers` does not hold is cleared.
    ///
    /// # Errors
    /// See [`BlobError`]; code `InvalidBlockList` where a block is not there.
    pub async fn put_block_list(
        &self,
        name: &BlobName,
        ids: &[String],
        headers: &BlobHeaders,
        conditions: &Conditions,
    ) -> BlobResult<Stored> {
        let mut call = self.blob_call("Put Block List", Method::PUT, name)?;
        "comp=blocklist".clone_into(&mut call.query);
        call.set("content-type", "application/xml")?;
        call.body = Bytes::from(block_list::write(ids));
        call.deadline = SHORT * 2;
        call.set_headers(headers)?;
        call.set_conditions(conditions)?;
        self.send(call, 201).await?.stored()
    }

    /// Get Block List, committed and uncommitted; `None` where there is neither.
    ///
    /// # Errors
    /// See [`BlobError`].
    pub async fn get_block_list(&self, name: &BlobName) -> BlobResult<Option<BlockList>> {
        let mut call = self.blob_call("Get Block List", Method::GET, name)?;
        "comp=blocklist&blocklisttype=all".clone_into(&mut call.query);
        let what = call.what();
        let Some(answer) = absent_is_none(self.send(call, 200).await)? else {
            return Ok(None);
        };
        let etag = answer.header("etag").map(str::to_owned);
        let list =
            block_list::read(&answer.body, etag).map_err(|fault| unreadable(&what, &fault))?;
        Ok(Some(BlockList {
            last_modified: answer.time("last-modified"),
            date: answer.time("date"),
            ..list
        }))
    }

    /// A blob's properties; `None` where there is no blob (uncommitted blocks make none).
    ///
    /// # Errors
    /// See [`BlobError`].
    pub async fn head_blob(&self, name: &BlobName) -> BlobResult<Option<BlobProperties>> {
        let call = self.blob_call("Get Blob Properties", Method::HEAD, name)?;
        absent_is_none(self.send(call, 200).await)?
            .map(|answer| answer.properties())
            .transpose()
    }

    /// Deletes a blob; `false` where there was none. Snapshots are somebody's backups: a blob that
    /// has some is left as it is.
    ///
    /// # Errors
    /// See [`BlobError`]; code `SnapshotsPresent` where there are snapshots.
    pub async fn delete_blob(&self, name: &BlobName, conditions: &Conditions) -> BlobResult<bool> {
        let mut call = self.blob_call("Delete Blob", Method::DELETE, name)?;
        call.set_conditions(conditions)?;
        Ok(absent_is_none(self.send(call, 202).await)?.is_some())
    }

    fn container_call(&self, operation: &'static str, method: Method, name: &str) -> Result<Call> {
        naming::check_container(name)?;
        let mut call = Call::new(operation, method, Target::Container, name.to_owned(), name);
        "restype=container".clone_into(&mut call.query);
        Ok(call)
    }

    fn blob_call(&self, operation: &'static str, method: Method, name: &BlobName) -> Result<Call> {
        naming::check_container(&name.container)?;
        naming::check_blob(&name.container, &name.blob)?;
        let path = format!("{}/{}", name.container, encode_path(&name.blob));
        let shown = format!("{}/{}", name.container, name.blob);
        Ok(Call::new(operation, method, Target::Blob, path, &shown))
    }

    /// Sends a call and wants `expected`. A token that was refused is replaced once: nothing has
    /// happened, and it may have ended on the way.
    async fn send(&self, call: Call, expected: u16) -> BlobResult<Answer> {
        let mut renewed = false;
        loop {
            let request = self.build(&call).await?;
            let token = request.headers().get(http::header::AUTHORIZATION).cloned();
            match request::exchange(&self.http, request, &call, expected).await {
                Err(error) if error.status == Some(401) && !renewed => {
                    renewed = self.auth.forget(token.as_ref());
                    if !renewed {
                        return Err(error);
                    }
                }
                // A SAS may have ended on the way; Azure does not say so by its code.
                Err(error) if error.status == Some(403) => {
                    self.auth.check()?;
                    return Err(error);
                }
                other => return other,
            }
        }
    }

    async fn build(&self, call: &Call) -> BlobResult<reqwest::Request> {
        let url = self.address(call)?;
        let mut request = reqwest::Request::new(call.method.clone(), url);
        *request.headers_mut() = call.headers.clone();
        *request.timeout_mut() = Some(call.deadline);
        let now = self.clock.now();
        request::set_common(request.headers_mut(), call, now)?;
        if !call.body.is_empty() {
            *request.body_mut() = Some(call.body.clone().into());
        }
        self.auth.authorize(&mut request).await?;
        Ok(request)
    }

    /// The URL of a call. `Url` rewrites `.` and `..` segments, so what it made is compared with
    /// what was meant: a request must not touch another blob.
    fn address(&self, call: &Call) -> Result<Url> {
        let base = self.root.path().trim_end_matches('/');
        let path = format!("{base}/{}", call.path);
        let mut url = self.root.clone();
        url.set_path(&path);
        url.set_query(Some(call.query.as_str()).filter(|query| !query.is_empty()));
        if url.path() != path {
            return Err(Failure::give_up(
                Reason::NameRejected,
                format!("{}: the name would be rewritten on the way", call.what()),
            ));
        }
        Ok(url)
    }
}

/// The service's own clock, in seconds since 1970; none where it does not answer with one. Any
/// answer does, so that no credential is needed.
pub async fn read_clock(http: &reqwest::Client, account: &str) -> Option<i64> {
    for _ in 0..CLOCK_TRIES {
        let asked = http.head(account).header("x-ms-version", VERSION);
        match asked.timeout(CLOCK_LIMIT).send().await {
            Ok(answer) => return request::time(answer.headers(), "date"),
            Err(error) => tracing::debug!(error = %error.without_url(), "no clock is told"),
        }
    }
    None
}

/// How often the service is asked for its clock, and how long it may take.
const CLOCK_TRIES: u32 = 3;
const CLOCK_LIMIT: Duration = Duration::from_secs(5);

/// The credential is good, but not for this.
fn is_forbidden(error: &BlobError) -> bool {
    error.status == Some(403)
        && error.failure.remedy == Remedy::Stop
        && !error.is("AuthenticationFailed")
        && !error.is("AccountIsDisabled")
        && !error.is("KeyBasedAuthenticationNotPermitted")
}

fn absent_is_none(answer: BlobResult<Answer>) -> BlobResult<Option<Answer>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is("BlobNotFound") || error.is("ContainerNotFound") => Ok(None),
        Err(error) if error.status == Some(404) && error.code.is_none() => Ok(None),
        Err(error) => Err(error),
    }
}

fn encode_query(text: &str) -> String {
    encode_path(text).replace('/', "%2F")
}

fn unreadable(what: &str, fault: &str) -> BlobError {
    Failure::retry(
        Reason::DestinationUnavailable,
        format!("{what}: the answer cannot be read: {fault}"),
    )
    .into()
}

/// A header's value as text.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
