//! AzCopy's flags that mean nothing here: scripts give them, so they are accepted with a warning
//! where they change nothing for S3, and refused by name with the reason where they would.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Error};

use crate::process::say;

/// A flag of AzCopy's that copies of S3 do not know.
struct Foreign {
    name: &'static str,
    /// Why it is refused; none where it is without effect.
    refused: Option<&'static str>,
}

const fn idle(name: &'static str) -> Foreign {
    Foreign {
        name,
        refused: None,
    }
}

const fn refused(name: &'static str, why: &'static str) -> Foreign {
    Foreign {
        name,
        refused: Some(why),
    }
}

const FILES_ONLY: &str = "it is about files, and S3 has objects";

/// What AzCopy 10.32 has for `copy` beyond our own flags.
const FOREIGN: [Foreign; 36] = [
    idle("cancel-from-stdin"),
    idle("check-version"),
    idle("debug-skip-files"),
    idle("disable-auto-decoding"),
    idle("exclude-blob-type"),
    idle("no-guess-mime-type"),
    idle("page-blob-tier"),
    idle("put-md5"),
    idle("request-priority"),
    idle("retry-status-codes"),
    idle("s2s-get-properties-in-backend"),
    idle("skip-version-check"),
    idle("trailing-dot"),
    idle("trusted-microsoft-suffixes"),
    refused("backup", FILES_ONLY),
    refused(
        "check-md5",
        "it is about downloads; content is proved by digests as it is",
    ),
    refused(
        "cpk-by-name",
        "encryption scopes are not supported: set a default on the container",
    ),
    refused(
        "cpk-by-value",
        "customer-provided keys are not supported at the destination",
    ),
    refused("decompress", "bytes do not pass through this machine"),
    refused("delete-destination-file", FILES_ONLY),
    refused("exclude-attributes", FILES_ONLY),
    refused("follow-symlinks", FILES_ONLY),
    refused("force-if-read-only", FILES_ONLY),
    refused("hardlinks", FILES_ONLY),
    refused("include-attributes", FILES_ONLY),
    refused("include-root", FILES_ONLY),
    refused("preserve-info", FILES_ONLY),
    refused(
        "preserve-last-modified-time",
        "Azure sets a blob's time itself: --s2s-source-metadata=last-modified keeps the object's",
    ),
    refused("preserve-owner", FILES_ONLY),
    refused("preserve-permissions", FILES_ONLY),
    refused("preserve-posix-properties", FILES_ONLY),
    refused("preserve-smb-info", FILES_ONLY),
    refused("preserve-smb-permissions", FILES_ONLY),
    refused("preserve-symlinks", FILES_ONLY),
    refused("s2s-preserve-acl", "blobs have no access control lists"),
    refused("as-root", FILES_ONLY),
];

/// Is this, dashes included, a flag that only AzCopy has?
pub(super) fn is_foreign(flag: &str) -> bool {
    let name = flag.trim_start_matches('-');
    FOREIGN.iter().any(|foreign| foreign.name == name)
}

/// Lets the commands that copy take AzCopy's other flags too, unseen in help.
pub(super) fn tolerate(command: Command) -> Command {
    let copies = command
        .get_arguments()
        .any(|arg| arg.get_id() == "as_subdir");
    let command = command.mut_subcommands(tolerate);
    if !copies {
        return command;
    }
    command.args(FOREIGN.iter().map(|foreign| {
        Arg::new(foreign.name)
            .long(foreign.name)
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide(true)
    }))
}

/// Warns of flags without effect.
///
/// # Errors
/// A flag that is refused; the error names it and says why.
pub(super) fn judge(command: &mut Command, matches: &ArgMatches) -> Result<(), Error> {
    let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
    for foreign in &FOREIGN {
        let given = matches
            .try_contains_id(foreign.name)
            .is_ok_and(|given| given)
            && matches.value_source(foreign.name) == Some(ValueSource::CommandLine);
        let off = given && is_off(matches, foreign.name);
        match foreign.refused {
            Some(why) if given && !off => {
                let line = format!("--{} is not supported: {why}", foreign.name);
                return Err(command.error(ErrorKind::ValueValidation, line));
            }
            None if given => say(&format!("--{} has no effect for S3", foreign.name)),
            _ => {}
        }
    }
    Ok(())
}

/// Switched off, a flag asks for nothing.
fn is_off(matches: &ArgMatches, name: &str) -> bool {
    matches
        .get_one::<String>(name)
        .is_some_and(|value| value.eq_ignore_ascii_case("false"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::{FrontCli, complaint, parse};

    fn line(flag: &str) -> Result<(), String> {
        let arguments = [
            "blobfleet",
            "copy",
            "s3://b",
            "http://127.0.0.1:1/a/c",
            flag,
        ];
        parse::<FrontCli>(arguments)
            .map(drop)
            .map_err(|error| complaint(&error))
    }

    #[test]
    fn what_does_nothing_for_s3_is_accepted() {
        for flag in ["--put-md5", "--trailing-dot=Enable", "--decompress=false"] {
            line(flag).unwrap();
        }
    }

    #[test]
    fn what_would_do_something_is_refused_by_name() {
        for (flag, part) in [
            ("--preserve-last-modified-time", "--s2s-source-metadata"),
            ("--preserve-permissions=true", "files"),
            ("--cpk-by-name=scope", "not supported"),
        ] {
            let complaint = line(flag).unwrap_err();
            let name = flag.split('=').next().unwrap();
            assert!(complaint.contains(name), "{complaint}");
            assert!(complaint.contains(part), "{complaint}");
        }
    }

    #[test]
    fn none_of_them_is_a_flag_of_ours() {
        let copy = FrontCli::command().find_subcommand("copy").unwrap().clone();
        for foreign in &FOREIGN {
            let ours = copy
                .get_arguments()
                .any(|arg| arg.get_long() == Some(foreign.name));
            assert!(!ours, "--{}", foreign.name);
        }
    }
}
