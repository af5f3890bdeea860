//! `blobfleet copy`, of whose folder the ledger is put back.

use std::fs;
use std::path::{Path, PathBuf};

use super::world::{Copy, Halt, LONGEST, OBJECTS, World, look};
use super::{Case, Log, Stage, case, cases, try_all};
use crate::roles::Role;

/// What may have to be done one after the other.
const REMEDIES: usize = 6;
/// What failed was put back, and all of it is copied.
const RETRIED: &str = "retried";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copys_ledger_that_is_restored_loses_nothing() {
    let few = [
        case(Stage::Middle, 0.3, Log::Own),
        case(Stage::Ended, 0.5, Log::Own),
        case(Stage::Retried, 0.4, Log::Own),
        case(Stage::Middle, 0.9, Log::None),
        case(Stage::Middle, 0.2, Log::Of(0.9)),
    ];
    try_all("embedded", cases(&few), restored).await;
}

/// Whatever the queue says of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_whose_ledger_was_restored_can_be_ended() {
    let job = Job::start(1).await;
    let copies = job.run_to(Stage::Ended).await;
    let folder = job.folder().unwrap();
    case(Stage::Ended, 0.5, Log::Own)
        .copy(&copies)
        .restore(&folder);
    let (code, out, said) = job.copy().leave(LONGEST).await;
    assert_eq!((code, &*out), (Some(1), ""), "{said}");
    let errors = said.lines().filter(|line| line.starts_with("blobfleet: "));
    assert_eq!(errors.count(), 1, "{said}");
    for part in ["of an older state", "jobs repair", "jobs cancel"] {
        assert!(said.contains(part), "{part}: {said}");
    }

    let (code, summary) = job.jobs("cancel").finish(LONGEST).await;

    assert_eq!(code, Some(0), "{summary}");
    assert_eq!(summary["status"], "Cancelled");
    assert_eq!(job.complete().await, [""; 0], "the next run is a new one");
    assert_ne!(job.folder().unwrap(), folder);
}

struct Job {
    world: World,
    state: PathBuf,
}

impl Job {
    async fn start(seed: u64) -> Self {
        let world = World::start(seed).await;
        let state = world.site.state();
        Self { world, state }
    }

    fn copy(&self) -> Role {
        let job = self.world.job();
        let mut args = vec!["copy"];
        args.extend(job.iter().map(String::as_str));
        args.extend([
            "--concurrency",
            "8",
            "--state",
            self.state.to_str().unwrap(),
        ]);
        self.world.site.start("blobfleet", &args)
    }

    /// `blobfleet jobs COMMAND` of the job.
    fn jobs(&self, command: &str) -> Role {
        let folder = self.folder().unwrap();
        let id = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let state = self.state.to_str().unwrap();
        let args = ["jobs", command, &id, "--state", state];
        let args = [&args[..], &["--output-type", "json"]].concat();
        self.world.site.start("blobfleet", &args)
    }

    /// The folder of its last run.
    fn folder(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.state.join("jobs")).ok()?;
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_dir()).max()
    }

    async fn follow(&self, until: u64, role: &mut Role, copies: &mut Vec<Copy>) -> Option<Halt> {
        let folder = || self.folder();
        self.world.follow((folder, until), role, copies).await
    }

    /// Stops a process that goes on.
    async fn stopped(&self, role: Role) -> (Option<i32>, String, String) {
        role.terminate();
        role.leave(LONGEST).await
    }

    /// Runs the job as far as the stage, in several processes, of which the last is killed where the
    /// job has not ended; gives the copies of the ledger.
    async fn run_to(&self, stage: Stage) -> Vec<Copy> {
        let mut copies = Vec::new();
        if stage != Stage::Ended {
            self.world.hamper(stage == Stage::Retried);
        }
        for until in [OBJECTS / 4, OBJECTS / 2] {
            let mut role = self.copy();
            let halt = self.follow(until, &mut role, &mut copies).await;
            assert_eq!(halt, None, "{}", self.world.site.said());
            self.stopped(role).await;
        }
        let mut role = self.copy();
        let until = match stage {
            Stage::Middle => OBJECTS * 5 / 8,
            Stage::Ended | Stage::Retried => u64::MAX,
        };
        let halt = self.follow(until, &mut role, &mut copies).await;
        if stage == Stage::Middle {
            assert_eq!(halt, None);
            role.kill();
            return copies;
        }
        let (code, ..) = role.leave(LONGEST).await;
        assert_eq!(code, Some(i32::from(stage == Stage::Retried)));
        if stage == Stage::Retried {
            self.world.allow();
            let mut role = self.jobs("retry");
            let until = OBJECTS - OBJECTS / 20;
            while look(&self.folder().unwrap()).is_none_or(|seen| seen.copied < until) {
                role.must_be_alive();
                tokio::task::yield_now().await;
            }
            role.kill();
        }
        copies
    }

    /// Goes on until the job is complete, doing what the program says; gives what that was.
    async fn complete(&self) -> Vec<&'static str> {
        let mut done = Vec::new();
        for _ in 0..REMEDIES {
            let mut role = self.copy();
            let halt = self.follow(u64::MAX, &mut role, &mut Vec::new()).await;
            let still = halt == Some(Halt::Still);
            if still {
                role.terminate();
            }
            let (code, out, said) = role.leave(LONGEST).await;
            let summary = out.lines().last().map(serde_json::from_str);
            let summary: serde_json::Value = summary.transpose().unwrap().unwrap_or_default();
            if code == Some(0) {
                self.world
                    .assert_exact(code, &summary, &format!("{done:?}"));
                return done;
            }
            assert_eq!(code, Some(1), "{said}");
            done.push(self.heed(&summary, &said, still).await);
            if done.last() == Some(&RETRIED) {
                return done;
            }
        }
        panic!("{done:?}: {}", self.world.site.said());
    }

    async fn heed(&self, summary: &serde_json::Value, said: &str, still: bool) -> &'static str {
        let folder = self.folder().unwrap();
        if said.contains("move its folder away") || said.contains("the file is damaged") {
            fs::remove_dir_all(&folder).unwrap();
            return "begun anew";
        }
        if said.contains("ledger.sqlite-wal away") {
            fs::remove_file(folder.join("ledger.sqlite-wal")).unwrap();
            return "log moved away";
        }
        if still || said.contains("jobs repair") && summary["ended_at_ms"].is_null() {
            let (code, _, said) = self.jobs("repair").leave(LONGEST).await;
            assert_eq!(code, Some(0), "{said}");
            return "repaired";
        }
        let status = summary["status"].as_str().unwrap_or_default();
        assert!(status.contains("WithErrors"), "{status}: {said}");
        if summary["objects_failed"] != 0 {
            let (code, summary) = self.jobs("retry").finish(LONGEST).await;
            self.world.assert_exact(code, &summary, said);
            return RETRIED;
        }
        assert!(told(&folder, said, "contradicts itself"), "{said}");
        "run again"
    }
}

fn told(folder: &Path, said: &str, what: &str) -> bool {
    let log = fs::read_to_string(folder.join("job.log")).unwrap_or_default();
    said.contains(what) || log.contains(what)
}

async fn restored(case: Case, seed: u64) -> Vec<&'static str> {
    let job = Job::start(seed).await;
    let copies = job.run_to(case.stage).await;
    job.world.allow();
    case.copy(&copies).restore(&job.folder().unwrap());
    job.complete().await
}
