//! S3 as planning asks it: what failed for the moment is asked again.

use super::roots::Bucket;
use crate::failure::{Remedy, Result};
use crate::patience::patiently;
use crate::source::client::{BucketRef, ListRequest, ObjectHead, Source};
use crate::source::list::BucketEntry;

/// The calls that a plan is made from; see those of [`Source`].
#[derive(Clone, Copy)]
pub(super) struct Asking<'a>(pub(super) &'a Source);

impl Asking<'_> {
    pub(super) async fn list_buckets(self, region: Option<&str>) -> Result<Vec<BucketEntry>> {
        patiently(|| self.0.list_buckets(region)).await
    }

    pub(super) async fn bucket_region(self, bucket: &str) -> Result<String> {
        patiently(|| self.0.bucket_region(bucket)).await
    }

    pub(super) async fn head(
        self,
        bucket: &BucketRef,
        key: &str,
        version: Option<&str>,
    ) -> Result<ObjectHead> {
        patiently(|| self.0.head(bucket, key, version)).await
    }

    /// Is there any object under a prefix? One request.
    pub(super) async fn has_objects(self, bucket: &BucketRef, prefix: &str) -> Result<bool> {
        let request = ListRequest {
            prefix,
            max_keys: 1,
            ..ListRequest::default()
        };
        let page = patiently(|| self.0.list_page(bucket, &request)).await?;
        Ok(!page.objects.is_empty())
    }

    /// See [`Source::is_listed`].
    pub(super) async fn is_listed(self, bucket: &BucketRef, key: &str) -> Result<bool> {
        patiently(|| self.0.is_listed(bucket, key)).await
    }

    /// Is there any object under a prefix that may be listed? None where a listing is denied.
    pub(super) async fn has_any(self, bucket: &Bucket, prefix: &str) -> Result<Option<bool>> {
        match self.has_objects(&bucket.place(), prefix).await {
            Err(failure) if failure.remedy == Remedy::GiveUp => Ok(None),
            found => found.map(Some),
        }
    }
}
