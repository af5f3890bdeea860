//! AzCopy and blobfleet copy the same buckets into two accounts, which are equal afterwards: in
//! containers, names, bytes, properties, metadata and tiers.

use std::collections::BTreeMap;
use std::time::Duration;

use simcloud::{ACCOUNT, Config, Object, SimCloud};

use crate::azcopy;
use crate::harness::World;

/// The account AzCopy copies into.
const REFERENCE: &str = "azcopyaccount";

/// What a blob is but for its bytes: properties, metadata (names in lower case, as AzCopy writes
/// them capitalised), tier, length and CRC-64.
type Facts = (
    Vec<(&'static str, String)>,
    Vec<(String, String)>,
    Option<String>,
    u64,
    u64,
);

/// Everything of an account, by container and name.
fn account(cloud: &SimCloud, account: &str) -> BTreeMap<(String, String), Facts> {
    let blobs = cloud.blobs(account).into_iter();
    blobs
        .map(|(container, blob)| {
            let lower = |(name, value): (String, String)| {
                let name = name.to_ascii_lowercase();
                let is_name = name.starts_with("rename_key_");
                let value = if is_name {
                    value.to_ascii_lowercase()
                } else {
                    value
                };
                (name, value)
            };
            let mut metadata: Vec<_> = blob.metadata.into_iter().map(lower).collect();
            metadata.sort();
            let facts = (blob.headers, metadata, blob.tier, blob.length, blob.crc64);
            ((container, blob.name), facts)
        })
        .collect()
}

/// Several hundred objects in four buckets, with names and metadata that both can carry.
async fn world() -> World {
    let config = Config {
        tls: true,
        ..Config::default()
    };
    let world = World::start(config).await;
    let cloud = &world.cloud;
    cloud.add_account(REFERENCE);
    for (bucket, region) in [
        ("logs-one", "eu-west-1"),
        ("logs.two", "eu-central-1"),
        ("data--raw", "eu-west-1"),
        ("plain", "us-east-1"),
    ] {
        cloud.add_bucket(bucket, region);
        for number in 0..60_u64 {
            cloud.put_object(
                bucket,
                &format!("n/{number:03}.bin"),
                object(bucket, number),
            );
        }
        for (number, key) in (100_u64..).zip(NAMES) {
            cloud.put_object(bucket, key, object(bucket, number));
        }
    }
    world
}

const NAMES: &[&str] = &[
    "top.txt",
    "dir/a b+c.txt",
    "dir/sub/d.txt",
    "dir/sub/e.log",
    "dir.other/f.txt",
    "dir/100%/%2F.txt",
    "dir/#h?i=j&k",
    "dir/\u{e9}t\u{e9}/日本.txt",
    "dir//double/l.txt",
    "dir/[m]{n}(o)!*'",
    "empty",
    "Case/CASE/case.TXT",
];

fn object(bucket: &str, number: u64) -> Object {
    let length = if number == 110 { 0 } else { number * 37 };
    let object = Object::generated(number, length)
        .header(
            "content-type",
            if number.is_multiple_of(2) {
                "text/plain"
            } else {
                "image/png"
            },
        )
        .metadata("bucket", bucket)
        .metadata("cost-center", "excluded or renamed")
        .metadata("n", &number.to_string());
    if number.is_multiple_of(3) {
        return object
            .header("cache-control", "max-age=60")
            .header("content-encoding", "gzip")
            .header("content-language", "de")
            .header("content-disposition", "attachment; filename=\"x y\"");
    }
    object
}

/// Source, place at the destination, flags; and how many blobs both make.
const CASES: &[(&str, &str, &[&str], usize)] = &[
    ("https://s3.amazonaws.com/", "", &[], 288),
    (
        "https://s3.eu-west-1.amazonaws.com/",
        "all/in/one",
        &[],
        144,
    ),
    ("https://s3.amazonaws.com/logs*", "", &[], 144),
    (
        "https://s3.amazonaws.com/plain",
        "there",
        &["--block-blob-tier=Cool"],
        72,
    ),
    (
        "https://s3.us-east-1.amazonaws.com/plain",
        "there/d",
        &[],
        72,
    ),
    ("https://s3.amazonaws.com/plain/*", "there/d", &[], 72),
    (
        "https://s3.eu-west-1.amazonaws.com/data--raw/dir",
        "there/d",
        &[],
        8,
    ),
    (
        "https://s3.eu-west-1.amazonaws.com/data--raw/dir/*",
        "there",
        &["--recursive=false"],
        3,
    ),
    (
        "https://s3.amazonaws.com/plain/dir",
        "there/d",
        &["--as-subdir=false"],
        8,
    ),
    (
        "https://s3.amazonaws.com/plain/dir/sub/d.txt",
        "there/e/",
        &[],
        1,
    ),
    (
        "https://s3.amazonaws.com/plain/dir/sub/d.txt",
        "there/e",
        &[],
        1,
    ),
    (
        "https://s3.amazonaws.com/plain",
        "there",
        &["--include-pattern=*.txt;00*"],
        17,
    ),
    (
        "https://s3.amazonaws.com/plain",
        "there",
        &["--exclude-pattern=*.bin"],
        12,
    ),
    (
        "https://s3.amazonaws.com/plain",
        "there",
        &["--exclude-path=n/;dir/sub"],
        10,
    ),
    (
        "https://s3.amazonaws.com/plain",
        "there",
        &["--include-regex=^dir/.*t$;CASE"],
        6,
    ),
    (
        "https://s3.amazonaws.com/plain",
        "there",
        &["--exclude-regex=[0-9]{3}"],
        11,
    ),
    (
        "https://s3.amazonaws.com/plain",
        "there",
        &["--include-path=dir/sub;top.txt"],
        3,
    ),
    (
        "https://s3.amazonaws.com/plain",
        "there",
        &["--s2s-handle-invalid-metadata=RenameIfInvalid"],
        72,
    ),
    (
        "https://s3.amazonaws.com/plain",
        "there",
        &["--include-after=2100-01-01T00:00:00Z"],
        0,
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_make_the_same_of_the_same() {
    let mut different = Vec::new();
    for (source, place, flags, expected) in CASES {
        if let Some(why) = difference(source, place, flags, *expected).await {
            different.push(format!("{source} {place} {flags:?}: {why}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// What differs after both have run, if anything does.
async fn difference(source: &str, place: &str, flags: &[&str], expected: usize) -> Option<String> {
    let world = world().await;
    let cloud = &world.cloud;
    let expiry = cloud.now() + Duration::from_secs(3600);
    let sas = cloud.sas(REFERENCE, "rwdlact", expiry);
    let to = format!("{}/{place}?{sas}", cloud.blob_url(REFERENCE));
    let home = tempfile::tempdir().unwrap();
    let recursive = flags.iter().all(|flag| !flag.starts_with("--recursive"));
    let mut arguments = vec!["copy", source, &to, "--from-to=S3Blob"];
    arguments.extend(
        flags
            .iter()
            .copied()
            .chain(recursive.then_some("--recursive")),
    );

    let azcopy = azcopy::run(cloud, home.path(), &arguments).await;
    let copy = world.copy_as_is(source, place).args(flags.iter().copied());
    let done = copy.args(recursive.then_some("--recursive")).run().await;

    let said = String::from_utf8_lossy(&azcopy.stdout).into_owned();
    if !azcopy.status.success() {
        return Some(format!("AzCopy failed: {:#?}\n{said}", cloud.refusals()));
    }
    if done.code() != Some(0) {
        return Some(format!("blobfleet failed: {}", done.stderr));
    }
    let (ours, theirs) = (account(cloud, ACCOUNT), account(cloud, REFERENCE));
    if ours == theirs && ours.len() == expected {
        return None;
    }
    let lacking = theirs
        .iter()
        .filter(|(name, facts)| ours.get(name) != Some(facts));
    let surplus = ours
        .iter()
        .filter(|(name, facts)| theirs.get(name) != Some(facts));
    Some(format!(
        "{} blobs, {} of AzCopy; only AzCopy has {:?}; only blobfleet has {:?}",
        ours.len(),
        theirs.len(),
        lacking.take(3).collect::<Vec<_>>(),
        surplus.take(3).collect::<Vec<_>>()
    ))
}
