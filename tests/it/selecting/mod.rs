//! What of a source is copied: filters, and how little is listed for them.

mod containers;
mod entries;
mod filters;
mod special_keys;
mod versions;

use std::collections::BTreeSet;

use simcloud::{ACCOUNT, Config, Object, OpKind};

use crate::harness::World;

/// A bucket `bkt` of these keys; each object's bytes are its key.
async fn world(keys: &[&str]) -> World {
    let world = World::start(Config::default()).await;
    put(&world, "bkt", keys);
    world
}

fn put(world: &World, bucket: &str, keys: &[&str]) {
    world.cloud.add_bucket(bucket, "eu-west-1");
    put_more(world, bucket, keys);
}

fn put_more(world: &World, bucket: &str, keys: &[&str]) {
    let objects = keys.iter().map(|key| {
        // A folder's marker holds nothing.
        let content = if key.ends_with('/') { "" } else { *key };
        ((*key).to_owned(), Object::bytes(content.to_owned()))
    });
    world.cloud.put_objects(bucket, objects);
}

/// What is at the destination: `container/blob`, whose bytes must be the key `key_of` tells.
fn arrived(world: &World, key_of: impl Fn(&str) -> String) -> BTreeSet<String> {
    let blobs = world.cloud.blobs(ACCOUNT).into_iter();
    blobs
        .map(|(container, blob)| {
            let place = format!("{container}/{}", blob.name);
            let bytes = blob.bytes.unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), key_of(&place), "{place}");
            assert_eq!(blob.writes, 1, "{place} was written again");
            place
        })
        .collect()
}

/// The keys whose objects are at the destination, each once.
fn objects(world: &World) -> BTreeSet<String> {
    let blobs = world.cloud.blobs(ACCOUNT);
    let keys = blobs.iter().map(|(_, blob)| blob.bytes.clone().unwrap());
    let keys: BTreeSet<_> = keys
        .map(|key| String::from_utf8(key.to_vec()).unwrap())
        .collect();
    assert_eq!(keys.len(), blobs.len(), "an object went to two blobs");
    keys
}

/// A file of these lines.
fn list(world: &World, lines: &[&str]) -> String {
    let path = world.state().with_file_name("list");
    std::fs::write(&path, lines.join("\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

fn set(places: &[&str]) -> BTreeSet<String> {
    places.iter().map(|place| (*place).to_owned()).collect()
}

/// Pages of keys asked for so far.
fn listings(world: &World) -> u64 {
    world.cloud.requests(OpKind::ListObjects)
}
