//! Accounts with a hierarchical namespace, and how they are told from others.

use simcloud::{ACCOUNT, SimCloud};

use super::{Row, blob, block, block_from_url, from_url, list, put, send, source, with_box};
use crate::simcloud_wire::{Answer, Call, minutes, shared_key};

const LAKE: &str = "simlake";

async fn with_lake() -> SimCloud {
    let cloud = with_box().await;
    cloud.add_hierarchical_account(LAKE);
    cloud.add_container(LAKE, "box");
    cloud
}

/// Sends a call, written for the plain account, to the hierarchical one.
async fn ask(cloud: &SimCloud, call: Call) -> Answer {
    let target = call.target.replacen(ACCOUNT, LAKE, 1);
    let call = Call { target, ..call };
    let key = cloud.account_key(LAKE);
    send(cloud, shared_key(call, LAKE, &key, cloud.now())).await
}

async fn check(cloud: &SimCloud, rows: Vec<Row<'_>>) {
    for (what, call, status, code) in rows {
        let answer = ask(cloud, call).await;
        let got = (answer.status, answer.code());
        assert_eq!(got, (status, code.to_owned()), "{what}: {}", answer.text());
    }
}

/// The same call for another blob.
fn at(call: Call, target: &str) -> Call {
    let target = format!("/{ACCOUNT}/box/{target}");
    Call { target, ..call }
}

fn read(method: &str, target: &str) -> Call {
    Call::new(method, &format!("/{ACCOUNT}{target}")).header("x-ms-version", super::VERSION)
}

#[tokio::test]
async fn accounts_tell_what_they_are() {
    let cloud = with_lake().await;
    let query = "restype=account&comp=properties";
    for target in [
        format!("/?{query}"),
        format!("/box?{query}"),
        format!("/box/b?{query}"),
    ] {
        for method in ["GET", "HEAD"] {
            let plain = read(method, &target);
            let key = cloud.account_key(ACCOUNT);
            let signed = shared_key(plain.clone(), ACCOUNT, &key, cloud.now());
            for (told, hierarchical) in [
                (send(&cloud, signed).await, "false"),
                (ask(&cloud, plain).await, "true"),
            ] {
                let header = |name: &str| told.header(name).unwrap_or_default().to_owned();
                assert_eq!(told.status, 200, "{method} {target}");
                assert_eq!(header("x-ms-is-hns-enabled"), hierarchical);
                assert_eq!(header("x-ms-account-kind"), "StorageV2");
                assert_eq!(header("x-ms-sku-name"), "Standard_LRS");
                assert_eq!(told.body, b"");
            }
        }
    }
    let old = read("GET", &format!("/?{query}")).replace("x-ms-version", "2019-02-02");
    let old = ask(&cloud, old).await;
    assert_eq!((old.status, old.header("x-ms-is-hns-enabled")), (200, None));
    let target = format!("/{LAKE}/?{query}");
    let call = |target: &str| Call::new("GET", target).header("x-ms-version", super::VERSION);
    let sas = cloud.sas(LAKE, "w", cloud.now() + minutes(5));
    let by_sas = send(&cloud, call(&format!("{target}&{sas}"))).await;
    assert_eq!(by_sas.header("x-ms-is-hns-enabled"), Some("true"));
    let unsigned = send(&cloud, call(&target)).await;
    assert_eq!(unsigned.code(), "NoAuthenticationInformation");
}

#[tokio::test]
async fn names_have_whole_segments() {
    let cloud = with_lake().await;
    let good = source(&cloud, "a%20b%2Bc");
    let (deep, deeper) = ("a/".repeat(60) + "b", "a/".repeat(61) + "b");
    let mut rows = vec![
        ("a path", blob("a/.b/..c"), 201, ""),
        ("61 segments", blob(&deep), 201, ""),
    ];
    for (what, name) in [
        ("an empty segment", "a//b"),
        ("a leading slash", "/b"),
        ("a trailing slash", "b/"),
        ("a segment that ends in a dot", "a./b"),
        ("a name that ends in a dot", "b."),
        ("62 segments", &deeper),
    ] {
        let (staged, listed) = (
            format!("{name}?comp=block&blockid=YQ%3D%3D"),
            format!("{name}?comp=blocklist"),
        );
        for call in [
            blob(name),
            at(from_url(&good), name),
            at(block("a", 1), &staged),
            at(block_from_url(&good), &staged),
            at(list(&[]), &listed),
            read("GET", &format!("/box/{name}")),
        ] {
            rows.push((what, call, 400, "InvalidResourceName"));
        }
    }
    check(&cloud, rows).await;
}

#[tokio::test]
async fn no_path_is_both_file_and_directory() {
    let cloud = with_lake().await;
    cloud.add_directory(LAKE, "box", "made/empty");
    let good = source(&cloud, "a%20b%2Bc");
    let writes = |name: &str| {
        let staged = format!("{name}?comp=block&blockid=YQ%3D%3D");
        [
            blob(name),
            at(from_url(&good), name),
            at(block("a", 1), &staged),
            at(block_from_url(&good), &staged),
            at(list(&[]), &format!("{name}?comp=blocklist")),
        ]
    };
    let mut rows = vec![("a blob", blob("a/b/c"), 201, "")];
    for (what, name) in [
        ("a directory", "a"),
        ("a directory in one", "a/b"),
        ("an empty directory", "made/empty"),
        ("below a blob", "a/b/c/d"),
        ("far below a blob", "a/b/c/d/e"),
    ] {
        rows.extend(writes(name).map(|call| (what, call, 409, "ResourceTypeMismatch")));
    }
    rows.extend([
        ("over itself", blob("a/b/c"), 201, ""),
        ("beside it", blob("a/b/c2"), 201, ""),
        ("beside the directory", blob("a-b"), 201, ""),
        (
            "a directory that holds something",
            read("DELETE", "/box/a/b"),
            409,
            "DirectoryIsNotEmpty",
        ),
        ("the blob", read("DELETE", "/box/a/b/c"), 202, ""),
        ("its neighbour", read("DELETE", "/box/a/b/c2"), 202, ""),
        (
            "a directory that holds a directory",
            read("DELETE", "/box/a"),
            409,
            "DirectoryIsNotEmpty",
        ),
        (
            "over the empty directory",
            blob("a/b"),
            409,
            "ResourceTypeMismatch",
        ),
        ("the empty directory", read("DELETE", "/box/a/b"), 202, ""),
        ("where it was", blob("a/b"), 201, ""),
    ]);
    check(&cloud, rows).await;
    assert_eq!(cloud.directories(LAKE, "box"), ["a", "made", "made/empty"]);
    assert_eq!(cloud.directories(ACCOUNT, "box"), [""; 0]);
    let names: Vec<String> = cloud
        .blobs(LAKE)
        .into_iter()
        .map(|(_, blob)| blob.name)
        .collect();
    assert_eq!(names, ["a-b", "a/b"], "nothing refused was written");
}

/// The names of a page, directories marked.
fn names(page: &Answer) -> Vec<String> {
    let text = page.text();
    let names = text.split("<Name>").skip(1);
    names
        .map(|rest| {
            let name = rest.split('<').next().unwrap();
            let entry = rest.split("</Blob>").next().unwrap();
            match entry.contains("<ResourceType>directory</ResourceType>") {
                true => format!("{name}: directory"),
                false => name.to_owned(),
            }
        })
        .collect()
}

/// Those who ask for a blob of its name find a directory, of no bytes and marked as one.
#[tokio::test]
async fn directories_are_seen() {
    let cloud = with_lake().await;
    let rows = vec![
        ("a blob", blob("a/b/c"), 201, ""),
        ("another", blob("a-b"), 201, ""),
    ];
    check(&cloud, rows).await;
    for method in ["HEAD", "GET"] {
        let seen = ask(&cloud, read(method, "/box/a/b")).await;
        assert_eq!(
            (seen.status, seen.header("content-length")),
            (200, Some("0"))
        );
        assert_eq!(
            seen.header("x-ms-meta-hdi_isfolder"),
            Some("true"),
            "{method}"
        );
    }
    let page = |more: &str| read("GET", &format!("/box?restype=container&comp=list{more}"));
    let all = ask(&cloud, page("")).await;
    assert_eq!(
        names(&all),
        ["a-b", "a: directory", "a/b: directory", "a/b/c"]
    );
    let grouped = ask(&cloud, page("&delimiter=%2F")).await;
    assert_eq!(names(&grouped), ["a-b", "a/"]);
    let below = ask(&cloud, page("&delimiter=%2F&prefix=a%2F")).await;
    assert_eq!(names(&below), ["a/b/"]);
    let first = ask(&cloud, page("&maxresults=2")).await;
    assert_eq!(names(&first), ["a-b", "a: directory"]);
    let marker = first.element("NextMarker").unwrap();
    let rest = ask(
        &cloud,
        page(&format!("&marker={}", marker.replace('/', "%2F"))),
    )
    .await;
    assert_eq!(names(&rest), ["a/b: directory", "a/b/c"]);
    let other = page("&delimiter=-");
    check(
        &cloud,
        vec![(
            "another delimiter",
            other,
            400,
            "InvalidQueryParameterValue",
        )],
    )
    .await;
}

#[tokio::test]
async fn there_are_no_tags() {
    let cloud = with_lake().await;
    let tags = put("/box/b?comp=tags").body(b"<Tags><TagSet/></Tags>");
    let unsupported = "FeatureNotYetSupportedForHierarchicalNamespaceAccounts";
    let tagged = |call: Call| call.header("x-ms-tags", "a=1");
    let rows = vec![
        ("without", blob("b"), 201, ""),
        ("setting", tags, 400, "InvalidQueryParameterValue"),
        (
            "reading",
            read("GET", "/box/b?comp=tags"),
            400,
            "InvalidQueryParameterValue",
        ),
        ("writing", tagged(blob("b")), 409, unsupported),
        (
            "copying",
            tagged(from_url("http://127.0.0.1:1/a")),
            409,
            unsupported,
        ),
        ("committing", tagged(list(&[])), 409, unsupported),
        (
            "a tier is fine",
            blob("b").header("x-ms-access-tier", "Cool"),
            201,
            "",
        ),
    ];
    check(&cloud, rows).await;
}
