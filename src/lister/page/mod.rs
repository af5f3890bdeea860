//! What a listing becomes: copy tasks, decided objects, and what follows. Pure.

mod rules;
#[cfg(test)]
mod tests;

pub use self::rules::Rules;
use crate::failure::{Failure, Result};
use crate::job::{JobId, Root};
use crate::message::{
    CopyId, CopyTask, Decided, Ending, Envelope, KeyRange, ListTask, ListedObject, Page,
};

/// A listing of one page, as the source gave it.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Objects in key order.
    pub objects: Vec<Found>,
    /// Where the next page begins; none where the range is exhausted.
    pub next_after: Option<String>,
    /// Objects that were named and cannot be looked at, in key order: the key, and why.
    pub failed: Vec<(String, Failure)>,
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
    page: Page,
}

/// One object of the page, by its index.
#[derive(Clone, Debug, PartialEq)]
struct Listed {
    key: String,
    size: u64,
    /// Keys that filters left out before it.
    filtered: u32,
}

/// Turns a listing into a draft.
pub fn draft(task: &ListTask, root: &Root, rules: &Rules, nonce: u64, listing: Listing) -> Draft {
    let (objects, exhausted) = within(&task.range, listing.objects);
    let next = listing
        .next_after
        .filter(|_| !exhausted)
        .and_then(|after| rules.onward(root, &task.range, after));
    let mut draft = Draft {
        tasks: Vec::new(),
        listed: Vec::new(),
        until: task.range.until.clone(),
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
    // The order of the keys is what a page is cut by.
    let mut failed = listing.failed.into_iter().peekable();
    for found in objects {
        while let Some((key, failure)) = failed.next_if(|(key, _)| *key < found.object.key) {
            draft.add_failed(key, failure);
        }
        if task.without.binary_search(&found.object.key).is_ok() {
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
    draft
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

impl Draft {
    fn add(&mut self, task: &ListTask, object: ListedObject, ending: Option<Ending>) {
        let index = self.next_index(&object.key, object.size);
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
            }),
        }
    }

    fn add_failed(&mut self, key: String, failure: Failure) {
        let index = self.next_index(&key, 0);
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

    fn next_index(&mut self, key: &str, size: u64) -> u32 {
        let index = self.page.objects;
        self.page.objects += 1;
        self.page.bytes += size;
        self.listed.push(Listed {
            key: key.to_owned(),
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
        let until = self.until.take();
        self.page.next = vec![KeyRange {
            after: Some(last.key.clone()),
            until,
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
