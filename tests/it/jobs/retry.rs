//! What failed comes back with `jobs retry`, and the totals are exact.

use simcloud::{ACCOUNT, Action, Content, OpKind};

use super::{LENGTH, arrived, assert_refused, held, hold, jobs, lines, listed_status, world};
use crate::harness::{Finished, World};

const OBJECTS: u64 = 260;

/// Every tenth object.
fn is_refused(name: &str) -> bool {
    name.ends_with('7')
}

/// S3 refuses some objects to whoever asks for them; the listing shows them all the same.
fn refuse(world: &World) {
    world.cloud.on_request(|op| match op.kind {
        OpKind::HeadObject | OpKind::GetObject if is_refused(&op.name) => Action::Fail {
            status: 403,
            code: "AccessDenied",
        },
        _ => Action::Pass,
    });
}

fn refused() -> u64 {
    (0..OBJECTS)
        .filter(|n| is_refused(&format!("k{n}")))
        .count() as u64
}

/// A job that has ended with errors.
async fn failed(world: &World) -> Finished {
    refuse(world);
    let done = world.copy("s3://some", "some").run().await;
    assert_eq!(done.code(), Some(1), "{done:?}");
    assert_eq!(done.text("status"), "CompletedWithErrors");
    assert_totals(&done, OBJECTS - refused(), refused());
    done
}

fn assert_totals(done: &Finished, copied: u64, failed: u64) {
    let counts = ["listed", "copied", "failed", "skipped", "open"]
        .map(|name| done.count(&format!("objects_{name}")));
    assert_eq!(counts, [copied + failed, copied, failed, 0, 0], "{done:?}");
    assert_eq!(done.count("bytes_copied"), copied * LENGTH);
    assert_eq!(done.count("bytes_listed"), (copied + failed) * LENGTH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_failed_names_the_next_step() {
    let world = world("some", 8).await;
    refuse(&world);
    let copy = world.copy("s3://some", "some");
    let done = copy.args(["--output-type", "text"]).run().await;
    assert_eq!(done.code(), Some(1), "{done:?}");
    let listed = lines(&jobs(&world, &["list"]).await);
    let id = listed[0]["job_id"].as_str().unwrap();
    let step = format!("\nTry the failed ones again: blobfleet jobs retry {id}\n");
    assert!(done.stdout.ends_with(&step), "{done:?}");

    world.cloud.clear_hook();
    let done = jobs(&world, &["retry", id, "--output-type", "text"]).await;
    assert_eq!(done.code(), Some(0), "{done:?}");
    assert!(!done.stdout.contains("Try the failed"), "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_copied_once_its_cause_is_gone() {
    let world = world("some", OBJECTS).await;
    let done = failed(&world).await;
    let id = done.text("job_id");
    let resumed = jobs(&world, &["resume", &id]).await;
    assert_refused(&resumed, 1, &["has ended", "jobs retry"]);

    // The cause is still there: the same objects fail again, and nothing is counted twice.
    let again = jobs(&world, &["retry", &id]).await;
    assert_eq!(again.code(), Some(1), "{again:?}");
    let counts = ["listed", "copied", "failed", "open"];
    let counts = counts.map(|name| again.count(&format!("objects_{name}")));
    assert_eq!(counts, [OBJECTS, OBJECTS - refused(), refused(), 0]);

    world.cloud.clear_hook();
    let last = jobs(&world, &["retry", id.split('-').next().unwrap()]).await;

    last.assert_all_copied(OBJECTS);
    assert_totals(&last, OBJECTS, 0);
    assert_eq!(last.text("job_id"), id);
    let told = format!("put back {} objects and 0 ranges", refused());
    assert!(last.stderr.contains(&told), "{last:?}");
    let log = std::fs::read_to_string(world.job_folders()[0].join("job.log")).unwrap();
    let failures = log.lines().filter(|line| line.contains("object failed"));
    assert_eq!(failures.count() as u64, 2 * refused(), "{log}");
    let ends = log.lines().filter(|line| line.contains("job ended"));
    assert_eq!(ends.count(), 3, "of the copy and of each retry: {log}");
    assert_eq!(arrived(&world, "some", OBJECTS), OBJECTS);
    let (writes, _) = world.cloud.write_totals(ACCOUNT);
    assert_eq!(writes, OBJECTS, "what was copied is not copied again");
    assert_eq!(world.job_folders().len(), 1);
    let shown = lines(&jobs(&world, &["show", &id]).await);
    assert_eq!(shown.len(), 1, "nothing failed: {shown:?}");
    let nothing = jobs(&world, &["retry", &id]).await;
    assert_eq!(nothing.code(), Some(0), "{nothing:?}");
    assert!(nothing.stderr.contains("nothing failed"), "{nothing:?}");
    assert_eq!(nothing.text("status"), "Completed");
    assert_totals(&nothing, OBJECTS, 0);
}

/// An object that is gone by the time it is put back fails by its name, and counts once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_are_those_of_the_retry() {
    let world = world("some", OBJECTS).await;
    let id = failed(&world).await.text("job_id");
    world.cloud.clear_hook();
    world.cloud.delete_object("some", "k7");
    let longer = simcloud::Object::generated(1_000, 2 * LENGTH);
    world.cloud.put_object("some", "k17", longer);

    let done = jobs(&world, &["retry", &id]).await;

    assert_eq!(done.code(), Some(1), "{done:?}");
    assert_eq!(done.text("status"), "CompletedWithErrors");
    let counts = ["listed", "copied", "failed", "open"];
    let counts = counts.map(|name| done.count(&format!("objects_{name}")));
    assert_eq!(counts, [OBJECTS, OBJECTS - 1, 1, 0]);
    assert_eq!(done.count("bytes_copied"), OBJECTS * LENGTH);
    assert_eq!(done.count("bytes_listed"), OBJECTS * LENGTH);
    let blob = world.cloud.blob(ACCOUNT, "some", "k17").unwrap();
    let (seed, length) = (1_000, 2 * LENGTH);
    assert!(blob.equals(&Content::Generated { seed, length }));
    let shown = lines(&jobs(&world, &["show", &id]).await);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(
        (&shown[1]["key"], &shown[1]["reason"]),
        (&"k7".into(), &"source_not_found".into())
    );
}

/// Of two roots one cannot be listed; afterwards it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_that_could_not_be_listed_is_put_back() {
    let world = world("logs-a", 20).await;
    super::fill(&world, "logs-b", 30);
    world.cloud.on_request(|op| match op.kind {
        OpKind::ListObjects if op.place == "logs-b" => Action::Fail {
            status: 403,
            code: "AccessDenied",
        },
        _ => Action::Pass,
    });
    let done = world.copy("s3://logs-*", "").run().await;
    assert_eq!(done.code(), Some(1), "{done:?}");
    assert_eq!(
        (done.count("objects_copied"), done.count("ranges_failed")),
        (20, 1)
    );
    world.cloud.clear_hook();

    let last = jobs(&world, &["retry", &done.text("job_id")]).await;

    last.assert_all_copied(50);
    assert_eq!(last.count("ranges_failed"), 0);
    assert_eq!(arrived(&world, "logs-a", 20), 20);
    assert_eq!(arrived(&world, "logs-b", 30), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_at_work_or_cancelled_is_not_retried() {
    let world = world("half", 2_000).await;
    let gate = hold(&world);
    let mut running = world.copy("s3://half", "half").start();
    held(&world, &mut running).await;
    let id = world.job_folders()[0].file_name().unwrap().to_owned();
    let id = id.to_str().unwrap();

    let busy = jobs(&world, &["retry", id]).await;
    assert_refused(&busy, 1, &["another process is working on this job"]);
    let cancelled = jobs(&world, &["cancel", id]).await;
    assert_eq!(cancelled.code(), Some(0), "{cancelled:?}");
    gate.open();
    running.finish().await;

    let refused = jobs(&world, &["retry", id]).await;
    assert_refused(&refused, 1, &["cancelled", "run its copy command again"]);
    let refused = jobs(&world, &["repair", id]).await;
    assert_refused(&refused, 1, &["cancelled", "run its copy command again"]);
    assert_eq!(listed_status(&world).await, "Cancelled");
}

/// Killed in the middle of the retry, the job goes on as any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_was_killed_is_resumed() {
    let world = world("some", OBJECTS).await;
    let id = failed(&world).await.text("job_id");
    let gate = crate::gate::Gate::default();
    let (held, reached) = (
        gate.clone(),
        std::sync::Arc::new(tokio::sync::Notify::new()),
    );
    let at_head = reached.clone();
    world.cloud.on_request(move |op| match op.kind {
        OpKind::HeadObject => {
            at_head.notify_one();
            held.action()
        }
        _ => Action::Pass,
    });
    let running = world.command(&["jobs", "retry", &id]).start();
    let waited = tokio::time::timeout(super::PATIENCE, reached.notified()).await;
    waited.expect("it never looked at an object");
    assert!(running.kill().await);
    world.cloud.clear_hook();
    gate.open();
    assert_eq!(listed_status(&world).await, "Interrupted");

    // The command that began it goes on with the same run, as `jobs resume` does.
    let done = world.copy("s3://some", "some").run().await;

    done.assert_all_copied(OBJECTS);
    assert_totals(&done, OBJECTS, 0);
    assert_eq!(done.text("job_id"), id);
    assert_eq!(arrived(&world, "some", OBJECTS), OBJECTS);
}
