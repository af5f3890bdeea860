//! `blobfleet jobs`: on the state folder of this machine, or by the API of a fleet's reporter.

pub(super) mod cancel;
mod clean;
mod list;
mod remote;
mod resume;
mod show;

use std::path::PathBuf;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::remote::Remote;
use crate::clock::Clock;
use crate::config::{Env, JobsArgs, JobsCommand};
use crate::failure::{Failure, Reason, Result};

/// Runs the command; gives the exit code.
///
/// # Errors
/// There is no such job, it is not in a state for this, or it cannot be read: one line.
pub async fn run(command: JobsCommand, env: Env, shutdown: CancellationToken) -> Result<u8> {
    let clock = Clock::system();
    match command {
        JobsCommand::List(command) => list::run(&command, &clock).await,
        JobsCommand::Show(command) => show::run(&command, &clock).await,
        JobsCommand::Resume(command) => {
            only_here(&command.jobs, "resume")?;
            resume::run(*command, env, shutdown).await
        }
        JobsCommand::Cancel(command) => cancel::run(&command, &clock).await,
        JobsCommand::Remove(command) => {
            only_here(&command.jobs, "remove")?;
            clean::remove(&command)
        }
        JobsCommand::Clean(command) => {
            only_here(&command.jobs, "clean")?;
            clean::clean(&command)
        }
    }
}

/// Where the jobs are.
enum Place {
    /// In a state folder of this machine.
    Here(PathBuf),
    /// In a fleet.
    Fleet(Remote),
}

impl Place {
    fn of(args: &JobsArgs) -> Result<Self> {
        match &args.reporter {
            Some(url) => Ok(Self::Fleet(Remote::new(url)?)),
            None => Ok(Self::Here(args.state.folder()?)),
        }
    }
}

/// One line of JSON.
fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Failure::stop(Reason::Internal, format!("no JSON: {error}")))
}

/// Refuses for a fleet what a fleet does by itself.
fn only_here(args: &JobsArgs, what: &str) -> Result<()> {
    if args.reporter.is_none() {
        return Ok(());
    }
    let instead = match what {
        "resume" => "a fleet's jobs go on by themselves as long as its roles run",
        _ => "a fleet's jobs stay in its reporter's ledger; to begin anew give it another --state",
    };
    Err(Failure::stop(
        Reason::Usage,
        format!("jobs {what} is for jobs of this machine: {instead}: leave --reporter out"),
    ))
}
