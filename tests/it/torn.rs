//! A source that is replaced at any moment: what ends as copied is one state the source had, with
//! that state's properties, never parts of two.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use simcloud::{ACCOUNT, Action, Config, Content, Object, OpKind, Quirk};
use tokio::sync::mpsc;

use crate::harness::World;

const MIB: u64 = 1 << 20;

/// What of an object tells it from another, beside its bytes.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// An ETag that is no digest, as of an upload in parts.
    Parts,
    /// A CRC-64/NVME too.
    Crc64,
    /// An ETag that is its MD5.
    Md5,
}

/// The object in its `number`-th state.
fn state(number: u64, length: u64, told: Told) -> Object {
    let content = Content::Generated {
        seed: number,
        length,
    };
    let object = match told {
        Told::Parts => Object::new(content).etag(&format!("{number:032x}-3")),
        Told::Crc64 => Object::new(content)
            .etag(&format!("{number:032x}-3"))
            .checksum(),
        Told::Md5 => Object::bytes(content.read(0, usize::MAX)),
    };
    object.metadata("state", &number.to_string())
}

/// Copies an object that is replaced just before the requests whose numbers `at` holds, and again by
/// the same command if it fails.
async fn copy_torn(length: u64, told: Told, quirks: Vec<Quirk>, at: [u64; 2]) {
    let name = format!("{length} {told:?} {quirks:?} {at:?}");
    let config = Config {
        quirks,
        ..Config::default()
    };
    let world = World::start(config).await;
    world.cloud.add_bucket("src", "us-east-1");
    world.cloud.put_object("src", "k", state(0, length, told));
    let (tell, mut told_of) = mpsc::unbounded_channel();
    let asked = Arc::new(AtomicU64::new(0));
    world.cloud.on_request(move |op| {
        let about = op.name == "k" || matches!(op.kind, OpKind::PutBlockList);
        if !about || op.kind.is_s3() && op.kind == OpKind::ListObjects {
            return Action::Pass;
        }
        let number = asked.fetch_add(1, Ordering::SeqCst);
        if at.contains(&number) && tell.send(number).is_ok() {
            // Until the object is another one.
            return Action::Delay(Duration::from_millis(60));
        }
        Action::Pass
    });
    let command = world.copy("s3://src/*", "con").args([
        "--put-blob-size-mb=1",
        "--block-size-mb=1",
        "--concurrency=1",
    ]);
    let mut running = std::pin::pin!(command.run());
    let mut states = 1;
    let done = loop {
        tokio::select! {
            done = &mut running => break done,
            Some(_) = told_of.recv() => {
                world.cloud.put_object("src", "k", state(states, length, told));
                states += 1;
            }
        }
    };
    world.cloud.clear_hook();
    let done = match done.code() {
        Some(0) => done,
        _ => command.run().await,
    };
    assert_eq!(done.code(), Some(0), "{name}: {}", done.stderr);
    assert_eq!(done.count("objects_copied"), 1, "{name}");
    let blob = world.cloud.blob(ACCOUNT, "con", "k").unwrap();
    let is = |number: &u64| {
        blob.equals(&Content::Generated {
            seed: *number,
            length,
        })
    };
    let found = (0..states).find(is);
    let found = found.unwrap_or_else(|| panic!("{name}: the blob is no state of {states}"));
    let carried = [("state".to_owned(), found.to_string())];
    assert_eq!(
        blob.metadata, carried,
        "{name}: properties of another state"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_blob_is_made_of_two_states_of_its_source() {
    for told in [Told::Parts, Told::Crc64, Told::Md5] {
        for quirks in [vec![], vec![Quirk::NullVersions]] {
            for at in [[0, 9], [1, 2], [2, 5], [3, 4], [4, 6], [5, 7], [6, 8]] {
                let length = 3 * MIB + at[1] % 2 * 7;
                copy_torn(length, told, quirks.clone(), at).await;
            }
            for at in [[0, 1], [1, 3], [2, 4]] {
                copy_torn(1000, told, quirks.clone(), at).await;
            }
        }
    }
}
