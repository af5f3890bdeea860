//! A body: a version byte, then named MessagePack.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Failure, Reason, Result};

/// The newest version this program reads.
pub const VERSION: u8 = 3;

/// The version it writes where an older reader may leave out what it does not know.
pub(super) const FIRST: u8 = 1;

/// The version of list tasks that name keys, and of jobs that are opened again.
pub(super) const SECOND: u8 = 2;

/// The highest version there will ever be: what begins with a printable character or beyond is
/// somebody else's text, not a newer version.
pub(super) const LAST_VERSION: u8 = 0x1f;

/// Encodes a body: version byte, then named MessagePack.
///
/// # Errors
/// Fails only for values that MessagePack cannot hold, which none of ours are.
pub fn encode<T: Serialize>(value: &T) -> Result<Bytes> {
    encode_as(FIRST, value)
}

pub(super) fn encode_as<T: Serialize>(version: u8, value: &T) -> Result<Bytes> {
    let mut body = vec![version];
    rmp_serde::encode::write_named(&mut body, value)
        .map_err(|error| Failure::stop(Reason::Internal, format!("cannot encode: {error}")))?;
    Ok(body.into())
}

/// Decodes a body written by [`encode`], or by a program that wrote an older version.
///
/// # Errors
/// [`Reason::NewerVersion`] (stop the worker) for a version above [`VERSION`],
/// [`Reason::Undecodable`] (give up the message) for anything else.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    match body.split_first() {
        Some((&(FIRST..=VERSION), rest)) => rmp_serde::from_slice(rest).map_err(|error| {
            Failure::give_up(
                Reason::Undecodable,
                format!("message cannot be decoded: {error}"),
            )
        }),
        Some((&version, _)) if (VERSION..=LAST_VERSION).contains(&version) => Err(Failure::stop(
            Reason::NewerVersion,
            format!(
                "message has version {version}, this program reads up to {VERSION}: upgrade it"
            ),
        )),
        Some((version, _)) => Err(Failure::give_up(
            Reason::Undecodable,
            format!("message is none of this program's: it begins with the byte {version}"),
        )),
        None => Err(Failure::give_up(Reason::Undecodable, "message is empty")),
    }
}
