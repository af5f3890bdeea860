//! A bucket whose keys come and go, and what must have arrived at the end.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;

use blobfleet::reporter::ledger::Ledger;
use serde_json::Value;
use simcloud::{ACCOUNT, Config, Content, Object, OpKind, SimCloud};

use crate::roles::{LOOK_AGAIN, Site};

const BUCKET: &str = "points";
/// Keys `k000`, `k001`, … in three pages.
const OBJECTS: u64 = 300;
/// Keys in a page of a listing.
pub(super) const PAGE: u64 = 100;
/// Pages that a listing takes when nothing is repeated.
pub(super) const PAGES: u64 = 3;
/// What comes between two attempts: before everything, in the first page, in the second, after all.
const ADDED: [&str; 4] = ["a", "k050a", "k150a", "z"];
/// What goes: two keys of the first page, one of the second.
const REMOVED: [&str; 3] = ["k010", "k020", "k150"];
/// Pages that are looked at while a job is submitted: to plan it, and to probe the bucket.
pub(super) const SUBMITTING: u64 = 2;
/// A moment that has not come after so many looks never will.
const LOOKS: u32 = 1200;

/// Both clouds, and the place where processes run.
#[derive(Debug)]
pub(super) struct World {
    pub(super) cloud: SimCloud,
    pub(super) site: Site,
}

fn content(key: &str) -> Content {
    let seed = key
        .bytes()
        .fold(7, |seed: u64, byte| seed * 31 + u64::from(byte));
    Content::Generated { seed, length: 200 }
}

impl World {
    pub(super) async fn start() -> Self {
        let cloud = SimCloud::start(Config::default()).await.unwrap();
        cloud.set_page_keys(usize::try_from(PAGE).unwrap());
        cloud.add_bucket(BUCKET, "eu-west-1");
        for number in 0..OBJECTS {
            let key = format!("k{number:03}");
            cloud.put_object(BUCKET, &key, Object::new(content(&key)));
        }
        // No request is wasted on a missing container.
        cloud.add_container(ACCOUNT, "target");
        let site = Site::new(&cloud);
        Self { cloud, site }
    }

    /// Source, destination and flags of the job.
    pub(super) fn job(&self) -> Vec<String> {
        let to = format!("{}/target", self.cloud.blob_url(ACCOUNT));
        ["s3://points", &to, "--recursive", "--output-type", "json"]
            .map(str::to_owned)
            .into()
    }

    /// Some keys come, others go.
    pub(super) fn change(&self) {
        for key in ADDED {
            let object = Object::new(content(key));
            self.cloud.put_object(BUCKET, key, object);
        }
        for key in REMOVED {
            self.cloud.delete_object(BUCKET, key);
        }
    }

    /// Keys that are there now.
    pub(super) fn keys(&self) -> BTreeSet<String> {
        let objects = self.cloud.objects(BUCKET).into_iter();
        objects.map(|(key, _)| key).collect()
    }

    /// Pages that listers asked for; submitting the job looks into the bucket too.
    pub(super) fn pages_listed(&self) -> u64 {
        let asked = self.cloud.requests(OpKind::ListObjects);
        asked.saturating_sub(SUBMITTING)
    }

    /// Writes of blobs that had been written before.
    pub(super) fn repeated(&self) -> u64 {
        let (writes, blobs) = self.cloud.write_totals(ACCOUNT);
        writes - blobs
    }

    /// Writes asked for beyond one for each blob, whether they were carried out or recognised as
    /// done.
    pub(super) fn asked_again(&self) -> u64 {
        let (_, blobs) = self.cloud.write_totals(ACCOUNT);
        self.cloud.requests(OpKind::PutBlobFromUrl) - blobs
    }

    /// The job has ended with every object listed once and ended once, and every key that is
    /// there now and was listed has arrived.
    pub(super) fn assert_exact(
        &self,
        (code, summary): (Option<i32>, &Value),
        listed: RangeInclusive<u64>,
        failed: RangeInclusive<u64>,
    ) {
        let said = || format!("{summary}\n{}", self.site.said());
        let count = |field: &str| summary[field].as_u64().unwrap();
        let (of, done, not) = (
            count("objects_listed"),
            count("objects_copied"),
            count("objects_failed"),
        );
        assert!(listed.contains(&of), "{listed:?}: {}", said());
        assert!(failed.contains(&not), "{failed:?}: {}", said());
        assert_eq!(done + not, of, "{}", said());
        let (status, exit) = match not {
            0 => ("Completed", 0),
            _ => ("CompletedWithErrors", 1),
        };
        assert_eq!((&summary["status"], code), (&status.into(), Some(exit)));
        for field in ["objects_open", "objects_skipped", "ranges_failed"] {
            assert_eq!(count(field), 0, "{field} {}", said());
        }
        assert_eq!(count("bytes_listed"), of * 200);
        assert_eq!(count("bytes_copied"), done * 200);
        for number in 0..OBJECTS {
            let key = format!("k{number:03}");
            let blob = self.cloud.blob(ACCOUNT, "target", &key);
            let arrived = blob.is_some_and(|blob| blob.equals(&content(&key)));
            assert!(arrived || REMOVED.contains(&&*key), "{key}");
        }
    }
}

/// Pages that a ledger has counted.
pub(super) fn pages_counted(folder: &Path) -> u64 {
    let ledger = Ledger::open_read_only(folder).unwrap();
    let accounts = ledger.book().jobs.values();
    accounts.map(|account| account.totals.pages).sum()
}

/// Objects listed where everything up to a key was listed before the change, the rest after it.
pub(super) fn counted_until(last: &str, before: &BTreeSet<String>, now: &BTreeSet<String>) -> u64 {
    let first = before.iter().filter(|key| key.as_str() <= last).count();
    let later = now.iter().filter(|key| key.as_str() > last).count();
    (first + later) as u64
}

/// Keys up to a place that went with the change.
pub(super) fn removed_until(key: &str) -> u64 {
    REMOVED.iter().filter(|removed| **removed <= key).count() as u64
}

/// Looks again and again until something is so.
pub(super) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..LOOKS {
        if so().await {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    panic!("never: {what}");
}
