//! Nobody reads what is printed, as after `| head -1`: printing ends quietly, and work goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use simcloud::{Action, Object, OpKind};

use super::{arrived, jobs, world};
use crate::harness::Finished;

/// Three pages of a listing.
const OBJECTS: u64 = 2_500;

fn assert_quiet(done: &Finished, code: i32) {
    assert_eq!(done.code(), Some(code), "{done:?}");
    assert_eq!(done.stderr, "", "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_goes_on_to_its_end() {
    let world = world("unread", OBJECTS).await;
    for output in ["json", "text", "azcopy-json"] {
        let copy = world.copy("s3://unread", "unread");
        let done = copy.args(["--output-type", output]).run_unread().await;
        assert_quiet(&done, 0);
    }
    assert_eq!(arrived(&world, "unread", OBJECTS), OBJECTS);
    let listed = super::lines(&jobs(&world, &["list"]).await);
    let statuses: Vec<_> = listed.iter().map(|job| job["status"].clone()).collect();
    assert_eq!(statuses, ["Completed"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_only_prints_ends() {
    let world = world("unread", 1).await;
    world
        .cloud
        .put_object("unread", "a/../x", Object::bytes("x"));
    let done = world.copy("s3://unread", "unread").run().await;
    assert_eq!(done.count("objects_failed"), 1, "{done:?}");
    let id = done.text("job_id");
    for output in ["json", "text", "azcopy-json"] {
        for command in [
            &["jobs", "list"][..],
            &["jobs", "show", &id],
            &["jobs", "show", &id, "--with-status=All"],
        ] {
            let command = world.command(command).args(["--output-type", output]);
            assert_quiet(&command.run_unread().await, 0);
        }
    }
    for command in [&["man"][..], &["completions", "bash"]] {
        let whole = world.command(command);
        let state = world.state();
        let bare = whole
            .without_arg("--state")
            .without_arg(state.to_str().unwrap());
        assert_quiet(&bare.run_unread().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_lists_no_further() {
    let world = world("unread", OBJECTS).await;
    let pages = Arc::new(AtomicU64::new(0));
    let seen = pages.clone();
    world.cloud.on_request(move |op| {
        seen.fetch_add(u64::from(op.kind == OpKind::ListObjects), Ordering::Relaxed);
        Action::Pass
    });
    let dry = world.copy("s3://unread", "unread").args(["--dry-run"]);

    let read = dry.run().await;
    let whole = pages.swap(0, Ordering::Relaxed);
    let unread = dry.run_unread().await;

    assert_eq!(read.count("objects_to_copy"), OBJECTS);
    assert_quiet(&unread, 0);
    let pages = pages.load(Ordering::Relaxed);
    assert!(pages + 2 <= whole, "{pages} of {whole}");
}
