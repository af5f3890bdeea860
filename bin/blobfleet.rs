//! The `blobfleet` command.

use std::process::ExitCode;

use blobfleet::command::{copy, jobs};
use blobfleet::config::{FrontCli, FrontCommand, environment};
use blobfleet::process;

fn main() -> ExitCode {
    process::main(async |cli: FrontCli, shutdown| match cli.command {
        FrontCommand::Copy(command) => copy::run(*command, environment, shutdown).await,
        FrontCommand::Jobs(command) => jobs::run(command, environment, shutdown).await,
    })
}
