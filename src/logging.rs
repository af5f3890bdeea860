//! How much is logged, to stderr.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

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

/// Starts logging at a level, or by a filter.
///
/// # Errors
/// [`Reason::Usage`]: it is neither.
pub(crate) fn start(level: Option<&str>) -> Result<()> {
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter(level)?)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    if logging.try_init().is_err() {
        tracing::debug!("logging was set up before");
    }
    Ok(())
}

fn filter(level: Option<&str>) -> Result<EnvFilter> {
    let rules = level.map_or(Some(USUAL), rules);
    let filter = rules.and_then(|rules| EnvFilter::try_new(rules).ok());
    // The text is not repeated: whatever was meant for another variable may be in it.
    let filter = filter.ok_or_else(|| {
        Failure::stop(
            Reason::Usage,
            "--log-level is given no level: give ERROR, WARNING, INFO, DEBUG, TRACE or NONE, or a \
             filter such as info,lapin=debug",
        )
    })?;
    let quiet = QUIET.iter().filter_map(|rule| rule.parse().ok());
    Ok(quiet.fold(filter, EnvFilter::add_directive))
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
            assert!(filter(Some(level)).is_ok(), "{level}");
        }
        assert!(filter(None).is_ok());
        for level in ["loud", "", "blobfleet", "a=b=c", "info,,lapin=loudly"] {
            let failure = filter(Some(level)).unwrap_err();
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
            let filter = filter(Some(level)).unwrap().to_string();
            for rule in QUIET {
                assert!(filter.contains(rule), "{level}: {filter}");
            }
            assert!(!filter.contains("aws_config=trace"), "{filter}");
        }
    }
}
