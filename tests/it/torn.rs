//! A source that is replaced at any moment: what ends as copied is one state the source had, with
//! that state's properties, never parts of two.
//!
//! `PROPTEST_CASES=500` tries so many cases.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, stream};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use simcloud::{ACCOUNT, Action, Config, Content, Object, Op, OpKind, Quirk};
use tokio::sync::Notify;

use crate::harness::World;

const MIB: u64 = 1 << 20;
/// Cases in the suite, and how many are tried at a time.
const CASES: u32 = 28;
const AT_ONCE: usize = 4;
const SOURCE: &str = "src";
/// A bucket whose object of the same key went to the same blob before.
const OTHER: &str = "other";

/// What of an object tells it from another, beside its bytes.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// An ETag that is no digest, as of an upload in parts.
    Parts,
    /// A CRC-64/NVME too.
    Crc64,
    /// An ETag that is its MD5.
    Md5,
}

/// The versions the buckets tell.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Versions {
    None,
    /// Each is `null`, replaced in place.
    Null,
    /// The same numbers in both buckets; older ones are kept.
    Numbers,
}

/// The n-th request of a kind that is about the object, from 1.
type Step = (OpKind, u64);

/// Kills the copy at a request, which is carried out or not.
#[derive(Clone, Copy, Debug)]
struct Kill {
    at: Step,
    carried_out: bool,
}

#[derive(Clone, Debug)]
struct Case {
    told: Told,
    versions: Versions,
    length: u64,
    /// Each state is longer than the one before.
    grows: bool,
    /// Just before these requests the object is replaced.
    replaced: Vec<Step>,
    kill: Option<Kill>,
    /// It is replaced between the two runs too.
    replaced_between: bool,
    /// The other bucket's object is copied first; to the end, or until the copy is killed.
    other: Option<Option<Kill>>,
    /// Blobs are not replaced, so that what an earlier run made has to be known again.
    keeps: bool,
}

/// Requests that there are in every copy of a small object, which may go as one block, and of one in
/// blocks.
const SMALL: &[Step] = &[
    (OpKind::HeadObject, 1),
    (OpKind::GetObject, 1),
    (OpKind::GetObject, 2),
];
const LARGE: &[Step] = &[
    (OpKind::HeadObject, 1),
    (OpKind::HeadObject, 2),
    (OpKind::GetObject, 2),
    (OpKind::GetObject, 3),
    (OpKind::GetObject, 4),
    (OpKind::GetBlockList, 1),
    (OpKind::PutBlockFromUrl, 1),
    (OpKind::PutBlockFromUrl, 2),
    (OpKind::PutBlockFromUrl, 3),
    (OpKind::PutBlockList, 1),
];
/// And those that there may be.
const MORE: &[Step] = &[
    (OpKind::HeadObject, 3),
    (OpKind::HeadObject, 4),
    (OpKind::GetObject, 5),
    (OpKind::GetObject, 7),
    (OpKind::GetBlockList, 2),
    (OpKind::GetBlockList, 3),
    (OpKind::PutBlobFromUrl, 1),
    (OpKind::PutBlobFromUrl, 2),
    (OpKind::PutBlockFromUrl, 5),
    (OpKind::PutBlockList, 2),
    (OpKind::HeadBlob, 1),
];

fn kill(steps: &'static [Step]) -> impl Strategy<Value = Kill> {
    (select(steps), any::<bool>()).prop_map(|(at, carried_out)| Kill { at, carried_out })
}

fn case() -> impl Strategy<Value = Case> {
    let small = (select(vec![1000, MIB]), Just(SMALL));
    let large = (select(vec![3 * MIB, 3 * MIB + 7]), Just(LARGE));
    prop_oneof![1 => small, 2 => large].prop_flat_map(|(length, steps)| {
        let replaced = (
            select(steps),
            subsequence(steps, 0..3),
            subsequence(MORE, 0..5),
        );
        let others = proptest::option::of(proptest::option::weighted(0.7, kill(steps)));
        (
            select(vec![Told::Parts, Told::Crc64, Told::Md5]),
            select(vec![Versions::None, Versions::Null, Versions::Numbers]),
            any::<bool>(),
            replaced,
            proptest::option::of(kill(steps)),
            any::<bool>(),
            others,
            any::<bool>(),
        )
            .prop_map(
                move |(told, versions, grows, replaced, kill, between, other, keeps)| {
                    let (sure, some, more) = replaced;
                    Case {
                        told,
                        versions,
                        length,
                        grows,
                        replaced: [vec![sure], some, more].concat(),
                        kill,
                        replaced_between: between,
                        // Another's blob would only be skipped.
                        keeps: keeps && other.is_none(),
                        other,
                    }
                },
            )
    })
}

impl Case {
    fn content(&self, bucket: &str, number: u64) -> Content {
        let other = u64::from(bucket == OTHER);
        Content::Generated {
            seed: number + 1000 * other,
            length: self.length + u64::from(self.grows) * number * 7,
        }
    }

    /// The object in its `number`-th state.
    fn state(&self, bucket: &str, number: u64) -> Object {
        let content = self.content(bucket, number);
        let tag = format!("{number:031x}{}-3", u8::from(bucket == OTHER));
        let object = match self.told {
            Told::Parts => Object::new(content).etag(&tag),
            Told::Crc64 => Object::new(content).etag(&tag).checksum(),
            Told::Md5 => Object::bytes(content.read(0, usize::MAX)),
        };
        let object = match self.versions {
            Versions::Numbers => object.version(&number.to_string()),
            Versions::None | Versions::Null => object,
        };
        object
            .header("content-type", &format!("text/{bucket}-{number}"))
            .metadata("state", &format!("{bucket} {number}"))
    }
}

/// A source on its way to be replaced, and a copy to be killed.
#[derive(Debug)]
struct Trial {
    world: World,
    case: Case,
    /// States the object has had.
    states: AtomicU64,
    asked: Mutex<HashMap<OpKind, u64>>,
    killed: Notify,
}

/// Is the request about the object, at either side?
fn is_about(op: &Op) -> bool {
    op.name == "k"
}

impl Trial {
    async fn new(case: Case) -> Arc<Self> {
        let quirks = match case.versions {
            Versions::Null => vec![Quirk::NullVersions],
            _ => vec![],
        };
        let config = Config {
            quirks,
            ..Config::default()
        };
        let world = World::start(config).await;
        for bucket in [SOURCE, OTHER] {
            world.cloud.add_bucket(bucket, "us-east-1");
            world.cloud.put_object(bucket, "k", case.state(bucket, 0));
        }
        Arc::new(Self {
            world,
            case,
            states: AtomicU64::new(1),
            asked: Mutex::default(),
            killed: Notify::new(),
        })
    }

    fn replace(&self) {
        let number = self.states.fetch_add(1, Ordering::SeqCst);
        let state = self.case.state(SOURCE, number);
        self.world.cloud.put_object(SOURCE, "k", state);
    }

    /// Plays the part of fate from now on.
    fn begin(self: &Arc<Self>, replaced: Vec<Step>, kill: Option<Kill>) {
        self.asked.lock().unwrap().clear();
        let trial = self.clone();
        self.world.cloud.on_request(move |op| {
            if !is_about(op) {
                return Action::Pass;
            }
            let step = {
                let mut asked = trial.asked.lock().unwrap();
                let number = asked.entry(op.kind).or_default();
                *number += 1;
                (op.kind, *number)
            };
            if replaced.contains(&step) {
                trial.replace();
            }
            match kill {
                Some(kill) if kill.at == step => {
                    trial.killed.notify_one();
                    match kill.carried_out {
                        true => Action::SilentAfter,
                        false => Action::SilentBefore,
                    }
                }
                _ => Action::Pass,
            }
        });
    }

    /// Copies a bucket's object, until that is done or killed.
    async fn run(&self, bucket: &str) -> Option<crate::harness::Finished> {
        let command = self.world.copy(&format!("s3://{bucket}/*"), "con");
        let sizes = [
            "--put-blob-size-mb=1",
            "--block-size-mb=1",
            "--concurrency=1",
        ];
        let overwrite = match self.case.keeps {
            true => "--overwrite=false",
            false => "--overwrite=true",
        };
        let running = command.args(sizes).args([overwrite]).start();
        running.finish_or_kill(self.killed.notified()).await
    }

    async fn copy(self: Arc<Self>) {
        let (case, cloud) = (&self.case, &self.world.cloud);
        if let Some(kill) = case.other {
            self.begin(Vec::new(), kill);
            self.run(OTHER).await;
        }
        self.begin(case.replaced.clone(), case.kill);
        let mut done = self.run(SOURCE).await;
        if done.is_none() {
            if case.replaced_between {
                self.replace();
            }
            done = self.run(SOURCE).await;
        }
        cloud.clear_hook();
        let done = match done {
            Some(done) if done.code() == Some(0) => done,
            _ => self.run(SOURCE).await.expect("nobody kills it"),
        };
        assert_eq!(done.code(), Some(0), "{case:?}: {}", done.stderr);
        let copied = done.count("objects_copied");
        // Without a digest, who made the blob is not known in the next run.
        let skipped = case.keeps && case.kill.is_some() && done.count("objects_skipped") == 1;
        assert!(copied == 1 || skipped, "{case:?}: {}", done.stderr);
        if copied == 1 {
            self.assert_one_state();
        }
    }

    fn assert_one_state(&self) {
        let (case, states) = (&self.case, self.states.load(Ordering::SeqCst));
        assert!(states > 1, "{case:?}: the object was never replaced");
        let blob = self.world.cloud.blob(ACCOUNT, "con", "k").unwrap();
        let is = |number: &u64| blob.equals(&case.content(SOURCE, *number));
        let found = (0..states).find(is);
        let found = found.unwrap_or_else(|| panic!("{case:?}: the blob is no state of {states}"));
        let carried = [("state".to_owned(), format!("{SOURCE} {found}"))];
        assert_eq!(blob.metadata, carried, "{case:?}: another state's metadata");
        let kind = format!("text/{SOURCE}-{found}");
        assert_eq!(
            blob.header("content-type"),
            Some(kind.as_str()),
            "{case:?}: another state's type"
        );
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how many cases is asked of the test, not of the product"
)]
fn count() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.map_or(CASES, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_blob_is_made_of_two_states_of_its_source() {
    let count = count();
    let mut runner = TestRunner::default();
    let cases = (0..count).map(|_| case().new_tree(&mut runner).unwrap().current());
    let trials = stream::iter(cases.collect::<Vec<_>>())
        .map(|case| async move { Trial::new(case).await.copy().await });
    trials.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}
