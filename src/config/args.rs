//! The flags, in groups that the programs share.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;

use crate::process::LogLevel;

/// Moves Amazon S3 to Azure Blob Storage, server side.
#[derive(Debug, Parser)]
#[command(name = "blobfleet", version, max_term_width = 100)]
pub struct FrontCli {
    /// What to do.
    #[command(subcommand)]
    pub command: FrontCommand,
}

/// What the front command does.
#[derive(Debug, Subcommand)]
pub enum FrontCommand {
    /// Copy objects, directories or buckets from S3 to Azure Blob Storage.
    #[command(alias = "cp")]
    Copy(Box<CopyCommand>),
}

/// Copies in one process, with an embedded queue; run it again to resume.
#[derive(Debug, Args)]
pub struct CopyCommand {
    /// What to copy: s3://BUCKET/KEY, s3:// or an https:// URL of S3.
    #[arg(env = "BLOBFLEET_SOURCE", hide_env_values = true)]
    pub source: String,
    /// Where to: https://ACCOUNT.blob.core.windows.net[/CONTAINER[/PATH]][?SAS].
    #[arg(env = "BLOBFLEET_DESTINATION", hide_env_values = true)]
    pub destination: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub copy: CopyArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub s3: SourceArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub state: StateArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub output: OutputArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub log: LogArgs,
    /// Address to serve /metrics and /healthz on.
    #[arg(
        long,
        env = "BLOBFLEET_LISTEN",
        hide_env_values = true,
        value_name = "ADDR"
    )]
    pub listen: Option<SocketAddr>,
}

/// Lists S3 and hands the objects to the copiers.
#[derive(Debug, Parser)]
#[command(name = "lister", version, max_term_width = 100)]
pub struct ListerCli {
    /// What to copy; without it, lists for jobs that others submit.
    #[arg(env = "BLOBFLEET_SOURCE", hide_env_values = true)]
    pub source: Option<String>,
    /// Where to copy to.
    #[arg(env = "BLOBFLEET_DESTINATION", hide_env_values = true)]
    pub destination: Option<String>,
    /// Wait for the job's end and exit with its result.
    #[arg(long, env = "BLOBFLEET_WAIT", hide_env_values = true, action = clap::ArgAction::Set,
          num_args = 0..=1, default_value = "false", default_missing_value = "true",
          require_equals = true)]
    pub wait: bool,
    /// Begin a new run of a job that has ended.
    #[arg(long, env = "BLOBFLEET_NEW", hide_env_values = true, action = clap::ArgAction::Set,
          num_args = 0..=1, default_value = "false", default_missing_value = "true",
          require_equals = true)]
    pub new: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub copy: CopyArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub s3: SourceArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub broker: BrokerArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub output: OutputArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub log: LogArgs,
}

/// Takes copy tasks and has Azure fetch the objects.
#[derive(Debug, Parser)]
#[command(name = "copier", version, max_term_width = 100)]
pub struct CopierCli {
    /// A destination whose SAS this copier uses for jobs of that account.
    #[arg(
        long,
        env = "BLOBFLEET_DESTINATION",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub destination: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub copy: CopyArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub s3: SourceArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub broker: BrokerArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub log: LogArgs,
}

/// Counts every object once and serves metrics and the jobs API.
#[derive(Debug, Parser)]
#[command(name = "reporter", version, max_term_width = 100)]
pub struct ReporterCli {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub state: StateArgs,
    /// Take charge of a broker's jobs although another ledger was in charge of them; its
    /// unfinished jobs begin afresh.
    #[arg(long, env = "BLOBFLEET_ADOPT", hide_env_values = true, action = clap::ArgAction::Set,
          num_args = 0..=1, default_value = "false", default_missing_value = "true",
          require_equals = true)]
    pub adopt: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub broker: BrokerArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub log: LogArgs,
}

/// How objects are copied.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Copying")]
pub struct CopyArgs {
    /// Go below the first level; needed for directories, buckets and the whole service.
    #[arg(long, env = "BLOBFLEET_RECURSIVE", hide_env_values = true,
          action = clap::ArgAction::Set, num_args = 0..=1, default_value = "false",
          default_missing_value = "true", require_equals = true)]
    pub recursive: bool,
    /// Keep the source folder's own name at the destination.
    #[arg(long, env = "BLOBFLEET_AS_SUBDIR", hide_env_values = true,
          action = clap::ArgAction::Set, num_args = 0..=1, default_value = "true",
          default_missing_value = "true", require_equals = true)]
    pub as_subdir: bool,
    /// Objects up to this many MiB go with one request (Put Blob From URL); at most 5000.
    #[arg(
        long,
        env = "BLOBFLEET_PUT_BLOB_SIZE_MB",
        hide_env_values = true,
        default_value = "256",
        value_name = "MIB"
    )]
    pub put_blob_size_mb: String,
    /// Smallest block above that, in MiB; doubled until 50,000 blocks suffice.
    #[arg(
        long,
        env = "BLOBFLEET_BLOCK_SIZE_MB",
        hide_env_values = true,
        default_value = "8",
        value_name = "MIB"
    )]
    pub block_size_mb: String,
    /// Carry content headers and user metadata over (one HEAD per object).
    #[arg(long, env = "BLOBFLEET_S2S_PRESERVE_PROPERTIES", hide_env_values = true,
          action = clap::ArgAction::Set, num_args = 0..=1, default_value = "true",
          default_missing_value = "true", require_equals = true)]
    pub s2s_preserve_properties: bool,
    /// Objects a copier works on at a time.
    #[arg(long, env = "BLOBFLEET_CONCURRENCY", hide_env_values = true, default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..), value_name = "N")]
    pub concurrency: u16,
    /// Tells jobs apart that are otherwise the same.
    #[arg(
        long,
        env = "BLOBFLEET_JOB_NAME",
        hide_env_values = true,
        value_name = "NAME"
    )]
    pub job_name: Option<String>,
}

/// Where S3 is, and as whom it is asked.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    /// An S3-compatible server instead of Amazon, e.g. http://127.0.0.1:9000.
    #[arg(
        long,
        env = "BLOBFLEET_S3_ENDPOINT",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub s3_endpoint: Option<String>,
    /// Only buckets of this region.
    #[arg(
        long,
        env = "BLOBFLEET_S3_REGION",
        hide_env_values = true,
        value_name = "REGION"
    )]
    pub s3_region: Option<String>,
    /// Ask without credentials, for public buckets.
    #[arg(long, env = "BLOBFLEET_S3_ANONYMOUS", hide_env_values = true,
          action = clap::ArgAction::Set, num_args = 0..=1, default_value = "false",
          default_missing_value = "true", require_equals = true)]
    pub s3_anonymous: bool,
}

/// Where this program keeps what must survive it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "State")]
pub struct StateArgs {
    /// Folder for jobs and their ledgers [default: the XDG state folder]
    #[arg(
        long,
        env = "BLOBFLEET_STATE",
        hide_env_values = true,
        value_name = "DIR"
    )]
    pub state: Option<PathBuf>,
}

/// What a fleet's role needs to work with the others.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Fleet")]
pub struct BrokerArgs {
    /// RabbitMQ, e.g. amqp://USER:PASSWORD@HOST:5672/%2f
    #[arg(
        long,
        env = "BLOBFLEET_BROKER",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub broker: SecretString,
    /// Seconds to wait at start for a broker that is not up yet.
    #[arg(
        long,
        env = "BLOBFLEET_BROKER_WAIT",
        hide_env_values = true,
        default_value_t = 30,
        value_name = "SECONDS"
    )]
    pub broker_wait: u64,
    /// Address to serve /metrics and /healthz on.
    #[arg(
        long,
        env = "BLOBFLEET_LISTEN",
        hide_env_values = true,
        value_name = "ADDR"
    )]
    pub listen: Option<SocketAddr>,
}

/// How results are printed.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// For people or for scripts; with json the last line of stdout is the summary.
    #[arg(long, env = "BLOBFLEET_OUTPUT_TYPE", hide_env_values = true, value_enum,
          default_value_t = OutputType::Text, ignore_case = true, value_name = "TYPE")]
    pub output_type: OutputType,
}

/// How much is logged, to stderr.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct LogArgs {
    /// ERROR, WARNING, INFO, DEBUG, TRACE or NONE, or a filter such as info,lapin=debug.
    #[arg(
        long,
        env = "BLOBFLEET_LOG_LEVEL",
        hide_env_values = true,
        value_name = "LEVEL"
    )]
    pub log_level: Option<String>,
}

/// Text or JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputType {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

impl LogLevel for FrontCli {
    fn log_level(&self) -> Option<&str> {
        match &self.command {
            FrontCommand::Copy(command) => command.log.log_level.as_deref(),
        }
    }
}

impl LogLevel for ListerCli {
    fn log_level(&self) -> Option<&str> {
        self.log.log_level.as_deref()
    }
}

impl LogLevel for CopierCli {
    fn log_level(&self) -> Option<&str> {
        self.log.log_level.as_deref()
    }
}

impl LogLevel for ReporterCli {
    fn log_level(&self) -> Option<&str> {
        self.log.log_level.as_deref()
    }
}
