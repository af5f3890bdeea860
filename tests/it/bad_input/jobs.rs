//! Jobs that meet trouble: what failed is named, all else is copied, and the totals are exact.

use std::sync::{Arc, Weak};

use simcloud::{ACCOUNT, Action, Object, OpKind, SimCloud};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::run::{Ended, World};

const PHOTOS: &str = "blobfleet copy s3://photos {blob}/cont --recursive --output-type json";

fn reasons(ended: &Ended) -> serde_json::Value {
    ended.summary()["failed_by_reason"].clone()
}

/// Whether exactly these objects of a bucket arrived, as they are.
fn arrived(cloud: &SimCloud, container: &str, bucket: &str, keys: &[&str]) {
    let expected: Vec<_> = cloud
        .objects(bucket)
        .into_iter()
        .filter(|(key, _)| keys.contains(&key.as_str()))
        .collect();
    assert_eq!(expected.len(), keys.len());
    let blobs = cloud.blobs(ACCOUNT);
    let blobs: Vec<_> = blobs.iter().filter(|(name, _)| name == container).collect();
    assert_eq!(blobs.len(), keys.len(), "{blobs:?}");
    for ((key, content), (_, blob)) in expected.iter().zip(blobs) {
        assert_eq!(blob.name, *key);
        assert!(blob.equals(content), "{key}");
    }
}

fn fail_one(cloud: &SimCloud, kind: OpKind, name: &'static str, status: u16, code: &'static str) {
    cloud.on_request(move |op| {
        if op.kind == kind && (op.name == name || op.place == name) {
            Action::Fail { status, code }
        } else {
            Action::Pass
        }
    });
}

#[tokio::test]
async fn an_empty_bucket_is_a_job_like_any_other() {
    let world = World::start().await;
    let line = "blobfleet copy s3://empty {blob}/cont --recursive";
    let ended = world.run(line, &[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(": Completed\n"), "{ended:?}");
    assert!(
        ended.stdout.contains("listed   0 objects, 0 B"),
        "{ended:?}"
    );
    let ended = world.run(&format!("{line} --output-type json"), &[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.totals(), [0, 0, 0, 0]);
    assert_eq!(ended.summary()["status"], "Completed");
}

#[tokio::test]
async fn both_forms_of_a_bool_are_taken() {
    let world = World::start().await;
    for (flags, code) in [
        ("--recursive", 0),
        ("--recursive=true", 0),
        ("--recursive=true --s2s-preserve-properties=false", 0),
        ("--recursive=false", 2),
    ] {
        let line = format!("blobfleet copy s3://photos {{blob}}/cont {flags}");
        let ended = world.run(&line, &[]).await;
        assert_eq!(ended.code, Some(code), "{flags}: {ended:?}");
    }
    let env = [("BLOBFLEET_RECURSIVE", "true")];
    let ended = world
        .run("blobfleet copy s3://photos {blob}/env", &env)
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    arrived(
        &world.cloud,
        "env",
        "photos",
        &["a.jpg", "b.jpg", "dir/c.jpg"],
    );
}

#[tokio::test]
async fn an_object_that_vanishes_is_a_failed_object() {
    let world = World::start().await;
    let cloud: Weak<SimCloud> = Arc::downgrade(&world.cloud);
    world.cloud.on_request(move |op| {
        if op.kind == OpKind::HeadObject
            && let Some(cloud) = cloud.upgrade()
        {
            cloud.delete_object("photos", "b.jpg");
        }
        Action::Pass
    });
    let ended = world.run(PHOTOS, &[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.totals(), [3, 2, 0, 1], "{ended:?}");
    assert_eq!(ended.summary()["status"], "CompletedWithErrors");
    assert_eq!(reasons(&ended), serde_json::json!({"source_not_found": 1}));
    assert!(ended.stderr.contains("b.jpg"), "{ended:?}");
    arrived(&world.cloud, "cont", "photos", &["a.jpg", "dir/c.jpg"]);
}

#[tokio::test]
async fn one_refused_object_fails_alone() {
    let world = World::start().await;
    fail_one(
        &world.cloud,
        OpKind::HeadObject,
        "b.jpg",
        403,
        "AccessDenied",
    );
    let ended = world.run(PHOTOS, &[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.totals(), [3, 2, 0, 1], "{ended:?}");
    assert_eq!(reasons(&ended), serde_json::json!({"source_denied": 1}));
    arrived(&world.cloud, "cont", "photos", &["a.jpg", "dir/c.jpg"]);
}

#[tokio::test]
async fn a_bucket_that_may_not_be_listed_is_named_and_the_others_are_copied() {
    let world = World::start().await;
    fail_one(
        &world.cloud,
        OpKind::ListObjects,
        "photos",
        403,
        "AccessDenied",
    );
    let line = "blobfleet copy s3://p* {blob} --recursive --output-type json";
    let ended = world.run(line, &[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.totals(), [2, 2, 0, 0], "{ended:?}");
    assert_eq!(ended.summary()["ranges_failed"], 1);
    assert_eq!(ended.summary()["status"], "CompletedWithErrors");
    for part in ["s3://photos", "AccessDenied", "s3:ListBucket"] {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }
    arrived(&world.cloud, "papers", "papers", &["p1", "p2"]);

    let alone = world.run(PHOTOS, &[]).await;
    assert_eq!(alone.code, Some(1), "{alone:?}");
    for part in ["s3://photos", "AccessDenied", "s3:ListBucket"] {
        assert!(alone.error().contains(part), "{part}: {alone:?}");
    }
}

/// A key that is rotated in mid-job stops the job; nothing counts as failed, and with the new key
/// the same command goes on.
#[tokio::test]
async fn a_destination_that_refuses_us_stops_the_job() {
    let world = World::start().await;
    let home = TempDir::new().unwrap();
    world.cloud.on_request(|op| match op.kind {
        OpKind::PutBlobFromUrl => Action::Fail {
            status: 403,
            code: "AuthenticationFailed",
        },
        _ => Action::Pass,
    });
    let ended = world.run_in(PHOTOS, &[], home.path()).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in ["AuthenticationFailed", "check the SAS, key or identity"] {
        assert!(ended.error().contains(part), "{part}: {ended:?}");
    }
    assert_eq!(ended.totals()[1..], [0, 0, 0], "{ended:?}");
    assert_eq!(ended.summary()["status"], "Interrupted");

    world.cloud.clear_hook();
    let resumed = world.run_in(PHOTOS, &[], home.path()).await;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(resumed.totals(), [3, 3, 0, 0], "{resumed:?}");
    assert_eq!(resumed.summary()["job_id"], ended.summary()["job_id"]);
    arrived(
        &world.cloud,
        "cont",
        "photos",
        &["a.jpg", "b.jpg", "dir/c.jpg"],
    );
}

#[tokio::test]
async fn a_sas_that_may_only_write_is_enough_where_the_container_is_there() {
    let world = World::start().await;
    let line =
        "blobfleet copy s3://photos {blob}/cont?{sas-no-read} --recursive --output-type json";
    world.cloud.add_container(ACCOUNT, "cont");
    let ended = world.run(line, &[("AZURE_STORAGE_KEY", "-")]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.totals(), [3, 3, 0, 0], "{ended:?}");
}

#[tokio::test]
async fn a_container_that_may_not_be_made_is_named() {
    let world = World::start().await;
    // What is not probed is found by the objects.
    let line = "blobfleet copy s3://photos {blob}/cont?{sas-of-cont} --recursive \
                --relay=always --output-type json";
    let ended = world.run(line, &[("AZURE_STORAGE_KEY", "-")]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.totals(), [3, 0, 0, 3], "{ended:?}");
    assert_eq!(
        reasons(&ended),
        serde_json::json!({"container_rejected": 3})
    );
    for part in ["container cont does not exist", "create it"] {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }
}

/// Names that Azure takes in no form: their objects are failed objects, the others are copied.
#[tokio::test]
async fn a_bucket_without_a_container_name_fails_by_name() {
    let world = World::start().await;
    for bucket in ["x_y", "ok-bucket", "-x.y"] {
        world.cloud.add_bucket(bucket, "us-east-1");
        world.cloud.put_object(bucket, "k", Object::bytes("k"));
    }
    let line = "blobfleet copy s3://*[xk]* {blob} --recursive --output-type json";
    let ended = world.run(line, &[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.totals(), [3, 1, 0, 2], "{ended:?}");
    assert_eq!(
        reasons(&ended),
        serde_json::json!({"container_rejected": 2})
    );
    arrived(&world.cloud, "ok-bucket", "ok-bucket", &["k"]);
}

#[tokio::test]
async fn a_second_process_on_the_same_job_is_refused() {
    let world = World::start().await;
    let home = TempDir::new().unwrap();
    let (reached, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, hold) = (reached.clone(), release.clone());
    world.cloud.on_request(move |op| {
        if op.kind == OpKind::HeadObject && op.name == "a.jpg" {
            tell.notify_one();
            return Action::Hold(hold.clone());
        }
        Action::Pass
    });
    let first = world.start_in(PHOTOS, &[], home.path());
    reached.notified().await;
    let second = world.run_in(PHOTOS, &[], home.path()).await;
    assert_eq!(second.code, Some(1), "{second:?}");
    for part in ["another process is working on this job", "--job-name"] {
        assert!(second.error().contains(part), "{part}: {second:?}");
    }
    let other = "blobfleet copy s3://papers {blob}/cont2 --recursive --output-type json";
    let beside = world.run_in(other, &[], home.path()).await;
    assert_eq!(beside.code, Some(0), "{beside:?}");
    assert_eq!(beside.totals(), [2, 2, 0, 0]);
    world.cloud.clear_hook();
    release.notify_waiters();
    let first = world.ended(PHOTOS, first).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(first.totals(), [3, 3, 0, 0]);
    arrived(
        &world.cloud,
        "cont",
        "photos",
        &["a.jpg", "b.jpg", "dir/c.jpg"],
    );
}

/// Nothing there is an account of Azure's: no object is counted as anything but failed.
#[tokio::test]
async fn a_destination_that_is_no_azure_fails_every_object() {
    let world = World::start().await;
    for (destination, account) in [
        ("{s3}/simaccount/cont", ACCOUNT),
        ("{blob}x/cont", "simaccountx"),
    ] {
        let line =
            format!("blobfleet copy s3://photos {destination} --recursive --output-type json");
        let ended = world
            .run(&line, &[("AZURE_STORAGE_ACCOUNT", account)])
            .await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.totals(), [3, 0, 0, 3], "{ended:?}");
        assert_eq!(
            reasons(&ended),
            serde_json::json!({"destination_rejected": 3})
        );
    }
}
