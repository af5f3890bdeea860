//! Somebody else who writes blobs of the same names: before the job, since, and between its requests.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use simcloud::{ACCOUNT, Action, Config, Foreign, Op, OpKind};

use super::cells::{Case, Cell, Rule, Terms, Times, What, When, cells};
use super::{BUCKET, CONTAINER, fill, flags};
use crate::harness::World;

/// What another job of this program makes of each object, by whether the ETag is kept with it.
pub(super) type Copies = BTreeMap<(bool, String), Foreign>;

/// Copies the objects where nothing is, and gives what they have become.
pub(super) async fn copies(times: Times) -> Copies {
    let world = World::start(Config::default()).await;
    fill(&world, times);
    let (without, with) = tokio::join!(copies_of(&world, false), copies_of(&world, true));
    without.into_iter().chain(with).collect()
}

async fn copies_of(world: &World, etag: bool) -> Copies {
    let terms = Terms {
        rule: Rule::False,
        etag,
        relay: false,
        clock: true,
        archive: false,
    };
    let container = format!("etag-{etag}");
    let (source, flags) = (format!("s3://{BUCKET}"), flags(terms));
    let copy = world.copy(&source, &container);
    let done = copy.args(flags.iter().map(String::as_str)).run().await;
    let cells = cells();
    done.assert_all_copied(u64::try_from(cells.len()).unwrap());
    let copies = cells.into_iter().map(|cell| {
        let blob = world.cloud.blob(ACCOUNT, &container, &cell.key).unwrap();
        assert!(blob.equals(&cell.content()), "{}", cell.key);
        ((etag, cell.key), Foreign::like(&blob).unwrap())
    });
    copies.collect()
}

/// How much was done about each object.
pub(super) type Steps = HashMap<String, u32>;

/// Somebody else, with the blob that is written for each object.
#[derive(Clone, Debug)]
pub(super) struct Others {
    world: Arc<World>,
    blobs: HashMap<String, (Cell, Foreign)>,
    times: Times,
    archive: bool,
}

impl Others {
    /// Comes just before the job is submitted.
    pub(super) fn new(world: &Arc<World>, times: Times, copies: &Copies, terms: Terms) -> Self {
        let blob = |cell: &Cell| match cell.case {
            Case::Written(What::Equal, _) => Foreign::whole(cell.content()),
            Case::Written(What::Copy, _) => copies[&(terms.etag, cell.key.clone())].clone(),
            Case::Written(_, When::BeforeTheWriteAtOnce) => {
                Foreign::whole(cell.other()).modified(world.cloud.now())
            }
            _ => Foreign::whole(cell.other()),
        };
        let blobs = cells().into_iter().map(|cell| {
            let blob = blob(&cell);
            (cell.key.clone(), (cell, blob))
        });
        Self {
            world: world.clone(),
            blobs: blobs.collect(),
            times,
            archive: terms.archive,
        }
    }

    fn write(&self, key: &str, blob: &Foreign) {
        let blob = match self.archive {
            true => blob.clone().tier("Archive"),
            false => blob.clone(),
        };
        self.world.cloud.write_blob(ACCOUNT, CONTAINER, key, &blob);
    }

    fn write_old(&self, key: &str, blob: &Foreign, when: When) {
        let blob = blob.clone().modified(self.times.old_blob);
        match when {
            // It is not archived yet: nobody could write over it.
            When::TwiceBeforeTheWrite => {
                self.world.cloud.write_blob(ACCOUNT, CONTAINER, key, &blob);
            }
            _ => self.write(key, &blob),
        }
    }

    /// Writes what is written then.
    pub(super) fn write_all(&self, then: When) {
        for (key, (cell, blob)) in &self.blobs {
            let Case::Written(_, when) = cell.case else {
                continue;
            };
            let long_before = matches!(when, When::LongBefore | When::TwiceBeforeTheWrite);
            if then == When::LongBefore && long_before {
                self.write_old(key, blob, when);
            } else if then == when {
                self.write(key, blob);
            }
        }
    }

    /// Comes between the job's requests.
    pub(super) fn interfere(&self, op: &Op, steps: &mut Steps) -> Action {
        let Some((cell, blob)) = self.blobs.get(&op.name).filter(|_| !op.kind.is_s3()) else {
            return Action::Pass;
        };
        let step = steps.entry(op.name.clone()).or_default();
        let (action, writes_too) = turn(cell.case, op.kind, *step);
        if writes_too {
            self.write(&op.name, blob);
        }
        *step += u32::from(writes_too || !matches!(action, Action::Pass));
        action
    }
}

/// What becomes of a request, and whether somebody else writes first; `step` counts what was done
/// so far.
fn turn(case: Case, kind: OpKind, step: u32) -> (Action, bool) {
    let writes = matches!(
        kind,
        OpKind::PutBlob | OpKind::PutBlobFromUrl | OpKind::PutBlockList
    );
    let before = [
        When::BeforeTheWrite,
        When::BeforeTheWriteAtOnce,
        When::TwiceBeforeTheWrite,
    ];
    match (case, step) {
        (Case::Written(_, when), 0) if writes && before.contains(&when) => (Action::Pass, true),
        (Case::LostAnswer | Case::Written(_, When::AfterALostAnswer), 0) if writes => {
            (Action::ResetAfter, false)
        }
        (Case::Written(_, When::AfterALostAnswer), 1) => (Action::Pass, true),
        _ => (Action::Pass, false),
    }
}
