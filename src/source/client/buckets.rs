//! Buckets: which there are, and where they lie.

use futures_util::StreamExt as _;
use http::{Method, StatusCode};

use crate::failure::{Failure, Reason, Result};
use crate::job::SourceEndpoint;
use crate::source::list::{self, BucketEntry};
use crate::source::region::from_location;

use super::learned::Optional;
use super::refusal::REGION;
use super::{Call, Source};

/// Buckets asked for at a time: the most there can be in one answer, since some servers cut their
/// answer at this number without saying so. Sending any parameter makes Amazon name the regions.
const MAX_BUCKETS: &str = "10000";

/// How servers refuse a bucket in the path: Alibaba OSS, Tencent COS, Huawei OBS, Volcengine TOS.
const IN_HOST: [&str; 4] = [
    "SecondLevelDomainForbidden",
    "PathStyleDomainForbidden",
    "VirtualHostDomainRequired",
    "InvalidPathAccess",
];

/// How many buckets are asked for their region at the same time.
const REGIONS_AT_ONCE: usize = 8;

impl Source {
    /// All buckets the credentials own, in the order listed; with `region` only those in it.
    ///
    /// Where the listing does not name regions and one is asked for, each bucket is. A bucket whose
    /// region cannot be found is kept, without a region, so that its name is not lost: asking
    /// [`Source::bucket_region`] says why.
    ///
    /// # Errors
    /// [`Reason::SourceDenied`] without `s3:ListAllMyBuckets`; others as for any call.
    pub async fn list_buckets(&self, region: Option<&str>) -> Result<Vec<BucketEntry>> {
        if self.0.credentials.is_anonymous() && !self.is_custom() {
            return Err(Failure::stop(
                Reason::SourceDenied,
                "Amazon lists buckets to their owner only: name a bucket, or give credentials",
            ));
        }
        let mut buckets: Vec<BucketEntry> = Vec::new();
        let mut token = String::new();
        let learned = &self.0.learned;
        loop {
            let mut query = Vec::new();
            if !learned.is_unknown("", Optional::MaxBuckets) {
                query.push(("max-buckets", MAX_BUCKETS));
            }
            if !token.is_empty() {
                query.push(("continuation-token", &token));
            }
            let call = Call {
                method: Method::GET,
                bucket: None,
                key: None,
                region: &self.0.home,
                query: &query,
                headers: &[],
            };
            let answer = self.send(&call).await?;
            if !answer.status.is_success() && self.may_drop("", Optional::MaxBuckets, answer.status)
            {
                let plain = Call {
                    query: query.get(1..).unwrap_or_default(),
                    ..call.clone()
                };
                let known = self.send(&plain).await?.status.is_success();
                learned.note("", Optional::MaxBuckets, known);
                if known {
                    continue;
                }
            }
            let answer = self.succeeded(&call, answer)?;
            let page = list::buckets(&answer.body)
                .map_err(|unexpected| self.unexpected(&call, &answer, unexpected))?;
            buckets.extend(page.buckets);
            match page.token {
                Some(next) if next == token => return Err(no_progress(&call)),
                Some(next) => token = next,
                None => break,
            }
        }
        match region {
            None => Ok(buckets),
            Some(region) => Ok(self.of_region(buckets, region).await),
        }
    }

    async fn of_region(&self, buckets: Vec<BucketEntry>, region: &str) -> Vec<BucketEntry> {
        futures_util::stream::iter(buckets)
            .map(|mut bucket| async move {
                if bucket.region.is_none() {
                    bucket.region = self.bucket_region(&bucket.name).await.ok();
                }
                bucket
            })
            .buffered(REGIONS_AT_ONCE)
            .filter(|bucket| {
                let here = bucket.region.as_deref().is_none_or(|found| found == region);
                std::future::ready(here)
            })
            .collect()
            .await
    }

    /// The region a bucket lies in: HeadBucket names it, allowed or not; else GetBucketLocation
    /// does. An S3-compatible server that knows neither is taken to be in its home region.
    ///
    /// # Errors
    /// [`Reason::SourceNotFound`] for no such bucket; [`Reason::SourceDenied`] where neither call
    /// is allowed and the service says nothing of the region.
    pub async fn bucket_region(&self, bucket: &str) -> Result<String> {
        let mut call = Call {
            method: Method::HEAD,
            bucket: Some(bucket),
            key: None,
            region: &self.0.home,
            query: &[],
            headers: &[],
        };
        let answer = self.send(&call).await?;
        let named = answer
            .headers
            .get(REGION)
            .and_then(|region| region.to_str().ok());
        if let Some(region) = named.filter(|region| !region.is_empty()) {
            return Ok(region.to_owned());
        }
        if answer.status == StatusCode::NOT_FOUND {
            return Err(Failure::give_up(
                Reason::SourceNotFound,
                format!("s3://{bucket}: no such bucket (HTTP 404); check its name"),
            ));
        }
        if busy(answer.status) {
            return Err(self.refused(&call, &answer, list::ServiceError::default()));
        }
        call.method = Method::GET;
        call.query = &[("location", "")];
        let answer = match self.ask(&call).await {
            Ok(answer) => answer,
            Err(failure) => return self.unlocated(failure),
        };
        match list::location(&answer.body) {
            Ok(location) if location.is_empty() && self.is_custom() => Ok(self.0.home.clone()),
            Ok(location) => Ok(from_location(&location).to_owned()),
            Err(unexpected) => self.unlocated(self.unexpected(&call, &answer, unexpected)),
        }
    }

    /// A server of one region may well refuse the question; what it denies for another reason it
    /// will deny again.
    fn unlocated(&self, failure: Failure) -> Result<String> {
        let undecided = matches!(
            failure.reason,
            Reason::SourceDenied | Reason::SourceRejected
        );
        if self.is_custom() && undecided {
            Ok(self.0.home.clone())
        } else {
            Err(failure)
        }
    }

    /// Does the server refuse to find the bucket in the path, as it wants it in the host's name?
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn wants_bucket_in_host(&self, bucket: &str) -> Result<bool> {
        let call = Call {
            method: Method::GET,
            bucket: Some(bucket),
            key: None,
            region: &self.0.home,
            query: &[("max-keys", "1")],
            headers: &[],
        };
        let answer = self.send(&call).await?;
        let error = list::service_error(&answer.body).unwrap_or_default();
        Ok(IN_HOST.contains(&error.code.as_str()))
    }

    fn is_custom(&self) -> bool {
        matches!(self.0.endpoint, SourceEndpoint::Custom { .. })
    }
}

fn busy(status: StatusCode) -> bool {
    (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
        || matches!(status.as_u16(), 408 | 429)
}

pub(super) fn no_progress(call: &Call<'_>) -> Failure {
    Failure::give_up(
        Reason::SourceRejected,
        format!("{call}: the source repeats a page of its listing instead of going on"),
    )
}
