//! How much is logged, and where: to stderr, and into the log of the job at hand.

mod job;

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub(crate) use job::{broken as job_log_broken, open as open_job_log};

use crate::failure::{Failure, Reason, Result};

/// Libraries whose lower levels print what may hold secrets: provider errors, commands, headers.
const QUIET: [&str; 8] = [
    "aws_config=error",
    "aws_runtime=error",
    "aws_smithy_runtime=error",
    "aws_sigv4=error",
    "azure_core=error",
    "azure_identity=error",
    "typespec_client_core=error",
    "hyper_util=warn",
];

/// What is logged where nothing else is asked for.
///
/// lapin calls every closing of a channel an error; what is one, we say ourselves.
const USUAL: &str = "warn,blobfleet=info,lapin=off";

/// What of it is shown at a terminal, where the rest is in the job's log.
const TERMINAL: &str = "warn,lapin=off";

/// The target of the lines that say how an object ended: one for each that failed or was skipped,
/// in the job's log alone.
pub(crate) const OBJECTS: &str = "blobfleet::object";

/// The target of a copier's own line about an object that failed, which the job's log has from the
/// ledger.
pub(crate) const COPIERS: &str = "blobfleet::copier::object";

/// Whom a program logs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Who operates it: everything goes to stderr.
    Operator,
    /// Who sits at the terminal: warnings and errors, unless more is asked for.
    User,
    /// The same, and a file for the job it works on.
    UserAndJob,
}

/// Starts logging at a level, or by a filter.
///
/// # Errors
/// [`Reason::Usage`]: it is neither.
pub(crate) fn start(level: Option<&str>, audience: Audience) -> Result<()> {
    let asked = asked(level)?;
    let shown = match (audience, asked) {
        (Audience::User | Audience::UserAndJob, USUAL) => TERMINAL,
        (_, asked) => asked,
    };
    let objects = format!("{OBJECTS}=off");
    let terminal = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .with_filter(directive(filter(shown)?, &objects));
    let file = (audience == Audience::UserAndJob && asked != "off").then(|| {
        job::expect();
        filter(asked)
    });
    let file = file.transpose()?.map(|filter| {
        tracing_subscriber::fmt::layer()
            .with_writer(job::JobLog)
            .with_ansi(false)
            .with_target(false)
            .with_filter(filter.and(filter_fn(|event| event.target() != COPIERS)))
    });
    let logging = tracing_subscriber::registry().with(terminal).with(file);
    if logging.try_init().is_err() {
        tracing::debug!("logging was set up before");
    }
    Ok(())
}

/// The rules that a level stands for.
fn asked(level: Option<&str>) -> Result<&str> {
    // The text is not repeated: whatever was meant for another variable may be in it.
    level.map_or(Some(USUAL), rules).ok_or_else(no_level)
}

fn no_level() -> Failure {
    Failure::stop(
        Reason::Usage,
        "--log-level is given no level: give ERROR, WARNING, INFO, DEBUG, TRACE or NONE, or a \
         filter such as info,lapin=debug",
    )
}

fn filter(rules: &str) -> Result<EnvFilter> {
    let filter = EnvFilter::try_new(rules).map_err(|_| no_level())?;
    Ok(QUIET.into_iter().fold(filter, directive))
}

/// The filter with one more rule, of ours.
fn directive(filter: EnvFilter, rule: &str) -> EnvFilter {
    match rule.parse() {
        Ok(rule) => filter.add_directive(rule),
        Err(_) => filter,
    }
}

/// The rules of a level; of a filter, itself. A single word that is no level would be taken for
/// the name of a module, and log nothing.
fn rules(level: &str) -> Option<&str> {
    Some(match level.to_ascii_uppercase().as_str() {
        "NONE" | "OFF" => "off",
        "ERROR" => "error",
        "WARNING" | "WARN" => "warn",
        "INFO" => USUAL,
        "DEBUG" => "info,blobfleet=debug",
        "TRACE" => "info,blobfleet=trace",
        _ if level.contains(['=', ',']) => level,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(level: Option<&str>) -> Result<EnvFilter> {
        filter(asked(level)?)
    }

    #[test]
    fn levels_and_filters_are_read() {
        for level in [
            "none",
            "Error",
            "WARNING",
            "info",
            "DEBUG",
            "trace",
            "info,lapin=debug",
        ] {
            assert!(read(Some(level)).is_ok(), "{level}");
        }
        assert!(read(None).is_ok());
        for level in ["loud", "", "blobfleet", "a=b=c", "info,,lapin=loudly"] {
            let failure = read(Some(level)).unwrap_err();
            assert_eq!(failure.reason, Reason::Usage, "{level}");
            assert!(failure.message.contains("--log-level"), "{failure}");
        }
    }

    #[test]
    fn what_may_print_secrets_stays_quiet_whatever_is_asked_for() {
        for level in [
            "TRACE",
            "trace,aws_config=trace",
            "aws_sigv4=debug,azure_core=trace",
        ] {
            let filter = read(Some(level)).unwrap().to_string();
            for rule in QUIET {
                assert!(filter.contains(rule), "{level}: {filter}");
            }
            assert!(!filter.contains("aws_config=trace"), "{filter}");
        }
    }
}
