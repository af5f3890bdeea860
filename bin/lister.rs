//! The `lister` role of a fleet.

use std::process::ExitCode;

use blobfleet::command::lister;
use blobfleet::config::{ListerCli, environment};
use blobfleet::process;

fn main() -> ExitCode {
    process::main(async |cli: ListerCli, shutdown| lister::run(cli, environment, shutdown).await)
}
