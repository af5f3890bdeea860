//! How much of other machines' answers this process holds at once.
//!
//! A small answer is read at once. A larger one first takes one of a few permits, so that
//! thousands of calls in flight, all answered at length, cost a bounded amount of memory.

use std::fmt::Display;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Most bytes of an error's body that are read, in bytes: both services' errors have under 2 KiB,
/// and what a proxy sends instead says what it is at its beginning.
pub const LARGEST_ERROR: usize = 64 * 1024;

/// Up to this an answer needs no permit, in bytes.
const SMALL: usize = 64 * 1024;
/// Up to this an answer needs a permit of the first kind, in bytes: pages of a listing.
const MEDIUM: usize = 2 * 1024 * 1024;

/// Answers of at most 2 MiB: 256 MiB together.
static MEDIUM_ANSWERS: Semaphore = Semaphore::const_new(128);
/// Answers beyond: 256 MiB together, as none has more than 64 MiB.
static LARGE_ANSWERS: Semaphore = Semaphore::const_new(4);

/// An answer that takes longer than this to be read is told of.
const SLOW: Duration = Duration::from_secs(30);

/// The permits one answer holds while it is read. Who waits for the second kind holds one of the
/// first, never the other way round, so that nobody waits in a circle.
#[derive(Debug)]
pub struct AnswerRoom {
    begun: Instant,
    is_told: bool,
    medium: Option<SemaphorePermit<'static>>,
    large: Option<SemaphorePermit<'static>>,
}

impl Default for AnswerRoom {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            is_told: false,
            medium: None,
            large: None,
        }
    }
}

impl AnswerRoom {
    /// Waits until this process may hold an answer to `call` that has `length` bytes by now, and
    /// warns once of an answer that drips.
    pub async fn grow(&mut self, length: usize, call: impl Display) {
        if !self.is_told && self.begun.elapsed() >= SLOW {
            self.is_told = true;
            let seconds = self.begun.elapsed().as_secs();
            tracing::warn!(
                "{call}: only {length} bytes of the answer came in {seconds} s: the service or the \
                 network is slow"
            );
        }
        if length > SMALL && self.medium.is_none() {
            // An error would mean that the semaphore is closed, which nobody does.
            self.medium = MEDIUM_ANSWERS.acquire().await.ok();
        }
        if length > MEDIUM && self.large.is_none() {
            self.large = LARGE_ANSWERS.acquire().await.ok();
        }
    }
}

/// The text of the first element of that name. Errors of both services are flat, foreign,
/// and perhaps cut at [`LARGEST_ERROR`]: nothing more is assumed about them.
pub fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = quick_xml::escape::unescape(text).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_large_answers_only_a_few_are_read_at_once() {
        let mut rooms: Vec<AnswerRoom> = Vec::new();
        for _ in 0..4 {
            let mut room = AnswerRoom::default();
            room.grow(MEDIUM + 1, "call").await;
            rooms.push(room);
        }
        let wait = std::time::Duration::from_secs(60);
        let mut fifth = AnswerRoom::default();
        let waited = tokio::time::timeout(wait, fifth.grow(MEDIUM + 1, "call")).await;
        assert!(waited.is_err(), "a fifth large answer was let in");
        let mut small = AnswerRoom::default();
        small.grow(SMALL, "call").await;
        rooms.pop();
        fifth.grow(MEDIUM + 1, "call").await;
    }
}
