//! AzCopy's rules 5.4 (special keys), every row, with the result we want: a key is copied under
//! its own name, or skipped or failed with a reason; none is dropped in silence.

use std::collections::BTreeMap;

use blobfleet::reporter::ledger::EndingKind;
use simcloud::{ACCOUNT, Config, Object};

use crate::harness::{Finished, World};

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Copied,
    Skipped(&'static str),
    Failed(&'static str),
}

use Fate::{Copied, Failed, Skipped};

const MARKER: Fate = Skipped("folder_marker");
const NAME: Fate = Failed("name_rejected");

/// A key below `dir/`, what becomes of it, and with `--include-directory-stub`.
const ROWS: &[(&str, Fate, Fate)] = &[
    // Ends with `/`: a folder marker; AzCopy skips it in silence.
    ("folder/", MARKER, Copied),
    ("folder/file", Copied, Copied),
    // The marker of the source itself, which AzCopy fails: nothing of its name is left.
    ("", MARKER, MARKER),
    // An empty folder; AzCopy never copies it.
    ("empty/", MARKER, Copied),
    // Ends with `.`, holds `./`: AzCopy skips it, uncounted.
    ("end.", NAME, NAME),
    ("a./b", NAME, NAME),
    ("a/./b", NAME, NAME),
    ("a/.b", Copied, Copied),
    // Runs of `/`, a leading one.
    ("a//b", Copied, Copied),
    ("/lead", Copied, Copied),
    // `\`, which AzCopy fails on or turns into `/`.
    ("back\\slash", NAME, NAME),
    // What is encoded in URLs.
    ("a+b", Copied, Copied),
    ("a b", Copied, Copied),
    ("100%", Copied, Copied),
    ("%2F", Copied, Copied),
    ("日本語/é", Copied, Copied),
    // Control characters.
    ("new\nline", NAME, NAME),
    // AzCopy makes page blobs of these, and fails by their size.
    ("disk.vhd", Copied, Copied),
    ("disk.VHDX", Copied, Copied),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_special_key_has_the_fate_that_is_told() {
    for stubs in [false, true] {
        let wanted = wanted(stubs);
        let world = World::start(Config::default()).await;
        world.cloud.add_bucket("bkt", "eu-west-1");
        for key in wanted.keys() {
            let marker = key.is_empty() || key.ends_with('/');
            let object = Object::bytes(if marker { String::new() } else { key.clone() });
            let object = match key.as_str() {
                "classless" => object.storage_class(""),
                _ => object,
            };
            world.cloud.put_object("bkt", &format!("dir/{key}"), object);
        }
        let folder = format!("{}/", "t".repeat(640));
        let copy = world.copy("s3://bkt/dir/*", &format!("con/{folder}"));
        let stub = format!("--include-directory-stub={stubs}");
        let done = copy.args(["--blob-type=Detect", &stub]).run().await;
        assert_eq!(fates(&world, &done, &folder), wanted);
        assert_eq!(done.count("objects_listed"), wanted.len() as u64);
    }
}

fn wanted(stubs: bool) -> BTreeMap<String, Fate> {
    let rows = ROWS.iter().map(|(key, plain, with)| {
        let fate = if stubs { *with } else { *plain };
        ((*key).to_owned(), fate)
    });
    let mut wanted: BTreeMap<String, Fate> = rows.collect();
    // Over 254 segments, and over 1,024 characters with the destination's path.
    wanted.insert(vec!["d"; 255].join("/"), NAME);
    wanted.insert("é".repeat(400), NAME);
    // AzCopy takes an object without a storage class for a folder.
    wanted.insert("classless".to_owned(), Copied);
    wanted
}

/// What became of each key; a blob's bytes are its key.
fn fates(world: &World, done: &Finished, folder: &str) -> BTreeMap<String, Fate> {
    let mut fates = BTreeMap::new();
    for (_, blob) in world.cloud.blobs(ACCOUNT) {
        let key = blob.name.strip_prefix(folder).unwrap();
        let marker = key.is_empty() || key.ends_with('/');
        assert_eq!(
            blob.bytes.unwrap(),
            if marker { "" } else { key }.as_bytes(),
            "{key:?} has other bytes"
        );
        fates.insert(key.to_owned(), Copied);
    }
    for (kind, ended) in [
        (EndingKind::Skipped, Skipped as fn(&'static str) -> Fate),
        (EndingKind::Failed, Failed),
    ] {
        for line in world.endings(done, kind) {
            let known = ["folder_marker", "name_rejected"];
            let reason = known.into_iter().find(|known| *known == line.reason);
            let reason = reason.unwrap_or_else(|| panic!("{line:?}"));
            let key = line.key.strip_prefix("dir/").unwrap().to_owned();
            assert_eq!(
                fates.insert(key, ended(reason)),
                None,
                "{line:?} ended twice"
            );
        }
    }
    fates
}
