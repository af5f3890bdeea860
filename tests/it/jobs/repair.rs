//! A job whose messages were lost is brought to exact totals by `jobs repair`.

use blobfleet::broker::Broker;
use blobfleet::broker::embedded::EmbeddedBroker;
use blobfleet::job::JobId;

use super::{arrived, assert_refused, held, hold, jobs, listed_status, world};
use crate::harness::World;

const OBJECTS: u64 = 2_500;

/// A world in which a copy was killed in its middle, and the job's id.
async fn killed() -> (World, String) {
    let world = world("half", OBJECTS).await;
    let gate = hold(&world);
    let mut running = world.copy("s3://half", "half").start();
    held(&world, &mut running).await;
    let id = world.job_folders()[0].file_name().unwrap().to_owned();
    let id = id.into_string().unwrap();
    let busy = jobs(&world, &["repair", &id]).await;
    assert_refused(&busy, 1, &["another process is working on this job"]);
    assert!(running.kill().await);
    world.cloud.clear_hook();
    gate.open();
    (world, id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_queues_are_gone_is_repaired_and_resumed() {
    let (world, id) = killed().await;
    let broker = EmbeddedBroker::open(&world.job_folders()[0]).unwrap();
    broker.delete_job(&JobId::new(&id)).await.unwrap();
    broker.close().await.unwrap();
    drop(broker);

    let repaired = jobs(&world, &["repair", &id]).await;

    assert_eq!(repaired.code(), Some(0), "{repaired:?}");
    let summary = repaired.summary();
    assert_eq!(summary["status"], "Interrupted");
    let pages = summary["put_back"]["pages"].as_u64().unwrap();
    assert!(pages > 0, "{summary}");
    let said = format!("put back {pages} pages and ");
    assert!(repaired.stderr.contains(&said), "{repaired:?}");
    assert_eq!(listed_status(&world).await, "Interrupted");
    let resumed = jobs(&world, &["resume", &id]).await;
    resumed.assert_all_copied(OBJECTS);
    assert_eq!(resumed.count("objects_open"), 0);
    assert_eq!(arrived(&world, "half", OBJECTS), OBJECTS);

    let ended = jobs(&world, &["repair", &id]).await;
    assert_refused(&ended, 1, &["has ended already: Completed", "jobs retry"]);
}

/// Where nothing was lost after all, every object still counts once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_of_a_job_that_lost_nothing_does_no_harm() {
    let (world, id) = killed().await;
    for _ in 0..2 {
        let repaired = jobs(&world, &["repair", &id]).await;
        assert_eq!(repaired.code(), Some(0), "{repaired:?}");
    }
    let done = world.copy("s3://half", "half").run().await;
    done.assert_all_copied(OBJECTS);
    assert_eq!(done.text("job_id"), id);
    assert_eq!(arrived(&world, "half", OBJECTS), OBJECTS);
}
