//! A certificate authority of its own, and a leaf for each host a client asks for.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::lock;

/// Both ends of TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) ca_pem: String,
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) connector: TlsConnector,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    pub(crate) fn new() -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "simcloud test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = params.self_signed(&key).map_err(io::Error::other)?;
        let mut roots = RootCertStore::empty();
        roots
            .add(authority.der().clone())
            .map_err(io::Error::other)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let resolver = Leaves {
            issuer: Issuer::new(params, key),
            made: Mutex::default(),
        };
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        Ok(Self {
            ca_pem: authority.pem(),
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
        })
    }
}

/// Makes and remembers leaf certificates.
struct Leaves {
    issuer: Issuer<'static, KeyPair>,
    made: Mutex<HashMap<Vec<String>, Arc<CertifiedKey>>>,
}

impl fmt::Debug for Leaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leaves")
    }
}

impl ResolvesServerCert for Leaves {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let names = leaf_names(hello.server_name());
        let mut made = lock(&self.made);
        if let Some(leaf) = made.get(&names) {
            return Some(Arc::clone(leaf));
        }
        let leaf = Arc::new(self.make(&names)?);
        made.insert(names, Arc::clone(&leaf));
        Some(leaf)
    }
}

impl Leaves {
    fn make(&self, names: &[String]) -> Option<CertifiedKey> {
        let key = KeyPair::generate().ok()?;
        let params = CertificateParams::new(names).ok()?;
        let leaf = params.signed_by(&key, &self.issuer).ok()?;
        let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
        let private = PrivateKeyDer::try_from(key.serialize_der()).ok()?;
        CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()).ok()
    }
}

/// The names on the certificate a host presents: as at Amazon, one wildcard level before the
/// service's own name, which is why a bucket with dots fails in virtual-hosted style.
fn leaf_names(asked: Option<&str>) -> Vec<String> {
    let Some(host) = asked else {
        return vec!["localhost".into(), "127.0.0.1".into()];
    };
    let labels: Vec<&str> = host.split('.').collect();
    let service = labels
        .iter()
        .rposition(|label| *label == "s3" || label.starts_with("s3-"));
    match service {
        Some(at) if host.contains(".amazonaws.com") => {
            let service = labels[at..].join(".");
            vec![format!("*.{service}"), service]
        }
        _ => vec![host.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_covers_one_label_before_the_service() {
        assert_eq!(
            leaf_names(Some("a.b.s3.dualstack.eu-west-1.amazonaws.com")),
            [
                "*.s3.dualstack.eu-west-1.amazonaws.com",
                "s3.dualstack.eu-west-1.amazonaws.com"
            ]
        );
        assert_eq!(
            leaf_names(Some("acc.blob.core.windows.net")),
            ["acc.blob.core.windows.net"]
        );
        assert_eq!(leaf_names(None), ["localhost", "127.0.0.1"]);
    }
}
