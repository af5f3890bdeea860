//! Command lines and environment, for all four programs: one definition each, checked before any
//! socket is opened.
//!
//! `args` holds the flags, `command` what every flag has, `foreign` AzCopy's flags that mean nothing
//! here; `options` turns them into what a job carries.

mod args;
mod command;
mod complaint;
mod foreign;
mod lists;
mod options;
mod sizes;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, FromArgMatches};
use etcetera::BaseStrategy;

pub use args::{
    AccessArgs, Addressing, BrokerArgs, CancelJob, CarryArgs, CleanJobs, CompletionsCommand,
    CopierCli, CopyArgs, CopyCommand, FrontCli, FrontCommand, JobLogArgs, JobsArgs, JobsCommand,
    ListJobs, ListerCli, LogArgs, ManCommand, OutputArgs, OutputLevel, OutputType, Payer,
    RemoveJob, RepairJob, ReporterCli, ResumeJob, SelectArgs, ShowJob, ShownObjects, SourceArgs,
    SpeedArgs, StateArgs, StatusFilter,
};
pub use command::{Blank, command};
pub use complaint::complaint;

use crate::failure::{Failure, Reason, Result};
use crate::job::JobId;
use crate::source::url::SourceUrl;

/// Reads a variable of the process's environment; empty is unset.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Is this variable set to nothing? Then it counts as unset.
pub fn is_blank(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value.is_empty())
}

/// Reads a command line, and the environment where it is silent.
///
/// # Errors
/// What [`complaint`] puts into a line; help and version too.
pub fn parse<C: CommandFactory + FromArgMatches>(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> clap::error::Result<C> {
    let mut command = foreign::tolerate(command::<C>(is_blank));
    let matches = command.try_get_matches_from_mut(arguments)?;
    foreign::judge(&mut command, &matches)?;
    C::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// A lookup into an environment.
pub type Env = fn(&str) -> Option<String>;

impl SourceArgs {
    /// The S3-compatible server in use for a source, if any: the flag, then what the AWS tools read.
    /// A URL of Amazon's means what it says, whatever a profile adds.
    pub fn endpoint(&self, text: &str, env: Env) -> Option<String> {
        let profile = self.settings.endpoint.clone();
        self.s3_endpoint
            .clone()
            .or_else(|| env("AWS_ENDPOINT_URL_S3"))
            .or_else(|| env("AWS_ENDPOINT_URL"))
            .or_else(|| profile.filter(|_| text.starts_with("s3:")))
    }

    /// Reads the source argument with the flags that belong to it.
    ///
    /// # Errors
    /// See [`SourceUrl::parse`].
    pub fn source(&self, text: &str, env: Env) -> Result<SourceUrl> {
        let source = SourceUrl::parse(text, self.endpoint(text, env).as_deref())?;
        let source = match &self.s3_region {
            Some(region) => source.with_region(region)?,
            None => source,
        };
        let source = source.with_settings(&self.settings);
        match self.s3_addressing {
            Addressing::Auto => Ok(source),
            addressing => source.with_addressing(addressing == Addressing::Virtual),
        }
    }
}

impl JobLogArgs {
    /// The log of a job whose folder is `folder`: there, or in the folder that is asked for.
    pub fn path(&self, env: Env, folder: &Path, job: &JobId) -> PathBuf {
        let given = self.log_location.clone();
        let location = given.or_else(|| env("AZCOPY_LOG_LOCATION").map(PathBuf::from));
        match location {
            Some(location) => location.join(format!("{job}.log")),
            None => folder.join("job.log"),
        }
    }
}

impl StateArgs {
    /// The state folder: the flag, or the XDG state folder.
    ///
    /// # Errors
    /// There is no home folder to find the default in.
    pub fn folder(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.state {
            return Ok(folder.clone());
        }
        let strategy = etcetera::base_strategy::Xdg::new().map_err(|error| {
            Failure::stop(
                Reason::Usage,
                format!("no state folder: {error}: give --state"),
            )
        })?;
        let base = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
        Ok(base.join("blobfleet"))
    }
}
