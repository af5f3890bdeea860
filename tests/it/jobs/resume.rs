//! A job goes on from what is stored of it.

use std::time::Duration;

use simcloud::ACCOUNT;

use super::{arrived, assert_refused, held, hold, jobs, listed_status, world};
use crate::harness::World;

const OBJECTS: u64 = 2_000;

/// A world in which a copy was killed in its middle, and the job's id.
async fn killed(flags: &[&str]) -> (World, String) {
    let world = world("half", OBJECTS).await;
    let gate = hold(&world);
    let copy = world.copy_with_sas("s3://half", "half");
    let mut running = copy.args(flags.iter().copied()).start();
    held(&world, &mut running).await;
    assert!(running.kill().await);
    world.cloud.clear_hook();
    gate.open();
    let id = world.job_folders()[0].file_name().unwrap().to_owned();
    (world, id.into_string().unwrap())
}

fn sas(world: &World) -> String {
    let end = world.cloud.now() + Duration::from_secs(600);
    world.cloud.sas(ACCOUNT, "rwdlac", end)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_job_is_resumed_with_a_new_sas() {
    let (world, id) = killed(&[]).await;
    assert_eq!(listed_status(&world).await, "Interrupted");
    let before = arrived(&world, "half", OBJECTS);
    assert!((1..OBJECTS).contains(&before));
    let resume = world.command(&["jobs", "resume", &id, "--concurrency=8"]);
    let resume = resume
        .without("AZURE_STORAGE_ACCOUNT")
        .without("AZURE_STORAGE_KEY");

    let without = resume.run().await;
    assert_refused(&without, 2, &["AZURE_STORAGE_SAS_TOKEN"]);
    let sas = sas(&world);
    let done = resume.clone().args(["--destination-sas", &sas]).run().await;

    done.assert_all_copied(OBJECTS);
    assert_eq!(done.text("job_id"), id);
    assert_eq!(arrived(&world, "half", OBJECTS), OBJECTS);
    let (writes, _) = world.cloud.write_totals(ACCOUNT);
    assert!(
        writes <= OBJECTS + 2 * 64,
        "what was done is not done again: {writes}"
    );
    assert_eq!(world.job_folders().len(), 1);
    let again = resume.env("AZURE_STORAGE_SAS_TOKEN", &sas).run().await;
    assert_refused(
        &again,
        1,
        &[&id, "has ended: Completed", "copy command again"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sas_from_the_environment_does_and_text_is_printed_as_by_copy() {
    let (world, id) = killed(&["--job-name=nightly"]).await;
    let short = id.split('-').next().unwrap();
    let resume = world.command(&["jobs", "resume", short, "--output-type=text"]);
    let resume = resume
        .without("AZURE_STORAGE_ACCOUNT")
        .without("AZURE_STORAGE_KEY");

    let done = resume
        .env("AZURE_STORAGE_SAS_TOKEN", &sas(&world))
        .run()
        .await;

    assert_eq!(done.code(), Some(0), "{done:?}");
    assert!(
        done.stdout.starts_with(&format!("Job {id}: Completed\n")),
        "{done:?}"
    );
    assert_eq!(arrived(&world, "half", OBJECTS), OBJECTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_at_work_is_not_resumed_beside_it() {
    let world = world("half", OBJECTS).await;
    let gate = hold(&world);
    let mut running = world.copy("s3://half", "half").start();
    held(&world, &mut running).await;
    let id = world.job_folders()[0].file_name().unwrap().to_owned();

    let refused = jobs(&world, &["resume", id.to_str().unwrap()]).await;

    assert_refused(&refused, 1, &["another process is working on this job"]);
    gate.open();
    running.finish().await.assert_all_copied(OBJECTS);
}
