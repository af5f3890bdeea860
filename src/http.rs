//! The one way this program makes HTTP clients, and what a transport error means.

use std::time::Duration;

use crate::failure::{Failure, Reason, Result};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Which certificate authorities a client trusts.
#[derive(Clone, Debug, Default)]
pub enum Roots {
    /// Those of the machine.
    #[default]
    System,
    /// Only these, as PEM; an empty list is enough where only `http://` is spoken.
    Only(Vec<Vec<u8>>),
}

/// Makes a client that changes nothing on the way: no decompression (it would drop
/// Content-Encoding and Content-Length of the object), no redirects (a signed request must not
/// go elsewhere), `timeout` for a whole exchange.
///
/// # Errors
/// The machine has no certificate authorities, or a given one is malformed.
pub fn client(roots: &Roots, timeout: Duration) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .no_gzip()
        .no_deflate()
        .no_brotli()
        .no_zstd()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .tcp_nodelay(true);
    if let Roots::Only(pems) = roots {
        let mut certificates = Vec::new();
        for pem in pems {
            certificates.extend(
                reqwest::Certificate::from_pem_bundle(pem).map_err(|error| unusable(&error))?,
            );
        }
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|error| unusable(&error))
}

fn unusable(error: &reqwest::Error) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!(
            "cannot set up TLS: {}; install the ca-certificates package or set SSL_CERT_FILE",
            root_cause(error)
        ),
    )
}

/// What a transport error says, without the URL (which may hold a signature or a SAS).
pub fn transport_failure(reason: Reason, what: &str, error: reqwest::Error) -> Failure {
    let connect = error.is_connect();
    let failure = Failure::retry(
        reason,
        format!("{what}: {}", root_cause(&error.without_url())),
    );
    if connect { failure } else { failure.perhaps() }
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
