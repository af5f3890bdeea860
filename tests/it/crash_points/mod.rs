//! Kills between the steps of each order rule, on both brokers: a step that was done is done
//! again, or known again, and nothing is counted twice or lost.
//!
//! On RabbitMQ the role itself is killed: a proxy between it and the broker holds it up at a frame.
//! On the embedded queue a test process runs the roles on the real queue and ledger, and holds
//! them up at a call; what it leaves is resumed by `blobfleet copy`.

mod embedded;
mod holding;
mod proxy;
mod rabbit;
mod world;

/// Where a process is held up for good. Queues are told by how their names begin; steps are
/// counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Before a message is published; those before it are confirmed.
    Publish(&'static str, u64),
    /// After a message is published and confirmed, which its publisher never learns.
    Confirm(&'static str, u64),
    /// Before a delivery is acknowledged.
    Ack(&'static str, u64),
}

/// Lister: some copy tasks are confirmed, the page's report is not.
const SOME_TASKS: Point = Point::Publish("copy.", 50);
/// Lister: all copy tasks of a page are confirmed, its report is not.
const ALL_TASKS: Point = Point::Publish("outcome", 1);
/// Lister: the page is confirmed, the list task is not acknowledged.
const PAGE: Point = Point::Ack("list", 1);
/// Copier: the blob is written, its outcome is not confirmed.
const WRITTEN: Point = Point::Publish("outcome", 1);
/// Copier: the outcome is confirmed, the copy task is not acknowledged.
const REPORTED: Point = Point::Ack("copy.", 1);
/// Reporter: a fold is durable, its reports are not acknowledged.
const FOLDED: Point = Point::Ack("outcome", 1);
/// Reporter: a list task is in the outbox, and not published.
const IN_OUTBOX: Point = Point::Publish("list", 2);
/// Reporter: a list task is published, and still in the outbox: it is published twice.
const PUBLISHED: Point = Point::Confirm("list", 2);
