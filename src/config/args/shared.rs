//! Flags of several programs that are not about what is copied.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use secrecy::SecretString;

use crate::source::settings::Settings;

/// Where S3 is, for whoever submits a job: the job says it to all others.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    /// An S3-compatible server instead of Amazon, e.g. http://127.0.0.1:9000.
    #[arg(long, value_name = "URL")]
    pub s3_endpoint: Option<String>,
    /// Only buckets of this region; of an S3-compatible server, the region it calls its own.
    #[arg(long, value_name = "REGION")]
    pub s3_region: Option<String>,
    /// Where an S3-compatible server wants the bucket: in the path, in the name of the host, or found
    /// out.
    #[arg(long, value_enum, default_value = "auto", value_name = "WHERE")]
    pub s3_addressing: Addressing,
    /// Who pays for requests and transfer: requester, where the bucket's owner wants it so.
    #[arg(long, value_enum, value_name = "WHO")]
    pub s3_request_payer: Option<Payer>,
    #[arg(skip)]
    #[expect(missing_docs, reason = "no flag: what environment and profile say")]
    pub settings: Settings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub access: AccessArgs,
}

/// Where a server wants the bucket's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Addressing {
    /// As it answers.
    #[default]
    Auto,
    /// In the path.
    Path,
    /// In the name of the host.
    Virtual,
}

/// Who pays for what is asked of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Payer {
    /// Who asks.
    Requester,
}

/// As whom S3 is asked; no part of a job.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Source")]
pub struct AccessArgs {
    /// Ask without credentials, for public buckets.
    #[arg(long)]
    pub s3_anonymous: bool,
    /// A file with the 32-byte key (raw or base64) of objects encrypted with a customer's key
    /// (SSE-C); they are relayed.
    #[arg(long, value_name = "FILE")]
    pub s3_sse_c_key_file: Option<PathBuf>,
}

/// How fast objects are copied; no part of a job.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Copying")]
pub struct SpeedArgs {
    /// Most megabits a second this process has copied; 0 is no limit.
    #[arg(long, default_value = "0", value_name = "MBPS")]
    pub cap_mbps: String,
    /// The most requests in flight; how many there are is found out, for each storage account and
    /// each bucket [default: AZCOPY_CONCURRENCY_VALUE, or 2000]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..), value_name = "N")]
    pub concurrency: Option<u16>,
    /// Minutes a bucket is held whose objects are all denied, and tried now and then, before its
    /// objects fail; 0 fails them at once.
    #[arg(long, default_value_t = 30, value_name = "MINUTES")]
    pub hold_denied: u32,
}

/// Where this program keeps what must survive it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "State")]
pub struct StateArgs {
    /// Folder for jobs and their ledgers [default: the XDG state folder]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// What a fleet's role needs to work with the others.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Fleet")]
pub struct BrokerArgs {
    /// RabbitMQ, e.g. amqp://USER:PASSWORD@HOST:5672/%2f
    #[arg(long, value_name = "URL")]
    pub broker: SecretString,
    /// Seconds to wait at start for a broker that is not up yet.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub broker_wait: u64,
    /// Address to serve /metrics, /healthz and /readyz on.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

/// How results are printed.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// For people, or for scripts: with json the last line of stdout is the summary; azcopy-json
    /// writes AzCopy's own messages.
    #[arg(
        long,
        value_enum,
        default_value = "text",
        ignore_case = true,
        value_name = "TYPE"
    )]
    pub output_type: OutputType,
    /// Print everything, only what matters (no progress), or nothing.
    #[arg(
        long,
        value_enum,
        default_value = "default",
        ignore_case = true,
        value_name = "LEVEL"
    )]
    pub output_level: OutputLevel,
}

/// How much is logged.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct LogArgs {
    /// ERROR, WARNING, INFO, DEBUG, TRACE or NONE, or a filter such as info,lapin=debug [default:
    /// INFO]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// Where a job's log goes: everything up to --log-level. stderr has its warnings and errors, and
/// all of it from DEBUG on.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct JobLogArgs {
    /// Folder for the job's log, JOB.log [default: AZCOPY_LOG_LOCATION, or the job's own folder]
    #[arg(long, value_name = "DIR")]
    pub log_location: Option<PathBuf>,
}

/// Text or JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputType {
    /// For people.
    Text,
    /// One object a line.
    Json,
    /// AzCopy's messages, one a line.
    AzcopyJson,
}

/// How much is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputLevel {
    /// Progress and summary.
    Default,
    /// The summary alone.
    Essential,
    /// Nothing but errors.
    Quiet,
}
