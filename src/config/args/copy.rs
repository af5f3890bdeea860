//! Flags that say how objects are copied.

use std::path::PathBuf;

use clap::Args;

use super::{CarryArgs, SelectArgs};
use crate::job::{InvalidNames, Overwrite, Relay};

/// How objects are copied: what a job carries to all who work on it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Copying")]
pub struct CopyArgs {
    /// Go below the first level; needed for directories, buckets and the whole service.
    #[arg(long)]
    pub recursive: bool,
    /// Keep the source folder's own name at the destination.
    #[arg(long, default_value = "true")]
    pub as_subdir: bool,
    /// Replace blobs that are there already: always, never, where the object is younger, where
    /// size or content differ, or as you answer.
    #[arg(
        long,
        value_enum,
        default_value = "true",
        ignore_case = true,
        value_name = "WHEN"
    )]
    pub overwrite: Overwrite,
    /// Objects up to this many MiB go with one request (Put Blob From URL); at most 5000.
    #[arg(long, default_value = "256", value_name = "MIB")]
    pub put_blob_size_mb: String,
    /// Smallest block above that, in MiB; doubled until 50,000 blocks suffice.
    #[arg(long, default_value = "8", value_name = "MIB")]
    pub block_size_mb: String,
    /// Stream objects through this machine instead of having Azure fetch them: what Azure surely
    /// cannot fetch, nothing, or everything.
    #[arg(
        long,
        value_enum,
        default_value = "auto",
        ignore_case = true,
        value_name = "WHEN"
    )]
    pub relay: Relay,
    /// Make sure of a blob's length where digests and versions prove nothing.
    #[arg(long, default_value = "true")]
    pub check_length: bool,
    /// Fail objects that have changed since they were listed; those that change while they are
    /// copied are always copied again.
    #[arg(long)]
    pub s2s_detect_source_changed: bool,
    /// Begin a new run where the job has ended; --new=false only shows what it came to.
    #[arg(long, default_value = "true")]
    pub new: bool,
    /// Tells jobs apart that are otherwise the same.
    #[arg(long, value_name = "NAME")]
    pub job_name: Option<String>,
    /// What is copied from where; only S3Blob.
    #[arg(long, value_name = "FROM_TO")]
    pub from_to: Option<String>,
    /// Detect or BlockBlob: objects become block blobs, whatever they are called.
    #[arg(long, value_name = "TYPE")]
    pub blob_type: Option<String>,
    /// A file of bucket,container lines: the containers that buckets are copied to.
    #[arg(long, value_name = "FILE", help_heading = "Names")]
    pub container_map: Option<PathBuf>,
    /// Objects whose blob name Azure cannot hold: fail them, skip them, or escape the name.
    #[arg(
        long,
        value_enum,
        default_value = "fail",
        ignore_case = true,
        value_name = "HOW",
        help_heading = "Names"
    )]
    pub invalid_name_handle: InvalidNames,
    /// Copy folder markers (keys that end in /) instead of skipping them.
    #[arg(long, help_heading = "Names")]
    pub include_directory_stub: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub select: SelectArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub carry: CarryArgs,
}
