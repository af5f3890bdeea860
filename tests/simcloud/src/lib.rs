//! Strict S3 and Azure Blob stand-ins on real sockets.
//!
//! For tests and demos of blobfleet, and written without looking at it: signatures are recomputed
//! by code of its own, limits and error codes are those of the vendors' reference pages, and a
//! copy source is really fetched. What it does not serve it refuses with 501, never by guessing.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use simcloud::{Config, Object, SimCloud};
//!
//! let cloud = SimCloud::start(Config::default()).await?;
//! cloud.add_bucket("photos", "eu-west-1");
//! cloud.put_object("photos", "2024/cat.jpg", Object::generated(1, 1 << 20));
//! println!("{} {}", cloud.s3_url(), cloud.blob_url(simcloud::ACCOUNT));
//! # Ok(())
//! # }
//! ```

mod blob;
mod body;
mod clock;
mod cloud;
mod conditions;
mod config;
mod content;
mod crc;
mod faults;
mod fetch;
mod foreign;
mod ingest;
mod inspect;
mod object;
mod op;
mod query;
mod quirks;
mod range;
mod refusal;
mod s3;
mod server;
mod source_url;
mod state;
mod tls;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use blob::store::Origin;
pub use cloud::{ACCESS_KEY, ACCOUNT, SECRET_KEY, SimCloud};
pub use config::{Config, Fetch, Keep, Ports};
pub use content::Content;
pub use crc::{azure_base64, combine, crc64, s3_base64};
pub use faults::Faults;
pub use foreign::Foreign;
pub use inspect::{BlobView, s3_crc64};
pub use object::Object;
pub use op::{Action, Op, OpKind};
pub use quirks::{QUIRKS, Quirk};

/// Locks; a panic of another thread changes nothing about the data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
