//! Keys that every URL library, Azure's fetcher or Azure itself would take for another: they fail,
//! are skipped or escaped as the job says, and no other blob is ever touched.

use blobfleet::destination::naming::unescape;
use blobfleet::reporter::ledger::EndingKind;
use percent_encoding::percent_decode_str;
use simcloud::{ACCOUNT, Config};

use super::{BUCKET, assert_blobs, by_key, logins, put};
use crate::harness::World;

const REWRITTEN: &[&str] = &[
    ".",
    "..",
    "./x",
    "../x",
    "a/./b",
    "a/../b",
    "a/..",
    "a/.",
    "a/b/../../c",
    "d//../e",
    "...",
    "b.",
    "a./b",
    "a/.../b",
    "a/b...",
    "a\\b",
    "a\\..\\b",
    "c\\",
];

/// Some of the names they would be taken for. They are there, so that a wrong fetch or write shows
/// as other bytes; the others are not, so that it shows as a blob too many.
const HIT: &[&str] = &["a/b", "b", "c"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_fail_and_touch_no_other_blob() {
    for flags in [
        &[][..],
        &["--s2s-preserve-properties=false"],
        // Without a signature nothing refuses the fetch of another object.
        &["--s2s-preserve-properties=false", "--s3-anonymous"],
        &["--put-blob-size-mb=0"],
        &["--relay=never"],
        &["--relay=always"],
    ] {
        let world = World::start(Config::default()).await;
        let keys = REWRITTEN.iter().chain(HIT);
        let mut contents = put(&world, keys.map(|key| (*key).to_owned()));
        world.cloud.make_public(BUCKET);
        contents.retain(|key, _| !REWRITTEN.contains(&key.as_str()));

        let copy = logins(&world)[0].clone().args(flags.iter().copied());
        let done = copy.run().await;

        assert_eq!(done.code(), Some(1), "{}", done.stderr);
        assert_eq!(done.text("status"), "CompletedWithErrors");
        assert_eq!(done.count("objects_copied"), contents.len() as u64);
        assert_eq!(done.count("objects_failed"), REWRITTEN.len() as u64);
        assert_blobs(&world, &contents);
        let failed = by_key(world.endings(&done, EndingKind::Failed));
        assert_eq!(failed.len(), REWRITTEN.len());
        for key in REWRITTEN {
            assert_eq!(failed[*key].reason, "name_rejected", "{key}");
            assert!(
                failed[*key]
                    .message
                    .contains("--invalid-name-handle=escape")
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_skipped_on_request() {
    let world = World::start(Config::default()).await;
    let keys = REWRITTEN.iter().chain(HIT);
    let mut contents = put(&world, keys.map(|key| (*key).to_owned()));
    contents.retain(|key, _| !REWRITTEN.contains(&key.as_str()));

    let copy = logins(&world)[0].clone();
    let done = copy.args(["--invalid-name-handle=skip"]).run().await;

    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert_eq!(done.text("status"), "CompletedWithSkipped");
    assert_blobs(&world, &contents);
    let skipped = by_key(world.endings(&done, EndingKind::Skipped));
    assert_eq!(skipped.len(), REWRITTEN.len());
    for key in REWRITTEN {
        assert_eq!(skipped[*key].reason, "invalid_name", "{key}");
        assert!(!skipped[*key].message.is_empty(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn escaped_they_are_relayed_and_can_be_turned_back() {
    for flags in [
        &[][..],
        &[
            "--put-blob-size-mb=0",
            "--block-size-mb=0.00000762939453125",
        ],
    ] {
        let world = World::start(Config::default()).await;
        // One more that only looks escaped.
        let keys = REWRITTEN.iter().chain(HIT).chain(&["b%2E"]);
        let contents = put(&world, keys.map(|key| (*key).to_owned()));

        let copy = logins(&world)[0].clone().args(flags.iter().copied());
        let done = copy.args(["--invalid-name-handle=escape"]).run().await;

        done.assert_all_copied(contents.len() as u64);
        assert_eq!(done.count("objects_relayed"), REWRITTEN.len() as u64);
        assert_eq!(done.count("objects_escaped"), REWRITTEN.len() as u64 + 1);
        let mut blobs = contents.clone();
        for (_, blob) in world.cloud.blobs(ACCOUNT) {
            let kept = blob.metadata.iter().find(|(name, _)| name == "s3_key");
            let key = match kept {
                None => blob.name.clone(),
                Some((_, kept)) => {
                    let key = percent_decode_str(kept).decode_utf8().unwrap();
                    assert_eq!(unescape(&blob.name).as_deref(), Some(&*key));
                    key.into_owned()
                }
            };
            let content = blobs.remove(&key).unwrap_or_else(|| panic!("{key} twice"));
            assert!(
                blob.equals(&content),
                "{key}: {} has other bytes",
                blob.name
            );
        }
        assert!(blobs.is_empty(), "not there: {:?}", blobs.keys());
    }
}

/// Where the awkward part is not kept in the blob's name, the object arrives under its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contents_of_an_awkward_folder_are_relayed_under_plain_names() {
    let world = World::start(Config::default()).await;
    let mut contents = put(&world, ["a/./b/x", "a/./b/y/z", "a/b/x"].map(str::to_owned));

    let done = world.copy("s3://awkward/a/./b/*", BUCKET).run().await;

    done.assert_all_copied(2);
    assert_eq!(done.count("objects_relayed"), 2);
    contents.remove("a/b/x");
    let expected = contents
        .into_iter()
        .map(|(key, content)| (key.trim_start_matches("a/./b/").to_owned(), content))
        .collect();
    assert_blobs(&world, &expected);
}
