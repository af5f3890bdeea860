//! Tables of destinations.

use super::*;

const SAS: &str = "sv=2022-11-02&ss=b&srt=co&sp=rwlc&se=2030-01-31T12:00:00Z&sig=c2VjcmV0";

/// Text, service root, account, container, path, is it a directory.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    bool,
);

const ACCEPTED: &[Row] = &[
    (
        "https://acct.blob.core.windows.net",
        "https://acct.blob.core.windows.net",
        "acct",
        None,
        None,
        true,
    ),
    (
        "https://ACCT.Blob.core.windows.net/",
        "https://acct.blob.core.windows.net",
        "acct",
        None,
        None,
        true,
    ),
    (
        "https://acct.blob.core.windows.net:443/c",
        "https://acct.blob.core.windows.net",
        "acct",
        Some("c01"),
        None,
        true,
    ),
    (
        "http://acct.blob.core.windows.net/c",
        "https://acct.blob.core.windows.net",
        "acct",
        Some("c01"),
        None,
        true,
    ),
    (
        "https://acct.blob.core.windows.net/c/",
        "https://acct.blob.core.windows.net",
        "acct",
        Some("c01"),
        None,
        true,
    ),
    (
        "https://acct.blob.core.windows.net/c/d",
        "https://acct.blob.core.windows.net",
        "acct",
        Some("c01"),
        Some("d"),
        false,
    ),
    (
        "https://acct.blob.core.windows.net/c/d/",
        "https://acct.blob.core.windows.net",
        "acct",
        Some("c01"),
        Some("d/"),
        true,
    ),
    (
        "https://acct.blob.core.windows.net/c//d",
        "https://acct.blob.core.windows.net",
        "acct",
        Some("c01"),
        Some("/d"),
        false,
    ),
    (
        "https://acct.blob.core.windows.net/c/a%20b+%25%C3%A9",
        "https://acct.blob.core.windows.net",
        "acct",
        Some("c01"),
        Some("a b+%é"),
        false,
    ),
    (
        "https://acct.blob.core.windows.net/$web/x",
        "https://acct.blob.core.windows.net",
        "acct",
        Some("$web"),
        Some("x"),
        false,
    ),
    (
        "https://acct.blob.core.windows.net/$root",
        "https://acct.blob.core.windows.net",
        "acct",
        Some("$root"),
        None,
        true,
    ),
    (
        "https://acct.blob.core.chinacloudapi.cn/c",
        "https://acct.blob.core.chinacloudapi.cn",
        "acct",
        Some("c01"),
        None,
        true,
    ),
    (
        "https://acct.blob.core.usgovcloudapi.net/c",
        "https://acct.blob.core.usgovcloudapi.net",
        "acct",
        Some("c01"),
        None,
        true,
    ),
    (
        "https://acct.blob.core.cloudapi.de/c",
        "https://acct.blob.core.cloudapi.de",
        "acct",
        Some("c01"),
        None,
        true,
    ),
    (
        "https://acct.z07.blob.storage.azure.net/c",
        "https://acct.z07.blob.storage.azure.net",
        "acct",
        Some("c01"),
        None,
        true,
    ),
    (
        "https://acct-internetrouting.blob.core.windows.net/c",
        "https://acct-internetrouting.blob.core.windows.net",
        "acct",
        Some("c01"),
        None,
        true,
    ),
    (
        "http://127.0.0.1:10000/devstoreaccount1",
        "http://127.0.0.1:10000/devstoreaccount1",
        "devstoreaccount1",
        None,
        None,
        true,
    ),
    (
        "http://127.0.0.1:10000/devstoreaccount1/c/d/x",
        "http://127.0.0.1:10000/devstoreaccount1",
        "devstoreaccount1",
        Some("c01"),
        Some("d/x"),
        false,
    ),
    (
        "https://localhost:10000/devstoreaccount1/c",
        "https://localhost:10000/devstoreaccount1",
        "devstoreaccount1",
        Some("c01"),
        None,
        true,
    ),
    (
        "http://[::1]:10000/devstoreaccount1/c",
        "http://[::1]:10000/devstoreaccount1",
        "devstoreaccount1",
        Some("c01"),
        None,
        true,
    ),
    (
        "http://azurite:10000/devstoreaccount1/c",
        "http://azurite:10000/devstoreaccount1",
        "devstoreaccount1",
        Some("c01"),
        None,
        true,
    ),
];

/// Container names have three characters at least; the table writes `c` for `c01`.
fn full(text: &str) -> String {
    let text = text.replacen("/c/", "/c01/", 1);
    text.strip_suffix("/c")
        .map_or(text.clone(), |front| format!("{front}/c01"))
}

#[test]
fn every_accepted_form_gives_its_parts() {
    for &(text, root, account, container, path, directory) in ACCEPTED {
        let text = full(text);
        let url = DestinationUrl::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(url.account_url(), root, "{text}");
        assert_eq!(url.account(), account, "{text}");
        assert_eq!(url.container(), container, "{text}");
        assert_eq!(url.path(), path, "{text}");
        assert_eq!(url.is_directory(), directory, "{text}");
        assert!(url.sas().is_none(), "{text}");
    }
}

/// Text, and a part of what is said about it.
const REFUSED: &[(&str, &str)] = &[
    ("", "is no URL"),
    ("/local/path", "is no URL"),
    ("acct.blob.core.windows.net/c01", "is no URL"),
    ("s3://bucket/key", "begins with s3"),
    (
        "https://acct.dfs.core.windows.net/c01",
        "write .blob. instead of .dfs.",
    ),
    (
        "https://acct.file.core.windows.net/c01",
        "write .blob. instead of .file.",
    ),
    (
        "https://acct.z01.dfs.storage.azure.net/c01",
        "write .blob. instead of .dfs.",
    ),
    (
        "https://acct-secondary.blob.core.windows.net/c01",
        "drop -secondary",
    ),
    (
        "https://acct.privatelink.blob.core.windows.net/c01",
        "what is between",
    ),
    (
        "https://ac_ct.blob.core.windows.net/c01",
        "no storage account name",
    ),
    (
        "https://a.blob.core.windows.net/c01",
        "no storage account name",
    ),
    (
        "https://acct-other.blob.core.windows.net/c01",
        "no storage account name",
    ),
    (
        "https://acct.blob.core.windows.net.example.com/c01",
        "no Azure Blob endpoint",
    ),
    (
        "https://bucket.s3.amazonaws.com/c01",
        "no Azure Blob endpoint",
    ),
    ("https://storage.azure.net/c01", "no Azure Blob endpoint"),
    ("http://127.0.0.1:10000", "without an account"),
    ("http://127.0.0.1:10000//c01", "without an account"),
    (
        "https://u:c2VjcmV0@acct.blob.core.windows.net/c01",
        "user name",
    ),
    ("https://acct.blob.core.windows.net/$logs/x", "$logs"),
    (
        "https://acct.blob.core.windows.net/$blobchangefeed",
        "another container",
    ),
    ("https://acct.blob.core.windows.net/Upper/x", "Upper"),
    ("https://acct.blob.core.windows.net//x", "container"),
    (
        "https://acct.blob.core.windows.net/c01/a/../b",
        ".. segment",
    ),
    (
        "https://acct.blob.core.windows.net/c01/%2E%2E/b",
        ".. segment",
    ),
    ("https://acct.blob.core.windows.net/c01/100%", "%25"),
    ("https://acct.blob.core.windows.net/c01/%ff", "UTF-8"),
    ("https://acct.blob.core.windows.net/c01/a#b", "%23"),
    ("https:///c01", "host"),
];

#[test]
fn a_refused_form_names_the_remedy() {
    for &(text, part) in REFUSED {
        for query in ["", "?", &format!("?{SAS}")] {
            let failure = DestinationUrl::parse(&format!("{text}{query}")).unwrap_err();
            assert!(failure.message.contains(part), "{text}: {failure}");
            assert!(!failure.message.contains("c2VjcmV0"), "{failure}");
        }
    }
}

#[test]
fn the_sas_is_taken_and_never_shown() {
    let text = format!("https://acct.blob.core.windows.net/c01/a%20b%3F/?{SAS}");
    let url = DestinationUrl::parse(&text).unwrap();
    assert_eq!(url.sas().unwrap().expose(), SAS);
    assert_eq!(
        url.to_string(),
        "https://acct.blob.core.windows.net/c01/a%20b%3F/"
    );
    assert!(!format!("{url:?}").contains("c2VjcmV0"));

    let failure =
        DestinationUrl::parse("https://acct.blob.core.windows.net/c01?sv=1&se=2030-01-01")
            .unwrap_err();
    assert!(failure.message.contains("(sig)"), "{failure}");
}
