//! What is wrong with a command line, in one line.
//!
//! Values are not shown: one that went to the wrong place may be a SAS or a password.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::foreign::is_foreign;

/// One line naming the argument, what is wrong with it, and where to read on.
pub fn complaint(error: &clap::Error) -> String {
    format!("{}; see --help", what(error))
}

fn what(error: &clap::Error) -> String {
    let argument = bare(&text(error, ContextKind::InvalidArg));
    match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let meant = text(error, ContextKind::SuggestedArg);
            let meant = if meant.is_empty() || is_foreign(&meant) {
                String::new()
            } else {
                format!(" (did you mean {meant}?)")
            };
            format!("there is no flag {argument}{meant}")
        }
        ErrorKind::UnknownArgument => {
            "there is an argument too many, or a value that belongs after = as in --flag=true"
                .to_owned()
        }
        ErrorKind::InvalidSubcommand => {
            let given = bare(&text(error, ContextKind::InvalidSubcommand));
            format!("there is no command {given}")
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = text(error, ContextKind::InvalidArg);
            format!("missing: {missing}")
        }
        ErrorKind::ValueValidation if argument.is_empty() => own(error),
        ErrorKind::ArgumentConflict => format!("{argument} is given twice, or against another"),
        _ => format!("{argument} is given a value it cannot have{}", why(error)),
    }
}

/// An error we raised ourselves: its text is its message.
fn own(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// What the value would have to be.
fn why(error: &clap::Error) -> String {
    let valid = text(error, ContextKind::ValidValue);
    if !valid.is_empty() {
        return format!(": choose from {valid}");
    }
    let value = text(error, ContextKind::InvalidValue);
    let Some(cause) = error.source() else {
        return String::new();
    };
    let cause = cause.to_string();
    let cause = if value.is_empty() {
        cause
    } else {
        cause.replace(&value, "it")
    };
    format!(": {cause}")
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}

/// Up to where a value or a query may begin.
fn bare(argument: &str) -> String {
    let end = argument.find(['=', '?', '[', ' ', '@']);
    argument.chars().take(end.unwrap_or(80)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CopierCli, FrontCli, parse};

    #[test]
    fn one_line_names_the_argument_and_no_value() {
        for (arguments, parts) in [
            (
                &["blobfleet", "copy"][..],
                &["<SOURCE>", "<DESTINATION>"][..],
            ),
            (&["blobfleet", "copy", "a", "b", "S3CR3T"], &["too many"]),
            (&["blobfleet", "S3:?S3CR3T"], &["no command S3:;"]),
            (
                &["blobfleet", "copy", "a", "b", "--recursiv"],
                &["--recursiv ", "--recursive?"],
            ),
            (
                &["blobfleet", "copy", "a", "b", "--sas=S3CR3T"],
                &["--sas;"],
            ),
            (
                &["blobfleet", "copy", "a", "b", "--recursive=S3CR3T"],
                &["--recursive ", "true, false"],
            ),
            (
                &["blobfleet", "copy", "a", "b", "--recursive", "S3CR3T"],
                &["=true"],
            ),
            (
                &["blobfleet", "copy", "a", "b", "--concurrency", "65536"],
                &["--concurrency ", "it is not in 1..=65535"],
            ),
            (
                &["blobfleet", "copy", "a", "b", "--concurrency", "S3CR3T"],
                &["invalid digit"],
            ),
            (
                &["blobfleet", "copy", "a", "b", "--listen", "S3CR3T"],
                &["--listen ", "socket address"],
            ),
            (
                &["blobfleet", "copy", "a", "b", "--output-type", "S3CR3T"],
                &["text, json"],
            ),
        ] {
            let error = parse::<FrontCli>(arguments.iter()).unwrap_err();
            check(&error, parts);
        }
        let error = parse::<CopierCli>(["copier"]).unwrap_err();
        check(&error, &["--broker"]);
    }

    fn check(error: &clap::Error, parts: &[&str]) {
        let line = complaint(error);
        for part in parts {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(line.ends_with("; see --help"), "{line}");
        assert!(!line.contains("S3CR3T") && !line.contains('\n'), "{line}");
    }
}
