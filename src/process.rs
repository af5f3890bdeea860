//! What every program does around its work: logging, signals, exit codes.
//!
//! Exit codes: 0 ended with nothing failed; 1 something failed, or the work was interrupted before
//! its end; 2 wrong use.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::failure::{Failure, Reason, Result};

/// The exit code of wrong use.
const WRONG_USE: u8 = 2;
/// The exit code of a process that a second signal ended.
const FORCED: u8 = 1;

/// Libraries whose lower levels print what may hold secrets: provider errors, commands, headers.
const QUIET: [&str; 7] = [
    "aws_config=error",
    "aws_smithy_runtime=error",
    "aws_sigv4=error",
    "azure_core=error",
    "azure_identity=error",
    "typespec_client_core=error",
    "hyper_util=warn",
];

/// Parses the command line, runs `work` and turns its result into an exit code.
pub fn main<C, F>(work: impl FnOnce(C, CancellationToken) -> F) -> ExitCode
where
    C: Parser + LogLevel,
    F: Future<Output = Result<u8>>,
{
    match C::try_parse() {
        Ok(cli) => {
            start_logging(cli.log_level());
            run(|shutdown| work(cli, shutdown))
        }
        Err(error) => misused(&error),
    }
}

/// Runs `work` on a runtime, with a token that the first signal cancels, and turns its result into
/// an exit code.
pub fn run<F>(work: impl FnOnce(CancellationToken) -> F) -> ExitCode
where
    F: Future<Output = Result<u8>>,
{
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("no runtime: {error}"));
            return ExitCode::from(1);
        }
    };
    let result = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        tokio::select! {
            result = work(shutdown.clone()) => result,
            forced = signals(shutdown) => forced,
        }
    });
    runtime.shutdown_background();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            say(&failure.message);
            ExitCode::from(code_of(&failure))
        }
    }
}

/// A command line that says how much is logged.
pub trait LogLevel {
    /// The level or filter, if one was given.
    fn log_level(&self) -> Option<&str>;
}

/// The exit code a failure ends a program with.
pub fn code_of(failure: &Failure) -> u8 {
    if failure.reason == Reason::Usage {
        WRONG_USE
    } else {
        1
    }
}

/// One line to stderr; a closed stderr is nobody's problem.
pub fn say(line: &str) {
    if writeln!(io::stderr(), "blobfleet: {line}").is_err() {
        tracing::debug!("stderr is closed");
    }
}

/// One line to stdout.
///
/// # Errors
/// stdout is closed.
pub fn print(line: &str) -> Result<()> {
    writeln!(io::stdout(), "{line}").map_err(|error| {
        Failure::stop(
            Reason::LocalState,
            format!("stdout cannot be written: {error}"),
        )
    })
}

/// The first signal asks for a clean stop; the second stops at once.
async fn signals(shutdown: CancellationToken) -> Result<u8> {
    let unusable = |error| Failure::stop(Reason::Internal, format!("signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(unusable)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unusable)?;
    for stop in [false, true] {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
        if stop {
            say("stopped at once; run the same command again to resume");
            break;
        }
        shutdown.cancel();
    }
    Ok(FORCED)
}

fn misused(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { WRONG_USE } else { 0 };
    if error.print().is_err() {
        tracing::debug!("the terminal is closed");
    }
    ExitCode::from(code)
}

fn start_logging(level: Option<&str>) {
    let filter = level.map_or("warn,blobfleet=info", |level| match level {
        "NONE" | "none" => "off",
        "WARNING" | "warning" => "warn",
        "INFO" | "info" => "warn,blobfleet=info",
        "DEBUG" | "debug" => "info,blobfleet=debug",
        "ERROR" | "error" => "error",
        other => other,
    });
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"));
    let filter = QUIET
        .iter()
        .filter_map(|rule| rule.parse().ok())
        .fold(filter, |filter, rule| filter.add_directive(rule));
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    if logging.try_init().is_err() {
        tracing::debug!("logging was set up before");
    }
}
