//! The four programs: from a parsed command line to running roles and an exit code.

mod absence;
mod again;
mod azcopy_json;
pub mod copier;
pub mod copy;
mod dry_run;
mod fleet;
pub mod jobs;
pub mod lister;
pub mod manual;
mod output;
mod progress;
mod report;
pub mod reporter;
mod run;
mod state;
mod wiring;
