//! Finds the buckets of the whole service, or of a pattern.

use futures_util::StreamExt as _;
use futures_util::stream;

use super::Request;
use super::asking::Asking;
use super::roots::{self, Bucket};
use crate::destination::naming::ContainerNames;
use crate::failure::Result;
use crate::job::Root;
use crate::process::say;
use crate::source::list::BucketEntry;

/// Buckets whose region is asked for at a time.
const REGION_LOOKUPS: usize = 16;

impl Request {
    /// A root for each bucket that is wanted; none where there is no such bucket, which is said
    /// and no failure, as for AzCopy.
    pub(super) async fn many(
        &self,
        source: Asking<'_>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Root>> {
        roots::check_many(self.layout())?;
        let mut listed = source.list_buckets(self.source.region.as_deref()).await?;
        listed.retain(|bucket| {
            wanted(&bucket.name) && !self.selection.exclude_buckets.contains(&bucket.name)
        });
        let buckets = self.located(source, listed).await;
        if buckets.is_empty() {
            say(&format!(
                "0 objects: no bucket of these credentials matches {}; check pattern, region, \
                 account and --exclude-container",
                self.source
            ));
        }
        let names: Vec<&str> = buckets.iter().map(|bucket| bucket.name.as_str()).collect();
        let mut containers = ContainerNames::new(&names, &self.selection.containers)?;
        buckets
            .iter()
            .map(|bucket| roots::of_many(bucket, self.layout(), &self.destination, &mut containers))
            .collect()
    }

    /// The buckets with their regions, those of another region left out. A bucket whose region is
    /// not known is listed all the same, and named if that fails.
    async fn located(&self, source: Asking<'_>, listed: Vec<BucketEntry>) -> Vec<Bucket> {
        let home = self.source.home_region();
        let locate = |bucket: BucketEntry| async move {
            let region = match bucket.region {
                Some(region) => region,
                None => source
                    .bucket_region(&bucket.name)
                    .await
                    .unwrap_or_else(|failure| {
                        tracing::warn!(bucket = bucket.name, %failure, "region is not known");
                        home.to_owned()
                    }),
            };
            Bucket {
                name: bucket.name,
                region,
            }
        };
        let located: Vec<Bucket> = stream::iter(listed)
            .map(locate)
            .buffered(REGION_LOOKUPS)
            .collect()
            .await;
        let filter = self.source.region.as_deref();
        let inside = |bucket: &Bucket| filter.is_none_or(|region| region == bucket.region);
        located.into_iter().filter(inside).collect()
    }
}
