//! The `copier` role of a fleet.

use std::process::ExitCode;

use blobfleet::command::copier;
use blobfleet::config::{CopierCli, environment};
use blobfleet::process;

fn main() -> ExitCode {
    process::main(async |cli: CopierCli, shutdown| copier::run(cli, environment, shutdown).await)
}
