//! The `reporter` role of a fleet.

use std::process::ExitCode;

use blobfleet::command::reporter;
use blobfleet::config::ReporterCli;
use blobfleet::process;

fn main() -> ExitCode {
    process::main(async |cli: ReporterCli, shutdown| reporter::run(cli, shutdown).await)
}
