//! Filters: which keys are copied, and that what can be told from a prefix is not listed.

use std::time::{Duration, UNIX_EPOCH};

use simcloud::{Config, Object};

use super::{arrived, listings, objects, put, put_more, set, world};
use crate::harness::World;

const KEYS: &[&str] = &[
    "a.jpg",
    "d/a.jpg",
    "d/b.txt",
    "d/sub/",
    "d/sub/c.JPG",
    "d/sub/[x].jpg",
    "e.txt",
];

/// Filters see the path relative to the source; what they leave out is counted and not listed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_filter_leaves_out_its_own() {
    for (source, flags, copied) in [
        (
            "s3://bkt",
            &["--include-pattern=*.jpg"][..],
            &["a.jpg", "d/a.jpg", "d/sub/[x].jpg"][..],
        ),
        (
            "s3://bkt",
            &[r"--include-pattern=e.*;\[?].jpg"],
            &["e.txt", "d/sub/[x].jpg"],
        ),
        (
            "s3://bkt",
            &["--exclude-pattern=*.jpg;?.txt;;"],
            &["d/sub/c.JPG"],
        ),
        (
            "s3://bkt",
            &["--exclude-path=d/sub/;a"],
            &["d/a.jpg", "d/b.txt", "e.txt"],
        ),
        ("s3://bkt/d/*", &["--exclude-path=sub;a"], &["d/b.txt"]),
        (
            "s3://bkt/d",
            &["--include-regex=^sub/.*(?i)jpg$"],
            &["d/sub/c.JPG", "d/sub/[x].jpg"],
        ),
        ("s3://bkt", &["--exclude-regex=/;^e"], &["a.jpg"]),
        (
            "s3://bkt",
            &[
                "--include-pattern=*.jpg",
                "--exclude-path=d/sub",
                "--include-regex=^d",
            ],
            &["d/a.jpg"],
        ),
        (
            "s3://bkt/e.txt",
            &["--include-pattern=e*", "--include-regex=^e"],
            &["e.txt"],
        ),
        ("s3://bkt/d/b.txt", &["--exclude-path=b"], &[]),
    ] {
        let world = world(KEYS).await;
        let done = world
            .copy(source, "con")
            .args(flags.iter().copied())
            .run()
            .await;
        let name = format!("{source} {flags:?}: {}", done.stderr);
        assert_eq!(done.code(), Some(0), "{name}");
        assert_eq!(objects(&world), set(copied), "{name}");
        let [listed, copied, skipped] =
            ["objects_listed", "objects_copied", "objects_skipped"].map(|field| done.count(field));
        assert_eq!(listed, copied + skipped, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_filtered_is_counted_apart() {
    let world = world(KEYS).await;
    let copy = world
        .copy("s3://bkt", "con")
        .args(["--include-pattern=*.txt"]);
    let done = copy.run().await;
    done.assert_all_copied(2);
    assert_eq!(done.count("keys_filtered"), 5, "folder markers too");
    assert_eq!(
        done.count("bytes_listed"),
        ("d/b.txt".len() + "e.txt".len()) as u64
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_of_modification_are_inclusive() {
    let world = World::start(Config::default()).await;
    world.cloud.add_bucket("bkt", "eu-west-1");
    // 2020-08-19T15:04:00Z
    let noon = UNIX_EPOCH + Duration::from_secs(1_597_849_440);
    for (key, seconds) in [("early", 0), ("on", 60), ("late", 120)] {
        let object = Object::bytes(key).modified(noon + Duration::from_secs(seconds));
        world.cloud.put_object("bkt", key, object);
    }
    for (to, flags, copied) in [
        (
            "a",
            &["--include-after=2020-08-19T15:05:00Z"][..],
            &["a/on", "a/late"][..],
        ),
        (
            "b",
            &["--include-before=2020-08-19T17:05:00+02:00"],
            &["b/early", "b/on"],
        ),
        (
            "d",
            &[
                "--include-after=2020-08-19T15:04:01",
                "--include-before=2020-08-19T15:05",
            ],
            &["d/on"],
        ),
    ] {
        let to = format!("con-{to}");
        let done = world
            .copy("s3://bkt", &to)
            .args(flags.iter().copied())
            .run()
            .await;
        done.assert_all_copied(copied.len() as u64);
        let mut there = arrived(&world, |place| place.rsplit('/').next().unwrap().to_owned());
        there.retain(|place| place.starts_with(&to));
        let copied = copied.iter().map(|place| format!("con-{place}"));
        assert_eq!(there, copied.collect());
    }
}

/// Five thousand keys in the middle of a bucket cost one page where their path is excluded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_excluded_path_is_left_out_whatever_the_order() {
    let world = world(&["a", "z"]).await;
    let middle = (0..5000).map(|n| (format!("skip/{n:04}"), Object::bytes("x")));
    world.cloud.put_objects("bkt", middle);
    let before = listings(&world);
    let done = world
        .copy("s3://bkt", "con")
        .args(["--exclude-path=skip/"])
        .run()
        .await;
    done.assert_all_copied(2);
    assert_eq!(
        arrived(&world, |place| place.replace("con/", "")),
        set(&["con/a", "con/z"])
    );
    // Only a server that promises the order of its keys is jumped over some: another might list
    // further on what the jump would leave out. One to plan, one to probe, and all pages.
    assert_eq!(done.count("keys_filtered"), 5000);
    assert_eq!(listings(&world) - before, 8);
}

/// The same keys cost nothing where what is wanted begins otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_anchored_expression_narrows_the_listing() {
    let world = world(&[]).await;
    let many = (0..5000).map(|n| (format!("d/{n:04}"), Object::bytes("x")));
    world.cloud.put_objects("bkt", many);
    put_more(&world, "bkt", &["d/want/1", "d/want/2", "d/wax"]);
    let before = listings(&world);
    let copy = world
        .copy("s3://bkt/d/*", "con")
        .args([r"--include-regex=^wa.*\d$"]);
    let done = copy.run().await;
    done.assert_all_copied(2);
    assert_eq!(
        arrived(&world, |place| place.replace("con/", "d/")),
        set(&["con/want/1", "con/want/2"])
    );
    assert_eq!(done.count("keys_filtered"), 1);
    assert_eq!(
        listings(&world) - before,
        3,
        "one to plan, one to probe, one of the job"
    );
}

/// The narrowed prefix does not make another level the top one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrowed_listing_keeps_to_the_top_level() {
    let world = world(&["d/ab", "d/a/b", "d/a/bc/d", "d/c"]).await;
    put(&world, "other", &["x"]);
    for (regex, copied) in [("^a", &["con/ab"][..]), ("^a/b", &[])] {
        let flag = format!("--include-regex={regex}");
        let name = ["--job-name", regex];
        let copy = world.copy("s3://bkt/d/*", "con").without_arg("--recursive");
        let done = copy.args([flag.as_str()]).args(name).run().await;
        assert_eq!(done.code(), Some(0), "{}", done.stderr);
        assert_eq!(done.count("objects_copied"), copied.len() as u64, "{regex}");
    }
    assert_eq!(
        arrived(&world, |place| place.replace("con/", "d/")),
        set(&["con/ab"])
    );
}
