//! Objects of all sizes through `blobfleet copy`: every byte arrives.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use simcloud::{ACCOUNT, BlobView, Config, Content, Keep, Object};

use crate::harness::World;

const OBJECTS: usize = 10_000;
const MIB: u64 = 1 << 20;
const LARGEST: u64 = 300 * MIB;
/// `--put-blob-size-mb`.
const THRESHOLD: u64 = MIB;
/// `--block-size-mb`: no divisor of the threshold, so that last blocks are short.
const BLOCK: u64 = 3 * MIB / 4;
/// One object in so many has properties and metadata.
const DRESSED: usize = 10;

/// Ten thousand sizes that add up to less than 10 GB: log-uniform up to 1 MiB, and for one in 25
/// up to 300 MiB (16 MB on average), with the edges put in: nothing, one byte, the threshold and
/// its neighbours, whole numbers of blocks and theirs, and the largest.
fn sizes(random: &mut StdRng) -> Vec<u64> {
    let mut sizes = vec![LARGEST, 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1];
    for size in [0, THRESHOLD - 1, THRESHOLD, THRESHOLD + 1] {
        sizes.extend([size; 10]);
    }
    while sizes.len() < OBJECTS {
        let top = if sizes.len().is_multiple_of(25) {
            LARGEST
        } else {
            MIB
        };
        let size = (top as f64).powf(random.random()) as u64;
        sizes.push(size.min(top));
    }
    sizes.shuffle(random);
    sizes
}

/// Properties and metadata that differ from object to object.
fn dressed(index: usize, object: Object) -> Object {
    let language = ["en", "de-CH", "pt"][index % 3];
    object
        .header("Content-Type", &format!("application/x-n{index}"))
        .header("Cache-Control", &format!("max-age={index}, no-transform"))
        .header(
            "Content-Encoding",
            if index.is_multiple_of(2) {
                "gzip"
            } else {
                "br"
            },
        )
        .header("Content-Language", language)
        .header(
            "Content-Disposition",
            &format!("attachment; filename=\"n {index}.bin\""),
        )
        .metadata("owner", &format!("tester {index}"))
        .metadata("_x1", "a=b, \"c\"; d")
}

fn assert_dressed(index: usize, blob: &BlobView) {
    let language = ["en", "de-CH", "pt"][index % 3];
    let encoding = if index.is_multiple_of(2) {
        "gzip"
    } else {
        "br"
    };
    for (name, value) in [
        ("Content-Type", format!("application/x-n{index}")),
        ("Cache-Control", format!("max-age={index}, no-transform")),
        ("Content-Encoding", encoding.to_owned()),
        ("Content-Language", language.to_owned()),
        (
            "Content-Disposition",
            format!("attachment; filename=\"n {index}.bin\""),
        ),
    ] {
        assert_eq!(blob.header(name), Some(value.as_str()), "{}", blob.name);
    }
    let metadata = [
        ("_x1".to_owned(), "a=b, \"c\"; d".to_owned()),
        ("owner".to_owned(), format!("tester {index}")),
    ];
    assert_eq!(blob.metadata, metadata, "{}", blob.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_objects_of_all_sizes_arrive_byte_for_byte() {
    let world = World::start(Config {
        keep: Keep::Digest,
        ..Config::default()
    })
    .await;
    world.cloud.add_bucket("sizes", "eu-north-1");
    let sizes = sizes(&mut StdRng::seed_from_u64(20));
    let total: u64 = sizes.iter().sum();
    let above = sizes.iter().filter(|size| **size > THRESHOLD).count();
    println!("{OBJECTS} objects, {total} bytes, {above} above the threshold");
    assert!(total <= 10_000_000_000 && above >= 100);
    let objects = sizes.iter().enumerate().map(|(index, size)| {
        let object = Object::generated(index as u64, *size);
        let object = match index % DRESSED {
            0 => dressed(index, object),
            1 => object.checksum(),
            _ => object,
        };
        (format!("d{}/n{index:05}", index % 7), object)
    });
    world.cloud.put_objects("sizes", objects);

    let done = world
        .copy("s3://sizes", "sizes")
        .args(["--put-blob-size-mb=1", "--block-size-mb=0.75"])
        .run()
        .await;

    done.assert_all_copied(OBJECTS as u64);
    assert_eq!(done.count("bytes_copied"), total);
    println!("copied in {} s", done.summary()["elapsed_seconds"]);
    let blobs: BTreeMap<String, BlobView> = world
        .cloud
        .blobs(ACCOUNT)
        .into_iter()
        .map(|(container, blob)| (format!("{container}/{}", blob.name), blob))
        .collect();
    assert_eq!(blobs.len(), OBJECTS);
    for (index, length) in sizes.into_iter().enumerate() {
        let blob = &blobs[&format!("sizes/d{}/n{index:05}", index % 7)];
        let seed = index as u64;
        assert!(
            blob.equals(&Content::Generated { seed, length }),
            "{} of {length} bytes is not what was sent",
            blob.name
        );
        let blocks = if length > THRESHOLD {
            length.div_ceil(BLOCK)
        } else {
            0
        };
        assert_eq!(blob.blocks.len() as u64, blocks, "{length}");
        if index % DRESSED == 0 {
            assert_dressed(index, blob);
        }
    }
}
