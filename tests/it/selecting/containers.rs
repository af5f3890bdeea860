//! Which buckets are copied, and to which containers.

use serde_json::json;
use simcloud::{ACCOUNT, Config};

use super::{arrived, list, put, set};
use crate::harness::World;

/// Buckets whose one object's key is the bucket's name.
async fn world(buckets: &[&str]) -> World {
    let world = World::start(Config::default()).await;
    for bucket in buckets {
        put(&world, bucket, &[bucket]);
    }
    world
}

fn there(world: &World) -> std::collections::BTreeSet<String> {
    arrived(world, |place| place.rsplit('/').next().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buckets_are_left_out_by_their_whole_name() {
    let world = world(&["log", "log-a", "log-b"]).await;
    let copy = world
        .copy("s3://log*", "")
        .args(["--exclude-container=log;log-b;other"]);
    copy.run().await.assert_all_copied(1);
    assert_eq!(there(&world), set(&["log-a/log-a"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_users_containers_come_before_the_resolvers() {
    for (source, to, map, places) in [
        (
            "s3://",
            "",
            &["x.y,z-z", "Bad_Name,fine"][..],
            &["z-z/x.y", "x-y/x-y", "fine/Bad_Name", "z-z-2/z.z"][..],
        ),
        // As folders, where a container is named.
        (
            "s3://x*",
            "con/to",
            &["x.y,other"],
            &["con/to/other/x.y", "con/to/x-y/x-y"],
        ),
        // One bucket: its container, its folder, and neither.
        ("s3://x.y", "", &["x.y,other"], &["other/x.y"]),
        ("s3://x.y", "con/to", &["x.y,other"], &["con/to/other/x.y"]),
        ("s3://x.y", "con", &["x.y,other"], &["con/x.y"]),
    ] {
        let world = world(&["x.y", "x-y", "Bad_Name", "z.z"]).await;
        let flag = format!("--container-map={}", list(&world, map));
        let done = world.copy(source, to).args([flag.as_str()]).run().await;
        done.assert_all_copied(places.len() as u64);
        assert_eq!(there(&world), set(places), "{source} {to}");
        let warned = done.stderr.contains("--container-map has no effect");
        assert_eq!(warned, to == "con", "{}", done.stderr);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_for_a_bucket_that_is_not_copied_is_a_warning() {
    let world = world(&["log-a", "log.b"]).await;
    let flag = format!("--container-map={}", list(&world, &["nowhere,log-b"]));
    let done = world
        .copy("s3://log*", "")
        .args([flag.as_str()])
        .run()
        .await;
    done.assert_all_copied(2);
    assert_eq!(there(&world), set(&["log-a/log-a", "log-b/log.b"]));
    let warning = done
        .stderr
        .lines()
        .find(|line| line.contains("not among those copied"));
    assert!(warning.unwrap().contains("nowhere"), "{}", done.stderr);
}

/// As AzCopy: no bucket that matches is no failure, and the job is one like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bucket_that_matches_is_a_job_without_objects() {
    let world = world(&["log-a"]).await;
    for source in ["s3://zz*", "https://s3.sa-east-1.amazonaws.com"] {
        let copy = world.copy(source, "");
        for run in 1..=2 {
            let done = copy.run().await;
            assert_eq!(done.code(), Some(0), "{}", done.stderr);
            assert_eq!(done.text("status"), "Completed");
            assert_eq!(done.count("objects_listed"), 0);
            assert_eq!(done.summary()["listing_complete"], json!(true));
            assert!(
                done.stderr
                    .contains("0 objects: no bucket of these credentials")
            );
            assert!(
                done.text("job_id").ends_with(&format!("-{run}")),
                "a run of its own"
            );
        }
    }
    assert!(world.cloud.containers(ACCOUNT).is_empty());
}
