//! A job is cancelled while a process works on it, and while none does.

use simcloud::ACCOUNT;

use super::{arrived, assert_refused, held, hold, jobs, lines, listed_status, world};
use crate::harness::{Finished, World};

const OBJECTS: u64 = 2_000;

/// What must hold of a job that was cancelled in its middle: exact where it was counted.
async fn assert_cancelled(world: &World, summary: &serde_json::Value) {
    assert_eq!(summary["status"], "Cancelled", "{summary}");
    let count = |field: &str| summary[field].as_u64().unwrap();
    let (listed, copied) = (count("objects_listed"), count("objects_copied"));
    assert_eq!(count("objects_open"), listed - copied, "{summary}");
    assert!(copied < OBJECTS && listed <= OBJECTS, "{summary}");
    assert_eq!((count("objects_failed"), count("objects_skipped")), (0, 0));
    assert!(copied <= arrived(world, "stopped", OBJECTS));
    assert!(summary["ended_at_ms"].is_i64(), "{summary}");
    let id = summary["job_id"].as_str().unwrap();
    assert_eq!(listed_status(world).await, "Cancelled");
    let resumed = jobs(world, &["resume", id]).await;
    assert_refused(
        &resumed,
        1,
        &["has ended: Cancelled", "run its copy command again"],
    );
    let shown = jobs(world, &["show", id, "--output-type=text"])
        .await
        .stdout;
    assert!(shown.contains("  open     "), "{shown}");
    assert!(shown.contains("when the job was cancelled"), "{shown}");
}

/// The same command is a new run, which copies everything.
async fn assert_new_run(world: &World, cancelled: &serde_json::Value) -> Finished {
    let done = world.copy("s3://stopped", "stopped").run().await;
    done.assert_all_copied(OBJECTS);
    let said = format!("a new run, job {}, begins", done.text("job_id"));
    for part in ["has ended (Cancelled 2", said.as_str()] {
        let logs = world.job_logs().concat();
        assert!(logs.contains(part), "{part}: {logs}");
    }
    assert_ne!(done.text("job_id"), cancelled["job_id"].as_str().unwrap());
    assert_eq!(arrived(world, "stopped", OBJECTS), OBJECTS);
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_at_work_notices_and_ends_by_itself() {
    let world = world("stopped", OBJECTS).await;
    let gate = hold(&world);
    let mut running = world.copy("s3://stopped", "stopped").start();
    held(&world, &mut running).await;
    assert_eq!(listed_status(&world).await, "Running");
    let refused = jobs(&world, &["remove", "", "--force"]).await;
    assert_refused(&refused, 1, &["there is no job"]);

    let id = world.job_folders()[0].file_name().unwrap().to_owned();
    let id = id.to_str().unwrap();
    let removed = jobs(&world, &["remove", id, "--force"]).await;
    assert_refused(&removed, 1, &["a process is working on it"]);
    assert_eq!(
        jobs(&world, &["clean"]).await.stdout,
        "",
        "it is left alone"
    );
    let cancelled = jobs(&world, &["cancel", id]).await;
    gate.open();
    let ended = running.finish().await;

    assert_eq!(cancelled.code(), Some(0), "{cancelled:?}");
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let summary = ended.summary();
    assert_eq!(cancelled.summary(), summary);
    world.cloud.clear_hook();
    assert_cancelled(&world, &summary).await;
    assert_new_run(&world, &summary).await;
    // The objects of the cancelled run that had arrived, and no more, are written twice.
    let (writes, blobs) = world.cloud.write_totals(ACCOUNT);
    assert_eq!(blobs, OBJECTS);
    assert!(
        writes < 2 * OBJECTS,
        "the rest of its tasks was not copied: {writes}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_nobody_works_on_is_cancelled_all_the_same() {
    let world = world("stopped", OBJECTS).await;
    let gate = hold(&world);
    let mut running = world.copy("s3://stopped", "stopped").start();
    held(&world, &mut running).await;
    running.kill().await;
    world.cloud.clear_hook();
    gate.open();
    assert_eq!(listed_status(&world).await, "Interrupted");
    let id = world.job_folders()[0].file_name().unwrap().to_owned();
    let id = id.to_str().unwrap();
    let kept = jobs(&world, &["remove", id]).await;
    assert_refused(&kept, 1, &["it has not ended", "--force"]);
    assert_eq!(jobs(&world, &["clean"]).await.stdout, "");

    let cancelled = jobs(&world, &["cancel", id.split('-').next().unwrap()]).await;

    assert_eq!(cancelled.code(), Some(0), "{cancelled:?}");
    assert_cancelled(&world, &cancelled.summary()).await;
    let twice = jobs(&world, &["cancel", id]).await;
    assert_refused(&twice, 1, &["has ended already: Cancelled"]);
    let next = assert_new_run(&world, &cancelled.summary()).await;
    assert!(next.text("job_id").ends_with("-2"));
}

/// The process was killed before it noticed, and so was the one that asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelling_that_did_not_come_about_is_made_up_for() {
    let world = world("stopped", OBJECTS).await;
    let gate = hold(&world);
    let mut running = world.copy("s3://stopped", "stopped").start();
    held(&world, &mut running).await;
    running.kill().await;
    world.cloud.clear_hook();
    gate.open();
    let folder = world.job_folders()[0].clone();
    std::fs::write(folder.join("cancel"), "").unwrap();

    let done = world.copy("s3://stopped", "stopped").run().await;

    done.assert_all_copied(OBJECTS);
    assert!(done.text("job_id").ends_with("-2"));
    let listed = lines(&jobs(&world, &["list"]).await);
    let statuses: Vec<_> = listed.iter().map(|job| job["status"].clone()).collect();
    assert_eq!(statuses, ["Completed", "Cancelled"]);
}

/// With `--force` what was interrupted goes, and the same command starts from nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_job_is_removed_only_by_force() {
    let world = world("stopped", OBJECTS).await;
    let gate = hold(&world);
    let mut running = world.copy("s3://stopped", "stopped").start();
    held(&world, &mut running).await;
    running.kill().await;
    world.cloud.clear_hook();
    gate.open();
    let id = world.job_folders()[0].file_name().unwrap().to_owned();

    let removed = jobs(&world, &["remove", id.to_str().unwrap(), "--force"]).await;

    assert_eq!(removed.code(), Some(0), "{removed:?}");
    assert!(world.job_folders().is_empty());
    let done = world.copy("s3://stopped", "stopped").run().await;
    done.assert_all_copied(OBJECTS);
    assert!(done.text("job_id").ends_with("-1"));
}
