//! Objects that come through the copier: what Azure cannot fetch, and everything on request.

use std::time::Duration;

use blobfleet::reporter::ledger::EndingKind;
use simcloud::{Config, Content, Object};

use super::{BUCKET, GOOD, assert_blobs, by_key, logins, longest, put};
use crate::harness::{Invocation, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relayed_keys_and_bytes_are_the_same() {
    for flags in [
        &[][..],
        &[
            "--put-blob-size-mb=0",
            "--block-size-mb=0.00000762939453125",
        ],
    ] {
        let world = World::start(Config::default()).await;
        let keys = GOOD.iter().map(|key| (*key).to_owned());
        let contents = put(&world, keys.chain([longest()]));

        let copy = logins(&world)[0].clone().args(flags.iter().copied());
        let done = copy.args(["--relay=always"]).run().await;

        done.assert_all_copied(contents.len() as u64);
        assert_eq!(done.count("objects_relayed"), contents.len() as u64);
        assert_blobs(&world, &contents);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_object_is_relayed_in_ranges() {
    let world = World::start(Config::default()).await;
    let mut contents = put(&world, ["empty".to_owned()]);
    for (key, length) in [
        ("empty", 0),
        ("exact", 16 << 20),
        ("large", (40 << 20) + 17),
    ] {
        let content = Content::Generated { seed: 5, length };
        let object = Object::new(content.clone());
        world.cloud.put_object(BUCKET, key, object);
        contents.insert(key.to_owned(), content);
    }

    let done = logins(&world)[0]
        .clone()
        .args(["--relay=always"])
        .run()
        .await;

    done.assert_all_copied(3);
    assert_blobs(&world, &contents);
}

/// Credentials whose token makes a presigned URL longer than Azure takes.
fn with_long_token(world: &World, token: &str) -> Invocation {
    let end = world.cloud.now() + Duration::from_secs(3600);
    world
        .cloud
        .add_session_key("ASIAEXAMPLE", "secret", token, end);
    logins(world)[0]
        .clone()
        .env("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_SESSION_TOKEN", token)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_url_beyond_two_kibibytes_is_relayed_or_fails_the_object() {
    let token = "T0ken/+=".repeat(70);
    // Percent-encoding makes 3,072 bytes of these 1,024.
    let encoded = "é".repeat(512);
    let keys = ["short".to_owned(), longest(), encoded.clone()];

    let world = World::start(Config::default()).await;
    let contents = put(&world, keys.clone());
    let done = with_long_token(&world, &token).run().await;
    done.assert_all_copied(3);
    assert_eq!(done.count("objects_relayed"), 2);
    assert_blobs(&world, &contents);

    let world = World::start(Config::default()).await;
    let mut contents = put(&world, keys);
    contents.retain(|key, _| key == "short");
    let copy = with_long_token(&world, &token).args(["--relay=never"]);
    let done = copy.run().await;
    assert_eq!(done.code(), Some(1), "{}", done.stderr);
    assert_eq!(done.text("status"), "CompletedWithErrors");
    assert_blobs(&world, &contents);
    let failed = by_key(world.endings(&done, EndingKind::Failed));
    assert_eq!(failed.len(), 2);
    for key in [longest(), encoded] {
        assert_eq!(failed[&key].reason, "source_url_too_long", "{key}");
    }
    let said = format!("{}{}", done.stdout, done.stderr);
    assert!(!said.contains("T0ken"), "a secret was printed");
}
