//! An HTTP client that sends paths as they are.

use http::header::PROXY_AUTHORIZATION;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::proxied::ProxyConnector;
use super::transport::TransportError;
use super::{CONNECT_TIMEOUT, Roots, unusable};
use crate::failure::Result;

/// The client. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Verbatim {
    client: Client<HttpsConnector<ProxyConnector>, Empty<Bytes>>,
    proxies: ProxyConnector,
}

impl Verbatim {
    pub(super) fn new(roots: &Roots) -> Result<Self> {
        let builder = HttpsConnectorBuilder::new();
        let builder = match roots {
            Roots::System => builder
                .with_provider_and_platform_verifier(default_provider())
                .map_err(|error| unusable(&error))?,
            // What goes this way goes to S3, whose authorities AWS tools take from the bundle alone.
            Roots::SystemAnd(pems) | Roots::Only(pems) => builder.with_tls_config(only(pems)?),
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let proxies = ProxyConnector::new(tcp);
        let connector = builder
            .https_or_http()
            .enable_http1()
            .wrap_connector(proxies.clone());
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, proxies })
    }

    pub(super) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
    ) -> Result<Response<Incoming>, TransportError> {
        let uri: Uri = url
            .parse()
            .map_err(|error: http::uri::InvalidUri| TransportError {
                connecting: true,
                timed_out: false,
                cause: error.to_string(),
            })?;
        let authorization = self.proxies.authorization(&uri);
        let mut request = Request::new(Empty::new());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        if let Some(value) = authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        Ok(self.client.request(request).await?)
    }
}

/// Trusts these certificate authorities and no other.
fn only(pems: &[Vec<u8>]) -> Result<ClientConfig> {
    let mut store = RootCertStore::empty();
    for pem in pems {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| unusable(&error))?;
            store.add(certificate).map_err(|error| unusable(&error))?;
        }
    }
    let config = ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    Ok(config.with_root_certificates(store).with_no_client_auth())
}
