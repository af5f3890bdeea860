//! What Azure's answers mean. The error code decides, not the status: a 403 may be the
//! destination's own or the source's.
//!
//! Source: Microsoft Learn, "Blob Storage error codes" and "Common REST API error codes".

#[cfg(test)]
mod tests;

use std::time::Duration;

use http::HeaderMap;

use crate::failure::{Failure, Reason};
use crate::http::element;

/// Refusals of the one who asks, not of what is asked.
const UNAUTHENTICATED: [&str; 5] = [
    "AccountIsDisabled",
    "AuthenticationFailed",
    "InvalidAuthenticationInfo",
    "KeyBasedAuthenticationNotPermitted",
    "NoAuthenticationInformation",
];

/// Refusals of what only block blobs, or only others, can do.
const BLOB_TYPES: [&str; 3] = [
    "InvalidBlobType",
    "BlobTypeNotSupported",
    "IncorrectBlobType",
];

/// What a refused request lacks that carried index tags.
const TAGS: &str = "writing index tags needs a permission of its own: add t to the SAS (sp=rcwt), \
                    give the identity the role Storage Blob Data Owner, or leave the tags out";

/// The result of a call to the Blob service.
pub type BlobResult<T> = std::result::Result<T, BlobError>;

/// A failed call: what it means for us, and what Azure called it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{failure}")]
pub struct BlobError {
    /// What it means.
    pub failure: Failure,
    /// Azure's error code, e.g. `BlobAlreadyExists`; `None` where no answer came.
    pub code: Option<String>,
    /// The HTTP status; `None` where no answer came.
    pub status: Option<u16>,
}

impl BlobError {
    /// Whether Azure gave this code.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Azure does not know who asks, whatever was asked.
    pub(super) fn is_unauthenticated(&self) -> bool {
        UNAUTHENTICATED.iter().any(|code| self.is(code))
    }

    /// A blob of another type is in the way.
    pub fn is_blob_type(&self) -> bool {
        BLOB_TYPES.iter().any(|code| self.is(code))
    }

    /// A condition of the request was not met: the blob is there already, or another.
    pub fn is_condition(&self) -> bool {
        [
            "BlobAlreadyExists",
            "ConditionNotMet",
            "TargetConditionNotMet",
        ]
        .iter()
        .any(|code| self.is(code))
    }
}

impl From<Failure> for BlobError {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            code: None,
            status: None,
        }
    }
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        error.failure
    }
}

/// What was called; decides whose name a bad name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Container,
    Blob,
}

/// An answer that is not the expected one.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    status: u16,
    code: Option<String>,
    /// Azure's own words, without anything that could hold a signature.
    text: String,
    /// The header or parameter Azure blames.
    blamed: Option<String>,
    /// The status the copy source answered Azure with.
    source_status: Option<u16>,
    source_code: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    /// The request was about index tags, which need a permission of their own.
    tagged: bool,
}

impl Refusal {
    pub(super) fn read(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let header = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let body = String::from_utf8_lossy(body);
        let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
        Self {
            status,
            code: header("x-ms-error-code").or_else(|| element(&body, "Code")),
            text: describe(&body),
            blamed: ["HeaderName", "QueryParameterName", "Reason"]
                .iter()
                .find_map(|name| element(&body, name))
                .filter(|name| !is_secret(name)),
            source_status: number(header("x-ms-copy-source-status-code"))
                .or_else(|| number(element(&body, "CopySourceStatusCode"))),
            source_code: header("x-ms-copy-source-error-code")
                .or_else(|| element(&body, "CopySourceErrorCode")),
            request_id: header("x-ms-request-id"),
            retry_after: retry_after(header("retry-after").as_deref()),
            tagged: false,
        }
    }

    /// The same of a request that carried index tags, or not.
    pub(super) fn of_tagged(self, tagged: bool) -> Self {
        Self { tagged, ..self }
    }

    /// Turns it into a failure of the call `what`.
    pub(super) fn into_error(self, what: &str, target: Target) -> BlobError {
        let code = self.code.as_deref().unwrap_or_default();
        let (reason, then) = match code {
            "CannotVerifyCopySource" => from_source(
                self.source_status.unwrap_or(self.status),
                self.source_code.as_deref(),
            ),
            "InvalidHeaderValue" if self.blames("x-ms-copy-source") => {
                (Reason::SourceRejected, Then::GiveUp)
            }
            _ => by_code(code, target).unwrap_or_else(|| by_status(self.status)),
        };
        let advice = match (code, self.tagged) {
            ("AuthorizationPermissionMismatch" | "AuthorizationFailure", true) => TAGS,
            _ => advice(code, reason),
        };
        let message = self.message(what, code, advice);
        let failure = match then {
            Then::Retry => Failure::retry(reason, message),
            Then::RetryOne => Failure::retry(reason, message).of_one(),
            Then::RetryPerhaps => Failure::retry(reason, message).perhaps(),
            Then::GiveUp => Failure::give_up(reason, message),
            Then::Stop => Failure::stop(reason, message),
        };
        BlobError {
            failure: failure.after(self.retry_after),
            code: self.code,
            status: Some(self.status),
        }
    }

    fn blames(&self, name: &str) -> bool {
        let blamed = self.blamed.as_deref();
        blamed.is_some_and(|blamed| blamed.eq_ignore_ascii_case(name))
    }

    fn message(&self, what: &str, code: &str, advice: &str) -> String {
        let mut message = format!("{what}: Azure answered {}", self.status);
        let source = match (self.source_status, self.source_code.as_deref()) {
            (Some(status), Some(code)) => format!("the source answered {status} {code}"),
            (Some(status), None) => format!("the source answered {status}"),
            (None, Some(code)) => format!("the source answered {code}"),
            (None, None) => String::new(),
        };
        if !code.is_empty() {
            message = format!("{message} {code}");
        }
        let blamed = self.blamed.as_deref().unwrap_or_default();
        for part in [self.text.as_str(), blamed, &source, advice] {
            if !part.is_empty() {
                message = format!("{message}; {part}");
            }
        }
        if let Some(id) = &self.request_id {
            message = format!("{message} (request {id})");
        }
        message
    }
}

#[derive(Clone, Copy)]
enum Then {
    Retry,
    /// The same, of this container or blob alone.
    RetryOne,
    RetryPerhaps,
    GiveUp,
    Stop,
}

/// The source's failure as Azure saw it. A single 401 or 403 is worth another try: Azure is known
/// to fail so now and then, and the next URL is signed anew.
fn from_source(status: u16, code: Option<&str>) -> (Reason, Then) {
    match (status, code) {
        (400, Some("ExpiredToken" | "RequestTimeout" | "InternalError")) => {
            (Reason::SourceRejected, Then::Retry)
        }
        (401 | 403, _) => (Reason::SourceDenied, Then::Retry),
        (404, _) => (Reason::SourceNotFound, Then::GiveUp),
        (412 | 416, _) => (Reason::SourceChanged, Then::GiveUp),
        (429 | 503, _) => (Reason::SourceThrottled, Then::Retry),
        (408 | 500..=599, _) => (Reason::SourceUnavailable, Then::Retry),
        _ => (Reason::SourceRejected, Then::GiveUp),
    }
}

fn by_code(code: &str, target: Target) -> Option<(Reason, Then)> {
    let name = match target {
        Target::Container => Reason::ContainerRejected,
        Target::Blob => Reason::NameRejected,
    };
    Some(match code {
        "AuthenticationFailed"
        | "AuthorizationFailure"
        | "AuthorizationPermissionMismatch"
        | "AuthorizationProtocolMismatch"
        | "AuthorizationResourceTypeMismatch"
        | "AuthorizationServiceMismatch"
        | "AuthorizationSourceIPMismatch"
        | "AccountIsDisabled"
        | "InsufficientAccountPermissions"
        | "InvalidAuthenticationInfo"
        | "KeyBasedAuthenticationNotPermitted"
        | "NoAuthenticationInformation" => (Reason::DestinationDenied, Then::Stop),
        "UnauthorizedBlobOverwrite" => (Reason::DestinationDenied, Then::GiveUp),
        "ServerBusy" | "IngressLimitExceeded" | "EgressLimitExceeded" => {
            (Reason::DestinationThrottled, Then::Retry)
        }
        "OperationTimedOut" => (Reason::DestinationTimedOut, Then::RetryPerhaps),
        "InternalError" => (Reason::DestinationUnavailable, Then::RetryPerhaps),
        "BlobArchived" => (Reason::DestinationArchived, Then::GiveUp),
        // A deletion takes Azure half a minute and more, and passes.
        "PendingCopyOperation" | "ContainerBeingDeleted" => {
            (Reason::DestinationUnavailable, Then::RetryOne)
        }
        "ContainerNotFound" => (Reason::ContainerRejected, Then::Retry),
        "ContainerDisabled" => (Reason::ContainerRejected, Then::GiveUp),
        "InvalidResourceName" | "OutOfRangeInput" | "InvalidUri" | "RequestUrlFailedToParse" => {
            (name, Then::GiveUp)
        }
        "InvalidMetadata" | "MetadataTooLarge" | "EmptyMetadataKey" => {
            (Reason::MetadataRejected, Then::GiveUp)
        }
        "Md5Mismatch" | "Crc64Mismatch" => (Reason::ChecksumMismatch, Then::Retry),
        "SourceConditionNotMet" => (Reason::SourceChanged, Then::GiveUp),
        "InvalidSourceBlobUrl" | "CopySourceNotSupported" => (Reason::SourceRejected, Then::GiveUp),
        _ => return None,
    })
}

fn by_status(status: u16) -> (Reason, Then) {
    match status {
        401 | 403 => (Reason::DestinationDenied, Then::Stop),
        408 => (Reason::DestinationUnavailable, Then::RetryPerhaps),
        501 => (Reason::DestinationRejected, Then::GiveUp),
        429 | 503 => (Reason::DestinationThrottled, Then::Retry),
        500..=599 => (Reason::DestinationUnavailable, Then::RetryPerhaps),
        _ => (Reason::DestinationRejected, Then::GiveUp),
    }
}

fn advice(code: &str, reason: Reason) -> &'static str {
    match (code, reason) {
        ("BlobArchived", _) => {
            "a blob in tier Archive cannot be overwritten: delete it, or change its tier first"
        }
        ("AuthorizationPermissionMismatch", _) => {
            "the SAS needs read, create and write (rcw), an identity the role Storage Blob Data \
             Contributor"
        }
        ("AuthorizationSourceIPMismatch", _) => "the SAS is limited to other IP addresses",
        ("AuthorizationResourceTypeMismatch", _) => "the SAS needs the resource types co (srt)",
        ("AuthorizationFailure", _) => {
            "check the credential's permissions and the account's firewall"
        }
        ("KeyBasedAuthenticationNotPermitted", _) => {
            "the account allows no keys or SAS; use Entra ID"
        }
        ("InvalidBlobType" | "BlobTypeNotSupported" | "IncorrectBlobType", _) => {
            "a page blob or an append blob of this name is there, which block blobs cannot replace: \
             delete it, or copy to another name"
        }
        ("ResourceTypeMismatch" | "PathConflict" | "PathAlreadyExists" | "ParentNotFound", _) => {
            "the account has a hierarchical namespace, where a name is a file or a folder and not \
             both: rename the object or the folder at the source"
        }
        ("BlobImmutableDueToPolicy" | "BlobImmutableDueToLegalHold", _) => {
            "the blob may not be changed: lift the policy or legal hold, or copy to another name"
        }
        ("LeaseIdMissing" | "LeaseIdMismatchWithBlobOperation", _) => {
            "somebody holds a lease on the blob: end or break it"
        }
        ("SnapshotsPresent", _) => "the blob has snapshots, which are somebody's backups",
        ("ContainerBeingDeleted", _) => {
            "the container is being deleted, which takes half a minute or more: waited for, then it \
             is made anew"
        }
        ("PendingCopyOperation", _) => "somebody else's copy to this blob is under way: waited for",
        ("UnauthorizedBlobOverwrite", _) => {
            "the blob exists and the SAS may only create; add write (w)"
        }
        (_, Reason::DestinationDenied) => {
            "check the SAS, key or identity, and this machine's clock"
        }
        ("APINotImplemented", _) => "the destination is an emulator without the From-URL calls",
        ("ContainerNotFound", _) => "the container does not exist; create it",
        ("CannotVerifyCopySource", Reason::SourceDenied) => {
            "Azure could not read the presigned URL: check the source's policy and network limits"
        }
        _ => "",
    }
}

/// What Azure says in words, up to its request id. The values it echoes stand elsewhere in its
/// answer (they may hold a signature) and are not read.
fn describe(body: &str) -> String {
    let message = element(body, "Message").unwrap_or_default();
    let message = message.split("RequestId:").next().unwrap_or_default();
    let words: Vec<&str> = message
        .split_whitespace()
        .map(|word| if is_secret(word) { "[hidden]" } else { word })
        .take(60)
        .collect();
    words.join(" ")
}

fn is_secret(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ["sig=", "x-amz-", "sharedkey", "bearer"]
        .iter()
        .any(|mark| word.contains(mark))
}

/// Seconds, or a moment; the latter is not used by the service and is left alone.
fn retry_after(text: Option<&str>) -> Option<Duration> {
    text?.parse().ok().map(Duration::from_secs)
}
