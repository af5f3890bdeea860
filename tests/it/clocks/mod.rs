//! Whoever submits, whoever copies and the destination each have a clock of their own: what counts
//! as copied has been copied, whatever lies at the destination and whoever else writes there.

mod cells;
mod job;
mod others;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use blobfleet::job::JobEnd;
use blobfleet::reporter::ledger::{EndingKind, EndingLine, Ledger};
use simcloud::{ACCOUNT, Config, OpKind};
use tokio::task::JoinSet;

use self::cells::{Cell, Expected, Rule, Terms, Times, When, cells};
use self::job::{Identity, ended, folder, submit, work};
use self::others::{Copies, Others, Steps, copies};
use crate::harness::{Invocation, World};

const BUCKET: &str = "source";
const CONTAINER: &str = "target";
const MINUTE: i64 = 60;
const RULES: [Rule; 4] = [Rule::True, Rule::False, Rule::IfSourceNewer, Rule::Changed];
/// What is said of a blob that may be the job's own.
const PERHAPS: &str = "perhaps this job's own";
/// Jobs that are worked on at a time.
const AT_ONCE: usize = 16;

/// Clocks in seconds ahead of the destination's.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    submitter: i64,
    copier: i64,
    s3: i64,
}

impl Clocks {
    /// S3's lies between the others: it refuses whoever is a quarter of an hour off.
    fn of(submitter: i64, copier: i64) -> Self {
        Self {
            submitter,
            copier,
            s3: i64::midpoint(submitter, copier),
        }
    }

    /// Sets the clouds' clocks: the submitter's is this machine's.
    fn set(self, world: &World) {
        world.cloud.set_clock_ahead(-self.submitter);
        world.cloud.set_s3_clock_ahead(self.s3 - self.submitter);
    }
}

/// Who signs requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signing {
    /// An access key and the account's key, by the time.
    Both,
    /// Nobody: the source is public, the destination is given with a SAS.
    None,
}

/// Flags of a copy.
fn flags(terms: Terms) -> Vec<String> {
    let rule = match terms.rule {
        Rule::True => "true",
        Rule::False => "false",
        Rule::IfSourceNewer => "ifSourceNewer",
        Rule::Changed => "changed",
        Rule::Prompt(_) => "prompt",
    };
    // 64 KiB each.
    let sizes = ["--put-blob-size-mb=0.0625", "--block-size-mb=0.0625"];
    let mut flags: Vec<String> = sizes.map(str::to_owned).into();
    flags.push(format!("--overwrite={rule}"));
    flags.extend(terms.etag.then(|| "--s2s-source-metadata=etag".to_owned()));
    flags.extend(
        terms
            .archive
            .then(|| "--block-blob-tier=Archive".to_owned()),
    );
    flags.extend(terms.relay.then(|| "--relay=always".to_owned()));
    flags
}

/// Pages of the source that are asked for before a job is submitted: it is looked into, and what
/// Azure is to fetch from is probed.
fn looks(terms: Terms) -> u64 {
    if terms.relay { 1 } else { 2 }
}

fn fill(world: &World, times: Times) {
    world.cloud.add_bucket(BUCKET, "eu-west-1");
    let objects = cells().into_iter();
    let objects = objects.map(|cell| (cell.key.clone(), cell.object(times.object)));
    world.cloud.put_objects(BUCKET, objects);
}

/// Clouds where others have written before the job.
async fn prepare(
    (clocks, terms): (Clocks, Terms),
    (times, copies): (Times, &Copies),
) -> (Arc<World>, Others) {
    let world = Arc::new(World::start(Config::default()).await);
    clocks.set(&world);
    fill(&world, times);
    world.cloud.add_container(ACCOUNT, CONTAINER);
    if !terms.clock {
        world.cloud.hide_clock();
    }
    let others = Others::new(&world, times, copies, terms);
    others.write_all(When::LongBefore);
    others.write_all(When::JustBefore);
    (world, others)
}

/// The command that submits, and who copies then.
fn command(world: &World, terms: Terms, signing: Signing) -> (Invocation, Identity) {
    let (source, flags) = (format!("s3://{BUCKET}"), flags(terms));
    let flags = flags.iter().map(String::as_str);
    if signing == Signing::Both {
        return (world.copy(&source, CONTAINER).args(flags), Identity::Keys);
    }
    world.cloud.make_public(BUCKET);
    let expiry = world.cloud.now() + Duration::from_secs(6 * 3600);
    let sas = world.cloud.sas(ACCOUNT, "rwdlac", expiry);
    let copy = world.copy(&source, &format!("{CONTAINER}?{sas}"));
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let copy = ["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY"]
        .iter()
        .chain(&keys)
        .fold(copy, |copy, name| copy.without(name));
    let copy = copy.args(["--s3-anonymous"]).args(flags);
    (copy, Identity::AnonymousWithSas(sas))
}

/// What a job did, to be held against what it should have.
#[derive(Debug)]
struct Outcome {
    world: Arc<World>,
    end: JobEnd,
    skipped: HashMap<String, EndingLine>,
    failed: HashMap<String, EndingLine>,
}

impl Outcome {
    fn read(world: Arc<World>, folder: &Path, end: JobEnd) -> Self {
        world.cloud.clear_hook();
        let ledger = Ledger::open_read_only(folder).unwrap();
        let endings = |kind| {
            let lines = ledger.endings(&end.job, kind, u32::MAX).unwrap();
            let lines = lines.into_iter().map(|line| (line.key.clone(), line));
            lines.collect()
        };
        Self {
            skipped: endings(EndingKind::Skipped),
            failed: endings(EndingKind::Failed),
            end,
            world,
        }
    }

    /// Everything that is wrong with it.
    fn faults(&self, terms: Terms) -> Vec<String> {
        let cells = cells();
        let faults = cells.iter().filter_map(|cell| self.fault(terms, cell));
        let mut faults: Vec<String> = faults.collect();
        let totals = &self.end.totals;
        let count = |length: usize| u64::try_from(length).unwrap();
        let [listed, skipped, failed] =
            [cells.len(), self.skipped.len(), self.failed.len()].map(count);
        let copied = listed - skipped - failed;
        let counts = (totals.listed, totals.copied, totals.skipped, totals.failed);
        if counts != (listed, copied, skipped, failed) {
            faults.push(format!(
                "{skipped} skipped, {failed} failed, but {counts:?}"
            ));
        }
        faults
    }

    /// What is wrong with one object.
    fn fault(&self, terms: Terms, cell: &Cell) -> Option<String> {
        let Some(blob) = self.world.cloud.blob(ACCOUNT, CONTAINER, &cell.key) else {
            return Some(format!("{}: there is no blob", cell.key));
        };
        let expected = cell.expected(terms);
        let (skipped, failed) = (self.skipped.get(&cell.key), self.failed.get(&cell.key));
        let (before, writes) = (cell.writes_before(terms), blob.writes);
        let equal = blob.equals(&cell.content());
        let untouched = writes == before && blob.equals(&cell.left());
        let says = |line: &EndingLine, reason: &str| {
            line.reason == reason && line.message.contains(PERHAPS) == cell.may_be_ours(terms)
        };
        let right = match (expected, skipped, failed) {
            (Expected::Written, None, None) => equal && writes == before + 1,
            (Expected::Copied, None, None) => {
                let most = before + u32::from(terms.rule == Rule::True);
                equal && (before..=most).contains(&writes)
            }
            (Expected::Left(reason), Some(line), None) => untouched && says(line, reason),
            (Expected::Archived, None, Some(line)) => {
                untouched && says(line, "destination_archived")
            }
            _ => false,
        };
        (!right).then(|| {
            let is = format!("equal: {equal}, {writes} writes, {before} of them not the last");
            format!(
                "{}: {expected:?}, but {skipped:?} {failed:?}; {is}",
                cell.key
            )
        })
    }
}

/// Submits a job by one clock and works on it by another, while others write too.
async fn run(
    (clocks, terms): (Clocks, Terms),
    (times, copies): (Times, &Copies),
    signing: Signing,
) -> Vec<String> {
    let (world, others) = prepare((clocks, terms), (times, copies)).await;
    let (copy, identity) = command(&world, terms, signing);
    submit(&world, &copy, looks(terms)).await;
    others.write_all(When::Since);
    let mut steps = Steps::new();
    let cloud = &world.cloud;
    cloud.on_request(move |op| others.interfere(op, &mut steps));
    let (folder, ahead) = (folder(&world), clocks.copier - clocks.submitter);
    let end = work((&world, &folder), &identity, ahead).await;
    Outcome::read(world, &folder, end).faults(terms)
}

/// Submits and works on a job at a terminal, where one answer is given for all blobs.
async fn ask(
    (clocks, terms): (Clocks, Terms),
    (times, copies): (Times, &Copies),
    answer: &str,
) -> Vec<String> {
    let (world, others) = prepare((clocks, terms), (times, copies)).await;
    let copy = command(&world, terms, Signing::Both).0;
    let (mut steps, looks) = (Steps::new(), looks(terms));
    world.cloud.on_request(move |op| {
        // The job is submitted, and nothing is copied yet.
        if op.kind == OpKind::ListObjects && op.number == looks + 1 {
            others.write_all(When::Since);
        }
        others.interfere(op, &mut steps)
    });
    let said = copy.args(["--output-type=text"]).at_terminal(answer).await;
    let folder = folder(&world);
    let end = ended(&folder).await;
    let mut faults = Outcome::read(world, &folder, end).faults(terms);
    if said.matches("is there. Replace it?").count() != 1 {
        faults.push(said);
    }
    faults
}

/// Runs the jobs, some at a time, and holds each against what it should have done.
async fn check(jobs: Vec<(Clocks, Terms)>, signing: Signing) {
    let world = World::start(Config::default()).await;
    let times = Times::before(world.cloud.now());
    let copies = Arc::new(copies(times).await);
    let mut wrong = Vec::new();
    for some in jobs.chunks(AT_ONCE) {
        let mut running = JoinSet::new();
        for (clocks, terms) in some.iter().copied() {
            let copies = copies.clone();
            running.spawn(async move {
                let (job, then) = ((clocks, terms), (times, &*copies));
                let faults = match terms.rule {
                    Rule::Prompt(true) => ask(job, then, "a\n").await,
                    Rule::Prompt(false) => ask(job, then, "l\n").await,
                    _ => run(job, then, signing).await,
                };
                (!faults.is_empty()).then(|| format!("{clocks:?} {terms:?}\n{}", faults.join("\n")))
            });
        }
        wrong.extend(running.join_all().await.into_iter().flatten());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Every rule with every clock of the submitter; the copier's clock and the flags take turns, so
/// that each comes together with each rule and with each clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_to_fourteen_minutes_apart_only_what_was_copied_counts_as_copied() {
    let offsets = [-14 * MINUTE, -1, 0, 14 * MINUTE];
    let mut jobs = Vec::new();
    for (i, submitter) in offsets.into_iter().enumerate() {
        for (j, rule) in RULES.into_iter().enumerate() {
            let copier = offsets[(i + j) % offsets.len()];
            let terms = Terms {
                rule,
                etag: (i / 2 + j) % 2 == 1,
                relay: (i + 2 * j) % 4 == 1,
                clock: true,
                archive: false,
            };
            jobs.push((Clocks::of(submitter, copier), terms));
        }
    }
    check(jobs, Signing::Both).await;
}

/// Jobs of these rules, each by clocks that are so far off either way in turn.
fn jobs(rules: &[Rule], off: i64) -> Vec<(Clocks, Terms)> {
    let jobs = rules.iter().enumerate().map(|(index, rule)| {
        let submitter = if index % 2 == 0 { off } else { -off };
        let terms = Terms {
            rule: *rule,
            etag: index >= 2,
            relay: false,
            clock: true,
            archive: false,
        };
        (Clocks::of(submitter, -submitter), terms)
    });
    jobs.collect()
}

/// Then time proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_destination_tells_no_time_only_what_was_copied_counts_as_copied() {
    let mut jobs = jobs(&RULES, 14 * MINUTE);
    for (_, terms) in &mut jobs {
        terms.clock = false;
    }
    check(jobs, Signing::Both).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_apart_only_what_was_copied_counts_as_copied_where_nothing_is_signed() {
    check(jobs(&RULES, 60 * MINUTE), Signing::None).await;
}

/// What the job wrote itself is not asked about, all else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_asked_decides_about_all_that_is_not_the_jobs_own() {
    let rules = [Rule::Prompt(true), Rule::Prompt(false)];
    let rules = [rules, rules].concat();
    let mut jobs = jobs(&rules, 14 * MINUTE);
    // Who submits copies.
    for (clocks, _) in &mut jobs {
        *clocks = Clocks::of(clocks.submitter, clocks.submitter);
    }
    check(jobs, Signing::Both).await;
}

/// What is archived cannot be written over, by nobody: only what proves it is the job's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_archived_blobs_only_what_was_copied_counts_as_copied() {
    let rules = [Rule::True, Rule::True, Rule::Changed, Rule::True];
    let mut jobs = jobs(&rules, 14 * MINUTE);
    for (_, terms) in &mut jobs {
        terms.archive = true;
    }
    check(jobs, Signing::Both).await;
}
