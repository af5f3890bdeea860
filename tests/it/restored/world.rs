//! Buckets of a few pages each whose requests are refused now and then, and what must have arrived.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use blobfleet::job::{JobId, JobStatus};
use blobfleet::reporter::ledger::{FILE, Ledger};
use serde_json::Value;
use simcloud::{ACCOUNT, Action, Config, Content, Faults, Object, Op, OpKind, SimCloud};

use crate::roles::{LOOK_AGAIN, Role, Site};

/// Buckets `restored-0`, …: so many list tasks are under way at once.
const BUCKETS: u64 = 4;
/// Objects `k000`, `k001`, … in all, by turns in one bucket and the next.
pub(super) const OBJECTS: u64 = 160;
/// Keys of folders, one in each bucket, which are skipped: the ledger has rows of them.
const FOLDERS: u64 = BUCKETS;
/// Keys in a page of a listing.
const PAGE: usize = 6;
/// So long nothing may be heard of a job before it is taken to stand still. A job that does not is
/// repaired without harm.
const STILL: Duration = Duration::from_millis(2_500);
/// How long a process may take to end, or a job to come to anything.
pub(super) const LONGEST: Duration = Duration::from_secs(120);

/// The files of a ledger at a moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Copy {
    files: BTreeMap<&'static str, Vec<u8>>,
}

const KINDS: [&str; 3] = ["", "-wal", "-shm"];

impl Copy {
    fn take(folder: &Path) -> Self {
        let read = |kind| Some((kind, fs::read(file(folder, kind)).ok()?));
        Self {
            files: KINDS.into_iter().filter_map(read).collect(),
        }
    }

    /// A ledger of other life with the same job, made in the folder `elsewhere`.
    pub(super) fn of_other(folder: &Path, elsewhere: &Path) -> Self {
        let spec = {
            let ledger = Ledger::open_read_only(folder).unwrap();
            ledger.book().jobs.values().next().unwrap().spec.clone()
        };
        let mut other = Ledger::open(elsewhere).unwrap();
        other.submit(&spec, 1).unwrap();
        drop(other);
        Self::take(elsewhere)
    }

    pub(super) fn without_log(mut self) -> Self {
        self.files.retain(|kind, _| kind.is_empty());
        self
    }

    /// This file with the write-ahead log of another moment.
    pub(super) fn with_log_of(self, other: &Self) -> Self {
        let mut mixed = self.without_log();
        let log = other.files.get("-wal").cloned();
        mixed.files.extend(log.map(|log| ("-wal", log)));
        mixed
    }

    /// Takes the place of the files that are there.
    pub(super) fn restore(&self, folder: &Path) {
        for kind in KINDS {
            drop(fs::remove_file(file(folder, kind)));
        }
        for (kind, content) in &self.files {
            fs::write(file(folder, kind), content).unwrap();
        }
    }
}

fn file(folder: &Path, kind: &str) -> PathBuf {
    folder.join(format!("{FILE}{kind}"))
}

/// Where a job stands by its ledger.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) job: JobId,
    pub(super) status: JobStatus,
    pub(super) copied: u64,
    pub(super) failed: u64,
    pages: u64,
    round: u32,
}

/// The one job of a ledger beside the process that works with it; none before it has one.
pub(super) fn look(folder: &Path) -> Option<Seen> {
    let ledger = Ledger::open_read_only(folder).ok()?;
    let account = ledger.book().jobs.values().next()?;
    Some(Seen {
        job: account.spec.id.clone(),
        status: account.status,
        copied: account.totals.copied,
        failed: account.totals.failed,
        pages: account.totals.pages,
        round: account.round,
    })
}

/// How a job that was gone on with has come to a halt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// The process has ended.
    Left,
    /// The job has ended by the ledger.
    Ended,
    /// Nothing happens any more.
    Still,
}

/// Both clouds, and the place where processes run.
pub(super) struct World {
    cloud: SimCloud,
    pub(super) site: Site,
}

fn content(seed: u64) -> Content {
    Content::Generated { seed, length: 200 }
}

/// The bucket and the key of an object.
fn place(number: u64) -> (String, String) {
    (
        format!("restored-{}", number % BUCKETS),
        format!("k{number:03}"),
    )
}

impl World {
    /// One request in seven is refused at first, so that list tasks and objects wait; `seed` draws
    /// which.
    pub(super) async fn start(seed: u64) -> Self {
        let cloud = SimCloud::start(Config::default()).await.unwrap();
        cloud.set_page_keys(PAGE);
        for number in 0..BUCKETS {
            let bucket = format!("restored-{number}");
            cloud.add_bucket(&bucket, "eu-west-1");
            cloud.add_container(ACCOUNT, &bucket);
            cloud.put_object(&bucket, "k080/", Object::bytes(""));
        }
        for number in 0..OBJECTS {
            let (bucket, key) = place(number);
            cloud.put_object(&bucket, &key, Object::new(content(number)));
        }
        let latency = [
            (OpKind::ListObjects, Duration::from_millis(150)),
            (OpKind::PutBlobFromUrl, Duration::from_millis(20)),
        ];
        cloud.set_faults(Faults {
            seed,
            latency: latency.into(),
            throttle: 0.15,
            only: latency.map(|(kind, _)| kind).into(),
            ..Faults::default()
        });
        let site = Site::new(&cloud);
        Self { cloud, site }
    }

    /// Source, destination and flags of the job.
    pub(super) fn job(&self) -> Vec<String> {
        let to = self.cloud.blob_url(ACCOUNT);
        [
            "s3://restored-*",
            &to,
            "--recursive",
            "--output-type",
            "json",
        ]
        .map(str::to_owned)
        .into()
    }

    /// Lists only some pages of each bucket but the last until [`World::allow`]: what follows waits
    /// to be tried again. Denies one object in ten too, if that is wanted.
    pub(super) fn hamper(&self, denies: bool) {
        let is_denied = |op: &Op| {
            matches!(op.kind, OpKind::HeadObject | OpKind::GetObject) && op.name.ends_with('7')
        };
        let mut left: BTreeMap<String, u64> = (0..BUCKETS - 1)
            .map(|number| (format!("restored-{number}"), 5 + 2 * number))
            .collect();
        self.cloud.on_request(move |op| {
            let refused = |status, code| Action::Fail { status, code };
            if is_denied(op) && denies {
                return refused(403, "AccessDenied");
            }
            match left.get_mut(&op.place) {
                Some(0) if op.kind == OpKind::ListObjects && !denies => refused(503, "SlowDown"),
                Some(left) if op.kind == OpKind::ListObjects => {
                    *left = left.saturating_sub(1);
                    Action::Pass
                }
                _ => Action::Pass,
            }
        });
    }

    /// Lists and reads all of it from now on.
    pub(super) fn allow(&self) {
        self.cloud.clear_hook();
    }

    /// Follows a job until so much is copied, or it comes to a halt before; takes a copy of its
    /// ledger whenever that has changed.
    pub(super) async fn follow(
        &self,
        (folder, until): (impl Fn() -> Option<PathBuf>, u64),
        role: &mut Role,
        copies: &mut Vec<Copy>,
    ) -> Option<Halt> {
        let begun = tokio::time::Instant::now();
        let (mut before, mut since, mut size) = (None, begun, 0);
        loop {
            if role.ended().is_some() {
                return Some(Halt::Left);
            }
            let seen = folder().and_then(|folder| {
                let log = fs::metadata(file(&folder, "-wal")).map_or(0, |log| log.len());
                if std::mem::replace(&mut size, log) != log {
                    copies.push(Copy::take(&folder));
                }
                look(&folder)
            });
            if let Some(seen) = &seen {
                if seen.status != JobStatus::Running {
                    return Some(Halt::Ended);
                }
                if seen.copied >= until {
                    return None;
                }
            }
            let now = tokio::time::Instant::now();
            if before != seen {
                (before, since) = (seen, now);
            }
            // A process takes a while to begin.
            if now - since > STILL && now - begun > 2 * STILL {
                return Some(Halt::Still);
            }
            tokio::time::sleep(LOOK_AGAIN / 5).await;
        }
    }

    /// Every object has arrived as it is, and is counted once.
    pub(super) fn assert_exact(&self, code: Option<i32>, summary: &Value, said: &str) {
        let said = || format!("{summary}\n{said}\n{}", self.site.said());
        assert_eq!(summary["status"], "CompletedWithSkipped", "{}", said());
        assert_eq!(code, Some(0), "{}", said());
        for (field, expected) in [
            ("objects_listed", OBJECTS + FOLDERS),
            ("objects_copied", OBJECTS),
            ("objects_skipped", FOLDERS),
            ("objects_failed", 0),
            ("objects_open", 0),
            ("ranges_failed", 0),
            ("bytes_copied", OBJECTS * 200),
        ] {
            assert_eq!(summary[field], expected, "{field}: {}", said());
        }
        for number in 0..OBJECTS {
            let (bucket, key) = place(number);
            let blob = self.cloud.blob(ACCOUNT, &bucket, &key);
            let arrived = blob.is_some_and(|blob| blob.equals(&content(number)));
            assert!(arrived, "{key}: {}", said());
        }
    }
}
