//! The same command once its job has ended: `copy` and `lister` begin a new run alike, say so, and
//! begin none where they are told not to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use simcloud::{ACCOUNT, Action, OpKind};

use super::fleet::{Fleet, SUBMIT};
use super::{arrived, world};

const OBJECTS: u64 = 20;

/// What is said of a job that has ended so, and of its next run.
fn assert_said(stderr: &str, id: &str, status: &str, next: &str) {
    let ended = format!("job {id} has ended ({status} 2");
    let lines: Vec<_> = stderr.lines().filter(|l| l.contains(&ended)).collect();
    let [line] = &lines[..] else {
        panic!("{ended}: {stderr}");
    };
    assert!(line.contains(next), "{next}: {line}");
    let retry = line.contains("jobs retry");
    let begins = line.contains("a new run, job");
    assert_eq!(retry, begins && status == "CompletedWithErrors", "{line}");
}

/// Refuses the last object's HEAD for as long as it is told.
fn refuse_one(cloud: &simcloud::SimCloud) -> Arc<AtomicBool> {
    let refusing = Arc::new(AtomicBool::new(true));
    let refuses = refusing.clone();
    cloud.on_request(move |op| {
        let one = op.kind == OpKind::HeadObject && op.name.ends_with('7');
        match one && refuses.load(Ordering::SeqCst) {
            true => Action::Fail {
                status: 404,
                code: "NoSuchKey",
            },
            false => Action::Pass,
        }
    });
    refusing
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_an_ended_job_begins_a_new_run_and_says_so() {
    let world = world("photos", OBJECTS).await;
    let refusing = refuse_one(&world.cloud);
    let copy = world.copy("s3://photos", "photos");
    let first = copy.run().await;
    let id = first.text("job_id");
    assert_eq!(first.text("status"), "CompletedWithErrors");
    assert!(!first.stderr.contains("has ended"), "{}", first.stderr);

    let text = copy.clone().env("BLOBFLEET_OUTPUT_TYPE", "text");
    let none = text.clone().args(["--new=false"]).run().await;
    assert_eq!(none.code(), Some(1), "{}", none.stderr);
    assert_said(&none.stdout, &id, "CompletedWithErrors", "no new run");
    assert_eq!(world.job_folders().len(), 1, "nothing is begun");
    let same = copy.clone().args(["--new=false"]).run().await;
    assert_eq!((same.code(), same.summary()), (Some(1), first.summary()));

    refusing.store(false, Ordering::SeqCst);
    let second = text.run().await;
    assert_eq!(second.code(), Some(0), "{}", second.stderr);
    let next = id.replace("-1", "-2");
    let begins = format!("a new run, job {next}, begins and copies everything again");
    assert_said(&second.stdout, &id, "CompletedWithErrors", &begins);
    assert_eq!(arrived(&world, "photos", OBJECTS), OBJECTS);

    let third = copy.args(["--new=true"]).run().await;
    third.assert_all_copied(OBJECTS);
    assert_eq!(third.text("job_id"), id.replace("-1", "-3"));
    let logs = world.job_logs().concat();
    let begins = format!("job {next} has ended (Completed 2");
    assert!(logs.contains(&begins), "{logs}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lister_of_an_ended_job_begins_a_new_run_and_says_so() {
    let (fleet, reporter) = Fleet::start().await;
    let cloud = fleet.world.cloud.clone();
    cloud.put_object("photos", "k7", simcloud::Object::bytes("seven"));
    let refusing = refuse_one(&cloud);
    let copier = fleet.role("copier");
    let wait = format!("{SUBMIT} --wait");
    let first = fleet.run(&wait).await;
    assert_eq!(first.totals(), [4, 3, 0, 1], "{first:?}");
    let id = first.summary()["job_id"].as_str().unwrap().to_owned();

    let none = fleet.run(&format!("{wait} --new=false")).await;
    assert_eq!((none.code, none.summary()), (Some(1), first.summary()));
    assert_said(&none.stderr, &id, "CompletedWithErrors", "no new run");

    refusing.store(false, Ordering::SeqCst);
    let second = fleet.run(&wait).await;
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_eq!(second.totals(), [4, 4, 0, 0], "{second:?}");
    let next = id.replace("-1", "-2");
    assert_said(&second.stderr, &id, "CompletedWithErrors", &next);
    assert_eq!(second.summary()["job_id"], next);

    let third = fleet.run(&wait).await;
    assert_eq!(third.totals(), [4, 4, 0, 0], "{third:?}");
    assert_said(&third.stderr, &next, "Completed", "a new run");
    assert_eq!(cloud.blobs(ACCOUNT).len(), 4);
    drop((copier, reporter));
}
