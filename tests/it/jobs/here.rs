//! Jobs of this machine that have ended: listed, shown, removed.

use simcloud::{Action, Object, OpKind};

use super::{assert_refused, fill, jobs, lines, world};
use crate::harness::{Finished, World};

/// Objects that fail, more than a page of them.
const FAILING: u64 = 1_100;

/// A job with everything in it: two buckets, copied, failed and skipped objects.
async fn mixed() -> (World, Finished) {
    let world = world("mixed-a", 3).await;
    fill(&world, "mixed-b", 2);
    let bad = (0..FAILING).map(|n| (format!("bad/{n:04}/../x"), Object::bytes("x")));
    world.cloud.put_objects("mixed-a", bad);
    world
        .cloud
        .put_object("mixed-a", "line\nbreak/.", Object::bytes("12345"));
    world
        .cloud
        .put_object("mixed-b", "folder/", Object::bytes(""));
    let done = world.copy("s3://mixed-*", "").run().await;
    assert_eq!(done.code(), Some(1), "{}", done.stderr);
    assert_eq!(done.text("status"), "CompletedWithErrorsAndSkipped");
    assert_eq!(done.count("objects_failed"), FAILING + 1);
    (world, done)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_object_that_did_not_arrive_is_shown_with_its_reason() {
    let (world, done) = mixed().await;
    let id = done.text("job_id");

    let all = jobs(&world, &["show", &id, "--with-status=All"]).await;

    assert_eq!(all.code(), Some(0), "{all:?}");
    let all = lines(&all);
    let (summary, objects) = all.split_first().unwrap();
    assert_eq!(*summary, done.summary());
    let of = |status: &str| -> Vec<_> {
        let of = objects.iter().filter(|object| object["status"] == status);
        of.cloned().collect()
    };
    let (failed, skipped) = (of("failed"), of("skipped"));
    assert_eq!(failed.len() as u64, FAILING + 1);
    assert_eq!(failed.len() + skipped.len(), objects.len());
    let mut keys: Vec<_> = failed
        .iter()
        .map(|it| it["key"].as_str().unwrap())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len() as u64, FAILING + 1, "each once");
    for object in &failed {
        assert_eq!(object["bucket"], "mixed-a");
        assert_eq!(object["reason"], "name_rejected");
        let message = object["message"].as_str().unwrap();
        assert!(message.contains("a part of it ends in a dot"), "{object}");
    }
    let [marker] = &skipped[..] else {
        panic!("{skipped:?}");
    };
    assert_eq!(marker["key"], "folder/");
    assert_eq!(marker["bucket"], "mixed-b");
    assert_eq!(marker["reason"], "folder_marker");
    assert_eq!(marker["size"], 0);
    let source = format!("{}/mixed-b/folder/", world.cloud.s3_url());
    assert_eq!(marker["source"], source.as_str());

    let failures = lines(&jobs(&world, &["show", &id]).await);
    assert_eq!(failures[1..], failed);
    let skips = lines(&jobs(&world, &["show", &id, "--with-status=skipped"]).await);
    assert_eq!(skips[1..], skipped);

    let text = ["show", &id, "--output-type=text", "--with-status=all"];
    let text = jobs(&world, &text).await.stdout;
    assert!(text.starts_with(&format!("Job {id}: CompletedWithErrorsAndSkipped\n")));
    let failed = "\nfailed     mixed-a/\"line\\nbreak/.\" (5 B) name_rejected: ";
    assert!(text.contains(failed), "{text}");
    let again = format!("\nTry the failed ones again: blobfleet jobs retry {id}\n");
    assert!(text.contains(&again), "{text}");
    let skipped = "\nskipped    mixed-b/folder/ (0 B) folder_marker\n";
    assert!(text.contains(skipped), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_that_could_not_be_listed_is_shown() {
    let world = world("good-bucket", 1).await;
    fill(&world, "shut-bucket", 1);
    world.cloud.on_request(|op| match op.kind {
        OpKind::ListObjects if op.place == "shut-bucket" => Action::Fail {
            status: 403,
            code: "AccessDenied",
        },
        _ => Action::Pass,
    });
    let done = world.copy("s3://*-bucket", "").run().await;
    assert_eq!(done.count("ranges_failed"), 1, "{}", done.stderr);
    let id = done.text("job_id");

    let shown = lines(&jobs(&world, &["show", &id]).await);

    let [summary, range] = &shown[..] else {
        panic!("{shown:?}");
    };
    assert_eq!(summary["ranges_failed"], 1);
    assert_eq!(range["status"], "not_listed");
    assert_eq!(range["reason"], "source_denied");
    assert!(
        range["message"].as_str().unwrap().contains("shut-bucket"),
        "{range}"
    );
    let text = jobs(&world, &["show", &id, "--output-type=text"])
        .await
        .stdout;
    assert!(text.contains("\nnot_listed source_denied: "), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_listed_newest_first_and_removed() {
    let world = world("first", 2).await;
    fill(&world, "second", 2);
    world
        .cloud
        .put_object("second", "folder/", Object::bytes(""));
    let first = world.copy("s3://first", "first").run().await;
    let second = world.copy("s3://second", "second").run().await;
    let again = world.copy("s3://first", "first").run().await;
    let ids = [&again, &second, &first].map(|done| done.text("job_id"));
    assert_ne!(ids[0], ids[2], "a new run");

    let listed = lines(&jobs(&world, &["list"]).await);

    let listed_ids: Vec<_> = listed.iter().map(|job| job["job_id"].clone()).collect();
    assert_eq!(listed_ids, ids);
    let statuses: Vec<_> = listed.iter().map(|job| job["status"].clone()).collect();
    assert_eq!(statuses, ["Completed", "CompletedWithSkipped", "Completed"]);
    for (job, done) in listed.iter().zip([&again, &second, &first]) {
        for field in ["source", "destination"] {
            assert_eq!(job[field], done.summary()[field]);
        }
        let begun = done.summary()["submitted_at_ms"].as_i64().unwrap() / 1000;
        let format = &time::format_description::well_known::Rfc3339;
        let told = job["started_at"].as_str().unwrap();
        let told = time::OffsetDateTime::parse(told, format).unwrap();
        assert_eq!(told.unix_timestamp(), begun);
    }
    let text = jobs(&world, &["list", "--output-type=text"]).await.stdout;
    let rows: Vec<_> = text.lines().collect();
    assert!(rows[0].starts_with("JOB "), "{text}");
    assert!(rows[0].ends_with("SOURCE -> DESTINATION"), "{text}");
    let (source, destination) = (second.text("source"), second.text("destination"));
    assert!(rows[2].starts_with(&ids[1]) && rows[2].contains("Z  CompletedWithSkipped"));
    assert!(
        rows[2].ends_with(&format!("{source} -> {destination}")),
        "{text}"
    );
    let some = jobs(&world, &["list", "--with-status=completedwithskipped"]).await;
    assert_eq!(lines(&some).len(), 1);

    let cleaned = jobs(&world, &["clean", "--with-status=CompletedWithSkipped"]).await;
    assert_eq!(cleaned.stdout, format!("{{\"removed\":\"{}\"}}\n", ids[1]));
    let removed = jobs(&world, &["remove", &ids[2]]).await;
    assert_eq!(removed.code(), Some(0), "{removed:?}");
    let left = lines(&jobs(&world, &["list"]).await);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["job_id"], ids[0].as_str());
    assert_eq!(jobs(&world, &["clean"]).await.code(), Some(0));
    assert_eq!(jobs(&world, &["list"]).await.stdout, "");
    let left = std::fs::read_dir(world.state().join("jobs")).unwrap();
    assert_eq!(left.count(), 0, "locks go too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_not_there_or_not_meant_is_named() {
    let world = world("named", 1).await;
    let nowhere = jobs(&world, &["list"]).await;
    assert_eq!((nowhere.code(), &*nowhere.stdout), (Some(0), ""));
    let first = world.copy("s3://named", "named").run().await;
    world.copy("s3://named", "named").run().await;
    let id = first.text("job_id");
    let identity = id.strip_suffix("-1").unwrap();
    for command in ["show", "resume", "cancel", "remove"] {
        let unknown = jobs(&world, &[command, "xyz"]).await;
        let parts = ["there is no job xyz", "jobs list", "with --reporter URL"];
        assert_refused(&unknown, 1, &parts);
        let outside = jobs(&world, &[command, "../jobs"]).await;
        assert_refused(&outside, 1, &["there is no job ../jobs"]);
        let two = jobs(&world, &[command, identity]).await;
        assert_refused(&two, 1, &["2 jobs begin with", identity]);
    }
    let shown = jobs(&world, &["show", &format!("{identity}-1")]).await;
    assert_eq!(lines(&shown), [first.summary()]);
    for command in ["resume", "cancel"] {
        let ended = jobs(&world, &[command, &id]).await;
        assert_refused(&ended, 1, &[&id, "has ended", "Completed"]);
    }
    let never = jobs(&world, &["clean", "--with-status=Running"]).await;
    assert_refused(&never, 2, &["jobs remove --force"]);
}
