//! `blobfleet jobs`: on the state folder of this machine, or by the API of a fleet's reporter.

pub(super) mod cancel;
mod clean;
pub(super) mod list;
mod records;
mod remote;
mod repair;
mod resume;
mod retry;
mod show;

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use self::remote::Remote;
use crate::clock::Clock;
use crate::command::azcopy_json::JobSummary;
use crate::command::output::Output;
use crate::command::report;
use crate::config::{Env, JobsArgs, JobsCommand, OutputType};
use crate::failure::{Failure, Reason, Result};
use crate::job::JobId;
use crate::process::say;
use crate::reporter::summary::Summary;

/// Runs the command; gives the exit code.
///
/// # Errors
/// There is no such job, it is not in a state for this, or it cannot be read: one line.
pub async fn run(command: JobsCommand, env: Env, shutdown: CancellationToken) -> Result<u8> {
    let clock = Clock::system();
    let output = Output::new(&command.args().output, clock.clone());
    let done = dispatch(command, (&output, &clock), env, shutdown).await;
    output.told(done)
}

async fn dispatch(
    command: JobsCommand,
    (output, clock): (&Output, &Clock),
    env: Env,
    shutdown: CancellationToken,
) -> Result<u8> {
    match command {
        JobsCommand::List(command) => list::run(&command, output, clock).await,
        JobsCommand::Show(command) => show::run(&command, output, clock).await,
        JobsCommand::Resume(command) => {
            only_here(&command.jobs, "resume")?;
            resume::run(*command, output, env, shutdown).await
        }
        JobsCommand::Retry(command) => retry::run(*command, output, env, shutdown).await,
        JobsCommand::Repair(command) => repair::run(&command, output, clock).await,
        JobsCommand::Cancel(command) => cancel::run(&command, output, clock).await,
        JobsCommand::Remove(command) => {
            only_here(&command.jobs, "remove")?;
            clean::remove(&command, output)
        }
        JobsCommand::Clean(command) => {
            only_here(&command.jobs, "clean")?;
            clean::clean(&command, output)
        }
    }
}

/// Prints where a job stands after something was done to it.
fn told(output: &Output, summary: &Summary) -> Result<()> {
    match output.kind {
        OutputType::Text => output.line(&report::text(summary)),
        OutputType::Json => output.json(summary),
        OutputType::AzcopyJson => output.azcopy("EndOfJob", &JobSummary::of(summary)),
    }
}

/// A lister ends once its job is listed, and nobody else would say that one is missing.
fn say_who_lists(job: &JobId, told: bool) {
    say(&format!(
        "job {job}: it goes on while a lister runs; start one, without a source, where none does"
    ));
    if !told {
        say(&format!(
            "job {job}: the fleet has not heard of it yet, for instance because the broker is away; \
             a lister that is started before it has takes the job as it was"
        ));
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

/// Refuses for a fleet what a fleet does by itself.
fn only_here(args: &JobsArgs, what: &str) -> Result<()> {
    if args.reporter.is_none() {
        return Ok(());
    }
    let instead = match what {
        "resume" => "a fleet's jobs go on by themselves as long as its roles run",
        _ => "a fleet's jobs stay in its reporter's ledger",
    };
    Err(Failure::stop(
        Reason::Usage,
        format!(
            "jobs {what} is for jobs of this machine, and {instead}: leave --reporter out for \
             those of this machine"
        ),
    ))
}
