//! blobfleet moves Amazon S3 to Azure Blob Storage, server side: it has Azure fetch each object by
//! a presigned URL, so that no byte passes through its own machines.
//!
//! ```text
//!           list tasks                copy tasks                  outcomes
//!  submit ────────────▶ lister ──────────────────▶ copier ──────────────────▶ reporter
//!             ▲            │ page: N objects, what follows                      │  │
//!             └────────────┼────────────────────────────────────────────────────┘  ├▶ ledger
//!               outbox     └───────────────────────────────────────────────────▶   └▶ metrics, API
//! ```
//!
//! Order rules, which make a crash at any point harmless:
//! - lister: copy tasks confirmed → page confirmed → ack.
//! - copier: copied → verified → outcome confirmed → ack.
//! - reporter: folded and durable → ack.
//! - embedded queue: durable → publish returns.
//!
//! Start with [`submit`] (what is copied where), [`message`] (what travels) and
//! [`reporter::book`] (what counts).

pub mod board;
pub mod broker;
pub mod clients;
pub mod clock;
pub mod command;
pub mod config;
pub mod copier;
pub mod destination;
mod expiry;
pub mod failure;
pub mod files;
pub mod filter;
pub mod http;
pub mod job;
pub mod limit;
pub mod lister;
mod logging;
pub mod message;
pub mod metrics;
pub mod pace;
mod patience;
pub mod private;
pub mod process;
pub mod prompt;
pub mod reporter;
pub mod retry;
pub mod serve;
pub mod skip;
pub mod source;
pub mod submit;
pub mod text;
