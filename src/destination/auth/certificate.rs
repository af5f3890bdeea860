//! A service principal's certificate: signs the assertion that Entra ID exchanges for a token.
//!
//! Source: Microsoft Learn, "Microsoft identity platform application authentication certificate
//! credentials". The identity library's own way would bring OpenSSL in.

use std::fmt;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::clock::Clock;

/// Seconds an assertion is good for.
const LIFE: i64 = 600;

/// Signs assertions for one application.
pub(super) struct CertificateAssertion {
    key: EncodingKey,
    header: Header,
    client_id: String,
    audience: String,
    clock: Clock,
}

impl CertificateAssertion {
    /// `pem` holds the certificate, its chain if any, and its RSA key, not encrypted. `audience`
    /// is the token endpoint. An error says what is wrong with the file, which it does not name.
    pub(super) fn new(
        pem: &[u8],
        client_id: &str,
        audience: &str,
        clock: &Clock,
    ) -> Result<Self, &'static str> {
        let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|_| "is no PEM file; convert it with openssl pkcs12 -nodes")?;
        let leaf = chain
            .first()
            .ok_or("holds no certificate in PEM; add it to the key")?;
        let mut header = Header::new(Algorithm::PS256);
        header.x5t_s256 = Some(URL_SAFE_NO_PAD.encode(Sha256::digest(leaf)));
        header.x5c = Some(chain.iter().map(|der| STANDARD.encode(der)).collect());
        let key = PrivateKeyDer::from_pem_slice(pem)
            .map_err(|_| "holds no private key in PEM that is not encrypted")?;
        Ok(Self {
            key: rsa_key(&key).ok_or("holds a key that is not RSA")?,
            header,
            client_id: client_id.to_owned(),
            audience: audience.to_owned(),
            clock: clock.clone(),
        })
    }
}

fn rsa_key(key: &PrivateKeyDer<'_>) -> Option<EncodingKey> {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Pkcs8(_) => "PRIVATE KEY",
        _ => return None,
    };
    let base64 = STANDARD.encode(key.secret_der());
    let pem = format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n");
    EncodingKey::from_rsa_pem(pem.as_bytes()).ok()
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

#[async_trait]
impl ClientAssertion for CertificateAssertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let now = self.clock.unix_seconds();
        let claims = Claims {
            aud: &self.audience,
            iss: &self.client_id,
            sub: &self.client_id,
            jti: format!("{:032x}", rand::random::<u128>()),
            iat: now,
            nbf: now,
            exp: now.saturating_add(LIFE),
        };
        encode(&self.header, &claims, &self.key)
            .map_err(|error| Error::with_error(ErrorKind::Credential, error, "cannot sign"))
    }
}

impl fmt::Debug for CertificateAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAssertion")
            .field("client_id", &self.client_id)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode};
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};

    use super::*;

    const AUDIENCE: &str = "https://login.example/tenant/oauth2/v2.0/token";

    fn certificate(key: &KeyPair) -> rcgen::Certificate {
        CertificateParams::new(vec![])
            .unwrap()
            .self_signed(key)
            .unwrap()
    }

    #[tokio::test]
    async fn the_assertion_is_signed_by_the_key_and_names_the_certificate() {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let certificate = certificate(&key);
        let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
        let clock = Clock::system();
        let signer = CertificateAssertion::new(pem.as_bytes(), "app", AUDIENCE, &clock).unwrap();
        let token = signer.secret(None).await.unwrap();

        let mut rules = Validation::new(Algorithm::PS256);
        rules.set_audience(&[AUDIENCE]);
        rules.set_issuer(&["app"]);
        let public = key.public_key_pem();
        let public = DecodingKey::from_rsa_pem(public.as_bytes()).unwrap();
        let decoded = decode::<serde_json::Value>(&token, &public, &rules).unwrap();
        assert_eq!(decoded.claims["sub"], "app");
        let life =
            decoded.claims["exp"].as_i64().unwrap() - decoded.claims["iat"].as_i64().unwrap();
        assert_eq!(life, LIFE);
        assert_eq!(
            decoded.header.x5c,
            Some(vec![STANDARD.encode(certificate.der())])
        );
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.der()));
        assert_eq!(decoded.header.x5t_s256, Some(thumbprint));
        assert!(!format!("{signer:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_file_that_cannot_sign_is_refused_by_what_it_lacks() {
        let elliptic = KeyPair::generate().unwrap();
        let certificate = certificate(&elliptic).pem();
        let cases = [
            ("nothing".to_owned(), "no certificate"),
            (elliptic.serialize_pem(), "no certificate"),
            (certificate.clone(), "no private key"),
            (
                format!("{certificate}{}", elliptic.serialize_pem()),
                "not RSA",
            ),
        ];
        for (pem, part) in cases {
            let clock = Clock::system();
            let failure =
                CertificateAssertion::new(pem.as_bytes(), "app", AUDIENCE, &clock).unwrap_err();
            assert!(failure.contains(part), "{part}: {failure}");
        }
    }
}
