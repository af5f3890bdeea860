//! The four programs' command lines.
//!
//! Groups of flags that they share are in the files beside this one; what every flag has
//! (environment variable, `=true` of switches) is added by [`super::command`].

mod carry;
mod copy;
mod examples;
mod jobs;
mod select;
mod shared;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use carry::CarryArgs;
pub use copy::CopyArgs;
pub use jobs::{
    CancelJob, CleanJobs, JobsArgs, JobsCommand, ListJobs, RemoveJob, RepairJob, ResumeJob,
    ShowJob, ShownObjects, StatusFilter,
};
pub use select::SelectArgs;
pub use shared::{
    AccessArgs, Addressing, BrokerArgs, JobLogArgs, LogArgs, OutputArgs, OutputLevel, OutputType,
    Payer, SourceArgs, SpeedArgs, StateArgs,
};

use crate::process::{Audience, LogLevel};

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
    #[command(alias = "cp", after_long_help = examples::COPY)]
    Copy(Box<CopyCommand>),
    /// Look at jobs; resume, retry, cancel or remove them.
    #[command(subcommand, alias = "job", after_long_help = examples::JOBS)]
    Jobs(JobsCommand),
    /// Print completions for a shell.
    #[command(after_long_help = examples::COMPLETIONS)]
    Completions(CompletionsCommand),
    /// Print the manual: a page for each command and program.
    #[command(after_long_help = examples::MAN)]
    Man(ManCommand),
}

/// Prints completions of `blobfleet` for a shell.
#[derive(Clone, Debug, Args)]
pub struct CompletionsCommand {
    /// Which shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the manual, in the format of man(1).
#[derive(Clone, Debug, Args)]
pub struct ManCommand {
    /// Write a file for each page into this folder instead.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Copies in one process, with an embedded queue; run it again to resume.
#[derive(Debug, Args)]
pub struct CopyCommand {
    /// What to copy: s3://BUCKET/KEY, s3:// or an https:// URL of S3.
    pub source: String,
    /// Where to: https://ACCOUNT.blob.core.windows.net[/CONTAINER[/PATH]][?SAS].
    pub destination: String,
    /// Print what would be copied, skipped or failed, and write nothing anywhere.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub copy: CopyArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub speed: SpeedArgs,
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
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub job_log: JobLogArgs,
    /// Address to serve /metrics, /healthz and /readyz on.
    #[arg(long, value_name = "ADDR", help_heading = "Output")]
    pub listen: Option<SocketAddr>,
}

/// Lists S3 and hands the objects to the copiers.
#[derive(Debug, Parser)]
#[command(name = "lister", version, max_term_width = 100)]
pub struct ListerCli {
    /// What to copy; without it, lists for jobs that others submit.
    pub source: Option<String>,
    /// Where to copy to.
    pub destination: Option<String>,
    /// Wait for the job's end and exit with its result.
    #[arg(long)]
    pub wait: bool,
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
    #[arg(long, value_name = "URL")]
    pub destination: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub speed: SpeedArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub access: AccessArgs,
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
    #[arg(long)]
    pub adopt: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub broker: BrokerArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub log: LogArgs,
}

impl LogLevel for FrontCli {
    fn log_level(&self) -> Option<&str> {
        match &self.command {
            FrontCommand::Copy(command) => command.log.log_level.as_deref(),
            FrontCommand::Jobs(command) => command.args().log.log_level.as_deref(),
            FrontCommand::Completions(_) | FrontCommand::Man(_) => None,
        }
    }

    fn audience(&self) -> Audience {
        match &self.command {
            FrontCommand::Copy(_)
            | FrontCommand::Jobs(JobsCommand::Resume(_) | JobsCommand::Retry(_)) => {
                Audience::UserAndJob
            }
            FrontCommand::Jobs(_) | FrontCommand::Completions(_) | FrontCommand::Man(_) => {
                Audience::User
            }
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
