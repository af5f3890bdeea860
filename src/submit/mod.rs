//! Submitting: from what the user typed to a job every role agrees on.

mod asking;
mod checks;
mod entries;
mod identity;
mod lookup;
mod many;
pub mod roots;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::destination::url::DestinationUrl;
use crate::failure::Result;
use crate::job::{CopyOptions, JobId, JobSpec};
use crate::source::client::Source;
use crate::source::url::{Level, SourceUrl};
use asking::Asking;
use roots::Layout;

/// How long a job that tells its own blobs from others waits for its begin: blobs tell their time
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
    /// Requests say that who asks pays for them.
    pub requester_pays: bool,
}

impl Request {
    /// The job's id in its `run`-th run, from 1.
    pub fn job_id(&self, run: u32) -> JobId {
        JobId::new(format!("{}-{run}", self.identity()))
    }

    /// Looks at the source and decides what is listed and where it goes; the destination's clock is
    /// left out. What S3 does not answer for
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
                self.whole(source, &bucket).await?
            }
            Level::Path {
                bucket,
                key,
                version,
                directory,
            } => {
                let bucket = self.bucket(source, bucket).await?;
                if !self.selection.paths.is_empty() {
                    self.paths(source, &bucket, key, *directory).await?
                } else if !self.selection.versions.is_empty() {
                    self.versions(&bucket, key)?
                } else {
                    let version = version.as_deref();
                    self.path(source, &bucket, key, version, *directory).await?
                }
            }
        };
        self.say_unused_containers(&roots);
        if self.options.tells_its_own_blobs() {
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
            destination_clock: None,
            requester_pays: self.requester_pays,
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
}
