//! What is copied, how badly both clouds behave, and how what arrived is judged.

use std::collections::BTreeMap;
use std::time::Duration;

use simcloud::{ACCOUNT, Config, Content, Faults, Object, OpKind, SimCloud};

use super::scale::Scale;

/// Buckets, and how many objects of a hundred each has.
const BUCKETS: [(&str, u64); 5] = [
    ("chaos-a", 30),
    ("chaos-b", 25),
    ("chaos-c", 20),
    ("chaos-d", 15),
    ("chaos-e", 10),
];
/// Ranges that are listed side by side: one a bucket.
pub(super) const ROOTS: u64 = BUCKETS.len() as u64;
/// One object in so many goes by blocks.
const LARGE: u64 = 50;
/// Objects above 32 KiB go in blocks of 16 KiB.
pub(super) const SIZES: [&str; 2] = ["--put-blob-size-mb=0.03125", "--block-size-mb=0.015625"];
/// What is asked while a job goes on. Starting a program asks other things; what keeps it from
/// starting is no part of this.
const WORK: [OpKind; 10] = [
    OpKind::ListObjects,
    OpKind::HeadObject,
    OpKind::GetObject,
    OpKind::PutBlobFromUrl,
    OpKind::PutBlockFromUrl,
    OpKind::PutBlockList,
    OpKind::GetBlockList,
    OpKind::HeadBlob,
    OpKind::PutBlob,
    OpKind::PutBlock,
];
/// What makes a blob.
const WRITES: [OpKind; 3] = [
    OpKind::PutBlob,
    OpKind::PutBlobFromUrl,
    OpKind::PutBlockList,
];

/// Both clouds and what the buckets hold.
#[derive(Debug)]
pub(super) struct Clouds {
    pub(super) cloud: SimCloud,
    contents: BTreeMap<(String, String), Content>,
}

impl Clouds {
    pub(super) async fn start(scale: &Scale) -> Self {
        let config = Config {
            faults: faults(scale),
            ..Config::default()
        };
        let cloud = SimCloud::start(config).await.unwrap();
        cloud.set_page_keys(usize::try_from(scale.page).unwrap());
        let contents = contents(scale.objects);
        for (bucket, _) in BUCKETS {
            cloud.add_bucket(bucket, "eu-west-1");
            let objects = contents.iter().filter(|((place, _), _)| place == bucket);
            let objects =
                objects.map(|((_, key), content)| (key.clone(), Object::new(content.clone())));
            cloud.put_objects(bucket, objects);
        }
        Self { cloud, contents }
    }

    pub(super) fn objects(&self) -> u64 {
        self.contents.len() as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        self.contents.values().map(Content::length).sum()
    }

    /// Objects that have arrived.
    pub(super) fn arrived(&self) -> u64 {
        self.cloud.write_totals(ACCOUNT).1
    }

    /// Writes of blobs that had been written before.
    pub(super) fn repeated(&self) -> u64 {
        let (writes, blobs) = self.cloud.write_totals(ACCOUNT);
        writes - blobs
    }

    /// Writes that were carried out and never answered.
    pub(super) fn unanswered(&self) -> u64 {
        let lost = |kind| self.cloud.lost_answers(kind);
        WRITES.into_iter().map(lost).sum()
    }

    /// Every object is there, byte for byte, and nothing else.
    pub(super) fn assert_arrived(&self) {
        let blobs = self.cloud.blobs(ACCOUNT);
        assert_eq!(blobs.len(), self.contents.len());
        for (container, blob) in blobs {
            let content = &self.contents[&(container, blob.name.clone())];
            assert!(blob.equals(content), "{} is not what was sent", blob.name);
        }
    }
}

/// 5 % throttled, 2 % reset (half of them after the work was done), 1 % carried out and never
/// answered, 1 % slow.
fn faults(scale: &Scale) -> Faults {
    let work = Duration::from_millis(300);
    Faults {
        seed: scale.seed,
        throttle: 0.05,
        reset_before: 0.01,
        reset_after: 0.01,
        silent_after: 0.01,
        slow: 0.01,
        slow_by: Duration::from_secs(2),
        hold: scale.silence,
        only: WORK.to_vec(),
        latency: BTreeMap::from([
            (OpKind::ListObjects, scale.listing),
            (OpKind::PutBlobFromUrl, work),
            (OpKind::PutBlockFromUrl, work),
        ]),
        ..Faults::default()
    }
}

/// Length of the n-th object: 0 to 4 KiB, or above the threshold of 32 KiB.
fn length(number: u64) -> u64 {
    let size = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    match number % LARGE {
        0 => 32 * 1024 + 1 + size % (96 * 1024),
        _ => size % 4097,
    }
}

fn contents(objects: u64) -> BTreeMap<(String, String), Content> {
    let places = BUCKETS
        .iter()
        .flat_map(|(bucket, share)| (0..objects * share / 100).map(move |index| (*bucket, index)));
    let numbered = (0_u64..).zip(places);
    numbered
        .map(|(seed, (bucket, index))| {
            let key = format!("{:02x}/k{index:06}", index % 97);
            let length = length(seed);
            (
                (bucket.to_owned(), key),
                Content::Generated { seed, length },
            )
        })
        .collect()
}
