//! Which bucket, key and regional endpoint a request names.

use hyper::http::request::Parts;

use crate::query::decode;
use crate::refusal::Refusal;

/// Regions launched until 20 March 2019 redirect a stray request; younger ones refuse it.
const REDIRECTING: &[&str] = &[
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// The endpoint a request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A server that is none of Amazon's hosts and serves every region.
    Any,
    /// `s3.amazonaws.com`.
    Global,
    /// The endpoint of one region.
    Regional(String),
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) endpoint: Endpoint,
    /// Empty for the service itself.
    pub(crate) bucket: String,
    /// Empty for the bucket itself.
    pub(crate) key: String,
    pub(crate) virtual_hosted: bool,
}

impl Address {
    pub(crate) fn read(parts: &Parts) -> Result<Self, Refusal> {
        let path = decode(parts.uri.path())
            .ok_or_else(|| Refusal::new(400, "InvalidURI", "Couldn't parse the specified URI."))?;
        let host = host(parts)?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (endpoint, bucket) = split_host(&host);
        if let Some(bucket) = bucket {
            return Ok(Self {
                endpoint,
                bucket,
                key: path.to_owned(),
                virtual_hosted: true,
            });
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        Ok(Self {
            endpoint,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            virtual_hosted: false,
        })
    }

    /// The same request at a server that wants the bucket in the host, before `.localhost`.
    pub(crate) fn by_host(self, parts: &Parts) -> Result<Self, Refusal> {
        let host = host(parts)?;
        match host.strip_suffix(".localhost") {
            Some(bucket) if !self.virtual_hosted => {
                let path = match self.key.is_empty() && !parts.uri.path().ends_with('/') {
                    true => self.bucket,
                    false => format!("{}/{}", self.bucket, self.key),
                };
                let key = match path.as_str() {
                    "/" => String::new(),
                    _ => path,
                };
                Ok(Self {
                    bucket: bucket.to_owned(),
                    key,
                    virtual_hosted: true,
                    ..self
                })
            }
            None if !self.virtual_hosted && !self.bucket.is_empty() => {
                let message = "Please use virtual hosted style to access.";
                Err(Refusal::new(403, "SecondLevelDomainForbidden", message))
            }
            _ => Ok(self),
        }
    }

    /// Refuses a request for a bucket of `region` at the endpoint of another.
    pub(crate) fn check_endpoint(&self, region: &str) -> Result<(), Refusal> {
        let here = match &self.endpoint {
            Endpoint::Any => return Ok(()),
            Endpoint::Global if self.virtual_hosted => return Ok(()),
            Endpoint::Global => "us-east-1",
            Endpoint::Regional(here) => here,
        };
        if here == region {
            return Ok(());
        }
        let refusal = if REDIRECTING.contains(&region) {
            Refusal::new(
                301,
                "PermanentRedirect",
                "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.",
            )
            .element("Endpoint", format!("{}.s3.{region}.amazonaws.com", self.bucket))
            .element("Bucket", self.bucket.as_str())
        } else {
            let message = format!(
                "The {region} location constraint is incompatible for the region specific endpoint this request was sent to."
            );
            Refusal::new(400, "IllegalLocationConstraintException", message)
        };
        Err(refusal.header("x-amz-bucket-region", region))
    }
}

/// The host a request names, without port, in lower case.
pub(crate) fn host(parts: &Parts) -> Result<String, Refusal> {
    let host = parts
        .headers
        .get("host")
        .and_then(|host| host.to_str().ok())
        .ok_or_else(|| Refusal::new(400, "InvalidRequest", "Missing Host header"))?;
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    Ok(name.to_ascii_lowercase())
}

/// `bucket.s3.REGION.amazonaws.com`, `s3-REGION`, `s3.dualstack.REGION` and the like.
fn split_host(host: &str) -> (Endpoint, Option<String>) {
    let service = host
        .strip_suffix(".amazonaws.com.cn")
        .or_else(|| host.strip_suffix(".amazonaws.com"));
    let Some(service) = service else {
        return (Endpoint::Any, None);
    };
    let labels: Vec<&str> = service.split('.').collect();
    let at = labels
        .iter()
        .rposition(|label| *label == "s3" || label.starts_with("s3-"));
    let Some(at) = at else {
        return (Endpoint::Any, None);
    };
    let bucket = (at > 0).then(|| labels[..at].join("."));
    let dashed = labels[at]
        .strip_prefix("s3-")
        .filter(|rest| *rest != "fips");
    let region = labels[at + 1..]
        .iter()
        .find(|label| **label != "dualstack")
        .copied()
        .or(dashed);
    let endpoint = region.map_or(Endpoint::Global, |region| Endpoint::Regional(region.into()));
    (endpoint, bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_name_bucket_and_region() {
        let regional = |region: &str| Endpoint::Regional(region.into());
        for (host, endpoint, bucket) in [
            ("127.0.0.1", Endpoint::Any, None),
            ("s3.amazonaws.com", Endpoint::Global, None),
            ("b.s3.amazonaws.com", Endpoint::Global, Some("b")),
            ("s3.eu-west-2.amazonaws.com", regional("eu-west-2"), None),
            ("s3-eu-west-1.amazonaws.com", regional("eu-west-1"), None),
            (
                "a.b.s3.dualstack.eu-north-1.amazonaws.com",
                regional("eu-north-1"),
                Some("a.b"),
            ),
            (
                "b.s3-fips.us-gov-west-1.amazonaws.com",
                regional("us-gov-west-1"),
                Some("b"),
            ),
            (
                "s3.cn-north-1.amazonaws.com.cn",
                regional("cn-north-1"),
                None,
            ),
        ] {
            assert_eq!(
                split_host(host),
                (endpoint, bucket.map(Into::into)),
                "{host}"
            );
        }
    }
}
