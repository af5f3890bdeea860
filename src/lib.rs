//! blobfleet moves Amazon S3 to Azure Blob Storage, server side.

pub mod board;
pub mod broker;
pub mod clock;
pub mod destination;
pub mod failure;
pub mod http;
pub mod job;
pub mod message;
pub mod metrics;
pub mod reporter;
pub mod retry;
pub mod serve;
