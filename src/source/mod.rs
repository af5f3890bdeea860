//! Amazon S3 and compatible stores: what is named, what is there, and URLs to fetch it by.
//!
//! [`url`] reads what the user names; [`region`] knows hosts; [`credentials`] keeps keys fresh;
//! [`sign`] signs; [`list`] reads listings; [`client`] asks. Object bytes never pass through here:
//! Azure fetches them by a presigned URL.

pub mod client;
pub mod credentials;
pub mod customer_key;
pub(crate) mod encoding;
pub mod list;
pub mod region;
pub mod settings;
pub mod sign;
pub mod url;
