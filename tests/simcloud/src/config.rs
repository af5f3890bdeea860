//! How a simulated cloud is set up.

use crate::faults::Faults;
use crate::quirks::Quirk;

/// What is kept of a blob's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// All of them, so that they can be read.
    #[default]
    Bytes,
    /// Length and checksums only; reading a blob that is not empty is refused.
    Digest,
}

/// How a copy source on simcloud's own S3 is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fetch {
    /// Every byte over a socket.
    #[default]
    Socket,
    /// The request is checked in full, but with [`Keep::Digest`] the checksum is computed
    /// instead of sending the bytes through a socket: for objects of terabytes.
    Computed,
}

/// Settings of a simulated cloud; the default listens without TLS and behaves well.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What is kept of blobs.
    pub keep: Keep,
    /// How copy sources are read.
    pub fetch: Fetch,
    /// Whether to listen with TLS too, for any host name a client asks for.
    pub tls: bool,
    /// How it misbehaves.
    pub faults: Faults,
    /// In what S3 differs from Amazon's, and what troubles the accounts have.
    pub quirks: Vec<Quirk>,
    /// Ports to listen on; 0 takes a free one.
    pub ports: Ports,
}

/// Ports on 127.0.0.1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// S3 without TLS.
    pub s3: u16,
    /// Blob without TLS.
    pub blob: u16,
    /// Both with TLS, told apart by the host's name.
    pub tls: u16,
}
