//! What a refused request means: S3's error code first, the status second. Pure.
//!
//! Codes: Amazon S3 API reference, "List of error codes".

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};

use crate::failure::{Failure, Reason, Remedy};
use crate::source::list::ServiceError;
use crate::text::{cut, visible};

/// The header that names a bucket's region, also on errors.
pub(super) const REGION: &str = "x-amz-bucket-region";

/// Where S3 compatible services' messages are cut.
const LONGEST_MESSAGE: usize = 300;

/// Words for requests that every S3 serves.
const NO_S3: &str = "the source does not know this request: is this the address of an S3 service?";

/// An answer that is not a success.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    /// What was asked for, e.g. `HEAD s3://bucket/key`.
    pub(super) what: String,
    /// The region the request was signed for.
    pub(super) region: &'a str,
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) error: ServiceError,
    pub(super) now: SystemTime,
}

/// A meaning: reason, remedy, and words for people.
type Meaning = (Reason, Remedy, &'static str);

impl Refusal<'_> {
    /// Did the service call the credentials expired?
    pub(super) fn expired(&self) -> bool {
        matches!(
            self.error.code.as_str(),
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired"
        )
    }

    /// The failure to report.
    pub(super) fn failure(&self) -> Failure {
        let (reason, remedy, words) = self.meaning();
        let elsewhere = self.elsewhere().map_or(String::new(), |region| {
            format!(
                "; the bucket is in region {region}, not {}: give --s3-region {region}",
                self.region
            )
        });
        let target = self
            .target()
            .map_or(String::new(), |to| format!(", to {to}"));
        let text = format!(
            "{}: {words}{target}{elsewhere} ({})",
            self.what,
            self.answer()
        );
        let failure = match remedy {
            Remedy::Retry => Failure::retry(reason, text),
            Remedy::GiveUp => Failure::give_up(reason, text),
            Remedy::Stop => Failure::stop(reason, text),
        };
        failure.after(retry_after(self.headers, self.now))
    }

    fn meaning(&self) -> Meaning {
        if self.elsewhere().is_some() {
            return (Reason::SourceRejected, Remedy::GiveUp, "wrong region");
        }
        of_code(&self.error.code)
            .or_else(|| self.delete_marker())
            .unwrap_or_else(|| of_status(self.status))
    }

    /// The bucket's own region, where the request went to another.
    fn elsewhere(&self) -> Option<&str> {
        let redirected = matches!(self.status.as_u16(), 301 | 302 | 307 | 308 | 400);
        let header = self
            .headers
            .get(REGION)
            .and_then(|region| region.to_str().ok());
        header
            .or(self.error.region.as_deref())
            .or_else(|| expected_region(&self.error.message))
            .filter(|region| redirected && *region != self.region && !region.is_empty())
    }

    /// Where a redirect leads, without a query, which may be signed.
    fn target(&self) -> Option<String> {
        let location = self.headers.get(header::LOCATION)?.to_str().ok()?;
        let location = location.split(['?', '#']).next().unwrap_or_default();
        let shown = cut(visible(location).into_owned(), LONGEST_MESSAGE);
        self.status.is_redirection().then_some(shown)
    }

    /// A version that is a delete marker is no object (HEAD answers 405, or 404 for the newest).
    fn delete_marker(&self) -> Option<Meaning> {
        self.headers.get("x-amz-delete-marker").map(|_| {
            (
                Reason::SourceNotFound,
                Remedy::GiveUp,
                "this version is a delete marker",
            )
        })
    }

    /// What the service said.
    fn answer(&self) -> String {
        let code = self.status.as_u16();
        let ServiceError {
            code: name,
            message,
            ..
        } = &self.error;
        let message: String = message.chars().take(LONGEST_MESSAGE).collect();
        match (name.is_empty(), message.is_empty()) {
            (true, _) => format!("HTTP {code}"),
            (false, true) => format!("{name}, HTTP {code}"),
            (false, false) => format!("{name}, HTTP {code}: {message}"),
        }
    }
}

/// The region that a message names where no element does: `the region 'us-east-1' is wrong;
/// expecting 'garage'`.
fn expected_region(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("expecting '")?;
    let (region, _) = rest.split_once('\'')?;
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (!region.is_empty() && region.bytes().all(is_label)).then_some(region)
}

fn of_code(code: &str) -> Option<Meaning> {
    denied(code).or_else(|| otherwise(code))
}

/// What is wrong with credentials or permissions.
fn denied(code: &str) -> Option<Meaning> {
    use Reason::SourceDenied;
    use Remedy::{GiveUp, Retry, Stop};
    Some(match code {
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "NotSignedUp" | "Forbidden" => (
            SourceDenied,
            GiveUp,
            "access denied; the credentials need s3:ListBucket on the bucket and s3:GetObject on \
             its objects (s3:ListAllMyBuckets to list buckets, kms:Decrypt where they are encrypted \
             with a KMS key; a bucket whose requester pays wants --s3-request-payer=requester)",
        ),
        "SignatureDoesNotMatch" => (
            SourceDenied,
            GiveUp,
            "the signature was refused; check AWS_SECRET_ACCESS_KEY",
        ),
        "InvalidAccessKeyId" | "InvalidToken" | "UnrecognizedClientException" => (
            SourceDenied,
            Stop,
            "the service does not know these credentials; check AWS_ACCESS_KEY_ID, \
             AWS_SESSION_TOKEN, or the profile",
        ),
        "RequestTimeTooSkewed" => (
            SourceDenied,
            Stop,
            "this machine's clock is wrong; set it (NTP)",
        ),
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            (SourceDenied, Retry, "the credentials have expired")
        }
        "KMS.DisabledException" | "KMS.NotFoundException" | "KMS.KMSInvalidStateException" => (
            SourceDenied,
            GiveUp,
            "the object's encryption key cannot be used",
        ),
        _ => return None,
    })
}

fn otherwise(code: &str) -> Option<Meaning> {
    use Reason::{
        SourceArchived, SourceNotFound, SourceRejected, SourceThrottled, SourceUnavailable,
    };
    use Remedy::{GiveUp, Retry};
    Some(match code {
        "NoSuchKey" | "NoSuchVersion" | "NotFound" => (SourceNotFound, GiveUp, "no such object"),
        "NoSuchBucket" => (SourceNotFound, GiveUp, "no such bucket"),
        "SlowDown"
        | "ServiceUnavailable"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "BandwidthLimitExceeded"
        | "RequestThrottled" => (SourceThrottled, Retry, "the source asks for a slower pace"),
        "InternalError" | "RequestTimeout" | "OperationAborted" | "InternalFailure" => {
            (SourceUnavailable, Retry, "the source has trouble")
        }
        "InvalidObjectState" => (
            SourceArchived,
            GiveUp,
            "the object is archived; restore it first",
        ),
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "Redirect"
        | "AuthorizationHeaderMalformed"
        | "AuthorizationQueryParametersError"
        | "IllegalLocationConstraintException" => (
            SourceRejected,
            GiveUp,
            "the bucket is elsewhere, or its region was not found",
        ),
        "NotImplemented" | "MethodNotAllowed" => (SourceRejected, GiveUp, NO_S3),
        "InvalidRequest" | "InvalidArgument" | "BadRequest" => {
            (SourceRejected, GiveUp, "the source refuses the request")
        }
        _ => return None,
    })
}

fn of_status(status: StatusCode) -> Meaning {
    use Reason::{
        SourceChanged, SourceDenied, SourceNotFound, SourceRejected, SourceThrottled,
        SourceUnavailable,
    };
    use Remedy::{GiveUp, Retry};
    match status.as_u16() {
        404 => (SourceNotFound, GiveUp, "not found"),
        401 | 403 => (
            SourceDenied,
            GiveUp,
            "access denied; the credentials need s3:GetObject on the object (and kms:Decrypt where \
             it is encrypted with a KMS key)",
        ),
        412 => (SourceChanged, GiveUp, "the object has changed"),
        429 | 503 => (SourceThrottled, Retry, "the source asks for a slower pace"),
        501 => (SourceRejected, GiveUp, NO_S3),
        408 | 500..=599 => (SourceUnavailable, Retry, "the source has trouble"),
        300..=399 => (
            SourceRejected,
            GiveUp,
            "the source redirects elsewhere: is this the address of an S3 service?",
        ),
        _ => (SourceRejected, GiveUp, "the source refuses the request"),
    }
}

/// How long the other side asked us to wait (RFC 9110, 10.2.3): seconds or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(text)
        .ok()?
        .duration_since(now)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<'a>(status: u16, code: &str, headers: &'a HeaderMap) -> Refusal<'a> {
        Refusal {
            what: "HEAD s3://b/k".into(),
            region: "us-east-1",
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            error: ServiceError {
                code: code.into(),
                message: String::new(),
                region: None,
            },
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        }
    }

    #[test]
    fn the_code_decides_before_the_status() {
        use Reason::*;
        use Remedy::*;
        let none = HeaderMap::new();
        for (status, code, reason, remedy) in [
            (404, "NoSuchKey", SourceNotFound, GiveUp),
            (404, "NoSuchBucket", SourceNotFound, GiveUp),
            (404, "", SourceNotFound, GiveUp),
            (403, "AccessDenied", SourceDenied, GiveUp),
            (403, "", SourceDenied, GiveUp),
            (401, "", SourceDenied, GiveUp),
            (403, "SignatureDoesNotMatch", SourceDenied, GiveUp),
            (403, "InvalidAccessKeyId", SourceDenied, Stop),
            (403, "RequestTimeTooSkewed", SourceDenied, Stop),
            (400, "ExpiredToken", SourceDenied, Retry),
            (403, "InvalidObjectState", SourceArchived, GiveUp),
            (503, "SlowDown", SourceThrottled, Retry),
            (200, "SlowDown", SourceThrottled, Retry),
            (503, "", SourceThrottled, Retry),
            (429, "", SourceThrottled, Retry),
            (500, "InternalError", SourceUnavailable, Retry),
            (200, "InternalError", SourceUnavailable, Retry),
            (502, "", SourceUnavailable, Retry),
            (400, "RequestTimeout", SourceUnavailable, Retry),
            (301, "PermanentRedirect", SourceRejected, GiveUp),
            (302, "", SourceRejected, GiveUp),
            (400, "InvalidRequest", SourceRejected, GiveUp),
            (400, "", SourceRejected, GiveUp),
            (418, "Unheard", SourceRejected, GiveUp),
            (412, "PreconditionFailed", SourceChanged, GiveUp),
        ] {
            let failure = refusal(status, code, &none).failure();
            assert_eq!(
                (failure.reason, failure.remedy),
                (reason, remedy),
                "{status} {code}"
            );
            assert!(failure.message.starts_with("HEAD s3://b/k: "), "{failure}");
        }
    }

    #[test]
    fn a_wrong_region_names_the_right_one() {
        let mut headers = HeaderMap::new();
        headers.insert(REGION, "eu-north-1".parse().unwrap());
        for status in [301, 307, 400] {
            let failure = refusal(status, "", &headers).failure();
            assert_eq!(failure.reason, Reason::SourceRejected);
            let wanted = "the bucket is in region eu-north-1, not us-east-1";
            assert!(failure.message.contains(wanted), "{failure}");
        }
        let denied = refusal(403, "", &headers).failure();
        assert_eq!(denied.reason, Reason::SourceDenied);
        let none = HeaderMap::new();
        let mut named = refusal(400, "AuthorizationHeaderMalformed", &none);
        named.error.region = Some("eu-west-1".into());
        assert!(named.failure().message.contains("in region eu-west-1"));
    }

    #[test]
    fn a_delete_marker_is_no_object() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-delete-marker", "true".parse().unwrap());
        let failure = refusal(405, "", &headers).failure();
        assert_eq!(failure.reason, Reason::SourceNotFound);
        assert!(failure.message.contains("delete marker"));
    }

    #[test]
    fn the_wait_asked_for_is_kept() {
        for (text, wanted) in [
            ("7", Some(7)),
            ("Tue, 14 Nov 2023 22:13:30 GMT", Some(10)),
            ("Tue, 14 Nov 2023 22:13:10 GMT", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            let failure = refusal(503, "SlowDown", &headers).failure();
            assert_eq!(
                failure.retry_after,
                wanted.map(Duration::from_secs),
                "{text}"
            );
        }
    }
}
