//! A job's log: what became of every object, in a file, while the terminal stays quiet.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use simcloud::Object;
use tokio::process::Command;

use super::{assert_refused, held, hold, jobs, lines, world};
use crate::harness::World;

/// Objects that are copied, that fail, and that are skipped, and metadata that is left out.
async fn mixed() -> World {
    let world = world("logged", 3).await;
    let put = |key: &str, object| world.cloud.put_object("logged", key, object);
    put("bad.", Object::bytes("x"));
    put("line\nbreak.", Object::bytes("x"));
    put("folder/", Object::bytes(""));
    put("odd", Object::bytes("x").metadata("not-a-name", "v"));
    world
}

/// How many lines hold all of these.
fn count(log: &str, parts: &[&str]) -> usize {
    let holds = |line: &&str| parts.iter().all(|part| line.contains(part));
    log.lines().filter(holds).count()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_object_that_did_not_arrive_has_one_line() {
    let world = mixed().await;
    let done = world.copy("s3://logged", "logged").run().await;
    assert_eq!(done.count("objects_failed"), 2, "{}", done.stderr);

    let log = read(&world.job_folders()[0].join("job.log"));

    let mut all = log.lines();
    let head = format!("blobfleet {}, job ", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        all.next().unwrap(),
        format!("{head}{}", done.text("job_id"))
    );
    let format = &time::format_description::well_known::Rfc3339;
    for line in all {
        let (when, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        time::OffsetDateTime::parse(when, format).unwrap_or_else(|_| panic!("{line}"));
        assert!(rest.trim_start().starts_with(['E', 'W', 'I']), "{line}");
    }
    for (key, reason, level) in [
        (r#"object.key="bad.""#, "name_rejected", "WARN"),
        (r#"object.key="line\nbreak.""#, "name_rejected", "WARN"),
        (r#"object.key="folder/""#, "folder_marker", "INFO"),
    ] {
        assert_eq!(count(&log, &[key]), 1, "{key}: {log}");
        let bucket = r#"object.bucket="logged""#;
        assert_eq!(
            count(&log, &[key, reason, level, bucket]),
            1,
            "{key}: {log}"
        );
    }
    assert_eq!(
        count(&log, &["object.key=\"odd\"", "left out", "INFO"]),
        1,
        "{log}"
    );
    for event in ["job submitted", "job accepted", "job ended"] {
        assert_eq!(count(&log, &[event, "INFO"]), 1, "{event}: {log}");
    }
    assert_eq!(count(&done.stderr, &["INFO"]), 0, "{}", done.stderr);
    assert_eq!(count(&done.stderr, &["bad."]), 1, "{}", done.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_where_it_is_told_to() {
    let world = mixed().await;
    let copy = world.copy("s3://logged", "logged");
    let folder = tempfile::tempdir().unwrap();
    let azcopys = folder.path().join("azcopys/logs");
    let given = folder.path().join("given");
    let azcopy = copy.env("AZCOPY_LOG_LOCATION", azcopys.to_str().unwrap());

    let first = azcopy.run().await;
    let second = azcopy
        .args([
            "--log-location",
            given.to_str().unwrap(),
            "--output-type=azcopy-json",
        ])
        .run()
        .await;

    let id = first.text("job_id");
    let log = read(&azcopys.join(format!("{id}.log")));
    assert_eq!(count(&log, &["job submitted"]), 1, "{log}");
    assert!(world.job_logs().is_empty());
    let init = lines(&second).swap_remove(1);
    let init: serde_json::Value =
        serde_json::from_str(init["MessageContent"].as_str().unwrap()).unwrap();
    let place = init["LogFileLocation"].as_str().unwrap();
    let id = init["JobID"].as_str().unwrap();
    assert_eq!(Path::new(place), given.join(format!("{id}.log")));
    let log = read(Path::new(place));
    assert_eq!(count(&log, &["job ended"]), 1, "{log}");
    assert_eq!(fs::read_dir(&azcopys).unwrap().count(), 1, "the flag wins");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_much_as_is_asked_for() {
    let world = mixed().await;
    let run = async |level: &str| {
        let name = format!("--job-name={level}");
        let copy = world.copy("s3://logged", "logged");
        let done = copy.args(["--log-level", level, &name]).run().await;
        assert_eq!(done.count("objects_failed"), 2);
        let log = world.state().join("jobs").join(done.text("job_id"));
        (done.stderr, fs::read_to_string(log.join("job.log")).ok())
    };
    let (stderr, log) = run("Debug").await;
    assert_eq!(count(&stderr, &["job submitted"]), 1, "{stderr}");
    assert_eq!(count(&log.unwrap(), &["job submitted"]), 1);
    let (stderr, log) = run("warning").await;
    assert_eq!(count(&stderr, &["object failed"]), 2, "{stderr}");
    let log = log.unwrap();
    assert_eq!(
        (count(&log, &["object failed"]), count(&log, &["INFO"])),
        (2, 0)
    );
    let (stderr, log) = run("ERROR").await;
    assert_eq!(stderr, "");
    assert_eq!(log.unwrap().lines().count(), 1, "nothing but its head");
    assert_eq!(run("NONE").await, (String::new(), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_job_goes_on_with_its_log() {
    let world = world("half", 2_000).await;
    let gate = hold(&world);
    let mut running = world.copy("s3://half", "half").start();
    held(&world, &mut running).await;
    running.kill().await;
    world.cloud.clear_hook();
    gate.open();
    let id = world.job_folders()[0].file_name().unwrap().to_owned();

    let done = jobs(&world, &["resume", id.to_str().unwrap()]).await;

    done.assert_all_copied(2_000);
    let log = read(&world.job_folders()[0].join("job.log"));
    let events = ["job submitted", "resuming the job", "job ended"];
    let places = events.map(|event| log.find(event).unwrap_or_else(|| panic!("{event}: {log}")));
    assert!(places.is_sorted(), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_is_an_error_at_start() {
    let world = mixed().await;
    let copy = world.copy("s3://logged", "logged");
    let first = copy.run().await;
    let folder = tempfile::tempdir().unwrap();
    // The next run of the same job; its log is on a disk that is full.
    let next = first.text("job_id").replace("-1", "-2");
    let full = folder.path().join(format!("{next}.log"));
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for (place, cause) in [
        (folder.path().to_owned(), "No space left"),
        (folder.path().join("file"), "File exists"),
        ("/proc/nowhere".into(), "No such file"),
    ] {
        let refused = copy
            .clone()
            .args(["--log-location", place.to_str().unwrap()])
            .run()
            .await;
        assert_refused(&refused, 1, &["the job's log", cause, "--log-location"]);
        assert_eq!(world.job_folders().len(), 1, "nothing is left of it");
    }
    let (writes, blobs) = world.cloud.write_totals(simcloud::ACCOUNT);
    assert_eq!(writes, blobs, "nothing was copied again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_breaks_in_mid_job_stops_it_until_it_is_run_again() {
    let world = world("half", 2_000).await;
    world
        .cloud
        .put_object("half", "z-folder/", Object::bytes(""));
    for n in 0..50 {
        world
            .cloud
            .put_object("half", &format!("z{n}."), Object::bytes("x"));
    }
    let copy = world.copy("s3://half", "half");
    let first = copy.run().await;
    let folder = tempfile::tempdir().unwrap();
    let next = first.text("job_id").replace("-1", "-2");
    let pipe = folder.path().join(format!("{next}.log"));
    let made = Command::new("mkfifo").arg(&pipe).status().await.unwrap();
    assert!(made.success());
    let gate = hold(&world);
    let away = copy
        .clone()
        .args(["--log-location", folder.path().to_str().unwrap()]);
    let running = away.start();
    // Once nobody reads any more, a write to the pipe is an error.
    let reading = tokio::task::spawn_blocking(move || {
        let lines = BufReader::new(fs::File::open(pipe).unwrap()).lines();
        let mut lines = lines.map(Result::unwrap);
        assert!(lines.any(|line| line.contains("job submitted")));
    });
    reading.await.unwrap();
    gate.open();

    let stopped = running.finish().await;

    assert_eq!(stopped.text("status"), "Interrupted", "{}", stopped.stderr);
    assert_eq!(stopped.code(), Some(1));
    let told = ["the job's log", "Broken pipe", "--log-location"];
    assert_eq!(count(&stopped.stderr, &told), 1, "{}", stopped.stderr);

    let done = copy.run().await;

    assert_eq!(done.text("job_id"), stopped.text("job_id"));
    assert_eq!(done.count("objects_copied"), 2_000, "{}", done.stderr);
    assert_eq!(done.count("objects_failed"), 50);
    assert_eq!(done.code(), Some(1));
}
