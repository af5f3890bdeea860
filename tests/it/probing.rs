//! What a job's submitter learns about the destination: what cannot succeed ends the command, what
//! may pass or may be another's does not.

use std::time::Duration;

use simcloud::{ACCOUNT, Action, Config, Content, Object, Op, OpKind};
use tempfile::TempDir;

use crate::bad_input::run;
use crate::harness::{Finished, Invocation, World};
use crate::rabbitmq;

const OBJECTS: u64 = 30;
const PROBE: &str = ".blobfleet-probe";

async fn world(buckets: &[&str]) -> World {
    let world = World::start(Config::default()).await;
    for bucket in buckets {
        world.cloud.add_bucket(bucket, "eu-west-1");
        let objects = (0..OBJECTS).map(|n| (format!("k{n:02}"), Object::generated(n, 100 + n)));
        world.cloud.put_objects(bucket, objects);
    }
    world
}

/// Asserts that a container holds all objects below `prefix`, and no blob else.
fn assert_arrived(world: &World, container: &str, prefix: &str) {
    let blobs = world.cloud.blobs(ACCOUNT).into_iter();
    let blobs: Vec<_> = blobs.filter(|(place, _)| place == container).collect();
    assert_eq!(blobs.len() as u64, OBJECTS, "{blobs:?}");
    for (seed, (_, blob)) in (0..).zip(blobs) {
        assert_eq!(blob.name, format!("{prefix}k{seed:02}"));
        let length = 100 + seed;
        assert!(blob.equals(&Content::Generated { seed, length }));
    }
}

/// Asserts that the command ended with one line and without a job.
fn assert_nothing_begun(world: &World, ended: &Finished, parts: &[&str]) {
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    let lines = ended.stderr.lines();
    let told: Vec<_> = lines.filter(|line| !line.contains(" INFO ")).collect();
    let [line] = &told[..] else {
        panic!("one line is enough: {}", ended.stderr);
    };
    for part in parts.iter().chain(&["nothing was begun"]) {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(world.job_folders().is_empty(), "{:?}", world.job_folders());
    assert!(world.cloud.blobs(ACCOUNT).is_empty());
}

fn writes(op: &Op) -> bool {
    matches!(
        op.kind,
        OpKind::PutBlobFromUrl | OpKind::PutBlockFromUrl | OpKind::PutBlob | OpKind::PutBlock
    )
}

/// Refuses writes into containers whose place ends so.
fn refuse(world: &World, place: &'static str, status: u16, code: &'static str) {
    world.cloud.on_request(move |op| {
        if writes(op) && op.place.ends_with(place) {
            return Action::Fail { status, code };
        }
        Action::Pass
    });
}

/// The same command with a SAS instead of the account's key.
fn with_sas(copy: Invocation) -> Invocation {
    copy.without("AZURE_STORAGE_ACCOUNT")
        .without("AZURE_STORAGE_KEY")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_takes_no_write_ends_the_command() {
    let world = world(&["photos"]).await;
    for (code, remedy) in [
        ("AuthorizationPermissionMismatch", "Contributor"),
        ("AuthorizationFailure", "firewall"),
        ("AuthorizationSourceIPMismatch", "IP addresses"),
    ] {
        refuse(&world, "", 403, code);
        let ended = world.copy("s3://photos", "cont").run().await;
        assert_nothing_begun(&world, &ended, &[code, remedy]);
    }
    world.cloud.clear_hook();
    let ended = world.copy("s3://photos", "cont").run().await;
    ended.assert_all_copied(OBJECTS);
    assert_arrived(&world, "cont", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_may_not_be_made_ends_the_command() {
    let world = world(&["photos"]).await;
    let end = world.cloud.now() + Duration::from_secs(3600);
    let sas = world.cloud.container_sas(ACCOUNT, "cont", "rcw", end);
    let copy = || with_sas(world.copy("s3://photos", &format!("cont?{sas}")));
    let ended = copy().run().await;
    let parts = ["container cont does not exist", "create it"];
    assert_nothing_begun(&world, &ended, &parts);
    world.cloud.add_container(ACCOUNT, "cont");
    copy().run().await.assert_all_copied(OBJECTS);
    assert_arrived(&world, "cont", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_pass_ends_nothing() {
    for (status, code) in [
        (503, "ServerBusy"),
        (500, "InternalError"),
        (409, "ContainerBeingDeleted"),
        (400, "InvalidBlockId"),
    ] {
        let world = world(&["photos"]).await;
        let mut refused = false;
        world.cloud.on_request(move |op| {
            let refuses = op.kind == OpKind::PutBlockFromUrl && !refused;
            refused |= refuses;
            match refuses {
                true => Action::Fail { status, code },
                false => Action::Pass,
            }
        });
        let ended = world.copy("s3://photos", "cont").run().await;
        ended.assert_all_copied(OBJECTS);
        assert_arrived(&world, "cont", "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_container_of_several_that_refuses_is_named_and_the_job_begins() {
    let world = world(&["closed", "open"]).await;
    refuse(&world, "/closed", 403, "AuthorizationPermissionMismatch");
    let copy = world.copy("s3://", "");
    let ended = copy.run().await;
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    let told = "bucket closed: nothing can be written to container closed: ";
    assert_eq!(ended.stderr.matches(told).count(), 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains("bucket open"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("nothing was begun"));
    assert_eq!(world.job_folders().len(), 1, "it goes on from there");
    world.cloud.clear_hook();
    copy.run().await.assert_all_copied(2 * OBJECTS);
    assert_arrived(&world, "closed", "");
    assert_arrived(&world, "open", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_only_create_copies_what_goes_in_one_request() {
    let world = world(&["photos"]).await;
    world.cloud.add_container(ACCOUNT, "cont");
    let end = world.cloud.now() + Duration::from_secs(3600);
    let sas = world.cloud.container_sas(ACCOUNT, "cont", "rc", end);
    let copy = with_sas(world.copy("s3://photos", &format!("cont?{sas}")));
    let ended = copy.run().await;
    ended.assert_all_copied(OBJECTS);
    let told = "objects that go in blocks cannot be written to container cont";
    assert_eq!(ended.stderr.matches(told).count(), 1, "{}", ended.stderr);
    assert_arrived(&world, "cont", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_probe_is_staged_where_the_job_writes_and_never_committed() {
    let world = world(&["photos"]).await;
    world.cloud.add_container(ACCOUNT, "cont");
    let end = world.cloud.now() + Duration::from_secs(3600);
    let folder = ("cont", "a/b");
    let sas = world.cloud.directory_sas(ACCOUNT, folder, "rcw", end);
    let copy = with_sas(world.copy("s3://photos", &format!("cont/a/b?{sas}")));
    let ended = copy.run().await;
    ended.assert_all_copied(OBJECTS);
    assert!(!ended.stderr.contains("WARN"), "{}", ended.stderr);
    assert_arrived(&world, "cont", "a/b/photos/");
    let staged = |name: &str| world.cloud.uncommitted(ACCOUNT, "cont", name).len();
    assert_eq!(staged(&format!("a/b/photos/{PROBE}")), 1);
    assert_eq!(staged(PROBE), 0, "a SAS for a folder is no good here");
}

/// The copiers' credentials may be others: a lister says what its own may not, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lister_that_may_not_write_submits_all_the_same() {
    let world = run::World::start().await;
    world.cloud.add_container(ACCOUNT, "cont");
    world.cloud.on_request(|op| match writes(op) {
        true => Action::Fail {
            status: 403,
            code: "AuthorizationPermissionMismatch",
        },
        false => Action::Pass,
    });
    let broker = rabbitmq::vhost_url();
    let home = TempDir::new().unwrap();
    let env = [("BLOBFLEET_BROKER", broker.as_str())];
    let role = |line: &str| world.start_in(line, &env, home.path());
    let others = [role("reporter"), role("copier")];
    let mine = "lister s3://photos {blob}/cont?{sas} --recursive";
    let submitted = world.ended(mine, role(mine)).await;
    assert_eq!(submitted.code, Some(0), "{submitted:?}");
    let told = "this process may not write to container cont, and copiers of the same credential";
    assert_eq!(submitted.stderr.matches(told).count(), 1, "{submitted:?}");
    world.cloud.clear_hook();
    let wait = format!("{mine} --wait --new=false --output-type json");
    let waited = world.ended(&wait, role(&wait)).await;
    assert_eq!(waited.code, Some(0), "{waited:?}");
    drop(others);
    let blobs = world.cloud.blobs(ACCOUNT).into_iter();
    let names: Vec<_> = blobs.map(|(_, blob)| blob.name).collect();
    assert_eq!(names, ["a.jpg", "b.jpg", "dir/c.jpg"]);
}
