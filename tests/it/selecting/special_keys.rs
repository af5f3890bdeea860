//! AzCopy's rules 5.4 (special keys), every row, with the result we want: a key is copied under
//! its own name, or skipped or failed with a reason; none is dropped in silence.

use std::collections::BTreeMap;

use blobfleet::reporter::ledger::EndingKind;
use simcloud::{ACCOUNT, Config, Object};

use crate::harness::World;

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
        let world = World::start(Config::default()).await;
        world.cloud.add_bucket("bkt", "eu-west-1");
        // Over 254 segments, and over 1,024 characters with the destination's path.
        let deep = vec!["d"; 255].join("/");
        let long = "é".repeat(400);
        let rows = ROWS.iter().map(|(key, plain, with)| {
            let fate = if stubs { *with } else { *plain };
            ((*key).to_owned(), fate)
        });
        let mut wanted: BTreeMap<String, Fate> = rows.collect();
        wanted.insert(deep, NAME);
        wanted.insert(long, NAME);
        // AzCopy takes an object without a storage class for a folder.
        wanted.insert("classless".to_owned(), Copied);
        for key in wanted.keys() {
            let object = Object::bytes(key.clone());
            let object = match key.as_str() {
                "classless" => object.storage_class(""),
                _ => object,
            };
            world.cloud.put_object("bkt", &format!("dir/{key}"), object);
        }
        let folder = format!("{}/", "t".repeat(640));
        let to = format!("con/{folder}");
        let mut copy = world
            .copy("s3://bkt/dir/*", &to)
            .args(["--blob-type=Detect"]);
        if stubs {
            copy = copy.args(["--include-directory-stub"]);
        }

        let done = copy.run().await;

        let mut fates: BTreeMap<String, (Fate, String)> = BTreeMap::new();
        for (_, blob) in world.cloud.blobs(ACCOUNT) {
            let key = blob.name.strip_prefix(&folder).unwrap();
            assert_eq!(
                blob.bytes.unwrap(),
                key.as_bytes(),
                "{key:?} has other bytes"
            );
            fates.insert(key.to_owned(), (Copied, String::new()));
        }
        for (kind, ended) in [
            (EndingKind::Skipped, Skipped as fn(&'static str) -> Fate),
            (EndingKind::Failed, Failed),
        ] {
            for line in world.endings(&done, kind) {
                let key = line.key.strip_prefix("dir/").unwrap().to_owned();
                let known = ["folder_marker", "name_rejected"];
                let reason = known.into_iter().find(|known| *known == line.reason);
                let before = fates.insert(key, (ended(reason.unwrap_or("?")), line.message));
                assert_eq!(before, None, "it ended twice");
            }
        }
        for (key, fate) in &wanted {
            let got = fates.remove(key);
            assert_eq!(
                got.as_ref().map(|got| got.0),
                Some(*fate),
                "{key:?}: {got:?}"
            );
        }
        assert!(fates.is_empty(), "nobody asked for {fates:?}");
        assert_eq!(done.count("objects_listed"), wanted.len() as u64);
    }
}
