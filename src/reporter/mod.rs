//! The reporter.
pub mod book;
pub mod ledger;
pub mod summary;
