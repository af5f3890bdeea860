//! The one way this program makes HTTP clients, and what a transport error means.

mod answers;
mod proxied;
mod resolve;
mod transport;
mod verbatim;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use answers::{AnswerRoom, LARGEST_ERROR, element};
pub use transport::{Incoming, Transport, TransportError};

use crate::failure::{Failure, Reason, Result};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// The client for a URL: agents and metadata services, which speak plain HTTP to their neighbours,
/// are asked without a proxy, which would answer for its own machine or not at all; all others as
/// the environment says.
pub fn for_url<'a>(usual: &'a reqwest::Client, url: &str) -> &'a reqwest::Client {
    static DIRECT: OnceLock<Option<reqwest::Client>> = OnceLock::new();
    let is_neighbour = reqwest::Url::parse(url).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        url.scheme() == "http" && (host == "localhost" || host.parse::<IpAddr>().is_ok())
    });
    if !is_neighbour {
        return usual;
    }
    let direct = DIRECT.get_or_init(|| {
        // No TLS is spoken, so that no authorities are needed.
        let builder = builder(&Roots::Only(Vec::new()), DIRECT_TIMEOUT).ok()?;
        builder.no_proxy().build().ok()
    });
    direct.as_ref().unwrap_or(usual)
}

/// How long an exchange with a neighbour may take where the caller sets no limit.
const DIRECT_TIMEOUT: Duration = Duration::from_secs(60);

/// Which certificate authorities a client trusts.
#[derive(Clone, Debug, Default)]
pub enum Roots {
    /// Those of the machine.
    #[default]
    System,
    /// Those of the machine, and these, as PEM.
    SystemAnd(Vec<Vec<u8>>),
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
    builder(roots, timeout)?
        .build()
        .map_err(|error| unusable(&error))
}

fn builder(roots: &Roots, timeout: Duration) -> Result<reqwest::ClientBuilder> {
    let mut builder = reqwest::Client::builder()
        .no_gzip()
        .no_deflate()
        .no_brotli()
        .no_zstd()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .dns_resolver(Arc::new(resolve::Resolver))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .tcp_nodelay(true);
    let read = |pems: &[Vec<u8>]| {
        let mut certificates = Vec::new();
        for pem in pems {
            certificates.extend(
                reqwest::Certificate::from_pem_bundle(pem).map_err(|error| unusable(&error))?,
            );
        }
        Ok::<_, Failure>(certificates)
    };
    match roots {
        Roots::System => {}
        Roots::SystemAnd(pems) => builder = builder.tls_certs_merge(read(pems)?),
        Roots::Only(pems) => builder = builder.tls_certs_only(read(pems)?),
    }
    Ok(builder)
}

fn unusable(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!(
            "cannot set up TLS: {}; install the ca-certificates package, or set SSL_CERT_FILE or \
             AWS_CA_BUNDLE",
            root_cause(error)
        ),
    )
}

/// What a transport error says, without the URL (which may hold a signature or a SAS).
pub fn transport_failure(reason: Reason, what: &str, error: impl Into<TransportError>) -> Failure {
    let error = error.into();
    let failure = Failure::retry(reason, format!("{what}: {}", error.cause));
    if error.connecting {
        failure
    } else {
        failure.perhaps()
    }
}

/// What lies at the bottom of an error, without the URL that what is above it may tell; with the
/// remedy where this process has no file descriptor left for a connection.
pub fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.downcast_ref().map(std::io::Error::raw_os_error) {
        Some(Some(code)) if is_out_of_files(code) => {
            format!("{cause}: raise the limit of open files (ulimit -n), or lower --concurrency")
        }
        _ => cause.to_string(),
    }
}

/// Is it the error of a process (EMFILE) or machine (ENFILE) without a free file descriptor?
fn is_out_of_files(code: i32) -> bool {
    [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE]
        .map(rustix::io::Errno::raw_os_error)
        .contains(&code)
}

/// Is this the URL of a machine that only its neighbours can reach? By its address, or a name
/// without a public domain.
pub fn is_private(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        Err(_) => {
            !host.contains('.')
                || [".local", ".internal", ".lan", ".localhost"]
                    .iter()
                    .any(|suffix| host.ends_with(suffix))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_file_descriptors_is_told_what_to_raise() {
        for (code, is_told) in [(24, true), (23, true), (111, false)] {
            let text = root_cause(&std::io::Error::from_raw_os_error(code));
            assert_eq!(text.contains("ulimit -n"), is_told, "{text}");
        }
    }

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        for url in [
            "http://127.0.0.1:9000",
            "http://10.0.0.1",
            "https://192.168.1.1/x",
            "http://[::1]:9000",
            "http://[fd00::1]",
            "http://minio:9000",
            "http://s3.corp.internal",
        ] {
            assert!(is_private(url), "{url}");
        }
        for url in ["https://s3.example.com", "http://8.8.8.8", "no url"] {
            assert!(!is_private(url), "{url}");
        }
    }
}
