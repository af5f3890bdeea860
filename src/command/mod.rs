//! The four programs: from a parsed command line to running roles and an exit code.

mod absence;
pub mod copier;
pub mod copy;
mod dry_run;
mod fleet;
pub mod jobs;
pub mod lister;
mod progress;
mod report;
pub mod reporter;
mod run;
mod state;
mod wiring;
