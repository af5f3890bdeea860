//! Submitting: from what the user typed to a job every role agrees on.

mod asking;
mod checks;
mod entries;
mod identity;
pub mod roots;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use crate::destination::naming::ContainerNames;
use crate::destination::url::DestinationUrl;
use crate::failure::{Failure, Reason, Remedy, Result};
use crate::job::{CopyOptions, JobId, JobSpec, Overwrite, Root};
use crate::source::client::Source;
use crate::source::url::{Level, SourceUrl};
use asking::Asking;
use roots::{Bucket, Layout};

/// Buckets whose region is asked for at a time.
const REGION_LOOKUPS: usize = 16;

/// How long a job that looks at blobs before it writes waits for its begin: blobs tell their time
/// in whole seconds, and what the job wrote itself must be younger than its submission.
const SETTLE: Duration = Duration::from_secs(2);
/// The longest job there is, encoded, in bytes: RabbitMQ 4 takes no longer message where nothing
/// else is set (`max_message_size`).
pub const MAX_SPEC: usize = 16 * 1024 * 1024;

/// Which part of the source the user picked by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Selection {
    /// Objects and folders relative to the source; empty for all of it. Each becomes a root: as
    /// many as fit into a [job](MAX_SPEC), about 150,000 of 80 bytes.
    pub paths: Vec<String>,
    /// Versions of the one object; empty for the latest.
    pub versions: Vec<String>,
    /// Buckets left out where several are copied.
    pub exclude_buckets: Vec<String>,
    /// Containers that buckets are copied to, over the resolver's names.
    pub containers: Vec<(String, String)>,
}

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// From where.
    pub source: SourceUrl,
    /// To where.
    pub destination: DestinationUrl,
    /// Go below the first level.
    pub recursive: bool,
    /// Keep the source folder's own name.
    pub as_subdir: bool,
    /// How objects are copied.
    pub options: CopyOptions,
    /// Which part of the source is copied.
    pub selection: Selection,
    /// Tells jobs apart that are otherwise the same.
    pub job_name: Option<String>,
}

impl Request {
    /// The job's id in its `run`-th run, from 1.
    pub fn job_id(&self, run: u32) -> JobId {
        JobId::new(format!("{}-{run}", self.identity()))
    }

    /// Looks at the source and decides what is listed and where it goes. What S3 does not answer for
    /// the moment it is asked again, for some seconds.
    ///
    /// # Errors
    /// The source cannot be reached, does not exist or refuses us; or the request makes no sense.
    pub async fn plan(&self, source: &Source, id: JobId, now_ms: i64) -> Result<JobSpec> {
        let source = Asking(source);
        let roots = match &self.source.level {
            Level::Service => self.many(source, |_| true).await?,
            Level::BucketPattern(pattern) => {
                self.many(source, |bucket| pattern.matches(bucket)).await?
            }
            Level::Bucket { bucket } => {
                let bucket = self.bucket(source, bucket).await?;
                let mut names = ContainerNames::default();
                let root = roots::bucket(&bucket, self.layout(), &self.destination, &mut names)?;
                if self.selection.paths.is_empty() {
                    // What may not be listed is refused now rather than as a range of the job.
                    source.has_objects(&bucket.place(), "").await?;
                    vec![root]
                } else {
                    self.entries(&root)
                }
            }
            Level::Path {
                bucket,
                key,
                version,
                directory,
            } => {
                let bucket = self.bucket(source, bucket).await?;
                if self.selection.paths.is_empty() {
                    vec![
                        self.path(source, &bucket, key, version.as_deref(), *directory)
                            .await?,
                    ]
                } else {
                    self.paths(source, &bucket, key, *directory).await?
                }
            }
        };
        if self.options.overwrite != Overwrite::True {
            tokio::time::sleep(SETTLE).await;
        }
        let spec = JobSpec {
            id,
            source: self.source.identity(),
            destination: self.destination.to_string(),
            endpoint: self.source.endpoint.clone(),
            account: self.destination.account_url().to_owned(),
            roots,
            options: self.options.clone(),
            submitted_at_ms: now_ms,
        };
        checks::size(&spec)?;
        Ok(spec)
    }

    fn layout(&self) -> Layout {
        Layout {
            // A list names what is copied, so that nothing more needs to be asked for.
            recursive: self.recursive || !self.selection.paths.is_empty(),
            as_subdir: self.as_subdir,
            contents_only: self.source.contents_only,
        }
    }

    async fn bucket(&self, source: Asking<'_>, name: &str) -> Result<Bucket> {
        let region = source.bucket_region(name).await?;
        Ok(Bucket {
            name: name.to_owned(),
            region,
        })
    }

    /// An object if there is one of exactly this key, else a directory.
    async fn path(
        &self,
        source: Asking<'_>,
        bucket: &Bucket,
        key: &str,
        version: Option<&str>,
        directory: bool,
    ) -> Result<Root> {
        let as_directory = || roots::directory(bucket, key, self.layout(), &self.destination);
        let place = bucket.place();
        let prefix = format!("{}/", key.strip_suffix('/').unwrap_or(key));
        if directory || self.source.contents_only {
            let root = as_directory()?;
            return match source.has_objects(&place, &prefix).await? {
                true => Ok(root),
                false => Err(nothing(bucket, &format!("no object below {prefix}"))),
            };
        }
        let failure = match source.head(&place, key, version).await {
            Ok(_) => return roots::object(bucket, key, version, &self.destination),
            Err(failure) => failure,
        };
        if !matches!(
            failure.reason,
            Reason::SourceNotFound | Reason::SourceDenied
        ) {
            return Err(failure);
        }
        match source.has_objects(&place, &prefix).await {
            Ok(true) => as_directory(),
            _ if failure.reason == Reason::SourceDenied => Err(failure),
            Err(failure) => Err(failure),
            Ok(false) => {
                let what = format!("neither an object nor a directory {key}");
                Err(nothing(bucket, &what))
            }
        }
    }

    /// The entries of a list, below a directory.
    async fn paths(
        &self,
        source: Asking<'_>,
        bucket: &Bucket,
        key: &str,
        directory: bool,
    ) -> Result<Vec<Root>> {
        let root = roots::directory(bucket, key, self.layout(), &self.destination)?;
        let place = bucket.place();
        if !directory && !self.source.contents_only {
            match source.head(&place, key, None).await {
                Ok(_) => return Err(checks::entries_of_object()),
                Err(failure) if failure.remedy == Remedy::GiveUp => {}
                Err(failure) => return Err(failure),
            }
        }
        let prefix = format!("{}/", key.strip_suffix('/').unwrap_or(key));
        match source.has_objects(&place, &prefix).await {
            Ok(false) => Err(nothing(bucket, &format!("no object below {prefix}"))),
            // Objects may be read by whoever may not list them.
            Err(failure) if failure.remedy != Remedy::GiveUp => Err(failure),
            _ => Ok(self.entries(&root)),
        }
    }

    fn entries(&self, whole: &Root) -> Vec<Root> {
        entries::roots(whole, &self.selection.paths, self.recursive)
    }

    async fn many(&self, source: Asking<'_>, wanted: impl Fn(&str) -> bool) -> Result<Vec<Root>> {
        let filter = self.source.region.as_deref();
        let mut listed = source.list_buckets(filter).await?;
        listed.retain(|bucket| wanted(&bucket.name));
        // A bucket whose region is not known is listed all the same, and named if that fails.
        let home = self.source.home_region();
        let located: Vec<Bucket> =
            stream::iter(listed)
                .map(|bucket| async move {
                    let region = match bucket.region {
                    Some(region) => region,
                    None => source.bucket_region(&bucket.name).await.unwrap_or_else(|failure| {
                        tracing::warn!(bucket = bucket.name, %failure, "region is not known");
                        home.to_owned()
                    }),
                };
                    Bucket {
                        name: bucket.name,
                        region,
                    }
                })
                .buffered(REGION_LOOKUPS)
                .filter(|bucket| {
                    let inside = filter.is_none_or(|region| region == bucket.region);
                    async move { inside }
                })
                .collect()
                .await;
        if located.is_empty() {
            return Err(Failure::stop(
                Reason::SourceNotFound,
                format!(
                    "no bucket of these credentials matches {}: check pattern, region and account",
                    self.source
                ),
            ));
        }
        let names: Vec<&str> = located.iter().map(|bucket| bucket.name.as_str()).collect();
        let mut containers = ContainerNames::new(&names);
        located
            .iter()
            .map(|bucket| roots::of_many(bucket, self.layout(), &self.destination, &mut containers))
            .collect()
    }
}

fn nothing(bucket: &Bucket, what: &str) -> Failure {
    Failure::stop(
        Reason::SourceNotFound,
        format!("bucket {} has {what}: check the source", bucket.name),
    )
}
