//! What every flag of every program has, added in one place.
//!
//! - `--flag-name` has the environment variable `BLOBFLEET_FLAG_NAME`; so have SOURCE and
//!   DESTINATION. Its value is never shown in help, and one set to nothing is unset.
//! - A flag that is on or off takes `=true` and `=false`, as AzCopy's scripts write them.

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command, CommandFactory};

/// Is this variable set to nothing?
pub type Blank = fn(&str) -> bool;

/// Arguments without a name of their own that have a variable all the same.
const PLACES: [&str; 2] = ["source", "destination"];

/// The complete command line of a program.
pub fn command<C: CommandFactory>(blank: Blank) -> Command {
    complete(C::command(), blank)
}

fn complete(command: Command, blank: Blank) -> Command {
    command
        .mut_args(|arg| with_variable(with_value(arg), blank))
        .mut_subcommands(|command| complete(command, blank))
}

/// A switch that takes `=true` and `=false`.
fn with_value(arg: Arg) -> Arg {
    if !matches!(arg.get_action(), ArgAction::SetTrue) {
        return arg;
    }
    let on_by_default = !arg.get_default_values().is_empty();
    let arg = arg
        .action(ArgAction::Set)
        .value_parser(ValueParser::bool())
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_name("true|false")
        .hide_possible_values(true);
    if on_by_default {
        arg
    } else {
        arg.default_value("false")
    }
}

fn with_variable(arg: Arg, blank: Blank) -> Arg {
    let id = arg.get_id().to_string();
    let named = arg.get_long().is_some() && !matches!(id.as_str(), "help" | "version");
    if !named && !PLACES.contains(&id.as_str()) {
        return arg;
    }
    let name = match arg.get_long() {
        Some(long) => variable(long),
        None => variable(&id),
    };
    let arg = arg.hide_env_values(true);
    // clap would take a variable that is set to nothing for a value.
    if blank(&name) { arg } else { arg.env(name) }
}

/// The variable of a flag.
fn variable(name: &str) -> String {
    format!("BLOBFLEET_{}", name.replace('-', "_").to_uppercase())
}
