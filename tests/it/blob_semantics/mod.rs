//! One suite of Blob semantics, run on the stand-in and on Azurite: what both say the same about
//! is not our invention.

mod dress;
mod endpoint;

use self::endpoint::{Endpoint, azurite, sim};

/// Content and its checksums.
const TEXT: &[u8] = b"Hello Azure!";
const CRC64: &str = "DtjZpL9/o8c=";
const MD5: &str = "Pz8543xut4RVSbb2g52Mww==";

async fn containers(at: &Endpoint) {
    let create = |name: &str| at.put(&format!("/{name}?restype=container"));
    let made = at.expect("new", create("box"), 201, "").await;
    assert!(made.header("etag").is_some() && made.header("last-modified").is_some());
    at.expect("twice", create("box"), 409, "ContainerAlreadyExists")
        .await;
    at.expect("case", create("Box"), 400, "InvalidResourceName")
        .await;
    at.expect("hyphens", create("bo--x"), 400, "InvalidResourceName")
        .await;
    at.expect("short", create("bo"), 400, "OutOfRangeInput")
        .await;
    let properties = at.call("GET", "/box?restype=container");
    at.expect("properties", properties, 200, "").await;
    let missing = at.call("GET", "/nobox?restype=container");
    at.expect("missing", missing, 404, "ContainerNotFound")
        .await;
    let stray = at.put("/nobox/b").header("x-ms-blob-type", "BlockBlob");
    at.expect("blob in none", stray, 404, "ContainerNotFound")
        .await;
}

/// What the account is, asked of itself, a container and a blob that is not there.
async fn account(at: &Endpoint) {
    for place in ["/", "/box", "/box/none"] {
        for method in ["GET", "HEAD"] {
            let call = at.call(method, &format!("{place}?comp=properties&restype=account"));
            let told = at.expect(place, call, 200, "").await;
            assert_eq!(told.header("x-ms-account-kind"), Some("StorageV2"));
            assert!(told.header("x-ms-sku-name").is_some(), "{method} {place}");
            let hierarchical = told.header("x-ms-is-hns-enabled");
            if at.exact || place == "/" {
                assert_eq!(hierarchical, Some("false"), "{method} {place}");
            }
        }
    }
}

async fn whole_blobs(at: &Endpoint) {
    let put = at
        .blob("a%20b%2Bc/%C3%A4", TEXT)
        .header("x-ms-blob-content-type", "text/x")
        .header("x-ms-blob-cache-control", "no-store")
        .header("x-ms-meta-key_1", "one")
        .header("x-ms-meta-key1", "two");
    let made = at.expect("put", put, 201, "").await;
    assert_eq!(made.header("content-md5"), Some(MD5));
    let got = at.get("a%20b%2Bc/%C3%A4").await;
    assert_eq!(got.body, TEXT);
    for (name, value) in [
        ("content-type", "text/x"),
        ("cache-control", "no-store"),
        ("content-md5", MD5),
        ("x-ms-meta-key_1", "one"),
        ("x-ms-meta-key1", "two"),
        ("x-ms-blob-type", "BlockBlob"),
    ] {
        assert_eq!(got.header(name), Some(value), "{name}");
    }
    assert_eq!(got.header("etag"), made.header("etag"));
    at.expect("bare", at.blob("a%20b%2Bc/%C3%A4", TEXT), 201, "")
        .await;
    let bare = at.get("a%20b%2Bc/%C3%A4").await;
    assert_eq!(
        bare.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(
        bare.header("cache-control"),
        None,
        "what is not given is cleared"
    );
    assert_eq!(bare.header("x-ms-meta-key1"), None);

    at.expect("empty", at.blob("empty", b""), 201, "").await;
    let empty = at
        .expect("head", at.call("HEAD", "/box/empty"), 200, "")
        .await;
    assert_eq!(empty.header("content-length"), Some("0"));
    assert_eq!(
        empty.header("content-md5"),
        Some("1B2M2Y8AsgTpgAmY7PhCfg==")
    );
    let part = at
        .call("GET", "/box/a%20b%2Bc/%C3%A4")
        .header("range", "bytes=6-10");
    assert_eq!(at.expect("range", part, 206, "").await.body, b"Azure");
    at.expect("missing", at.call("GET", "/box/none"), 404, "BlobNotFound")
        .await;
    at.expect("missing", at.call("HEAD", "/box/none"), 404, "BlobNotFound")
        .await;
}

async fn conditions(at: &Endpoint) {
    let first = at.expect("first", at.blob("c", b"1"), 201, "").await;
    let etag = first.header("etag").unwrap().to_owned();
    let only_new = at.blob("c", b"2").header("if-none-match", "*");
    at.expect("if none", only_new, 409, "BlobAlreadyExists")
        .await;
    let changed = at.blob("c", b"2").header("if-none-match", &etag);
    at.expect("if changed", changed, 412, "ConditionNotMet")
        .await;
    let other = at
        .blob("c", b"2")
        .header("if-match", "\"0x8D0000000000000\"");
    at.expect("if other", other, 412, "ConditionNotMet").await;
    let same = at.blob("c", b"2").header("if-match", &etag);
    at.expect("if same", same, 201, "").await;
    let fresh = at.blob("c2", b"1").header("if-none-match", "*");
    at.expect("if none", fresh, 201, "").await;
    at.expect("block", at.block("c", "x", b"3"), 201, "").await;
    let commit = at
        .list("c", &[("Latest", "x")])
        .header("if-none-match", "*");
    at.expect("commit if none", commit, 409, "BlobAlreadyExists")
        .await;
    let commit = at.list("c", &[("Latest", "x")]).header("if-match", &etag);
    at.expect("commit if same", commit, 412, "ConditionNotMet")
        .await;
    assert_eq!(at.get("c").await.body, b"2", "nothing refused was written");
}

async fn blocks(at: &Endpoint) {
    let staged = at.expect("block", at.block("b", "b1", TEXT), 201, "").await;
    if at.exact {
        assert_eq!(staged.header("x-ms-content-crc64"), Some(CRC64));
        assert_eq!(staged.header("content-md5"), None);
    }
    at.expect("uncommitted", at.call("GET", "/box/b"), 404, "BlobNotFound")
        .await;
    at.expect("block", at.block("b", "a2", b"tail"), 201, "")
        .await;
    at.expect(
        "longer id",
        at.block("b", "c33", b"x"),
        400,
        "InvalidBlobOrBlock",
    )
    .await;
    // The service lists them by id, Azurite by age.
    let mut waiting = at.blocks("b", "UncommittedBlocks").await;
    waiting.sort();
    assert_eq!(waiting, [("a2".into(), 4), ("b1".into(), 12)]);
    at.expect("again", at.block("b", "a2", b"TAIL!"), 201, "")
        .await;
    let unknown = at.list("b", &[("Latest", "b1"), ("Latest", "zz")]);
    at.expect("unknown", unknown, 400, "InvalidBlockList").await;
    let not_yet = at.list("b", &[("Committed", "b1")]);
    at.expect("not committed", not_yet, 400, "InvalidBlockList")
        .await;
    let commit = at
        .list("b", &[("Latest", "b1"), ("Uncommitted", "a2")])
        .header("x-ms-blob-content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")
        .header("x-ms-meta-k", "v");
    at.expect("commit", commit, 201, "").await;
    let got = at.get("b").await;
    assert_eq!(
        got.body, b"Hello Azure!TAIL!",
        "the last of two blocks of one id"
    );
    let md5 = got.header("content-md5");
    assert_eq!(md5, Some("AAAAAAAAAAAAAAAAAAAAAA=="), "stored, not checked");
    assert_eq!(got.header("x-ms-meta-k"), Some("v"));
    assert_eq!(at.blocks("b", "UncommittedBlocks").await, []);
    let committed = at.blocks("b", "CommittedBlocks").await;
    assert_eq!(
        committed,
        [("b1".into(), 12), ("a2".into(), 5)],
        "in their order"
    );
}

/// Ids of another length may join committed ones, and committed ones be kept.
async fn blocks_again(at: &Endpoint) {
    at.expect("new length", at.block("b", "longer", b"+"), 201, "")
        .await;
    let lines = [("Committed", "a2"), ("Latest", "longer"), ("Latest", "a2")];
    at.expect("mixed", at.list("b", &lines), 201, "").await;
    let got = at.get("b").await;
    assert_eq!(got.body, b"TAIL!+TAIL!", "a block may come twice");
    assert_eq!(
        got.header("x-ms-meta-k"),
        None,
        "what is not given is cleared"
    );
    if at.exact {
        assert_eq!(got.header("content-md5"), None);
    }

    at.expect("block", at.block("b", "x", b"1"), 201, "").await;
    at.expect("over it", at.blob("b", b"whole"), 201, "").await;
    let waiting = at.blocks("b", "UncommittedBlocks").await;
    if at.exact {
        assert_eq!(waiting, [], "a write drops them");
    }
    at.expect("no blocks", at.list("none", &[]), 201, "").await;
    assert_eq!(at.get("none").await.body, b"");
}

async fn foreign_blocks(at: &Endpoint) {
    at.expect("foreign", at.block("f", "theirs", b"1"), 201, "")
        .await;
    at.expect(
        "ours",
        at.block("f", "our", b"2"),
        400,
        "InvalidBlobOrBlock",
    )
    .await;
    at.expect("delete", at.call("DELETE", "/box/f"), 202, "")
        .await;
    at.expect("ours", at.block("f", "our", b"2"), 201, "").await;
    at.expect("commit", at.list("f", &[("Latest", "our")]), 201, "")
        .await;
    at.expect("foreign", at.block("f", "theirs", b"1"), 201, "")
        .await;
    let again = at.list("f", &[("Committed", "our")]);
    at.expect("commit again", again, 201, "").await;
    assert_eq!(at.blocks("f", "UncommittedBlocks").await, []);
    assert_eq!(at.get("f").await.body, b"2");
}

async fn metadata(at: &Endpoint) {
    let with = |name: &str| at.blob("m", b"1").header(&format!("x-ms-meta-{name}"), "v");
    at.expect("underscore", with("_a1"), 201, "").await;
    at.expect("hyphen", with("a-b"), 400, "InvalidMetadata")
        .await;
    at.expect("digit", with("1a"), 400, "InvalidMetadata").await;
    at.expect("dot", with("a.b"), 400, "InvalidMetadata").await;
}

async fn listing_and_deleting(at: &Endpoint) {
    for name in ["l/a", "l/b/1", "l/b/2", "l/c"] {
        at.expect(name, at.blob(name, b"1"), 201, "").await;
    }
    at.expect("block", at.block("l/d", "x", b"1"), 201, "")
        .await;
    let page = |more: &str| {
        let target = format!("/box?comp=list&delimiter=%2F&prefix=l%2F&restype=container{more}");
        at.call("GET", &target)
    };
    let all = at.expect("list", page(""), 200, "").await.text();
    let names: Vec<&str> = all
        .split("<Name>")
        .skip(1)
        .filter_map(|rest| rest.split('<').next())
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        ["l/a", "l/b/", "l/c"],
        "groups; nothing uncommitted"
    );
    let first = at.expect("page", page("&maxresults=1"), 200, "").await;
    assert!(!first.element("NextMarker").unwrap_or_default().is_empty());
    at.expect("delete", at.call("DELETE", "/box/l/a"), 202, "")
        .await;
    let gone = at.call("DELETE", "/box/l/a");
    at.expect("delete again", gone, 404, "BlobNotFound").await;
}

/// Everything, in order: the first function makes the container the others use.
async fn suite(at: &Endpoint) {
    containers(at).await;
    account(at).await;
    whole_blobs(at).await;
    conditions(at).await;
    blocks(at).await;
    blocks_again(at).await;
    foreign_blocks(at).await;
    metadata(at).await;
    dress::checksums(at).await;
    dress::tags(at).await;
    dress::refused_tags(at).await;
    dress::tiers(at).await;
    listing_and_deleting(at).await;
}

#[tokio::test]
async fn on_the_stand_in() {
    suite(&sim().await).await;
}

#[tokio::test]
async fn on_azurite() {
    suite(&azurite()).await;
}
