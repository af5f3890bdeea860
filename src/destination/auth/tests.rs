//! Which credential is taken, and which is refused.

use std::collections::HashMap;

use super::*;
use crate::http::{Roots, client};

const SAS: &str = "sv=2022-11-02&ss=b&srt=co&sp=rwlc&se=2030-01-31T12:00:00Z&sig=c2VjcmV0";
const OLD_SAS: &str = "sv=2022-11-02&ss=b&srt=co&sp=rwlc&se=2020-01-31T12:00:00Z&sig=c2VjcmV0";
const ROOT: &str = "https://acct.blob.core.windows.net/c01";

fn clock() -> Clock {
    let now = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
    Clock::new(move || now)
}

fn resolve(url: &str, variables: &[(&str, &str)]) -> Result<Auth> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    let env = |name: &str| variables.get(name).map(|&value| value.to_owned());
    let http = client(&Roots::Only(vec![]), std::time::Duration::from_secs(5)).unwrap();
    Auth::resolve(&DestinationUrl::parse(url).unwrap(), &env, &http, &clock())
}

#[test]
fn the_first_that_is_there_is_taken() {
    let with_sas = format!("{ROOT}?{SAS}");
    let token = ("AZURE_STORAGE_SAS_TOKEN", SAS);
    let string = (
        "AZURE_STORAGE_CONNECTION_STRING",
        "AccountName=acct;AccountKey=c2VjcmV0",
    );
    let string_with_sas = format!("AccountName=acct;SharedAccessSignature={SAS}");
    let account = ("AZURE_STORAGE_ACCOUNT", "acct");
    let key = ("AZURE_STORAGE_KEY", "c2VjcmV0");
    let secret = [
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_CLIENT_SECRET", "c2VjcmV0"),
    ];
    let other_key = ("AZURE_STORAGE_ACCOUNT", "other");
    for (url, variables, kind) in [
        (with_sas.as_str(), vec![string, other_key, key], "SAS"),
        (ROOT, vec![token, string, account, key], "SAS"),
        (ROOT, vec![string, other_key, key], "account key"),
        (
            ROOT,
            vec![("AZURE_STORAGE_CONNECTION_STRING", string_with_sas.as_str())],
            "SAS",
        ),
        (
            ROOT,
            vec![account, key, secret[0], secret[1], secret[2]],
            "account key",
        ),
        (
            ROOT,
            vec![account, secret[0], secret[1], secret[2]],
            "Entra ID",
        ),
        (ROOT, vec![("AZURE_STORAGE_SAS_TOKEN", " ")], "Entra ID"),
        (ROOT, vec![], "Entra ID"),
    ] {
        let auth = resolve(url, &variables).unwrap_or_else(|e| panic!("{variables:?}: {e}"));
        assert_eq!(auth.kind(), kind, "{variables:?}");
        assert!(!format!("{auth:?}").contains("c2VjcmV0"), "{auth:?}");
        assert!(!format!("{auth:?}").contains("115, 101"), "{auth:?}");
    }
}

const EMULATOR: &str = "http://127.0.0.1:10000/devstoreaccount1/c01";
const EXPIRED: &str = "https://acct.blob.core.windows.net/c01?sv=2022-11-02&ss=b&srt=co&sp=rwlc&\
                       se=2020-01-31T12:00:00Z&sig=c2VjcmV0";

/// Destination, environment, and a part of what is said about them.
type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const REFUSED: &[Row] = &[
    (EXPIRED, &[], "expired at 2020-01-31"),
    (
        ROOT,
        &[("AZURE_STORAGE_SAS_TOKEN", OLD_SAS)],
        "expired at 2020-01-31",
    ),
    (
        ROOT,
        &[("AZURE_STORAGE_SAS_TOKEN", "sv=1&se=2030-01-01")],
        "(sig)",
    ),
    (
        ROOT,
        &[(
            "AZURE_STORAGE_CONNECTION_STRING",
            "AccountName=other;AccountKey=c2VjcmV0",
        )],
        "AZURE_STORAGE_CONNECTION_STRING is for another account than the destination, which is acct",
    ),
    (
        ROOT,
        &[
            ("AZURE_STORAGE_ACCOUNT", "other"),
            ("AZURE_STORAGE_KEY", "c2VjcmV0"),
        ],
        "AZURE_STORAGE_ACCOUNT is for another account",
    ),
    (
        ROOT,
        &[("AZURE_STORAGE_KEY", "c2VjcmV0")],
        "without AZURE_STORAGE_ACCOUNT",
    ),
    (
        ROOT,
        &[
            ("AZURE_STORAGE_ACCOUNT", "acct"),
            ("AZURE_STORAGE_KEY", "c2VjcmV0!"),
        ],
        "no base64",
    ),
    (EMULATOR, &[], "may not travel over http"),
    (
        ROOT,
        &[("AZURE_CLIENT_SECRET", "c2VjcmV0")],
        "without AZURE_TENANT_ID",
    ),
    (
        ROOT,
        &[
            ("AZURE_CLIENT_SECRET", "c2VjcmV0"),
            ("AZURE_TENANT_ID", "t"),
        ],
        "without AZURE_CLIENT_ID",
    ),
    (
        ROOT,
        &[("AZURE_AUTHORITY_HOST", "http://login.example")],
        "AZURE_AUTHORITY_HOST must begin with https://",
    ),
    (
        ROOT,
        &[("AZCOPY_ACTIVE_DIRECTORY_ENDPOINT", "login.example")],
        "AZCOPY_ACTIVE_DIRECTORY_ENDPOINT must begin with https://",
    ),
    (
        ROOT,
        &[("AZCOPY_SPA_CLIENT_SECRET", "c2VjcmV0")],
        "AZCOPY_SPA_CLIENT_SECRET is set without AZURE_TENANT_ID or AZCOPY_TENANT_ID",
    ),
    (
        ROOT,
        &[
            ("AZCOPY_SPA_CLIENT_SECRET", "c2VjcmV0"),
            ("AZCOPY_TENANT_ID", "t"),
        ],
        "without AZURE_CLIENT_ID or AZCOPY_SPA_APPLICATION_ID",
    ),
    (
        ROOT,
        &[
            ("AZCOPY_SPA_CERT_PATH", "/nowhere/cert.pem"),
            ("AZCOPY_TENANT_ID", "t"),
            ("AZCOPY_SPA_APPLICATION_ID", "app"),
        ],
        "AZCOPY_SPA_CERT_PATH cannot be read",
    ),
    (
        ROOT,
        &[
            ("AZCOPY_SPA_CERT_PATH", "/dev/null"),
            ("AZCOPY_SPA_CERT_PASSWORD", "c2VjcmV0"),
            ("AZCOPY_TENANT_ID", "t"),
            ("AZCOPY_SPA_APPLICATION_ID", "app"),
        ],
        "AZCOPY_SPA_CERT_PATH holds no certificate in PEM; add it to the key; \
         AZCOPY_SPA_CERT_PASSWORD is not used",
    ),
    (
        ROOT,
        &[
            ("AZCOPY_AUTO_LOGIN_TYPE", "spn"),
            ("AZURE_FEDERATED_TOKEN_FILE", "/dev/null"),
        ],
        "AZCOPY_AUTO_LOGIN_TYPE is set without AZCOPY_SPA_CLIENT_SECRET or AZCOPY_SPA_CERT_PATH",
    ),
    (
        ROOT,
        &[("AZCOPY_AUTO_LOGIN_TYPE", "WORKLOAD")],
        "AZCOPY_AUTO_LOGIN_TYPE is set without AZURE_FEDERATED_TOKEN_FILE",
    ),
    (
        ROOT,
        &[("AZCOPY_AUTO_LOGIN_TYPE", "Device")],
        "DEVICE needs a person at a browser",
    ),
    (
        ROOT,
        &[("AZCOPY_AUTO_LOGIN_TYPE", "PSCRED")],
        "PSCRED asks Azure PowerShell",
    ),
    (
        ROOT,
        &[("AZCOPY_AUTO_LOGIN_TYPE", "c2VjcmV0")],
        "AZCOPY_AUTO_LOGIN_TYPE: it is none: give SPN, MSI, AZCLI or WORKLOAD",
    ),
    (
        ROOT,
        &[
            ("AZCOPY_MSI_CLIENT_ID", "a"),
            ("AZCOPY_MSI_RESOURCE_STRING", "b"),
        ],
        "name one identity each: set one of them",
    ),
    (
        ROOT,
        &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "nowhere")],
        "no URL",
    ),
    (
        ROOT,
        &[
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_FEDERATED_TOKEN_FILE", "/nowhere/token"),
        ],
        "/nowhere/token",
    ),
    (
        ROOT,
        &[
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_CLIENT_CERTIFICATE_PATH", "/nowhere/cert.pem"),
        ],
        "AZURE_CLIENT_CERTIFICATE_PATH cannot be read",
    ),
];

#[test]
fn what_cannot_work_is_refused_by_name() {
    for &(url, variables, part) in REFUSED {
        let failure = resolve(url, variables).unwrap_err();
        assert_eq!(failure.reason, Reason::Usage, "{failure}");
        assert!(failure.message.contains(part), "{part}: {failure}");
        assert!(!failure.message.contains("c2VjcmV0"), "{failure}");
    }
}

#[tokio::test]
async fn a_sas_that_ends_in_mid_job_is_named() {
    let sas = Sas::parse(OLD_SAS).unwrap();
    let auth = Auth::from_sas(sas, clock());
    let mut request = reqwest::Request::new(http::Method::GET, ROOT.parse().unwrap());
    let failure = auth.authorize(&mut request).await.unwrap_err();
    assert_eq!(failure.reason, Reason::DestinationDenied);
    assert!(
        failure.message.contains("expired at 2020-01-31"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_sas_is_appended_as_it_is() {
    let encoded = SAS.replace("c2VjcmV0", "a%2Bb%2Fc%3D");
    let auth = Auth::from_sas(Sas::parse(&encoded).unwrap(), clock());
    for (url, expected) in [
        (ROOT.to_owned(), format!("{ROOT}?{encoded}")),
        (
            format!("{ROOT}?comp=block"),
            format!("{ROOT}?comp=block&{encoded}"),
        ),
    ] {
        let mut request = reqwest::Request::new(http::Method::GET, url.parse().unwrap());
        auth.authorize(&mut request).await.unwrap();
        assert_eq!(request.url().as_str(), expected);
        assert!(request.headers().get(AUTHORIZATION).is_none());
    }
}
