//! Flags that say which objects are copied.

use std::path::PathBuf;

use clap::Args;

/// Which objects are copied. Lists are separated by `;`.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Selecting")]
pub struct SelectArgs {
    /// Only keys whose last part matches one of these, e.g. *.jpg;exact.txt
    #[arg(long, value_name = "GLOBS")]
    pub include_pattern: Option<String>,
    /// No keys whose last part matches one of these.
    #[arg(long, value_name = "GLOBS")]
    pub exclude_pattern: Option<String>,
    /// Only these objects and folders, relative to the source.
    #[arg(long, value_name = "PATHS")]
    pub include_path: Option<String>,
    /// Nothing whose path relative to the source begins with one of these.
    #[arg(long, value_name = "PATHS")]
    pub exclude_path: Option<String>,
    /// Only objects in whose relative path one of these is found.
    #[arg(long, value_name = "REGEXES")]
    pub include_regex: Option<String>,
    /// No objects in whose relative path one of these is found.
    #[arg(long, value_name = "REGEXES")]
    pub exclude_regex: Option<String>,
    /// Only objects last modified then or later, e.g. 2026-08-19 or 2026-08-19T15:04:00Z (UTC
    /// where no zone is given).
    #[arg(long, value_name = "TIME")]
    pub include_after: Option<String>,
    /// Only objects last modified then or earlier.
    #[arg(long, value_name = "TIME")]
    pub include_before: Option<String>,
    /// Not these buckets, where several are copied.
    #[arg(long, value_name = "BUCKETS")]
    pub exclude_container: Option<String>,
    /// A file of relative paths, one a line: only these objects and folders.
    #[arg(long, value_name = "FILE")]
    pub list_of_files: Option<PathBuf>,
    /// A file of version ids, one a line: these versions of the one object, each to VERSION-NAME.
    #[arg(long, value_name = "FILE")]
    pub list_of_versions: Option<PathBuf>,
}
