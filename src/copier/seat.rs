//! When an object's turn has come: as many are begun as the limits allow.
//!
//! An object that goes in one request has its place in flight for as long as it is worked on. A
//! large one has not: its blocks ask for one place each, so that small objects keep flowing beside
//! it; what large objects have in memory is bounded by the blocks they plan.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::Shared;
use super::plan::{self, Plan};
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobSpec, Root};
use crate::limit::{Answer, InFlight, Limit, Limits, Line, Permit};
use crate::message::CopyTask;

/// Blocks that large objects may have planned together.
pub(super) const PLANNED: usize = 100_000;
/// No message is held for longer than this before work on it begins.
const HOLD: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile whether it would be for longer.
const LOOK: Duration = Duration::from_secs(5);
/// Put back for so many seconds, drawn at random.
const PUT_BACK: std::ops::Range<u64> = 10..40;
/// Objects up to this size take about the same time, in bytes.
const ALIKE: u64 = 1 << 20;

/// So many failed attempts are often.
const OFTEN: u32 = 3;

/// The limits an object is under.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) source: Limit,
    pub(super) destination: Limit,
    line: Arc<Line>,
    /// The job has other buckets, which may be better off.
    others: bool,
    /// The object has its place: its requests ask for none.
    pub(super) seated: bool,
    /// How long its requests take tells something.
    pub(super) timed: bool,
    /// It has failed often: that it is refused again may be its own trouble.
    often: bool,
}

impl Lane {
    /// The lane of a task.
    pub(super) fn of(
        shared: &Shared,
        spec: &JobSpec,
        root: &Root,
        (task, attempt): (&CopyTask, u32),
    ) -> Self {
        Self {
            often: attempt >= OFTEN,
            source: shared.limits.source(&root.bucket, &root.region),
            destination: shared.limits.destination(&spec.account),
            line: line(&shared.limits, spec, root),
            others: shared.several,
            seated: task.object.size <= spec.options.put_blob_size,
            timed: task.object.size <= ALIKE,
        }
    }

    /// A place for an object's one request, at the source and at the destination.
    async fn place(&self) -> Result<Place> {
        let (_turn, source) = self.source.permit_in_turn(self.line.small()).await?;
        let room = self.destination.room(&self.line);
        let ((), destination) = self.destination.permit_in_turn(room).await?;
        Ok((self.line.enter(), source, destination))
    }

    /// The same for a block.
    pub(super) async fn place_block(&self) -> Result<Place> {
        let _turn = self.line.block().await;
        let source = self.source.permit_block().await?;
        self.destination.room(&self.line).await;
        let destination = self.destination.permit_block().await?;
        Ok((self.line.enter(), source, destination))
    }

    /// Tells the limits how a request ended that began at `started`.
    pub(super) fn observe(
        &self,
        (service, operation): (&str, &str),
        started: Instant,
        failure: Option<&Failure>,
    ) {
        let service_wide = failure.filter(|failure| !failure.concerns_one);
        let reason = service_wide.map(|failure| failure.reason);
        let timed = |comparable: bool| {
            let told = self.timed && comparable && failure.is_none();
            Answer::Fine(told.then(|| started.elapsed()))
        };
        if service == "s3" || operation.ends_with("_from_url") {
            let answer = match reason {
                Some(Reason::SourceThrottled) => Answer::Overload,
                Some(Reason::SourceUnavailable) => Answer::Trouble,
                _ => timed(operation == "head_object"),
            };
            self.source.answered(started, self.weighed(answer));
        }
        if service == "blob" {
            let answer = match reason {
                Some(Reason::DestinationThrottled | Reason::DestinationTimedOut) => {
                    Answer::Overload
                }
                Some(Reason::DestinationUnavailable) => Answer::Trouble,
                _ => timed(operation == "put_blob_from_url"),
            };
            self.destination.answered(started, self.weighed(answer));
        }
    }

    /// What an answer tells the limit, once the object has failed often.
    fn weighed(&self, answer: Answer) -> Answer {
        match answer {
            Answer::Overload if self.often => Answer::Doubtful { refused: true },
            Answer::Fine(_) if self.often => Answer::Doubtful { refused: false },
            answer => answer,
        }
    }

    /// Would others get on while this one waits for long?
    fn holds_up(&self) -> bool {
        self.seated && self.others && self.source.wait().max(self.destination.wait()) > HOLD
    }
}

/// Has the job objects in several buckets?
pub(super) fn has_several(spec: &JobSpec) -> bool {
    let mut buckets = spec.roots.iter().map(|root| &root.bucket);
    let first = buckets.next();
    buckets.any(|other| Some(other) != first)
}

/// The lines of all the job's buckets, which are there as long as the job: no bucket's objects take
/// the last places before another's come.
pub(super) fn lines(limits: &Limits, spec: &JobSpec) -> Vec<Arc<Line>> {
    let roots = spec.roots.iter();
    let buckets: HashMap<_, _> = roots
        .map(|root| ((&root.bucket, &root.region), root))
        .collect();
    let roots = buckets.into_values();
    roots.map(|root| line(limits, spec, root)).collect()
}

fn line(limits: &Limits, spec: &JobSpec, root: &Root) -> Arc<Line> {
    limits.line(&root.bucket, &root.region, &spec.account)
}

/// A place for one request; given back when dropped: its line has it no more before anybody hears
/// that it is free.
pub(super) type Place = (InFlight, Permit, Permit);

/// What an object holds while it is worked on.
#[derive(Debug)]
pub(super) struct Seat {
    /// Its requests are counted by it.
    _place: Option<Place>,
    /// Its blocks are counted.
    _planned: Option<OwnedSemaphorePermit>,
}

/// Waits for an object's turn; none where that would take too long.
///
/// # Errors
/// A fault of this program.
pub(super) async fn take(
    shared: &Shared,
    spec: &JobSpec,
    lane: &Lane,
    size: u64,
) -> Result<Option<Seat>> {
    let begun = Instant::now();
    let mut turn = pin!(seat(shared, spec, lane, size));
    while !lane.holds_up() && begun.elapsed() < HOLD {
        if let Ok(seat) = timeout(LOOK, &mut turn).await {
            return seat.map(Some);
        }
    }
    Ok(None)
}

async fn seat(shared: &Shared, spec: &JobSpec, lane: &Lane, size: u64) -> Result<Seat> {
    if lane.seated {
        return Ok(Seat {
            _place: Some(lane.place().await?),
            _planned: None,
        });
    }
    let blocks = match plan::plan(size, "", &spec.options) {
        Ok(Plan::Blocks(blocks)) => u32::try_from(blocks.count()).unwrap_or(u32::MAX),
        _ => 1,
    };
    let most = u32::try_from(PLANNED).unwrap_or(u32::MAX);
    let planned = shared.planned.clone();
    let permit = planned.acquire_many_owned(blocks.clamp(1, most)).await;
    let permit = permit.map_err(|error| {
        Failure::stop(
            Reason::Internal,
            format!("no permits are given any more: {error}"),
        )
    })?;
    Ok(Seat {
        _place: None,
        _planned: Some(permit),
    })
}

/// How long an object whose turn did not come is put back.
pub(super) fn put_back() -> Duration {
    Duration::from_secs(rand::random_range(PUT_BACK))
}
