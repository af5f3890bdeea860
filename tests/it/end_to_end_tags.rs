//! Tags and tiers: put by boto3, carried to Azurite, read back by azure-storage-blob.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::bridge::{self, Bridge};
use crate::end_to_end_blobs::{self, Blob};
use crate::end_to_end_check::{Ended, LIMITS, run};
use crate::moto::{self, Moto};

const BLOBFLEET: &str = env!("CARGO_BIN_EXE_blobfleet");

type Tags<'a> = &'a [(&'a str, &'a str)];

/// Ten values of so many characters are more than the header of one call holds.
const LONG: usize = 200;

/// An entry of a plan; see plan.py.
fn object(key: &str, size: u64, tags: Tags<'_>, class: &str) -> Value {
    let tagging: String = tags
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect::<Vec<_>>()
        .join("&");
    let headers = json!({"Tagging": tagging, "StorageClass": class});
    json!({"key": key, "size": size, "headers": headers})
}

fn encode(text: &str) -> String {
    let set = percent_encoding::NON_ALPHANUMERIC;
    percent_encoding::utf8_percent_encode(text, set).to_string()
}

fn seeded(objects: &[Value]) -> Moto {
    let moto = moto::start();
    let bucket = json!({"name": "tagged", "region": "us-west-2", "objects": objects});
    moto.seed(Some(&json!({"buckets": [bucket]})));
    moto
}

/// Copies the bucket into a container of its own; gives its blobs by name.
fn copied(
    moto: &Moto,
    bridge: &Bridge,
    to: &str,
    flags: &[&str],
) -> (Ended, BTreeMap<String, Blob>) {
    let state = tempfile::tempdir().unwrap();
    let destination = bridge.destination(to);
    let mut arguments = vec!["copy", "s3://tagged", &destination, "--recursive"];
    arguments.extend(["--s3-endpoint", moto.url(), "--output-type=json"]);
    arguments.extend(["--state", state.path().to_str().unwrap()]);
    arguments.extend(LIMITS.iter().chain(flags));
    let ended = run(BLOBFLEET, &arguments, &[]);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.summary, ended.stderr);
    assert_eq!(ended.summary["objects_failed"], 0, "{}", ended.stderr);
    let blobs = end_to_end_blobs::read(&bridge.azurite(), to, &["--tags"]);
    let blobs = blobs.into_iter().map(|blob| (blob.name.clone(), blob));
    (ended, blobs.collect())
}

fn owned(tags: Tags<'_>) -> BTreeMap<String, String> {
    let tags = tags.iter();
    tags.map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

/// What both services allow in a tag, on a blob of one call, of several blocks, relayed or not; a
/// tag that Azure does not allow is left out and named, and ten long ones are set apart.
#[test]
fn tags_become_index_tags() {
    let plain: Tags<'_> = &[("project", "blue"), ("year", "2026")];
    let odd: Tags<'_> = &[
        ("a b:c/d=e+f", "x-y.z_1 "),
        ("empty", ""),
        ("Case", "A"),
        ("case", "a"),
    ];
    let with_refused: Tags<'_> = &[("mail", "x@y"), ("kept", "1")];
    let names: Vec<String> = (0..10).map(|n| format!("key{n}")).collect();
    let value = "v ".repeat(LONG / 2 - 1) + "vv";
    let long: Vec<_> = names.iter().map(|name| (&**name, &*value)).collect();
    let all: [(&str, u64, Tags<'_>, Tags<'_>); 6] = [
        ("blocks", (3 << 20) + 17, plain, plain),
        ("long", 9, &long, &long),
        ("none", 9, &[], &[]),
        ("odd", 9, odd, odd),
        ("plain", 9, plain, plain),
        ("refused", 9, with_refused, &[("kept", "1")]),
    ];
    let objects: Vec<_> = all
        .iter()
        .map(|(key, size, tags, _)| object(key, *size, tags, "STANDARD"))
        .collect();
    let (moto, bridge) = (seeded(&objects), bridge::start());
    for (to, relay) in [("fetched", "--relay=never"), ("relayed", "--relay=always")] {
        let (ended, blobs) = copied(&moto, &bridge, to, &["--s2s-preserve-tags", relay]);
        assert_eq!(ended.summary["objects_copied"], all.len(), "{to}");
        assert_eq!(ended.summary["objects_metadata_excluded"], 1, "{to}");
        let named = r#"object.key="refused" excluded=["tag mail"]"#;
        assert!(ended.log.contains(named), "{}", ended.log);
        for (key, _, _, expected) in all {
            assert_eq!(blobs[key].tags, Some(owned(expected)), "{key}, {to}");
        }
    }
    let (_, blobs) = copied(&moto, &bridge, "untagged", &[]);
    assert!(blobs.values().all(|it| it.tags == Some(BTreeMap::new())));
}

/// One tier for all, or each object's by its storage class.
#[test]
fn blobs_get_the_tier_asked_for() {
    let classes = [
        ("standard", "STANDARD", "Hot"),
        ("rare", "STANDARD_IA", "Cool"),
        ("one-zone", "ONEZONE_IA", "Cool"),
        ("instant", "GLACIER_IR", "Cold"),
    ];
    let large = object("blocks", (3 << 20) + 17, &[], "STANDARD_IA");
    let mut objects = vec![large];
    objects.extend(classes.map(|(key, class, _)| object(key, 9, &[], class)));
    let (moto, bridge) = (seeded(&objects), bridge::start());
    for (to, relay) in [("fetched", "--relay=never"), ("relayed", "--relay=always")] {
        let (_, blobs) = copied(&moto, &bridge, to, &["--block-blob-tier=Cool", relay]);
        assert_eq!(blobs.len(), 5);
        for blob in blobs.values() {
            assert_eq!(blob.tier.as_deref(), Some("Cool"), "{}, {to}", blob.name);
        }
        let to = format!("{to}-by-class");
        let flags = ["--s2s-preserve-access-tier", relay];
        let (_, blobs) = copied(&moto, &bridge, &to, &flags);
        for (key, tier) in classes
            .map(|it| (it.0, it.2))
            .iter()
            .chain(&[("blocks", "Cool")])
        {
            assert_eq!(blobs[*key].tier.as_deref(), Some(*tier), "{key}, {to}");
        }
    }
}
