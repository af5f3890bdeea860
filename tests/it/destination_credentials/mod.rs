//! Each member of the Entra ID chain, at loopback sockets, with tokens that live for seconds and
//! are renewed while they are in use.
//!
//! The machine's clock is moved, never waited for. The token endpoint speaks TLS, since the
//! identity library takes no other.

mod azcopy;
mod world;

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use blobfleet::destination::auth::Auth;
use blobfleet::destination::client::Destination;
use blobfleet::destination::url::DestinationUrl;
use blobfleet::failure::{Failure, Reason, Remedy};
use blobfleet::http::{Roots, client};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use self::world::{Asked, Issuers, LIFE, Place};

/// The account as one identity sees it.
struct Setup {
    auth: Auth,
    destination: Destination,
}

impl Setup {
    fn new(place: &Place, http: &reqwest::Client, variables: &[(&str, String)]) -> Self {
        let mut variables: HashMap<&str, String> = variables.iter().cloned().collect();
        if !variables.contains_key("AZCOPY_ACTIVE_DIRECTORY_ENDPOINT") {
            variables.insert("AZURE_AUTHORITY_HOST", format!("https://{}", place.secure));
        }
        variables
            .entry("AZURE_POD_IDENTITY_AUTHORITY_HOST")
            .or_insert_with(|| format!("http://{}", place.plain));
        let url = format!("https://{}/dev/c01", place.secure);
        let url = DestinationUrl::parse(&url).unwrap();
        let clock = place.world.clock();
        let env = |name: &str| variables.get(name).cloned();
        let auth = Auth::resolve(&url, &env, http, &clock).unwrap();
        assert_eq!(auth.kind(), "Entra ID");
        let destination =
            Destination::new(url.account_url(), auth.clone(), http.clone(), clock).unwrap();
        Self { auth, destination }
    }

    async fn reach(&self) -> Result<bool, Failure> {
        Ok(self.destination.container_exists("c01").await?)
    }
}

fn trusting(place: &Place) -> reqwest::Client {
    let roots = Roots::Only(vec![place.root.clone()]);
    client(&roots, Duration::from_secs(30)).unwrap()
}

fn application(more: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("AZURE_TENANT_ID", "tenant".to_owned()),
        ("AZURE_CLIENT_ID", "app".to_owned()),
    ];
    variables.extend_from_slice(more);
    variables
}

/// Uses one identity past its token's end, past a token that was never renewed, and past a
/// revocation. `moved` is told whenever the time has moved.
async fn renewed_in_mid_use(place: &Place, setup: &Setup, moved: impl Fn(i64)) {
    let advance = |seconds| {
        place.world.advance(seconds);
        moved(place.world.offset());
    };
    setup.auth.prepare().await.unwrap();
    assert!(setup.reach().await.unwrap());
    assert!(setup.reach().await.unwrap());
    assert_eq!(place.world.seen(), [1, 1], "one token for all requests");
    advance(LIFE - 1);
    assert!(setup.reach().await.unwrap());
    assert_eq!(place.world.seen(), [1, 1, 2], "renewed before its end");
    advance(100);
    assert!(setup.reach().await.unwrap());
    assert_eq!(place.world.seen(), [1, 1, 2, 3], "and after it");
    place.world.revoke(3);
    assert!(setup.reach().await.unwrap());
    assert_eq!(
        place.world.seen(),
        [1, 1, 2, 3, 3, 4],
        "a refused one is replaced"
    );
    place.world.revoke(100);
    let refused = setup.reach().await.unwrap_err();
    assert_eq!(refused.reason, Reason::DestinationDenied);
    assert_eq!(refused.remedy, Remedy::Stop);
    assert_eq!(place.world.seen().len(), 8, "but once only");
    assert!(!refused.message.contains("tok."), "{refused}");
    assert!(!format!("{:?}", setup.destination).contains("tok."));
}

fn form(asked: &Asked) -> HashMap<String, String> {
    let url = format!("http://form/?{}", asked.body);
    let url = reqwest::Url::parse(&url).unwrap();
    url.query_pairs().into_owned().collect()
}

#[tokio::test]
async fn a_client_secret_is_renewed() {
    let place = Place::start().await;
    let variables = application(&[("AZURE_CLIENT_SECRET", "s&cr=t".to_owned())]);
    let setup = Setup::new(&place, &trusting(&place), &variables);
    renewed_in_mid_use(&place, &setup, |_| ()).await;
    for asked in place.world.asked() {
        assert_eq!(asked.target, "/tenant/oauth2/v2.0/token");
        let form = form(&asked);
        assert_eq!(form["client_id"], "app");
        assert_eq!(form["client_secret"], "s&cr=t");
        assert_eq!(form["scope"], "https://storage.azure.com/.default");
    }
}

#[tokio::test]
async fn a_client_certificate_signs_each_request() {
    let place = Place::start().await;
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate = CertificateParams::new(vec![]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let path = folder.path().join("app.pem");
    std::fs::write(&path, key.serialize_pem() + &certificate.pem()).unwrap();
    let path = path.to_str().unwrap().to_owned();
    let variables = application(&[("AZURE_CLIENT_CERTIFICATE_PATH", path)]);
    let setup = Setup::new(&place, &trusting(&place), &variables);
    renewed_in_mid_use(&place, &setup, |_| ()).await;

    let public = DecodingKey::from_rsa_pem(key.public_key_pem().as_bytes()).unwrap();
    let mut rules = Validation::new(Algorithm::PS256);
    rules.set_audience(&[format!("https://{}/tenant/oauth2/v2.0/token", place.secure)]);
    rules.set_issuer(&["app"]);
    let mut ids = Vec::new();
    for asked in place.world.asked() {
        let form = form(&asked);
        assert_eq!(
            form["client_assertion_type"],
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        let assertion = &form["client_assertion"];
        let claims = decode::<serde_json::Value>(assertion, &public, &rules)
            .unwrap()
            .claims;
        ids.push(claims["jti"].as_str().unwrap().to_owned());
        let header = decode_header(assertion).unwrap();
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.der()));
        assert_eq!(header.x5t_s256, Some(thumbprint));
        assert_eq!(header.x5c, Some(vec![STANDARD.encode(certificate.der())]));
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "no assertion is used twice");
}

#[tokio::test]
async fn a_workload_identity_sends_its_federated_token() {
    let place = Place::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "service-account-token").unwrap();
    let path = path.to_str().unwrap().to_owned();
    let variables = application(&[("AZURE_FEDERATED_TOKEN_FILE", path)]);
    let setup = Setup::new(&place, &trusting(&place), &variables);
    renewed_in_mid_use(&place, &setup, |_| ()).await;
    for asked in place.world.asked() {
        assert_eq!(form(&asked)["client_assertion"], "service-account-token");
        assert_eq!(form(&asked)["client_id"], "app");
    }
}

#[tokio::test]
async fn a_machines_managed_identity_is_asked() {
    let place = Place::start().await;
    let user_assigned = [("AZURE_CLIENT_ID", "mine".to_owned())];
    let setup = Setup::new(&place, &trusting(&place), &user_assigned);
    renewed_in_mid_use(&place, &setup, |_| ()).await;
    for asked in place.world.asked() {
        let expected = "/metadata/identity/oauth2/token?api-version=2019-08-01\
                        &resource=https%3A%2F%2Fstorage.azure.com&client_id=mine";
        assert_eq!(asked.target, expected);
        assert_eq!(asked.headers["metadata"], "true");
    }
}

/// The library reads App Service's endpoint from the process's own environment. So this test runs
/// itself again with it set, and sends what is meant for that host to the loopback socket.
#[tokio::test]
async fn an_app_services_managed_identity_is_asked() {
    if std::env::var_os("IDENTITY_ENDPOINT").is_none() {
        let name = "destination_credentials::an_app_services_managed_identity_is_asked";
        let output = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env("IDENTITY_ENDPOINT", "http://identity.invalid/msi/token")
            .env("IDENTITY_HEADER", "app-service-secret")
            .output()
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{output:?}"
        );
        return;
    }
    let place = Place::start().await;
    let http = reqwest::Client::builder()
        .proxy(reqwest::Proxy::http(format!("http://{}", place.plain)).unwrap())
        .tls_certs_only([reqwest::Certificate::from_pem(&place.root).unwrap()])
        .build()
        .unwrap();
    let setup = Setup::new(&place, &http, &[]);
    renewed_in_mid_use(&place, &setup, |_| ()).await;
    for asked in place.world.asked() {
        assert!(asked.target.contains("/msi/token?api-version=2019-08-01"));
        assert_eq!(asked.headers["x-identity-header"], "app-service-secret");
    }
}

/// An `az` that gives tokens as the world does.
fn fake_az(folder: &Path) -> String {
    let script = format!(
        "#!/bin/sh\ncd '{}'\necho \"$@\" >> asked\nnumber=$(($(cat number) + 1))\n\
         echo $number > number\nend=$(($(date +%s) + $(cat offset) + {LIFE}))\n\
         printf '{{\"accessToken\":\"tok.%s.%s\",\"expires_on\":%s,\"tokenType\":\"Bearer\"}}' \
         $number $end $end\n",
        folder.display()
    );
    let az = folder.join("az");
    std::fs::write(&az, script).unwrap();
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.join("number"), "0").unwrap();
    std::fs::write(folder.join("offset"), "0").unwrap();
    format!("{}:/usr/bin:/bin", folder.display())
}

#[tokio::test]
async fn the_azure_cli_is_asked_where_the_machine_has_no_identity() {
    let place = Place::start().await;
    place.world.issuers(Issuers::Refuse);
    let folder = tempfile::tempdir().unwrap();
    let variables = [("PATH", fake_az(folder.path()))];
    let setup = Setup::new(&place, &trusting(&place), &variables);
    let offset = folder.path().join("offset");
    renewed_in_mid_use(&place, &setup, |now| {
        std::fs::write(&offset, now.to_string()).unwrap();
    })
    .await;
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
    let line = "account get-access-token -o json --scope https://storage.azure.com/.default";
    assert!(asked.lines().all(|asked| asked == line), "{asked}");
    assert_eq!(
        place.world.asked().len(),
        1,
        "the machine is not asked again"
    );
}

#[tokio::test]
async fn a_refused_secret_is_named_and_nothing_else_is_tried() {
    let place = Place::start().await;
    place.world.issuers(Issuers::Refuse);
    let folder = tempfile::tempdir().unwrap();
    let variables = application(&[
        ("AZURE_CLIENT_SECRET", "c2VjcmV0".to_owned()),
        ("PATH", fake_az(folder.path())),
    ]);
    let setup = Setup::new(&place, &trusting(&place), &variables);
    let failure = setup.auth.prepare().await.unwrap_err();
    assert_eq!(failure.reason, Reason::DestinationDenied);
    assert_eq!(failure.remedy, Remedy::Stop);
    assert!(failure.message.contains("client secret"), "{failure}");
    assert!(failure.message.contains("AADSTS7000215"), "{failure}");
    assert!(!failure.message.contains("c2VjcmV0"), "{failure}");
    assert!(!folder.path().join("asked").exists());

    place.world.issuers(Issuers::Down);
    let failure = setup.auth.prepare().await.unwrap_err();
    assert_eq!(failure.reason, Reason::DestinationUnavailable);
    assert_eq!(failure.remedy, Remedy::Retry);

    place.world.issuers(Issuers::Give);
    assert!(setup.reach().await.unwrap());
}

/// A metadata service that never answers, an `az` that takes longer than anyone waits.
#[tokio::test(start_paused = true)]
async fn without_any_credential_the_message_says_what_to_set() {
    let place = Place::start().await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = fake_az(folder.path());
    std::fs::write(folder.path().join("az"), "#!/bin/sh\nexec sleep 5\n").unwrap();
    let metadata = format!("http://{}", mute.local_addr().unwrap());
    for (path, why) in [
        (path, "no answer within 8 s"),
        ("/nowhere".to_owned(), "Azure CLI: "),
    ] {
        let variables = [
            ("PATH", path),
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.clone()),
        ];
        let setup = Setup::new(&place, &trusting(&place), &variables);
        let start = tokio::time::Instant::now();
        let failure = setup.auth.prepare().await.unwrap_err();
        assert!(
            start.elapsed() < Duration::from_secs(15),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(failure.reason, Reason::DestinationDenied);
        assert_eq!(failure.remedy, Remedy::Stop);
        for part in [
            "SAS",
            "AZURE_STORAGE_KEY",
            "AZURE_CLIENT_SECRET",
            "az login",
            why,
        ] {
            assert!(failure.message.contains(part), "{part}: {failure}");
        }
        assert!(
            failure
                .message
                .contains("managed identity: no answer within 3 s")
        );
    }
}
