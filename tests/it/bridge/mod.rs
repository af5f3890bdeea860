//! Azurite with the two calls it lacks: Put Blob From URL and Put Block From URL.
//!
//! A loopback proxy. Every request goes to Azurite byte for byte as it came, except those two: for
//! them the bridge fetches the source, as the service would, and sends Azurite a Put Blob or Put
//! Block with the same query (so the same SAS) and the same headers. What the service is known to
//! do about the source (`reference`: Microsoft's pages on the two calls, and recordings of them)
//! is done here: the limits of the request, the source's failure mirrored as
//! `CannotVerifyCopySource`, redirects refused, MD5 and CRC-64 checked and answered.
//!
//! What it cannot show:
//! - **Shared Key** on these two calls. Its signature covers Content-Length and the x-ms headers,
//!   which the bridge has to change, so Azurite would refuse it. SAS and bearer tokens survive;
//!   all other calls may be signed as one likes.
//! - The order of refusals: the source is fetched before Azurite checks the SAS.
//! - Source conditions (`x-ms-source-if-*`): ignored, as nothing says what the service makes of
//!   them for a source that is not Azure.
//! - Sources over `https://`, and anything the service does to a source's path.
//! - Throttling, and large blobs: a source is held in memory whole.

mod call;
#[cfg(test)]
mod client;
mod crc64;
mod proxy;
#[cfg(test)]
mod tests;

use std::net::TcpListener;
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::azurite::{self, ACCOUNT, KEY};
use crate::parts;

/// Azurite and the bridge before it; both end when this is dropped.
#[derive(Debug)]
pub(crate) struct Bridge {
    azurite: parts::Server,
    origin: String,
    // Its thread serves until this is dropped.
    _stop: oneshot::Sender<()>,
}

/// Starts an empty Azurite of its own and the bridge, which has a thread of its own: a test may
/// block while a program it started uses the bridge.
pub(crate) fn start() -> Bridge {
    let azurite = azurite::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let target = azurite.url.clone();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                () = proxy::serve(listener, &target) => {}
                _ = stopped => {}
            }
        });
    });
    Bridge {
        azurite,
        origin,
        _stop: stop,
    }
}

impl Bridge {
    /// The account's Blob service through the bridge, e.g.
    /// `http://127.0.0.1:40123/devstoreaccount1`.
    pub(crate) fn url(&self) -> String {
        format!("{}/{ACCOUNT}", self.origin)
    }

    /// The same at Azurite itself, for reading back.
    pub(crate) fn azurite(&self) -> String {
        format!("{}/{ACCOUNT}", self.azurite.url)
    }

    /// A destination with its SAS; `path` is empty, `container` or `container/dir`, percent-encoded.
    pub(crate) fn destination(&self, path: &str) -> String {
        let slash = if path.is_empty() { "" } else { "/" };
        format!("{}{slash}{path}?{}", self.url(), sas())
    }
}

/// An account SAS for everything in the Blob service, without its `?`.
pub(crate) fn sas() -> String {
    sas_with("racwdltf", "2099-12-31T00:00:00Z")
}

/// An account SAS with these permissions, up to this end.
/// <https://learn.microsoft.com/rest/api/storageservices/create-account-sas>
pub(crate) fn sas_with(permissions: &str, expiry: &str) -> String {
    const VERSION: &str = "2021-12-02";
    let to_sign =
        format!("{ACCOUNT}\n{permissions}\nb\nsco\n\n{expiry}\n\nhttps,http\n{VERSION}\n\n");
    let key = BASE64_STANDARD.decode(KEY).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(to_sign.as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let signature = utf8_percent_encode(&signature, NON_ALPHANUMERIC);
    let expiry = utf8_percent_encode(expiry, NON_ALPHANUMERIC);
    format!("sv={VERSION}&ss=b&srt=sco&sp={permissions}&se={expiry}&spr=https,http&sig={signature}")
}
