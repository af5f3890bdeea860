//! What Azure's answers mean. The error code decides, not the status: a 403 may be the
//! destination's own or the source's.
//!
//! Source: Microsoft Learn, "Blob Storage error codes" and "Common REST API error codes".

use std::time::Duration;

use http::HeaderMap;

use crate::failure::{Failure, Reason};

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
    pub(super) status: u16,
    pub(super) code: Option<String>,
    /// Azure's own words, without anything that could hold a signature.
    pub(super) text: String,
    /// The status the copy source answered Azure with.
    pub(super) source_status: Option<u16>,
    pub(super) source_code: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) retry_after: Option<Duration>,
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
            source_status: number(header("x-ms-copy-source-status-code"))
                .or_else(|| number(element(&body, "CopySourceStatusCode"))),
            source_code: header("x-ms-copy-source-error-code")
                .or_else(|| element(&body, "CopySourceErrorCode")),
            request_id: header("x-ms-request-id"),
            retry_after: retry_after(header("retry-after").as_deref()),
        }
    }

    /// Turns it into a failure of the call `what`.
    pub(super) fn into_error(self, what: &str, target: Target) -> BlobError {
        let code = self.code.as_deref().unwrap_or_default();
        let (reason, then) = match code {
            "CannotVerifyCopySource" => from_source(
                self.source_status.unwrap_or(self.status),
                self.source_code.as_deref(),
            ),
            _ => by_code(code, target).unwrap_or_else(|| by_status(self.status)),
        };
        let message = self.message(what, code, advice(code, reason));
        let failure = match then {
            Then::Retry => Failure::retry(reason, message),
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
        for part in [self.text.as_str(), &source, advice] {
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
        "OperationTimedOut" | "InternalError" => {
            (Reason::DestinationUnavailable, Then::RetryPerhaps)
        }
        "PendingCopyOperation" => (Reason::DestinationUnavailable, Then::Retry),
        "ContainerNotFound" | "ContainerBeingDeleted" => (Reason::ContainerRejected, Then::Retry),
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
        429 | 503 => (Reason::DestinationThrottled, Then::Retry),
        500..=599 => (Reason::DestinationUnavailable, Then::RetryPerhaps),
        _ => (Reason::DestinationRejected, Then::GiveUp),
    }
}

fn advice(code: &str, reason: Reason) -> &'static str {
    match (code, reason) {
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
        ("UnauthorizedBlobOverwrite", _) => {
            "the blob exists and the SAS may only create; add write (w)"
        }
        (_, Reason::DestinationDenied) => {
            "check the SAS, key or identity, and this machine's clock"
        }
        ("ContainerNotFound", _) => "the container does not exist; create it",
        ("CannotVerifyCopySource", Reason::SourceDenied) => {
            "Azure could not read the presigned URL: check the source's policy and network limits"
        }
        _ => "",
    }
}

/// What Azure says in words: the message up to its request id, and the name of the header or
/// parameter it blames, never their values (which may hold a signature).
fn describe(body: &str) -> String {
    let message = element(body, "Message").unwrap_or_default();
    let message = message.split("RequestId:").next().unwrap_or_default();
    let blamed = ["HeaderName", "QueryParameterName", "Reason"]
        .iter()
        .find_map(|name| element(body, name));
    let words: Vec<&str> = message
        .split_whitespace()
        .chain(blamed.iter().flat_map(|text| text.split_whitespace()))
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

/// The text of the first element of that name. The errors are flat, and foreign: nothing more is
/// assumed about them.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = quick_xml::escape::unescape(text).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Seconds, or a moment; the latter is not used by the service and is left alone.
fn retry_after(text: Option<&str>) -> Option<Duration> {
    text?.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Happened, Remedy};

    fn refuse(status: u16, code: &str, source: Option<u16>, target: Target) -> BlobError {
        Refusal {
            status,
            code: (!code.is_empty()).then(|| code.to_owned()),
            source_status: source,
            ..Refusal::default()
        }
        .into_error("Put Blob From URL", target)
    }

    #[test]
    fn the_code_decides_and_not_the_status() {
        use Reason as R;
        use Remedy::{GiveUp, Retry, Stop};
        let source = "CannotVerifyCopySource";
        for (status, code, copy_source, reason, remedy) in [
            (403, source, Some(403), R::SourceDenied, Retry),
            (403, source, None, R::SourceDenied, Retry),
            (401, source, None, R::SourceDenied, Retry),
            (404, source, Some(404), R::SourceNotFound, GiveUp),
            (500, source, Some(404), R::SourceNotFound, GiveUp),
            (503, source, Some(503), R::SourceThrottled, Retry),
            (429, source, None, R::SourceThrottled, Retry),
            (500, source, None, R::SourceUnavailable, Retry),
            (400, source, Some(301), R::SourceRejected, GiveUp),
            (400, source, None, R::SourceRejected, GiveUp),
            (416, source, None, R::SourceChanged, GiveUp),
            (
                403,
                "AuthenticationFailed",
                None,
                R::DestinationDenied,
                Stop,
            ),
            (
                403,
                "AuthorizationFailure",
                None,
                R::DestinationDenied,
                Stop,
            ),
            (
                403,
                "AuthorizationPermissionMismatch",
                None,
                R::DestinationDenied,
                Stop,
            ),
            (
                401,
                "InvalidAuthenticationInfo",
                None,
                R::DestinationDenied,
                Stop,
            ),
            (
                401,
                "NoAuthenticationInformation",
                None,
                R::DestinationDenied,
                Stop,
            ),
            (
                403,
                "UnauthorizedBlobOverwrite",
                None,
                R::DestinationDenied,
                GiveUp,
            ),
            (403, "", None, R::DestinationDenied, Stop),
            (503, "ServerBusy", None, R::DestinationThrottled, Retry),
            (429, "", None, R::DestinationThrottled, Retry),
            (503, "", None, R::DestinationThrottled, Retry),
            (
                500,
                "OperationTimedOut",
                None,
                R::DestinationUnavailable,
                Retry,
            ),
            (500, "InternalError", None, R::DestinationUnavailable, Retry),
            (502, "", None, R::DestinationUnavailable, Retry),
            (404, "ContainerNotFound", None, R::ContainerRejected, Retry),
            (
                409,
                "ContainerBeingDeleted",
                None,
                R::ContainerRejected,
                Retry,
            ),
            (400, "InvalidResourceName", None, R::NameRejected, GiveUp),
            (400, "OutOfRangeInput", None, R::NameRejected, GiveUp),
            (400, "InvalidMetadata", None, R::MetadataRejected, GiveUp),
            (400, "MetadataTooLarge", None, R::MetadataRejected, GiveUp),
            (400, "Md5Mismatch", None, R::ChecksumMismatch, Retry),
            (400, "Crc64Mismatch", None, R::ChecksumMismatch, Retry),
            (
                409,
                "BlobAlreadyExists",
                None,
                R::DestinationRejected,
                GiveUp,
            ),
            (412, "ConditionNotMet", None, R::DestinationRejected, GiveUp),
            (409, "InvalidBlobType", None, R::DestinationRejected, GiveUp),
            (302, "", None, R::DestinationRejected, GiveUp),
        ] {
            let error = refuse(status, code, copy_source, Target::Blob);
            let got = (error.failure.reason, error.failure.remedy);
            assert_eq!(got, (reason, remedy), "{status} {code} {copy_source:?}");
            assert_eq!(error.code.as_deref().unwrap_or_default(), code);
            assert_eq!(error.status, Some(status));
        }
        let container = refuse(400, "InvalidResourceName", None, Target::Container);
        assert_eq!(container.failure.reason, R::ContainerRejected);
    }

    #[test]
    fn only_a_failure_inside_the_service_may_have_taken_effect() {
        for (status, code, happened) in [
            (500, "OperationTimedOut", Happened::Perhaps),
            (500, "InternalError", Happened::Perhaps),
            (504, "", Happened::Perhaps),
            (503, "ServerBusy", Happened::No),
            (403, "CannotVerifyCopySource", Happened::No),
        ] {
            let error = refuse(status, code, None, Target::Blob);
            assert_eq!(error.failure.happened, happened, "{status} {code}");
        }
    }

    #[test]
    fn a_refusal_is_read_from_headers_and_body() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-request-id", "r-1".parse().unwrap());
        headers.insert("retry-after", "7".parse().unwrap());
        headers.insert("x-ms-copy-source-status-code", "403".parse().unwrap());
        let body = "\u{feff}<?xml version=\"1.0\"?><Error><Code>CannotVerifyCopySource</Code>\
                    <Message>Forbidden &amp; so on.\nRequestId:r-1\nTime:now</Message>\
                    <CopySourceErrorCode>AccessDenied</CopySourceErrorCode></Error>";
        let error = Refusal::read(403, &headers, body.as_bytes()).into_error("Put", Target::Blob);
        assert_eq!(error.failure.reason, Reason::SourceDenied);
        assert_eq!(error.failure.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(
            error.to_string(),
            "Put: Azure answered 403 CannotVerifyCopySource; Forbidden & so on.; the source \
             answered 403 AccessDenied; Azure could not read the presigned URL: check the source's \
             policy and network limits (request r-1)"
        );
    }

    #[test]
    fn what_azure_echoes_is_not_passed_on() {
        let body = "<Error><Code>InvalidHeaderValue</Code><Message>The value for one of the \
                    headers is bad: https://s/k?X-Amz-Signature=c2VjcmV0 sv=1&amp;sig=c2VjcmV0\
                    </Message><HeaderName>x-ms-copy-source</HeaderName>\
                    <HeaderValue>https://s/k?c2VjcmV0</HeaderValue></Error>";
        let error = Refusal::read(400, &HeaderMap::new(), body.as_bytes());
        let error = error.into_error("Put", Target::Blob);
        assert!(!error.to_string().contains("c2VjcmV0"), "{error}");
        assert!(error.to_string().contains("x-ms-copy-source"), "{error}");
        assert!(error.is("InvalidHeaderValue"));
    }
}
