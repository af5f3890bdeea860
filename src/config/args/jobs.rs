//! `blobfleet jobs`: what there is to ask about jobs, and to do with them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use secrecy::SecretString;

use super::{AccessArgs, JobLogArgs, LogArgs, OutputArgs, SpeedArgs, StateArgs};
use crate::job::JobStatus;

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List jobs, newest first.
    #[command(alias = "ls")]
    List(ListJobs),
    /// Show a job's summary and the objects that failed or were skipped.
    Show(ShowJob),
    /// Go on with a job that was interrupted.
    Resume(Box<ResumeJob>),
    /// Put back what failed of a job, and go on with it.
    Retry(Box<ResumeJob>),
    /// List anew what is open of a running job whose messages the broker lost.
    ///
    /// Where nothing was lost, what is open is copied twice and counted once.
    Repair(RepairJob),
    /// End a job where it stands; it cannot be resumed.
    Cancel(CancelJob),
    /// Remove what is kept of a job that has ended.
    #[command(alias = "rm")]
    Remove(RemoveJob),
    /// Remove what is kept of all jobs that have ended.
    Clean(CleanJobs),
}

impl JobsCommand {
    /// What every one of them has.
    pub fn args(&self) -> &JobsArgs {
        match self {
            Self::List(command) => &command.jobs,
            Self::Show(command) => &command.jobs,
            Self::Resume(command) | Self::Retry(command) => &command.jobs,
            Self::Repair(command) => &command.jobs,
            Self::Cancel(command) => &command.jobs,
            Self::Remove(command) => &command.jobs,
            Self::Clean(command) => &command.jobs,
        }
    }
}

/// Where jobs are looked for, and how they are shown.
#[derive(Clone, Debug, Args)]
pub struct JobsArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub state: StateArgs,
    /// A fleet's jobs instead: its reporter's --listen address, e.g. http://127.0.0.1:8080
    #[arg(long, value_name = "URL", help_heading = "Fleet")]
    pub reporter: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub output: OutputArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub log: LogArgs,
}

/// Lists jobs, newest first.
#[derive(Clone, Debug, Args)]
pub struct ListJobs {
    /// Only jobs that stand so.
    #[arg(
        long,
        value_enum,
        default_value = "all",
        ignore_case = true,
        value_name = "STATUS"
    )]
    pub with_status: StatusFilter,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub jobs: JobsArgs,
}

/// Shows one job.
#[derive(Clone, Debug, Args)]
pub struct ShowJob {
    /// The job's id, or enough of its beginning.
    pub job: String,
    /// Which objects to show after the summary [default: Failed]
    #[arg(long, value_enum, ignore_case = true, value_name = "STATUS")]
    pub with_status: Option<ShownObjects>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub jobs: JobsArgs,
}

/// Goes on with a job that was interrupted, as its copy command would if it were run again.
#[derive(Clone, Debug, Args)]
pub struct ResumeJob {
    /// The job's id, or enough of its beginning.
    pub job: String,
    /// A SAS for the destination; jobs keep none.
    #[arg(long, value_name = "SAS", help_heading = "Destination")]
    pub destination_sas: Option<SecretString>,
    /// Ask S3 without credentials, for public buckets.
    #[arg(long, help_heading = "Source")]
    pub s3_anonymous: bool,
    /// The key file the job was begun with (SSE-C).
    #[arg(long, value_name = "FILE", help_heading = "Source")]
    pub s3_sse_c_key_file: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub speed: SpeedArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub jobs: JobsArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub job_log: JobLogArgs,
    /// Address to serve /metrics, /healthz and /readyz on.
    #[arg(long, value_name = "ADDR", help_heading = "Output")]
    pub listen: Option<SocketAddr>,
}

impl ResumeJob {
    /// What of the source's flags is no part of the job.
    pub fn access(&self) -> AccessArgs {
        AccessArgs {
            s3_anonymous: self.s3_anonymous,
            s3_sse_c_key_file: self.s3_sse_c_key_file.clone(),
        }
    }
}

/// Lists anew what is open of a running job whose messages the broker lost, for instance because
/// a queue was purged. What its pages had brought is withdrawn first, so that the totals stay exact.
#[derive(Clone, Debug, Args)]
pub struct RepairJob {
    /// The job's id, or enough of its beginning.
    pub job: String,
    /// Even where messages of the job wait at a fleet's broker.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub jobs: JobsArgs,
}

/// Ends a job where it stands.
#[derive(Clone, Debug, Args)]
pub struct CancelJob {
    /// The job's id, or enough of its beginning.
    pub job: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub jobs: JobsArgs,
}

/// Removes what is kept of one job: its queue, its ledger and its log.
#[derive(Clone, Debug, Args)]
pub struct RemoveJob {
    /// The job's id, or enough of its beginning.
    pub job: String,
    /// Remove a job that was interrupted too; it cannot be resumed then.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub jobs: JobsArgs,
}

/// Removes what is kept of all jobs that have ended.
#[derive(Clone, Debug, Args)]
pub struct CleanJobs {
    /// Only jobs that ended so.
    #[arg(
        long,
        value_enum,
        default_value = "all",
        ignore_case = true,
        value_name = "STATUS"
    )]
    pub with_status: StatusFilter,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a group; its flags are documented")]
    pub jobs: JobsArgs,
}

/// Jobs of one status, by AzCopy's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum StatusFilter {
    /// All of them.
    All,
    /// Under way.
    #[value(alias = "InProgress")]
    Running,
    /// Stopped before their end.
    #[value(alias = "Paused")]
    Interrupted,
    /// Everything copied.
    Completed,
    /// Something was left out.
    CompletedWithSkipped,
    /// Something failed.
    #[value(alias = "CompletedWithFailures")]
    CompletedWithErrors,
    /// Something failed and something was left out.
    #[value(alias = "CompletedWithFailuresAndSkipped")]
    CompletedWithErrorsAndSkipped,
    /// Ended by the user.
    Cancelled,
    /// Nothing was copied.
    Failed,
}

impl StatusFilter {
    /// The one status that passes; none where all do.
    pub fn only(self) -> Option<JobStatus> {
        Some(match self {
            Self::All => return None,
            Self::Running => JobStatus::Running,
            Self::Interrupted => JobStatus::Interrupted,
            Self::Completed => JobStatus::Completed,
            Self::CompletedWithSkipped => JobStatus::CompletedWithSkipped,
            Self::CompletedWithErrors => JobStatus::CompletedWithErrors,
            Self::CompletedWithErrorsAndSkipped => JobStatus::CompletedWithErrorsAndSkipped,
            Self::Cancelled => JobStatus::Cancelled,
            Self::Failed => JobStatus::Failed,
        })
    }

    /// Does a job of this status pass?
    pub fn lets_pass(self, status: JobStatus) -> bool {
        self.only().is_none_or(|only| only == status)
    }
}

/// Which objects of a job are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum ShownObjects {
    /// Those that failed and those that were skipped.
    All,
    /// Those that failed.
    Failed,
    /// Those that were skipped.
    Skipped,
}
