//! What each answer means.

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

const SOURCE: &str = "CannotVerifyCopySource";

/// Status, code, status of the copy source, reason, remedy.
type Row = (u16, &'static str, Option<u16>, Reason, Remedy);

const MEANINGS: &[Row] = &[
    (403, SOURCE, Some(403), Reason::SourceDenied, Remedy::Retry),
    (403, SOURCE, None, Reason::SourceDenied, Remedy::Retry),
    (401, SOURCE, None, Reason::SourceDenied, Remedy::Retry),
    (
        404,
        SOURCE,
        Some(404),
        Reason::SourceNotFound,
        Remedy::GiveUp,
    ),
    (
        500,
        SOURCE,
        Some(404),
        Reason::SourceNotFound,
        Remedy::GiveUp,
    ),
    (
        503,
        SOURCE,
        Some(503),
        Reason::SourceThrottled,
        Remedy::Retry,
    ),
    (429, SOURCE, None, Reason::SourceThrottled, Remedy::Retry),
    (500, SOURCE, None, Reason::SourceUnavailable, Remedy::Retry),
    (
        400,
        SOURCE,
        Some(301),
        Reason::SourceRejected,
        Remedy::GiveUp,
    ),
    (400, SOURCE, None, Reason::SourceRejected, Remedy::GiveUp),
    (416, SOURCE, None, Reason::SourceChanged, Remedy::GiveUp),
    (
        403,
        "AuthenticationFailed",
        None,
        Reason::DestinationDenied,
        Remedy::Stop,
    ),
    (
        403,
        "AuthorizationFailure",
        None,
        Reason::DestinationDenied,
        Remedy::Stop,
    ),
    (
        403,
        "AuthorizationPermissionMismatch",
        None,
        Reason::DestinationDenied,
        Remedy::Stop,
    ),
    (
        401,
        "InvalidAuthenticationInfo",
        None,
        Reason::DestinationDenied,
        Remedy::Stop,
    ),
    (
        401,
        "NoAuthenticationInformation",
        None,
        Reason::DestinationDenied,
        Remedy::Stop,
    ),
    (
        403,
        "UnauthorizedBlobOverwrite",
        None,
        Reason::DestinationDenied,
        Remedy::GiveUp,
    ),
    (403, "", None, Reason::DestinationDenied, Remedy::Stop),
    (
        503,
        "ServerBusy",
        None,
        Reason::DestinationThrottled,
        Remedy::Retry,
    ),
    (429, "", None, Reason::DestinationThrottled, Remedy::Retry),
    (503, "", None, Reason::DestinationThrottled, Remedy::Retry),
    (
        500,
        "OperationTimedOut",
        None,
        Reason::DestinationTimedOut,
        Remedy::Retry,
    ),
    (
        500,
        "InternalError",
        None,
        Reason::DestinationUnavailable,
        Remedy::Retry,
    ),
    (502, "", None, Reason::DestinationUnavailable, Remedy::Retry),
    (
        404,
        "ContainerNotFound",
        None,
        Reason::ContainerRejected,
        Remedy::Retry,
    ),
    (
        409,
        "ContainerBeingDeleted",
        None,
        Reason::DestinationUnavailable,
        Remedy::Retry,
    ),
    (
        400,
        "InvalidResourceName",
        None,
        Reason::NameRejected,
        Remedy::GiveUp,
    ),
    (
        400,
        "OutOfRangeInput",
        None,
        Reason::NameRejected,
        Remedy::GiveUp,
    ),
    (
        400,
        "InvalidMetadata",
        None,
        Reason::MetadataRejected,
        Remedy::GiveUp,
    ),
    (
        400,
        "MetadataTooLarge",
        None,
        Reason::MetadataRejected,
        Remedy::GiveUp,
    ),
    (
        400,
        "Md5Mismatch",
        None,
        Reason::ChecksumMismatch,
        Remedy::Retry,
    ),
    (
        400,
        "Crc64Mismatch",
        None,
        Reason::ChecksumMismatch,
        Remedy::Retry,
    ),
    (
        409,
        "BlobAlreadyExists",
        None,
        Reason::DestinationRejected,
        Remedy::GiveUp,
    ),
    (
        412,
        "ConditionNotMet",
        None,
        Reason::DestinationRejected,
        Remedy::GiveUp,
    ),
    (
        409,
        "InvalidBlobType",
        None,
        Reason::DestinationRejected,
        Remedy::GiveUp,
    ),
    (302, "", None, Reason::DestinationRejected, Remedy::GiveUp),
    (
        501,
        "APINotImplemented",
        None,
        Reason::DestinationRejected,
        Remedy::GiveUp,
    ),
];

#[test]
fn the_code_decides_and_not_the_status() {
    for &(status, code, copy_source, reason, remedy) in MEANINGS {
        let error = refuse(status, code, copy_source, Target::Blob);
        let got = (error.failure.reason, error.failure.remedy);
        assert_eq!(got, (reason, remedy), "{status} {code} {copy_source:?}");
        assert_eq!(error.code.as_deref().unwrap_or_default(), code);
        assert_eq!(error.status, Some(status));
    }
    let container = refuse(400, "InvalidResourceName", None, Target::Container);
    assert_eq!(container.failure.reason, Reason::ContainerRejected);
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
fn what_one_container_or_blob_is_busy_with_says_nothing_of_the_account() {
    for (status, code, one) in [
        (409, "ContainerBeingDeleted", true),
        (409, "PendingCopyOperation", true),
        (503, "ServerBusy", false),
        (500, "InternalError", false),
    ] {
        let failure = refuse(status, code, None, Target::Blob).failure;
        assert_eq!(failure.concerns_one, one, "{code}");
        assert_eq!(failure.remedy, Remedy::Retry, "{code}");
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
    assert_eq!(error.failure.reason, Reason::SourceRejected);
}
