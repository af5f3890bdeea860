//! What blobs carry beside their content: properties, metadata, tags, tiers, and what the job says.

use std::collections::BTreeMap;
use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blobfleet::reporter::ledger::EndingKind;
use simcloud::{ACCOUNT, Action, BlobView, Config, Content, Object, OpKind};

use crate::harness::{Finished, World};

const BUCKET: &str = "source";

fn content() -> Content {
    Content::Generated {
        seed: 3,
        length: 50,
    }
}

fn object() -> Object {
    Object::new(content())
        .header("content-type", "text/plain")
        .header("cache-control", "no-cache")
        .header("expires", "Thu, 01 Jan 2032 00:00:00 GMT")
        .metadata("owner", "me")
        .metadata("cost-center", "7")
        .metadata("greeting", "=?UTF-8?B?aGVsbG8=?=")
}

async fn world(objects: &[(&str, Object)]) -> World {
    let world = World::start(Config::default()).await;
    world.cloud.add_bucket(BUCKET, "eu-west-1");
    for (key, object) in objects {
        world.cloud.put_object(BUCKET, key, object.clone());
    }
    world
}

async fn copy(world: &World, flags: &[&str]) -> Finished {
    let copy = world.copy("s3://source", "target");
    copy.args(flags.iter().copied()).run().await
}

fn blob(world: &World, name: &str) -> BlobView {
    let blob = world.cloud.blob(ACCOUNT, "target", name);
    blob.unwrap_or_else(|| panic!("no blob {name}"))
}

fn metadata(blob: &BlobView) -> BTreeMap<&str, &str> {
    let pairs = blob.metadata.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

fn tags(blob: &BlobView) -> BTreeMap<&str, &str> {
    let pairs = blob.tags.iter();
    pairs
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

/// Both ways of making a blob: whole, and by blocks; direct and relayed.
const WAYS: [&[&str]; 4] = [
    &[],
    &["--put-blob-size-mb=0"],
    &["--relay=always"],
    &["--relay=always", "--put-blob-size-mb=0"],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_of_copying_carries_everything() {
    for way in WAYS {
        let cold = object().storage_class("STANDARD_IA");
        let cold = cold.tag("team", "blue").tag("mail", "x@y");
        let world = world(&[("k", cold), ("plain", object())]).await;
        let flags = [
            "--s2s-preserve-tags",
            "--s2s-preserve-access-tier",
            "--blob-tags=year=2026&team=red",
            "--s2s-source-metadata=etag,expires,storage-class",
            "--content-language=de",
            "--cache-control=max-age=1",
        ];
        let done = copy(&world, &[&flags[..], way].concat()).await;
        done.assert_all_copied(2);
        // `cost-center`, and the tag `mail`.
        assert_eq!(done.count("objects_metadata_excluded"), 2, "{way:?}");
        let log = world.job_logs().concat();
        assert!(
            log.contains("cost-center") && log.contains("tag mail"),
            "{log}"
        );
        let blob = blob(&world, "k");
        assert!(blob.equals(&content()), "{way:?}");
        assert_eq!(blob.header("content-type"), Some("text/plain"));
        assert_eq!(blob.header("content-language"), Some("de"));
        assert_eq!(blob.header("cache-control"), Some("max-age=1"));
        assert_eq!(blob.tier.as_deref(), Some("Cool"));
        assert_eq!(
            tags(&blob),
            BTreeMap::from([("team", "red"), ("year", "2026")])
        );
        let metadata = metadata(&blob);
        assert_eq!(metadata["owner"], "me");
        assert_eq!(metadata["greeting"], "hello");
        assert_eq!(metadata["s3_expires"], "Thu, 01 Jan 2032 00:00:00 GMT");
        assert_eq!(metadata["s3_storage_class"], "STANDARD_IA");
        assert_eq!(metadata["s3_etag"].len(), 32);
        assert_eq!(metadata.len(), 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_too_long_for_a_header_are_set_apart() {
    let many = (0..10).fold(object(), |object, n| {
        object.tag(&format!("key{n}"), &"v ".repeat(127))
    });
    for way in WAYS {
        let world = world(&[("k", many.clone())]).await;
        let done = copy(&world, &[&["--s2s-preserve-tags"][..], way].concat()).await;
        done.assert_all_copied(1);
        let blob = blob(&world, "k");
        assert_eq!(tags(&blob).len(), 10, "{way:?}");
        assert_eq!(tags(&blob)["key7"], "v ".repeat(127));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_excluded_renamed_or_fails_the_object() {
    let world = world(&[("k", object()), ("fine", Object::new(content()))]).await;
    let done = copy(&world, &["--s2s-handle-invalid-metadata=renameifinvalid"]).await;
    done.assert_all_copied(2);
    let renamed = blob(&world, "k");
    assert_eq!(metadata(&renamed)["rename_cost_center"], "7");
    assert_eq!(metadata(&renamed)["rename_key_cost_center"], "cost-center");

    let done = copy(&world, &["--s2s-invalid-metadata-handle=FailIfInvalid"]).await;
    assert_eq!(done.text("status"), "CompletedWithErrors");
    let failed = world.endings(&done, EndingKind::Failed);
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (failed[0].key.as_str(), failed[0].reason.as_str()),
        ("k", "metadata_rejected")
    );
    assert!(
        failed[0].message.contains("cost-center"),
        "{}",
        failed[0].message
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jobs_own_metadata_replaces_the_objects() {
    let world = world(&[("k", object())]).await;
    let flags = [
        "--metadata=a=1;b=two words",
        "--s2s-preserve-properties=false",
    ];
    let flags = [
        &flags[..],
        &["--content-type=image/png", "--block-blob-tier=cold"],
    ]
    .concat();
    copy(&world, &flags).await.assert_all_copied(1);
    let blob = blob(&world, "k");
    assert_eq!(
        metadata(&blob),
        BTreeMap::from([("a", "1"), ("b", "two words")])
    );
    assert_eq!(blob.header("content-type"), Some("image/png"));
    assert_eq!(blob.header("cache-control"), None);
    assert_eq!(blob.tier.as_deref(), Some("Cold"));
    assert_eq!(world.cloud.requests(OpKind::HeadObject), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_objects_are_skipped_with_their_class_however_it_is_known() {
    let archived = Object::new(content()).storage_class("DEEP_ARCHIVE");
    let tiered = Object::new(content())
        .storage_class("INTELLIGENT_TIERING")
        .archive_status("ARCHIVE_ACCESS");
    let restored = Object::new(content()).storage_class("GLACIER").restored();
    let objects = [
        ("a", archived),
        ("b", tiered),
        ("c", restored),
        ("d", object()),
    ];
    let world = world(&objects).await;
    let done = copy(&world, &[]).await;
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert_eq!(done.text("status"), "CompletedWithSkipped");
    assert_eq!(done.count("objects_copied"), 2);
    let skipped = world.endings(&done, EndingKind::Skipped);
    for (line, class) in skipped.iter().zip(["DEEP_ARCHIVE", "INTELLIGENT_TIERING"]) {
        assert_eq!(line.reason, "archived");
        assert!(line.message.contains(class), "{}", line.message);
    }
    assert_eq!(skipped.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_with_a_customers_key_are_relayed_with_it() {
    let key = [9; 32];
    let objects = [
        ("secret", Object::new(content()).customer_key(key)),
        ("other", Object::new(content()).customer_key([8; 32])),
        ("plain", Object::new(content())),
    ];
    let world = world(&objects).await;
    let file = world.state().with_file_name("key");
    fs::write(&file, format!("{}\n", STANDARD.encode(key))).unwrap();
    let flag = format!("--s3-sse-c-key-file={}", file.display());

    let done = copy(&world, &[&flag]).await;

    assert_eq!(
        done.text("status"),
        "CompletedWithErrors",
        "{}",
        done.stderr
    );
    assert_eq!(done.count("objects_relayed"), 1);
    assert!(blob(&world, "secret").equals(&content()));
    assert!(blob(&world, "plain").equals(&content()));
    let failed = world.endings(&done, EndingKind::Failed);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].key, "other");
    let said = format!("{}{}", done.stdout, done.stderr);
    assert!(
        !said.contains(&STANDARD.encode(key)),
        "a secret was printed"
    );

    let done = copy(&world, &[&flag, "--relay=never"]).await;
    let failed = world.endings(&done, EndingKind::Failed);
    assert_eq!(failed.len(), 2);
    assert!(
        failed
            .iter()
            .any(|line| line.message.contains("--relay=auto"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refusal_fails_one_object() {
    let objects: Vec<_> = (0..50).map(|n| format!("k{n:02}")).collect();
    for flags in [
        &[][..],
        &["--s2s-preserve-properties=false"],
        &["--relay=always"],
    ] {
        let pairs: Vec<_> = objects.iter().map(|key| (key.as_str(), object())).collect();
        let world = world(&pairs).await;
        world
            .cloud
            .on_request(|op| match (op.place.as_str(), op.name.as_str()) {
                (BUCKET, "k17") => Action::Fail {
                    status: 403,
                    code: "AccessDenied",
                },
                _ => Action::Pass,
            });
        let done = copy(&world, flags).await;
        assert_eq!(done.code(), Some(1));
        assert_eq!(done.text("status"), "CompletedWithErrors");
        assert_eq!(done.count("objects_copied"), 49);
        let failed = world.endings(&done, EndingKind::Failed);
        assert_eq!(failed.len(), 1, "{flags:?}");
        assert_eq!(
            (failed[0].key.as_str(), failed[0].reason.as_str()),
            ("k17", "source_denied")
        );
    }
}

/// A lost answer is asked for again, and a blob in tier Archive cannot be written twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archived_blob_of_the_jobs_own_is_copied_and_another_ones_is_named() {
    for (way, kind) in [
        (&[][..], OpKind::PutBlobFromUrl),
        (&["--put-blob-size-mb=0"], OpKind::PutBlockList),
        (&["--relay=always"], OpKind::PutBlob),
    ] {
        let world = world(&[("k", object())]).await;
        let flags = [&["--block-blob-tier=Archive"][..], way].concat();
        world
            .cloud
            .on_request(move |op| match op.kind == kind && op.number == 2 {
                // The first one finds no container.
                true => Action::ResetAfter,
                false => Action::Pass,
            });
        copy(&world, &flags).await.assert_all_copied(1);
        assert_eq!(blob(&world, "k").tier.as_deref(), Some("Archive"));

        world.cloud.clear_hook();
        let flags = [&flags[..], &["--job-name=again"]].concat();
        let done = copy(&world, &flags).await;
        let failed = world.endings(&done, EndingKind::Failed);
        assert_eq!(failed.len(), 1, "{way:?}");
        assert_eq!(failed[0].reason, "destination_archived");
        assert!(
            failed[0].message.contains("delete it"),
            "{}",
            failed[0].message
        );
    }
}
