//! Command lines and environment, for all four programs: one definition each, checked before any
//! socket is opened.
//!
//! Every flag `--flag-name` has the environment variable `BLOBFLEET_FLAG_NAME`; its value is never
//! shown in help, and set to nothing it is unset. Flags that are on or off also take `=true` and
//! `=false`, as AzCopy's scripts write them.

mod args;
mod complaint;
mod sizes;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Command, Parser};
use etcetera::BaseStrategy;

pub use args::{
    BrokerArgs, CopierCli, CopyArgs, CopyCommand, FrontCli, FrontCommand, ListerCli, LogArgs,
    OutputArgs, OutputType, ReporterCli, SourceArgs, StateArgs,
};

pub use complaint::complaint;

use crate::destination::url::DestinationUrl;
use crate::failure::{Failure, Reason, Result};
use crate::job::CopyOptions;
use crate::source::url::SourceUrl;
use crate::submit::Request;

/// Reads a variable of the process's environment; empty is unset.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads a program's command line and environment; a variable set to nothing is unset.
///
/// # Errors
/// What clap finds wrong, or a request for help.
pub fn parse<C: Parser>() -> clap::error::Result<C> {
    let matches = without_empty_variables(C::command()).try_get_matches();
    matches.and_then(|mut matches| {
        C::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut C::command()))
    })
}

/// Docker Compose passes on as empty what nobody has set; clap would take that for a value.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| match arg.get_env() {
            Some(name) if is_empty(name) => arg.env(Resettable::Reset),
            _ => arg,
        })
        .mut_subcommands(without_empty_variables)
}

/// A lookup into an environment.
pub type Env = fn(&str) -> Option<String>;

impl SourceArgs {
    /// The S3-compatible server in use, if any: the flag, then what the AWS tools read.
    pub fn endpoint(&self, env: Env) -> Option<String> {
        self.s3_endpoint
            .clone()
            .or_else(|| env("AWS_ENDPOINT_URL_S3"))
            .or_else(|| env("AWS_ENDPOINT_URL"))
    }

    /// Reads the source argument with the flags that belong to it.
    ///
    /// # Errors
    /// See [`SourceUrl::parse`].
    pub fn source(&self, text: &str, env: Env) -> Result<SourceUrl> {
        let source = SourceUrl::parse(text, self.endpoint(env).as_deref())?;
        match &self.s3_region {
            Some(region) => source.with_region(region),
            None => Ok(source),
        }
    }
}

impl CopyArgs {
    /// What changes how objects are copied.
    ///
    /// # Errors
    /// A size out of range.
    pub fn options(&self) -> Result<CopyOptions> {
        Ok(CopyOptions {
            put_blob_size: sizes::put_blob_size(&self.put_blob_size_mb)?,
            block_size: sizes::block_size(&self.block_size_mb)?,
            preserve_properties: self.s2s_preserve_properties,
        })
    }

    /// The whole request.
    ///
    /// # Errors
    /// A source or destination that cannot be used, or a size out of range.
    pub fn request(
        &self,
        source: &SourceArgs,
        (from, to): (&str, &str),
        env: Env,
    ) -> Result<Request> {
        Ok(Request {
            source: source.source(from, env)?,
            destination: DestinationUrl::parse(to)?,
            recursive: self.recursive,
            as_subdir: self.as_subdir,
            options: self.options()?,
            job_name: self.job_name.clone(),
        })
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
