//! Flags that say what a blob carries beside its content.

use clap::Args;

use crate::job::{InvalidMetadata, SourceFact};

/// What a blob carries beside its content.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Properties")]
pub struct CarryArgs {
    /// Carry content headers and user metadata over (one HEAD per object).
    #[arg(long, default_value = "true")]
    pub s2s_preserve_properties: bool,
    /// Metadata that Azure cannot hold: leave it out, fail the object, or rename it.
    #[arg(
        long,
        alias = "s2s-invalid-metadata-handle",
        value_enum,
        ignore_case = true,
        default_value = "ExcludeIfInvalid",
        value_name = "HOW"
    )]
    pub s2s_handle_invalid_metadata: InvalidMetadata,
    /// Carry object tags over as blob index tags (one more request for objects that have tags).
    #[arg(long, alias = "s2s-preserve-blob-tags")]
    pub s2s_preserve_tags: bool,
    /// Give blobs the tier of their object's storage class.
    #[arg(long)]
    pub s2s_preserve_access_tier: bool,
    /// Storage classes and their tiers, e.g. STANDARD_IA=Cool;GLACIER_IR=Cold, over the built-in
    /// ones.
    #[arg(long, value_name = "PAIRS")]
    pub tier_map: Option<String>,
    /// The tier of every blob: Hot, Cool, Cold or Archive.
    #[arg(long, value_name = "TIER")]
    pub block_blob_tier: Option<String>,
    /// Facts about the source kept as metadata s3_NAME, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FACTS")]
    pub s2s_source_metadata: Vec<SourceFact>,
    /// Index tags of every blob, e.g. project=blue&year=2026
    #[arg(long, value_name = "TAGS")]
    pub blob_tags: Option<String>,
    /// Metadata of every blob instead of the objects' own, e.g. a=1;b=2
    #[arg(long, value_name = "PAIRS")]
    pub metadata: Option<String>,
    /// Content-Type of every blob.
    #[arg(long, value_name = "VALUE")]
    pub content_type: Option<String>,
    /// Content-Encoding of every blob.
    #[arg(long, value_name = "VALUE")]
    pub content_encoding: Option<String>,
    /// Content-Language of every blob.
    #[arg(long, value_name = "VALUE")]
    pub content_language: Option<String>,
    /// Content-Disposition of every blob.
    #[arg(long, value_name = "VALUE")]
    pub content_disposition: Option<String>,
    /// Cache-Control of every blob.
    #[arg(long, value_name = "VALUE")]
    pub cache_control: Option<String>,
}
