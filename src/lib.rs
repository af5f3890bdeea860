//! blobfleet moves Amazon S3 to Azure Blob Storage, server side.

pub mod broker;
pub mod clock;
pub mod failure;
pub mod http;
pub mod job;
pub mod message;
pub mod source;
