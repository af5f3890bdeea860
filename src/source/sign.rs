//! Signature Version 4 for S3: headers for our own calls, a query for the URL that Azure fetches.
//!
//! The time is an argument. S3's rules differ from aws-sigv4's defaults: the path is encoded once
//! and never normalised (AWS, "Signature Version 4 for S3").

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningInstructions, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;

use crate::failure::{Failure, Reason, Result};
use crate::source::credentials::Snapshot;
use crate::source::encoding::encode_query;

/// The longest life of a presigned URL, 7 days.
const LONGEST_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// SHA-256 of an empty body.
const EMPTY_BODY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A URL that whoever holds it may fetch the object by: a secret until it ends.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedUrl(String);

impl PresignedUrl {
    pub(super) fn new(url: String) -> Self {
        Self(url)
    }

    /// The URL itself, for a request's header and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = self.0.split('?').next().unwrap_or_default();
        write!(f, "PresignedUrl({bare}?***)")
    }
}

/// Who signs, for which region, when.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The credentials.
    pub credentials: &'a Snapshot,
    /// The bucket's region.
    pub region: &'a str,
    /// The time of signing.
    pub now: SystemTime,
}

impl Scope<'_> {
    /// Headers that sign a request without a body. `headers` are signed too and must be sent as
    /// they are.
    ///
    /// # Errors
    /// Only for a URL or header that is none.
    pub fn headers(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<Vec<(String, String)>> {
        let mut settings = settings(SignatureLocation::Headers);
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let body = SignableBody::Precomputed(EMPTY_BODY.to_owned());
        let request = SignableRequest::new(method, url, headers.iter().copied(), body);
        let signed = self.sign(request, settings)?;
        Ok(signed
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    /// A URL by which the object can be fetched (GET) until `lifetime` has passed or the
    /// credentials end, whichever is first.
    ///
    /// # Errors
    /// Only for a URL that is none.
    pub fn presign(&self, url: &str, lifetime: Duration) -> Result<PresignedUrl> {
        let mut settings = settings(SignatureLocation::QueryParams);
        settings.expires_in = Some(self.bounded(lifetime));
        let request = SignableRequest::new(
            "GET",
            url,
            std::iter::empty(),
            SignableBody::UnsignedPayload,
        );
        let signed = self.sign(request, settings)?;
        let mut signed_url = url.to_owned();
        for (name, value) in signed.params() {
            signed_url.push(if signed_url.contains('?') { '&' } else { '?' });
            signed_url.push_str(name);
            signed_url.push('=');
            signed_url.push_str(&encode_query(value));
        }
        Ok(PresignedUrl(signed_url))
    }

    /// A URL of temporary credentials dies with them, whatever it says.
    fn bounded(&self, lifetime: Duration) -> Duration {
        let left = self.credentials.expires().map_or(LONGEST_LIFE, |end| {
            end.duration_since(self.now).unwrap_or_default()
        });
        lifetime
            .min(left)
            .clamp(Duration::from_secs(1), LONGEST_LIFE)
    }

    fn sign(
        &self,
        request: std::result::Result<SignableRequest<'_>, aws_sigv4::http_request::SigningError>,
        settings: SigningSettings,
    ) -> Result<SigningInstructions> {
        let cannot = |_| {
            Failure::give_up(
                Reason::SourceUnaddressable,
                "the source's address cannot be signed",
            )
        };
        let params = v4::SigningParams::builder()
            .identity(self.credentials.identity())
            .region(self.region)
            .name("s3")
            .time(self.now)
            .settings(settings)
            .build()
            .map_err(|error| Failure::give_up(Reason::Internal, error.to_string()))?
            .into();
        let (instructions, _) = sign(request.map_err(cannot)?, &params)
            .map_err(cannot)?
            .into_parts();
        Ok(instructions)
    }
}

fn settings(location: SignatureLocation) -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.signature_location = location;
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::source::credentials::Credentials;

    /// The key pair of AWS's own worked examples.
    async fn example() -> Snapshot {
        Credentials::fixed(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            None,
        )
        .current()
        .await
        .unwrap()
        .unwrap()
    }

    /// 2013-05-24T00:00:00Z.
    fn example_time() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600)
    }

    #[tokio::test]
    async fn the_presigned_url_is_that_of_the_vendors_example() {
        // "Authenticating Requests: Using Query Parameters", Amazon S3 API reference.
        let credentials = example().await;
        let scope = Scope {
            credentials: &credentials,
            region: "us-east-1",
            now: example_time(),
        };
        let url = "https://examplebucket.s3.amazonaws.com/test.txt";
        let signed = scope.presign(url, Duration::from_secs(86400)).unwrap();
        let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        for part in [
            "https://examplebucket.s3.amazonaws.com/test.txt?",
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request",
            "X-Amz-Date=20130524T000000Z",
            "X-Amz-Expires=86400",
            "X-Amz-SignedHeaders=host",
            &format!("X-Amz-Signature={signature}"),
        ] {
            assert!(signed.expose().contains(part), "{part}");
        }
        let shown = format!("{signed:?}");
        assert_eq!(
            shown,
            "PresignedUrl(https://examplebucket.s3.amazonaws.com/test.txt?***)"
        );
    }

    #[tokio::test]
    async fn the_header_signature_is_that_of_the_vendors_example() {
        // "Signature Calculations: GET Bucket Lifecycle" and "List Objects", same reference.
        let credentials = example().await;
        let scope = Scope {
            credentials: &credentials,
            region: "us-east-1",
            now: example_time(),
        };
        for (query, signature) in [
            (
                "lifecycle=",
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "max-keys=2&prefix=J",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let url = format!("https://examplebucket.s3.amazonaws.com/?{query}");
            let headers = scope.headers("GET", &url, &[]).unwrap();
            let authorization = headers.iter().find(|(name, _)| name == "authorization");
            let authorization = &authorization.unwrap().1;
            assert!(authorization.ends_with(signature), "{authorization}");
            assert!(
                headers.contains(&("x-amz-content-sha256".into(), EMPTY_BODY.into())),
                "{headers:?}"
            );
        }
    }

    /// AWS lets a URL live 7 days at most; one of temporary credentials is refused after their end.
    #[tokio::test]
    async fn a_presigned_url_never_outlives_its_credentials() {
        let lifetime = async |life: Option<f64>, asked: u64| {
            let end = life.map(|life| example_time() + Duration::from_secs_f64(life));
            let keys = aws_credential_types::Credentials::new("A", "S", None, end, "test");
            let credentials = Credentials::from_provider(keys, Clock::new(example_time));
            let scope = Scope {
                credentials: &credentials.current().await.unwrap().unwrap(),
                region: "us-east-1",
                now: example_time(),
            };
            let url = "https://b.s3.us-east-1.amazonaws.com/k";
            let signed = scope.presign(url, Duration::from_secs(asked)).unwrap();
            let query = signed.expose().split("X-Amz-Expires=").nth(1).unwrap();
            query.split('&').next().unwrap().parse::<u64>().unwrap()
        };
        assert_eq!(lifetime(None, 900).await, 900);
        assert_eq!(lifetime(None, 8 * 86_400).await, 7 * 86_400);
        assert_eq!(lifetime(Some(3600.0), 900).await, 900);
        assert_eq!(lifetime(Some(100.0), 900).await, 100);
        assert_eq!(lifetime(Some(99.9), 900).await, 99, "rounded down");
    }

    #[tokio::test]
    async fn the_session_token_is_part_of_both() {
        let credentials = Credentials::fixed("A", "S", Some("to+ken/="));
        let credentials = credentials.current().await.unwrap().unwrap();
        let scope = Scope {
            credentials: &credentials,
            region: "us-east-1",
            now: example_time(),
        };
        let url = "https://b.s3.us-east-1.amazonaws.com/k?versionId=a%2Bb";
        let signed = scope.presign(url, Duration::from_secs(60)).unwrap();
        assert!(signed.expose().starts_with(&format!("{url}&X-Amz-")));
        assert!(
            signed
                .expose()
                .contains("&X-Amz-Security-Token=to%2Bken%2F%3D")
        );
        let headers = scope.headers("HEAD", url, &[("x-amz-checksum-mode", "ENABLED")]);
        let headers = headers.unwrap();
        assert!(headers.contains(&("x-amz-security-token".into(), "to+ken/=".into())));
        let authorization = headers.iter().find(|(name, _)| name == "authorization");
        assert!(authorization.unwrap().1.contains("x-amz-checksum-mode;"));
    }
}
