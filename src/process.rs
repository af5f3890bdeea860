//! What every program does around its work: logging, signals, exit codes.
//!
//! Exit codes: 0 ended with nothing failed; 1 something failed, or the work was interrupted before
//! its end; 2 wrong use.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{self, complaint};
use crate::failure::{Failure, Reason, Result};
use crate::files;
use crate::logging;

pub use crate::logging::Audience;

/// How long work begun may take to finish after a stop; what is left comes back to others.
pub const DRAIN: Duration = Duration::from_secs(20);

/// The exit code of wrong use.
const WRONG_USE: u8 = 2;
/// The exit code of a process that a second signal ended.
const FORCED: u8 = 1;

/// Parses the command line, runs `work` and turns its result into an exit code.
pub fn main<C, F>(work: impl FnOnce(C, CancellationToken) -> F) -> ExitCode
where
    C: CommandFactory + FromArgMatches + LogLevel,
    F: Future<Output = Result<u8>>,
{
    match config::parse::<C>(std::env::args_os()) {
        Ok(cli) => match logging::start(cli.log_level(), cli.audience()) {
            Ok(()) => run(|shutdown| work(cli, shutdown)),
            Err(failure) => failed(&failure),
        },
        Err(error) => misused(&error),
    }
}

/// Runs `work` on a runtime, with a token that the first signal cancels, and turns its result into
/// an exit code.
pub fn run<F>(work: impl FnOnce(CancellationToken) -> F) -> ExitCode
where
    F: Future<Output = Result<u8>>,
{
    if let Err(failure) = files::raise_limit() {
        return failed(&failure);
    }
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
        Err(failure) => failed(&failure),
    }
}

/// A command line that says how much is logged, and for whom.
pub trait LogLevel {
    /// The level or filter, if one was given.
    fn log_level(&self) -> Option<&str>;

    /// Who reads it.
    fn audience(&self) -> Audience {
        Audience::Operator
    }
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

/// Nobody reads stdout any more.
static UNREAD: AtomicBool = AtomicBool::new(false);

/// Is stdout read? Not once a reader such as `head` has gone: what is printed then is lost, which is
/// no failure. Whoever only prints may end; work goes on.
pub fn is_read() -> bool {
    !UNREAD.load(Ordering::Relaxed)
}

/// One line to stdout, as long as somebody reads it.
///
/// # Errors
/// See [`write`].
pub fn print(line: &str) -> Result<()> {
    write(format!("{line}\n").as_bytes())
}

/// Bytes to stdout, as long as somebody reads it.
///
/// # Errors
/// stdout cannot be written, e.g. to a full disk.
pub fn write(text: &[u8]) -> Result<()> {
    if !is_read() {
        return Ok(());
    }
    let mut stdout = io::stdout();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            UNREAD.store(true, Ordering::Relaxed);
            Ok(())
        }
        Err(error) => Err(Failure::stop(
            Reason::LocalState,
            format!("stdout cannot be written: {error}"),
        )),
    }
}

/// The first signal asks for a clean stop; the second stops at once.
async fn signals(shutdown: CancellationToken) -> Result<u8> {
    let unusable = |error| Failure::stop(Reason::Internal, format!("signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(unusable)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unusable)?;
    for stop in [false, true] {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        if stop {
            say("stopped at once; run the same command again to resume");
            break;
        }
        tracing::warn!("{name}: stopping; a second signal stops at once");
        shutdown.cancel();
    }
    Ok(FORCED)
}

fn failed(failure: &Failure) -> ExitCode {
    say(&failure.message);
    ExitCode::from(code_of(failure))
}

/// Help and version go to stdout; help that was not asked for goes to stderr; anything else is one
/// line.
fn misused(error: &clap::Error) -> ExitCode {
    let help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if error.use_stderr() && !help {
        say(&complaint(error));
        return ExitCode::from(WRONG_USE);
    }
    if error.print().is_err() {
        tracing::debug!("the terminal is closed");
    }
    ExitCode::from(if help { WRONG_USE } else { 0 })
}
