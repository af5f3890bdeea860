//! One delivery of one copy task: wait for its turn, attempt it, settle it.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::blocks::Unproven;
use super::hold::Admission;
use super::seat::{self, Lane};
use super::transfer::{self, Attempt};
use super::wake;
use crate::broker::{Delivery, MAX_WAIT};
use crate::failure::{Failure, Reason, Remedy, Result};
use crate::job::{JobId, JobSpec, Root};
use crate::logging::COPIERS;
use crate::message::{CopyId, CopyTask, Ending, Envelope, Headers, Outcome, Staged, nameless};
use crate::retry::{Decision, Tries};
use crate::text::short;

/// Attempts the task and settles its delivery. An error stops the copier; `stop` leaves a task
/// whose turn has not come unsettled.
pub(super) async fn handle(
    shared: &Shared,
    spec: &JobSpec,
    delivery: Delivery,
    stop: &CancellationToken,
) -> Result<()> {
    let task: CopyTask = match delivery.message.decode() {
        Ok(task) => task,
        Err(failure) if failure.reason == Reason::NewerVersion => return Err(failure),
        Err(failure) => return unreadable(shared, delivery, failure).await,
    };
    if shared.copier.board.has_ended_in(&spec.id, task.id.round) {
        return settled(delivery.ack().await);
    }
    let root = match spec.root(task.root) {
        Ok(root) => root,
        Err(failure) => return failed(shared, (spec, None), delivery, task, failure).await,
    };
    let container = container(spec, root);
    if let Some(wait) = held(shared, &root.bucket, &container) {
        return put_back(delivery, wait).await;
    }
    let attempts = delivery.message.headers.attempt;
    let lane = Lane::of(shared, spec, root, (&task, attempts));
    let size = task.object.size;
    let seat = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        seat = seat::take(shared, spec, &lane, size) => seat?,
    };
    let Some(_seat) = seat else {
        return put_back(delivery, seat::put_back()).await;
    };
    let working = &shared.copier.metrics.in_flight_objects;
    working.inc();
    let begun = Instant::now();
    let copied = transfer::copy(shared, spec, root, &task, lane).await;
    working.dec();
    if let Ok(Attempt::Ended(Ending::Copied { .. }) | Attempt::Paused(_)) = copied {
        let ended = [
            shared.holds.arrived(&root.bucket),
            shared.held_containers.arrived(&container),
        ];
        if ended.contains(&true) {
            wake::after_hold(shared, &root.bucket, &container);
        }
    }
    let (task, failure) = match copied {
        Ok(Attempt::Ended(ending)) => {
            let ending = without_wrong_blob(shared, (spec, root), &task, ending).await;
            return finish(shared, delivery, task, ending).await;
        }
        Ok(Attempt::Paused(staged)) => return paused(delivery, task, staged).await,
        Ok(Attempt::Unproven(Unproven { etag, failure })) => (with_unproven(task, etag), failure),
        Err(failure) => (task, failure),
    };
    match denied(shared, (root, &container), begun, &failure) {
        Some(wait) => put_back_as(delivery, &task, wait).await,
        None => {
            let failure = of_one_job(shared, failure);
            failed(shared, (spec, Some(root)), delivery, task, failure).await
        }
    }
}

/// How an object ends that is not to be written after all, once the wrong blob that an earlier
/// attempt made of it is deleted. Where that is refused the object has failed: the blob is there.
async fn without_wrong_blob(
    shared: &Shared,
    (spec, root): (&JobSpec, &Root),
    task: &CopyTask,
    ending: Ending,
) -> Ending {
    let (Some(etag), Ending::Skipped { reason, message }) = (&task.unproven, &ending) else {
        return ending;
    };
    match transfer::delete_unproven(shared, spec, root, &task.object.key, etag).await {
        Ok(()) => ending,
        Err(left) => Ending::Failed {
            reason: left.reason,
            message: format!("not copied after all ({reason}: {message}), and {left}"),
        },
    }
}

/// What a container is held by.
pub(super) fn container(spec: &JobSpec, root: &Root) -> String {
    format!("{}/{}", spec.account, root.container)
}

/// The task that also names the blob its next try has to replace or delete.
fn with_unproven(task: CopyTask, etag: String) -> CopyTask {
    let unproven = Some(etag);
    CopyTask { unproven, ..task }
}

/// How long an object waits whose bucket or container is held.
fn held(shared: &Shared, bucket: &str, container: &str) -> Option<Duration> {
    if let Admission::Wait(wait) = shared.holds.admit(bucket) {
        return Some(wait);
    }
    // Asked only now: it gives one object its try.
    match shared.held_containers.admit(container) {
        Admission::Wait(wait) => Some(wait),
        Admission::Go => None,
    }
}

/// Is it a refusal that stops this process where it works on one job, and concerns this one alone
/// where it works on many?
fn is_one_jobs(shared: &Shared, failure: &Failure) -> bool {
    shared.copier.many_jobs
        && failure.remedy == Remedy::Stop
        && matches!(
            failure.reason,
            Reason::DestinationDenied | Reason::SourceDenied | Reason::Usage
        )
}

/// A refusal as it is where a process works on many jobs: what concerns one stops no other.
fn of_one_job(shared: &Shared, failure: Failure) -> Failure {
    match is_one_jobs(shared, &failure) {
        true => Failure {
            remedy: Remedy::Retry,
            ..failure
        },
        false => failure,
    }
}

/// Puts a task back as it is; this was no attempt.
async fn put_back(delivery: Delivery, wait: Duration) -> Result<()> {
    let message = delivery.message.clone();
    settled(delivery.again(message, wait.min(MAX_WAIT)).await)
}

/// The same with what is known of it now.
async fn put_back_as(delivery: Delivery, task: &CopyTask, wait: Duration) -> Result<()> {
    if task.unproven.is_none() {
        return put_back(delivery, wait).await;
    }
    let message = Envelope::new(delivery.message.headers.clone(), task)?;
    settled(delivery.again(message, wait.min(MAX_WAIT)).await)
}

/// Leaves a task to another process. What a stop interrupted is no attempt: unsettled, it comes back
/// as it is; but whoever takes it has to know of a wrong blob.
async fn leave(delivery: Delivery, task: &CopyTask) -> Result<()> {
    match task.unproven {
        Some(_) => put_back_as(delivery, task, Duration::ZERO).await,
        None => Ok(()),
    }
}

/// How long an object waits whose whole bucket, or container, is denied.
fn denied(
    shared: &Shared,
    (root, container): (&Root, &str),
    begun: Instant,
    failure: &Failure,
) -> Option<Duration> {
    let stops = failure.remedy == Remedy::Stop;
    match failure.reason {
        _ if stops && !is_one_jobs(shared, failure) => None,
        Reason::SourceDenied => shared.holds.denied(&root.bucket, begun, failure),
        _ if stops => shared.held_containers.denied(container, begun, failure),
        _ => None,
    }
}

/// Puts a large object back with what is known of it now; others get their turn meanwhile.
async fn paused(delivery: Delivery, task: CopyTask, staged: Staged) -> Result<()> {
    let task = CopyTask {
        staged: Some(staged),
        ..task
    };
    // It got on: what failed before does not count any more.
    let headers = Headers {
        attempt: 0,
        since_ms: 0,
        ..delivery.message.headers.clone()
    };
    let message = Envelope::new(headers, &task)?;
    settled(delivery.again(message, Duration::ZERO).await)
}

async fn failed(
    shared: &Shared,
    (spec, root): (&JobSpec, Option<&Root>),
    delivery: Delivery,
    task: CopyTask,
    mut failure: Failure,
) -> Result<()> {
    let copier = &shared.copier;
    copier
        .metrics
        .attempt_failures
        .with_label_values(&[failure.reason.as_str()])
        .inc();
    let now_ms = copier.clients.clock().unix_ms();
    let tries = Tries::of(&delivery.message.headers, now_ms);
    let attempt = tries.attempt;
    if let Some(root) = root
        && copier.retry.may_be_its_own(&failure, tries)
        && transfer::do_others_answer(shared, spec, root, &task, failure.reason).await
    {
        failure.remedy = Remedy::GiveUp;
        failure.message = format!(
            "{failure}; others are answered meanwhile, so that it is this object's own trouble"
        );
    }
    match copier.retry.decide(&failure, tries, rand::random()) {
        Decision::Stop => {
            leave(delivery, &task).await?;
            Err(failure)
        }
        Decision::Wait(_) if shared.shutdown.is_cancelled() => leave(delivery, &task).await,
        Decision::Wait(wait) => {
            tracing::debug!(object.key = task.object.key, attempt, ?wait, %failure, "tried again");
            let mut message = delivery.message.clone();
            message.headers.attempt += 1;
            message.headers.since_ms = tries.since_ms(now_ms);
            if task.unproven.is_some() {
                message = Envelope::new(message.headers, &task)?;
            }
            settled(delivery.again(message, wait).await)
        }
        Decision::GiveUp => {
            if let (Some(root), Some(etag)) = (root, &task.unproven)
                && let Err(left) =
                    transfer::delete_unproven(shared, spec, root, &task.object.key, etag).await
            {
                failure.message = format!("{failure}; {left}");
            }
            tell(
                shared,
                (spec, root),
                &task.object.key,
                attempt + 1,
                &failure,
            );
            let ending = Ending::Failed {
                reason: failure.reason,
                message: failure.message,
            };
            finish(shared, delivery, task, ending).await
        }
    }
}

/// Logs an object that failed. Its outcome names it in any case: a cause that many objects share
/// need not fill this log with them.
fn tell(
    shared: &Shared,
    (spec, root): (&JobSpec, Option<&Root>),
    key: &str,
    attempts: u32,
    failure: &Failure,
) {
    let reason = failure.reason;
    let bucket = root.map_or("", |root| root.bucket.as_str());
    let container = root.map_or("", |root| root.container.as_str());
    let place = match reason.as_str().starts_with("source_") {
        true => format!("bucket {bucket}"),
        false => format!("container {}/{container}", spec.account),
    };
    let is_news = match reason {
        Reason::SourceDenied => shared.holds.warns(bucket),
        _ => shared.told.is_news(&spec.id, reason, &place),
    };
    if is_news {
        tracing::warn!(
            target: COPIERS,
            { object.key = key, attempts, %reason, %failure },
            "object failed"
        );
    } else {
        tracing::debug!(
            target: COPIERS,
            { object.key = key, attempts, %reason, %failure },
            "object failed"
        );
    }
}

/// Reports how the object ended; the delivery is acknowledged once the report is confirmed.
async fn finish(shared: &Shared, delivery: Delivery, task: CopyTask, ending: Ending) -> Result<()> {
    let metrics = &shared.copier.metrics;
    match &ending {
        Ending::Copied { bytes, .. } => {
            metrics.copies.with_label_values(&["copied"]).inc();
            metrics.copied_bytes.inc_by(*bytes);
        }
        Ending::Skipped { .. } => metrics.copies.with_label_values(&["skipped"]).inc(),
        Ending::Failed { .. } => metrics.copies.with_label_values(&["failed"]).inc(),
    }
    let outcome = Outcome {
        id: task.id,
        key: task.object.key,
        size: task.object.size,
        ending,
        attempts: delivery.message.headers.attempt + 1,
    };
    let unsettled = shared.unsettled.token();
    shared.outcomes.report(outcome, delivery, unsettled).await
}

/// A body nobody can read is a named object all the same: it fails and is parked.
async fn unreadable(shared: &Shared, delivery: Delivery, failure: Failure) -> Result<()> {
    let headers = &delivery.message.headers;
    tracing::error!(job.id = short(&headers.job), %failure, "a copy task cannot be read and is parked");
    let outcome = Outcome {
        id: CopyId {
            job: JobId::new(&headers.job),
            list_task: headers.list_task,
            nonce: headers.nonce,
            index: headers.index,
            round: headers.round,
        },
        key: match headers.key.as_str() {
            "" => nameless(headers.list_task, headers.index),
            key => key.to_owned(),
        },
        size: headers.size,
        ending: Ending::Failed {
            reason: Reason::Undecodable,
            message: failure.message.clone(),
        },
        attempts: headers.attempt + 1,
    };
    match shared.outcomes.publish(outcome).await {
        Err(failure) if failure.remedy == Remedy::Retry => return settled(Err(failure)),
        published => published?,
    }
    settled(delivery.park(&failure.message).await)
}

/// A settling that failed leaves the message to be delivered again: nothing is lost by it.
fn settled(result: Result<()>) -> Result<()> {
    if let Err(failure) = result {
        tracing::debug!(%failure, "a copy task will be delivered again");
    }
    Ok(())
}
