//! Requests that make no sense, refused before anything is asked of the network.

use std::collections::{HashMap, HashSet};

use super::roots::version_prefix;
use super::{MAX_SPEC, Request};
use crate::destination::naming;
use crate::destination::sas::Sas;
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobSpec, Root};
use crate::message;
use crate::source::url::Level;

impl Request {
    /// Checks that the flags which pick a part of the source fit it.
    ///
    /// # Errors
    /// [`Reason::Usage`], naming the flag.
    pub fn check(&self) -> Result<()> {
        self.check_paths()?;
        self.check_versions()?;
        self.check_buckets()?;
        self.check_tags()?;
        naming::check_map(&self.selection.containers)
    }

    /// A SAS tells before anything is copied that it may not write tags.
    fn check_tags(&self) -> Result<()> {
        let properties = &self.options.properties;
        let tags = properties.preserve_tags || !properties.tags.is_empty();
        let sas = self.destination.sas();
        match sas.and_then(Sas::writes_tags) {
            Some(false) if tags => Err(usage(
                "the SAS may not write index tags: add the permission t (sp=rcwt), or leave the \
                 flags about tags out",
            )),
            _ => Ok(()),
        }
    }

    fn check_buckets(&self) -> Result<()> {
        let excluded = &self.selection.exclude_buckets;
        let (Level::Bucket { bucket } | Level::Path { bucket, .. }) = &self.source.level else {
            return Ok(());
        };
        if excluded.contains(bucket) {
            return Err(usage(&format!(
                "--exclude-container leaves out the bucket {bucket}, which is the source: leave \
                 one of them out"
            )));
        }
        if !excluded.is_empty() {
            tracing::warn!("--exclude-container has no effect: the source is one bucket");
        }
        Ok(())
    }

    /// Says which lines of `--container-map` count for nothing.
    pub(super) fn say_unused_containers(&self, roots: &[Root]) {
        let copied: HashSet<&str> = roots.iter().map(|root| root.bucket.as_str()).collect();
        let nameless =
            self.destination.path().is_none() || self.source.contents_only || !self.as_subdir;
        let dropped = match &self.source.level {
            Level::Service | Level::BucketPattern(_) => false,
            Level::Bucket { .. } => self.destination.container().is_some() && nameless,
            Level::Path { .. } => true,
        };
        for (bucket, _) in &self.selection.containers {
            if !copied.contains(bucket.as_str()) {
                tracing::warn!(
                    bucket,
                    "--container-map: this bucket is not among those copied"
                );
            } else if dropped {
                tracing::warn!(
                    bucket,
                    "--container-map has no effect: the container is named"
                );
            }
        }
    }

    fn check_paths(&self) -> Result<()> {
        if self.selection.paths.is_empty() {
            return Ok(());
        }
        match &self.source.level {
            Level::Service | Level::BucketPattern(_) => Err(usage(
                "--include-path and --list-of-files name parts of one bucket or directory: give \
                 that as the source",
            )),
            Level::Path {
                version: Some(_), ..
            } => Err(entries_of_object()),
            _ => Ok(()),
        }
    }

    fn check_versions(&self) -> Result<()> {
        let versions = &self.selection.versions;
        if versions.is_empty() {
            return Ok(());
        }
        if !self.selection.paths.is_empty() {
            return Err(usage(
                "--list-of-versions is about one object, --include-path and --list-of-files are \
                 about many: give one of them",
            ));
        }
        match &self.source.level {
            Level::Path {
                version: Some(_), ..
            } => Err(usage(
                "--list-of-versions: the source names a version too: take versionId out of it",
            )),
            Level::Path {
                directory: false, ..
            } if !self.source.contents_only => one_blob_each(versions),
            _ => Err(usage(
                "--list-of-versions names versions of one object: give that as the source",
            )),
        }
    }
}

/// No two versions may go to one blob; the same one twice may.
fn one_blob_each(versions: &[String]) -> Result<()> {
    let mut blobs: HashMap<String, &String> = HashMap::new();
    for version in versions {
        let other = blobs.insert(version_prefix(version), version);
        if let Some(other) = other.filter(|other| *other != version) {
            return Err(usage(&format!(
                "--list-of-versions: {other} and {version} would go to blobs of one name: copy \
                 them apart"
            )));
        }
    }
    Ok(())
}

/// A list of paths for a source that is an object.
pub(super) fn entries_of_object() -> Failure {
    usage(
        "--include-path and --list-of-files name parts of a bucket or directory, but the source \
         is one object: give its directory, or leave them out",
    )
}

/// Checks that a job is not too long to be sent to everybody.
pub(super) fn size(spec: &JobSpec) -> Result<()> {
    let size = message::encode(spec)?.len();
    if size <= MAX_SPEC {
        return Ok(());
    }
    Err(usage(&format!(
        "this job has {} entries, which take {size} bytes, and a job can have {MAX_SPEC}: split \
         the list of --list-of-files, or name folders in it",
        spec.roots.len()
    )))
}

pub(super) fn usage(message: &str) -> Failure {
    Failure::stop(Reason::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Root, Scope};

    /// A job of `many` list entries of 80 bytes.
    fn spec(many: usize) -> JobSpec {
        let root = |number: usize| Root {
            bucket: "bucket".into(),
            region: "us-east-1".into(),
            scope: Scope::Either {
                key: format!("{number:080}"),
                base: 40,
                top_level_only: true,
                inside: Vec::new(),
            },
            container: "container".into(),
            blob_prefix: String::new(),
            strip: 40,
            refused: None,
        };
        JobSpec {
            roots: (0..many).map(root).collect(),
            ..JobSpec::sample(0)
        }
    }

    #[test]
    fn a_job_has_a_hundred_thousand_entries_but_not_without_end() {
        size(&spec(100_000)).unwrap();
        let failure = size(&spec(200_000)).unwrap_err();
        assert_eq!(failure.reason, Reason::Usage);
        for part in ["200000 entries", "split", "--list-of-files"] {
            assert!(failure.message.contains(part), "{failure}");
        }
    }
}
