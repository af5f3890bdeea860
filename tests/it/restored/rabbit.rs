//! A fleet on RabbitMQ, of whose reporter the ledger is put back; the other roles work all the time.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use blobfleet::job::JobStatus;
use serde_json::Value;

use super::world::{Copy, Halt, LONGEST, OBJECTS, World, look};
use super::{Case, Log, Stage, case, cases, try_all};
use crate::rabbitmq;
use crate::roles::{LOOK_AGAIN, Role};

/// What may have to be done one after the other.
const REMEDIES: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reporters_ledger_that_is_restored_loses_nothing() {
    let few = [
        case(Stage::Middle, 0.3, Log::Own),
        case(Stage::Ended, 0.5, Log::Own),
        case(Stage::Retried, 0.4, Log::Own),
    ];
    try_all("rabbit", cases(&few), restored).await;
}

/// Whatever the log says of it. Before, the ledger of another fleet is put there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_ledger_is_refused_and_a_job_can_be_ended_with_a_restored_one() {
    let mut fleet = Fleet::start(1).await;
    let copies = fleet.run_to(Stage::Retried).await;
    // The job would end by itself before it is cancelled.
    fleet.workers.clear();
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = Copy::of_other(&fleet.folder(), elsewhere.path());
    foreign.restore(&fleet.folder());
    let (code, _, said) = fleet.reporter(&[]).leave(LONGEST).await;
    assert_eq!(code, Some(1), "{said}");
    let errors = said.lines().filter(|line| line.starts_with("blobfleet: "));
    assert_eq!(errors.count(), 1, "{said}");
    for part in ["is in charge of this broker's jobs", "--state", "--adopt"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let kept = look(&fleet.folder()).unwrap();
    assert_eq!(kept.status, JobStatus::Running, "it is left as it was");

    let restored = case(Stage::Retried, 0.4, Log::Own).copy(&copies);
    restored.restore(&fleet.folder());
    let reporter = fleet.reporter(&[]);
    let cancelled = async {
        // The reporter may not listen yet.
        while fleet.jobs("cancel").await.0 != Some(0) {}
    };
    tokio::time::timeout(LONGEST, cancelled).await.unwrap();
    let (code, summary) = fleet.waited().await;
    assert_eq!((code, &summary["status"]), (Some(1), &"Cancelled".into()));
    fleet.start_workers();
    let (code, summary) = fleet.submit(&["--wait", "--new"]).finish(LONGEST).await;
    fleet.world.assert_exact(code, &summary, "anew");
    drop(reporter);
}

struct Fleet {
    world: World,
    broker: String,
    listen: String,
    workers: Vec<Role>,
}

impl Fleet {
    async fn start(seed: u64) -> Self {
        let (world, broker) = (World::start(seed).await, rabbitmq::vhost_url());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = listener.local_addr().unwrap().to_string();
        let mut fleet = Self {
            world,
            broker,
            listen,
            workers: Vec::new(),
        };
        fleet.start_workers();
        fleet
    }

    fn start_workers(&mut self) {
        let worker = |role, args: &[&str]| self.world.site.worker(role, &self.broker, args);
        self.workers = vec![
            worker("lister", &[]),
            worker("copier", &["--concurrency=8"]),
        ];
    }

    fn folder(&self) -> PathBuf {
        self.world.site.ledger()
    }

    /// A reporter that has opened its ledger, or has ended.
    async fn ready_reporter(&self, more: &[&str]) -> Role {
        let mut reporter = self.reporter(more);
        while reporter.ended().is_none() && !reporter.has_logged("reporter ready") {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        reporter
    }

    fn reporter(&self, more: &[&str]) -> Role {
        let state = self.world.site.state();
        let args = ["--state", state.to_str().unwrap(), "--listen", &self.listen];
        let args = [&args[..], more].concat();
        self.world.site.worker("reporter", &self.broker, &args)
    }

    /// A lister that submits the job, or finds it submitted.
    fn submit(&self, more: &[&str]) -> Role {
        let job = self.world.job();
        let mut args: Vec<&str> = job.iter().map(String::as_str).collect();
        args.extend(["--broker", &self.broker]);
        args.extend(more);
        self.world.site.start("lister", &args)
    }

    /// `blobfleet jobs COMMAND` of the job, to which the reporter listens by now.
    async fn jobs(&self, command: &str) -> (Option<i32>, String) {
        let id = look(&self.folder()).unwrap().job;
        let url = format!("http://{}", self.listen);
        let args = ["jobs", command, id.as_str(), "--reporter", &url];
        let role = self.world.site.start("blobfleet", &args);
        let (code, _, said) = role.leave(LONGEST).await;
        (code, said)
    }

    async fn follow(&self, until: u64, role: &mut Role, copies: &mut Vec<Copy>) -> Option<Halt> {
        let folder = || Some(self.folder());
        self.world.follow((folder, until), role, copies).await
    }

    async fn stopped(role: Role) -> String {
        role.terminate();
        role.leave(LONGEST).await.2
    }

    /// Works on the job as far as the stage with several reporters, of which the last is killed;
    /// gives the copies of the ledger.
    async fn run_to(&self, stage: Stage) -> Vec<Copy> {
        let mut copies = Vec::new();
        if stage != Stage::Ended {
            self.world.hamper(stage == Stage::Retried);
        }
        let mut reporter = self.reporter(&[]);
        let submitter = self.submit(&[]);
        for until in [OBJECTS / 4, OBJECTS / 2] {
            let halt = self.follow(until, &mut reporter, &mut copies).await;
            assert_ne!(halt, Some(Halt::Left), "{}", self.world.site.said());
            Self::stopped(reporter).await;
            reporter = self.reporter(&[]);
        }
        let until = match stage {
            Stage::Middle => OBJECTS * 5 / 8,
            Stage::Ended | Stage::Retried => u64::MAX,
        };
        let halt = self.follow(until, &mut reporter, &mut copies).await;
        assert_ne!(halt, Some(Halt::Left), "{}", self.world.site.said());
        if stage != Stage::Middle {
            let (code, said) = self.waited().await;
            assert_eq!(code, Some(i32::from(stage == Stage::Retried)), "{said}");
        }
        if stage == Stage::Retried {
            self.world.allow();
            let (code, said) = self.jobs("retry").await;
            assert_eq!(code, Some(0), "{said}");
        }
        reporter.kill();
        drop(submitter);
        copies
    }

    /// How the job ends by the log.
    async fn waited(&self) -> (Option<i32>, Value) {
        self.submit(&["--wait", "--new=false"])
            .finish(LONGEST)
            .await
    }

    /// Goes on until the job is complete, doing what the programs say; gives what that was.
    async fn complete(&self, ended_in_log: bool) -> Vec<&'static str> {
        let (mut done, mut adopt) = (Vec::new(), &[][..]);
        let mut reporter = self.ready_reporter(adopt).await;
        for _ in 0..REMEDIES {
            let mut halt = self.follow(u64::MAX, &mut reporter, &mut Vec::new()).await;
            if halt == Some(Halt::Left) {
                let (code, _, said) = reporter.leave(LONGEST).await;
                assert_eq!(code, Some(1), "{said}");
                let log = self.folder().join("ledger.sqlite-wal");
                if said.contains("ledger.sqlite-wal away") {
                    std::fs::remove_file(log).unwrap();
                    done.push("log moved away");
                } else if said.contains("begin with another --state folder") {
                    std::fs::remove_dir_all(self.folder()).unwrap();
                    done.push("begun anew");
                } else {
                    assert!(said.contains("give --adopt"), "{said}");
                    adopt = &["--adopt"];
                    done.push("adopted");
                }
                reporter = self.ready_reporter(adopt).await;
                continue;
            }
            if halt == Some(Halt::Still) && look(&self.folder()).is_none() {
                assert!(
                    ended_in_log && !adopt.is_empty(),
                    "{}",
                    self.world.site.said()
                );
                halt = Some(Halt::Ended);
            }
            if halt == Some(Halt::Still) {
                self.repaired().await;
                done.push("repaired");
                continue;
            }
            let (code, summary) = self.waited().await;
            if code == Some(0) {
                self.world
                    .assert_exact(code, &summary, &format!("{done:?}"));
                drop(reporter);
                return done;
            }
            assert_ne!(
                summary["objects_failed"],
                0,
                "{summary} {}",
                self.world.site.said()
            );
            let (code, said) = self.jobs("retry").await;
            assert_eq!(code, Some(0), "{said}");
            done.push("retried");
        }
        panic!("{done:?}: {}", self.world.site.said());
    }

    /// Repairs the job once none of its messages wait any more.
    async fn repaired(&self) {
        let repaired = async {
            loop {
                let (code, said) = self.jobs("repair").await;
                // It may have ended while its messages were waited for.
                if code == Some(0) || said.contains("has ended already") {
                    return;
                }
                assert!(said.contains("--force"), "{said}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let repaired = tokio::time::timeout(LONGEST, repaired).await;
        repaired.unwrap_or_else(|_| panic!("{}", self.world.site.said()));
    }
}

async fn restored(case: Case, seed: u64) -> Vec<&'static str> {
    let fleet = Fleet::start(seed).await;
    let copies = fleet.run_to(case.stage).await;
    fleet.world.allow();
    case.copy(&copies).restore(&fleet.folder());
    fleet.complete(case.stage != Stage::Middle).await
}
