//! Looks at one bucket, directory or object of the source.

use std::collections::HashSet;

use super::asking::Asking;
use super::roots::{self, Bucket};
use super::{Request, checks, entries};
use crate::destination::naming::ContainerNames;
use crate::failure::{Failure, Reason, Remedy, Result};
use crate::job::Root;

impl Request {
    /// A bucket, or what a list names of it.
    pub(super) async fn whole(&self, source: Asking<'_>, bucket: &Bucket) -> Result<Vec<Root>> {
        let mut names = ContainerNames::new(&[&bucket.name], &self.selection.containers)?;
        let root = roots::bucket(bucket, self.layout(), &self.destination, &mut names)?;
        if !self.selection.paths.is_empty() {
            return Ok(self.entries(&root));
        }
        // What may not be listed is refused now rather than as a range of the job.
        source.has_objects(&bucket.place(), "").await?;
        Ok(vec![root])
    }

    pub(super) async fn bucket(&self, source: Asking<'_>, name: &str) -> Result<Bucket> {
        let region = source.bucket_region(name).await?;
        Ok(Bucket {
            name: name.to_owned(),
            region,
        })
    }

    /// An object if there is one of exactly this key, and a directory if there is none or all below
    /// it was asked for too.
    pub(super) async fn path(
        &self,
        source: Asking<'_>,
        bucket: &Bucket,
        key: &str,
        version: Option<&str>,
        directory: bool,
    ) -> Result<Vec<Root>> {
        let as_directory = || roots::directory(bucket, key, self.layout(), &self.destination);
        let prefix = format!("{}/", key.strip_suffix('/').unwrap_or(key));
        if directory || self.source.contents_only {
            let root = as_directory()?;
            return match source.has_objects(&bucket.place(), &prefix).await? {
                true => Ok(vec![root]),
                false => Err(nothing(bucket, &format!("no object below {prefix}"))),
            };
        }
        let failure = match source.head(&bucket.place(), key, version).await {
            Ok(_) if source.is_listed(&bucket.place(), key).await? => {
                let mut found = vec![roots::object(bucket, key, version, &self.destination)?];
                if self.recursive && version.is_none() {
                    let has_any = source.has_any(bucket, &prefix).await?;
                    tell_what_is_below(bucket, key, has_any);
                    if has_any == Some(true) {
                        found.push(as_directory()?);
                    }
                }
                return Ok(found);
            }
            Ok(_) => Failure::give_up(Reason::SourceNotFound, "the source lists no such object"),
            Err(failure) => failure,
        };
        if !matches!(
            failure.reason,
            Reason::SourceNotFound | Reason::SourceDenied
        ) {
            return Err(failure);
        }
        match source.has_objects(&bucket.place(), &prefix).await {
            Ok(true) => Ok(vec![as_directory()?]),
            _ if failure.reason == Reason::SourceDenied => Err(failure),
            Err(failure) => Err(failure),
            Ok(false) => {
                let what = format!("neither an object nor a directory {key}");
                Err(nothing(bucket, &what))
            }
        }
    }

    /// The entries of a list, below a directory.
    pub(super) async fn paths(
        &self,
        source: Asking<'_>,
        bucket: &Bucket,
        key: &str,
        directory: bool,
    ) -> Result<Vec<Root>> {
        let root = roots::directory(bucket, key, self.layout(), &self.destination)?;
        let prefix = format!("{}/", key.strip_suffix('/').unwrap_or(key));
        if !directory && !self.source.contents_only {
            match source.head(&bucket.place(), key, None).await {
                // A directory of an object's name, or of a gateway that answers for it.
                Ok(_) if source.has_any(bucket, &prefix).await? == Some(true) => {}
                Ok(_) => return Err(checks::entries_of_object()),
                Err(failure) if failure.remedy == Remedy::GiveUp => {}
                Err(failure) => return Err(failure),
            }
        }
        match source.has_objects(&bucket.place(), &prefix).await {
            Ok(false) => Err(nothing(bucket, &format!("no object below {prefix}"))),
            // Objects may be read by whoever may not list them.
            Err(failure) if failure.remedy != Remedy::GiveUp => Err(failure),
            _ => Ok(self.entries(&root)),
        }
    }

    /// The versions of a list; each is looked at when it is listed.
    pub(super) fn versions(&self, bucket: &Bucket, key: &str) -> Result<Vec<Root>> {
        let mut given = HashSet::new();
        let versions = self.selection.versions.iter();
        versions
            .filter(|version| given.insert(version.as_str()))
            .map(|version| roots::version(bucket, key, version, &self.destination))
            .collect()
    }

    fn entries(&self, whole: &Root) -> Vec<Root> {
        entries::roots(whole, &self.selection.paths, self.recursive)
    }
}

/// Says of a source that is an object what becomes of the folder of its name.
fn tell_what_is_below(bucket: &Bucket, key: &str, has_any: Option<bool>) {
    let name = &bucket.name;
    match has_any {
        Some(true) => tracing::warn!(
            "s3://{name}/{key} is an object, and there are others below {key}/: both are copied"
        ),
        None => tracing::warn!(
            "s3://{name}/{key} is an object; whether there are others below {key}/ cannot be seen, \
             as listing is denied: the object alone is copied"
        ),
        Some(false) => {}
    }
}

fn nothing(bucket: &Bucket, what: &str) -> Failure {
    Failure::stop(
        Reason::SourceNotFound,
        format!("bucket {} has {what}: check the source", bucket.name),
    )
}
