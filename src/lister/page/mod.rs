//! What a listing becomes: copy tasks, decided objects, and what follows. Pure.

mod rules;
#[cfg(test)]
mod tests;

pub use self::rules::Rules;
use std::collections::HashSet;

use crate::failure::{Failure, Reason, Result};
use crate::job::{JobId, Root};
use crate::message::{
    CopyId, CopyTask, Cursor, Decided, Ending, Envelope, KeyRange, ListTask, ListedObject, Page,
    nameless,
};
use crate::source::client::Onward;

/// A listing of one page, as the source gave it.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Objects, in key order unless the listing is unsorted.
    pub objects: Vec<Found>,
    /// Where the next page begins; none where the range is exhausted.
    pub next: Option<Onward>,
    /// Objects whose key is known and that cannot be looked at, in the order of the objects: the
    /// key, and why.
    pub failed: Vec<(String, Failure)>,
    /// Rows that name no object that could be asked for, and why.
    pub unreadable: Vec<String>,
    /// How this page is asked for again.
    pub here: Cursor,
    /// The source promises the order of keys: it may be jumped over some.
    pub is_order_promised: bool,
}

/// An object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What the copier is told.
    pub object: ListedObject,
    /// Where it lies, if it must be restored before it can be read: S3's storage class or tier.
    pub archived: Option<String>,
}

/// A page to be published: what goes to the copiers, and the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// One message per object to copy, in key order.
    pub tasks: Vec<CopyTask>,
    /// What was listed, in key order, for cutting the page short.
    listed: Vec<Listed>,
    /// Where the range ends.
    until: Option<String>,
    /// How the page is asked for again.
    here: Cursor,
    page: Page,
}

/// One object of the page, by its index.
#[derive(Clone, Debug, PartialEq)]
struct Listed {
    /// None of a row that names no object.
    key: Option<String>,
    size: u64,
    /// Keys that filters left out before it.
    filtered: u32,
}

/// Turns a listing into a draft.
///
/// # Errors
/// The range cannot be listed in part: the source's listing is in no order.
pub fn draft(
    task: &ListTask,
    root: &Root,
    rules: &Rules,
    nonce: u64,
    listing: Listing,
) -> Result<Draft> {
    let range = &task.range;
    let unsorted = listing.here.unsorted;
    let (objects, exhausted) = match unsorted {
        true => one_page(range, listing.objects)?,
        false => within(range, listing.objects),
    };
    let next = listing.next.filter(|_| !exhausted);
    let next = next.and_then(|next| rules.onward(root, range, next, listing.is_order_promised));
    let mut draft = Draft {
        tasks: Vec::new(),
        listed: Vec::new(),
        until: range.until.clone(),
        here: listing.here,
        page: Page {
            job: task.job.clone(),
            list_task: task.id,
            nonce,
            objects: 0,
            bytes: 0,
            filtered: 0,
            decided: Vec::new(),
            next: next.into_iter().collect(),
        },
    };
    // First, so that a page is never cut before them.
    for why in listing.unreadable {
        draft.add_nameless(why);
    }
    let without: HashSet<&String> = task.without.iter().collect();
    // The order of the keys is what a page is cut by.
    let mut failed = listing.failed.into_iter().peekable();
    for found in objects {
        while let Some((key, failure)) = failed.next_if(|(key, _)| *key < found.object.key) {
            draft.add_failed(key, failure);
        }
        if without.contains(&found.object.key) {
            continue;
        }
        if rules.admits(root, &found) {
            let ending = rules.decided(root, &found);
            draft.add(task, found.object, ending);
        } else {
            draft.page.filtered += 1;
        }
    }
    for (key, failure) in failed {
        draft.add_failed(key, failure);
    }
    Ok(draft)
}

/// Objects up to the range's end, and whether that end was reached.
fn within(range: &KeyRange, mut objects: Vec<Found>) -> (Vec<Found>, bool) {
    let Some(until) = &range.until else {
        return (objects, false);
    };
    let inside = objects.partition_point(|found| found.object.key <= *until);
    let exhausted = inside < objects.len();
    objects.truncate(inside);
    (objects, exhausted)
}

/// The objects of an unsorted page. A range with an end is this page alone, up to that key.
fn one_page(range: &KeyRange, mut objects: Vec<Found>) -> Result<(Vec<Found>, bool)> {
    let Some(until) = &range.until else {
        return Ok((objects, false));
    };
    if !range.is_unsorted() {
        return Err(Failure::give_up(
            Reason::SourceRejected,
            "the source lists its keys in no order, so that no part of the bucket can be listed \
             by itself",
        ));
    }
    let last = objects.iter().position(|found| found.object.key == *until);
    let last = last.ok_or_else(|| {
        Failure::give_up(
            Reason::SourceRejected,
            format!("the key {until:?}, with which a page of an unsorted listing ends, is gone"),
        )
    })?;
    objects.truncate(last + 1);
    Ok((objects, true))
}

impl Draft {
    fn add(&mut self, task: &ListTask, object: ListedObject, ending: Option<Ending>) {
        let index = self.next_index(Some(&object.key), object.size);
        match ending {
            Some(ending) => self.page.decided.push(Decided {
                index,
                key: object.key,
                size: object.size,
                ending,
            }),
            None => self.tasks.push(CopyTask {
                id: CopyId {
                    job: task.job.clone(),
                    list_task: task.id,
                    nonce: self.page.nonce,
                    index,
                    round: task.round,
                },
                root: task.root,
                object,
                staged: None,
                unproven: None,
            }),
        }
    }

    fn add_failed(&mut self, key: String, failure: Failure) {
        let index = self.next_index(Some(&key), 0);
        self.page.decided.push(Decided {
            index,
            key,
            size: 0,
            ending: Ending::Failed {
                reason: failure.reason,
                message: failure.message,
            },
        });
    }

    /// A row that names no object that could be asked for: counted, and named by its place.
    fn add_nameless(&mut self, why: String) {
        let index = self.next_index(None, 0);
        self.page.decided.push(Decided {
            index,
            key: nameless(self.page.list_task, index),
            size: 0,
            ending: Ending::Failed {
                reason: Reason::SourceRejected,
                message: why,
            },
        });
    }

    fn next_index(&mut self, key: Option<&str>, size: u64) -> u32 {
        let index = self.page.objects;
        self.page.objects += 1;
        self.page.bytes = self.page.bytes.saturating_add(size);
        self.listed.push(Listed {
            key: key.map(str::to_owned),
            size,
            filtered: self.page.filtered,
        });
        index
    }

    /// The report of the whole page.
    pub fn whole(self) -> Page {
        self.page
    }

    /// The report of the part before the `confirmed`-th copy task: the page ends there and what
    /// follows starts after its last key. None where nothing was confirmed.
    pub fn cut(mut self, confirmed: usize) -> Option<Page> {
        let Some(first_missing) = self.tasks.get(confirmed) else {
            return Some(self.page);
        };
        let kept = usize::try_from(first_missing.id.index).unwrap_or(usize::MAX);
        let last = self.listed.get(kept.checked_sub(1)?)?;
        let after = Some(last.key.clone()?);
        let cursor = Cursor {
            partly: true,
            ..std::mem::take(&mut self.here)
        };
        // What is asked for by key alone goes on by key.
        let by_key = cursor.token.is_none() && !cursor.unsorted && !cursor.v1;
        self.page.next = vec![KeyRange {
            after,
            until: self.until.take(),
            cursor: (!by_key).then(|| Box::new(cursor)),
        }];
        self.page.objects = first_missing.id.index;
        self.page.filtered = last.filtered;
        self.page.bytes = self.listed.iter().take(kept).map(|one| one.size).sum();
        self.page
            .decided
            .retain(|decided| decided.index < self.page.objects);
        Some(self.page)
    }

    /// The copy messages from the `skip`-th on.
    ///
    /// # Errors
    /// Encoding, which does not fail for our own messages.
    pub fn messages(&self, skip: usize) -> Result<Vec<Envelope>> {
        let tasks = self.tasks.iter().skip(skip);
        tasks.map(CopyTask::message).collect()
    }

    /// The job it belongs to.
    pub fn job(&self) -> &JobId {
        &self.page.job
    }

    /// Objects in the whole page.
    pub fn objects(&self) -> u32 {
        self.page.objects
    }
}
