//! Azure Blob Storage: where the objects go.
//!
//! [`url`] reads what the user typed, [`auth`] finds the credential, [`client`] speaks to the
//! service; [`naming`] and [`metadata`] decide, without any I/O, what a bucket, a key and its
//! properties become; [`crc`] reads the digest Azure answers with.

pub mod auth;
pub mod client;
pub mod crc;
mod disposition;
pub mod metadata;
pub mod naming;
pub mod sas;
pub mod tags;
pub mod url;
