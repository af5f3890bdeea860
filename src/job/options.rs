//! What changes how objects are copied: part of a job, the same for every role.
//!
//! Every field has a default, so that a job submitted by an older program can still be read.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What changes how objects are copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyOptions {
    /// Objects up to this size go with one Put Blob From URL, in bytes.
    pub put_blob_size: u64,
    /// Smallest block above that size, in bytes.
    pub block_size: u64,
    /// Which of the listed keys are copied.
    pub filters: Filters,
    /// What happens where there is a blob already.
    pub overwrite: Overwrite,
    /// What is copied through the copier instead of by the service.
    pub relay: Relay,
    /// What happens to keys whose blob name the destination cannot hold.
    pub invalid_names: InvalidNames,
    /// Copy folder markers (keys ending in `/`) instead of skipping them.
    pub directory_stubs: bool,
    /// Make sure of a blob's length where its answer proves nothing.
    pub check_length: bool,
    /// Fail objects that have changed since they were listed.
    pub detect_source_changed: bool,
    /// What the blobs carry beside their content.
    pub properties: Properties,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            put_blob_size: 256 * 1024 * 1024,
            block_size: 8 * 1024 * 1024,
            filters: Filters::default(),
            overwrite: Overwrite::default(),
            relay: Relay::default(),
            invalid_names: InvalidNames::default(),
            directory_stubs: false,
            check_length: true,
            detect_source_changed: false,
            properties: Properties::default(),
        }
    }
}

impl CopyOptions {
    /// Must the job know a blob that it wrote itself? Where blobs are not simply replaced, or cannot
    /// be because they are archived.
    pub fn tells_its_own_blobs(&self) -> bool {
        let archives = |tier: &String| tier == "Archive";
        let properties = &self.properties;
        self.overwrite != Overwrite::True
            || properties.tier.as_ref().is_some_and(archives)
            || properties.tier_of_class.values().any(archives)
    }
}

/// Which of the listed keys are copied; empty fields let every key pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// Globs, one of which the key's last segment must match.
    pub include_pattern: Vec<String>,
    /// Globs, none of which the key's last segment may match.
    pub exclude_pattern: Vec<String>,
    /// Prefixes of the relative path that are left out.
    pub exclude_path: Vec<String>,
    /// Regular expressions, one of which must be found in the relative path.
    pub include_regex: Vec<String>,
    /// Regular expressions, none of which may be found in the relative path.
    pub exclude_regex: Vec<String>,
    /// Only objects last modified then or later, seconds since 1970.
    pub after: Option<i64>,
    /// Only objects last modified then or earlier, seconds since 1970.
    pub before: Option<i64>,
}

/// What a blob carries beside its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Properties {
    /// Carry content headers and user metadata over (one HEAD per object).
    pub preserve: bool,
    /// What happens to metadata that Azure cannot hold.
    pub invalid_metadata: InvalidMetadata,
    /// Carry object tags over as blob index tags.
    pub preserve_tags: bool,
    /// Tags every blob gets.
    pub tags: Vec<(String, String)>,
    /// Headers that replace the object's own.
    pub headers: ContentHeaders,
    /// Metadata that replaces the object's own; none keeps it.
    pub metadata: Option<Vec<(String, String)>>,
    /// Facts about the source kept as metadata.
    pub source_metadata: Vec<SourceFact>,
    /// The tier of every blob.
    pub tier: Option<String>,
    /// Storage class to tier, for objects without a tier of their own; empty carries none over.
    pub tier_of_class: BTreeMap<String, String>,
}

impl Default for Properties {
    fn default() -> Self {
        Self {
            preserve: true,
            invalid_metadata: InvalidMetadata::default(),
            preserve_tags: false,
            tags: Vec::new(),
            headers: ContentHeaders::default(),
            metadata: None,
            source_metadata: Vec::new(),
            tier: None,
            tier_of_class: BTreeMap::new(),
        }
    }
}

/// Content headers; none leaves the object's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContentHeaders {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
}

/// What happens where there is a blob already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub enum Overwrite {
    /// It is replaced.
    #[default]
    #[value(name = "true")]
    True,
    /// It stays; the object is skipped.
    #[value(name = "false")]
    False,
    /// It is replaced where the object is younger.
    #[value(name = "ifSourceNewer")]
    IfSourceNewer,
    /// It is replaced where size or content differ.
    #[value(name = "changed")]
    Changed,
    /// The user is asked, object by object.
    #[value(name = "prompt")]
    Prompt,
}

/// What is copied through the copier instead of by the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub enum Relay {
    /// What the service surely cannot fetch.
    #[default]
    Auto,
    /// Nothing; what cannot be fetched fails.
    Never,
    /// Everything.
    Always,
}

/// What happens to keys whose blob name the destination cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub enum InvalidNames {
    /// The object fails.
    #[default]
    Fail,
    /// The object is skipped.
    Skip,
    /// The blob gets a name that can be turned back, kept in its metadata.
    Escape,
}

/// What happens to metadata that Azure cannot hold under its name; the names are AzCopy's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub enum InvalidMetadata {
    /// It is left out; this is logged and counted.
    #[default]
    #[value(name = "ExcludeIfInvalid")]
    ExcludeIfInvalid,
    /// The object fails.
    #[value(name = "FailIfInvalid")]
    FailIfInvalid,
    /// The value is stored under `rename_NAME` and the name under `rename_key_NAME`.
    #[value(name = "RenameIfInvalid")]
    RenameIfInvalid,
}

/// A fact about the source object that can be kept as metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub enum SourceFact {
    /// `s3_etag`: the ETag without its quotes.
    Etag,
    /// `s3_last_modified`: RFC 3339, in UTC.
    LastModified,
    /// `s3_version_id`, where the bucket has versions.
    VersionId,
    /// `s3_expires`: the `Expires` header, which blobs do not have.
    Expires,
    /// `s3_storage_class`; `STANDARD` where S3 names none.
    StorageClass,
}
