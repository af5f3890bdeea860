//! What a listing becomes: copy tasks, decided objects, and what follows. Pure.

#[cfg(test)]
mod tests;

use crate::failure::{Reason, Result};
use crate::job::{JobId, Root, Scope};
use crate::message::{
    CopyId, CopyTask, Decided, Ending, Envelope, KeyRange, ListTask, ListedObject, Page,
};

/// A listing of one page, as the source gave it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// Objects in key order.
    pub objects: Vec<ListedObject>,
    /// Where the next page begins; none where the range is exhausted.
    pub next_after: Option<String>,
}

/// A page to be published: what goes to the copiers, and the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// One message per object to copy, in key order.
    pub tasks: Vec<CopyTask>,
    /// Keys in order, for cutting the page short.
    keys: Vec<(String, u64)>,
    /// Where the range ends.
    until: Option<String>,
    page: Page,
}

/// Turns a listing into a draft.
pub fn draft(task: &ListTask, root: &Root, nonce: u64, listing: Listing) -> Draft {
    let (objects, exhausted) = within(&task.range, listing.objects);
    let next = match listing.next_after {
        Some(after) if !exhausted => {
            vec![KeyRange {
                after: Some(after),
                until: task.range.until.clone(),
            }]
        }
        _ => Vec::new(),
    };
    let mut draft = Draft {
        tasks: Vec::new(),
        keys: Vec::new(),
        until: task.range.until.clone(),
        page: Page {
            job: task.job.clone(),
            list_task: task.id,
            nonce,
            objects: 0,
            bytes: 0,
            filtered: 0,
            decided: Vec::new(),
            next,
        },
    };
    for object in objects {
        draft.add(task, root, object);
    }
    draft
}

/// Objects up to the range's end, and whether that end was reached.
fn within(range: &KeyRange, mut objects: Vec<ListedObject>) -> (Vec<ListedObject>, bool) {
    let Some(until) = &range.until else {
        return (objects, false);
    };
    let inside = objects.partition_point(|object| object.key <= *until);
    let exhausted = inside < objects.len();
    objects.truncate(inside);
    (objects, exhausted)
}

impl Draft {
    fn add(&mut self, task: &ListTask, root: &Root, object: ListedObject) {
        let index = self.page.objects;
        self.page.objects += 1;
        self.page.bytes += object.size;
        self.keys.push((object.key.clone(), object.size));
        match decided(root, &object) {
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
            }),
        }
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
        let (last, _) = self.keys.get(kept.checked_sub(1)?)?;
        let until = self.until.take();
        self.page.next = vec![KeyRange {
            after: Some(last.clone()),
            until,
        }];
        self.page.objects = first_missing.id.index;
        self.page.bytes = self.keys.iter().take(kept).map(|(_, size)| size).sum();
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
        tasks
            .map(|task| Envelope::new(task.id.headers(), task))
            .collect()
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

/// What the lister can decide itself.
fn decided(root: &Root, object: &ListedObject) -> Option<Ending> {
    let named_by_user = matches!(&root.scope, Scope::Object { key, .. } if *key == object.key);
    if object.key.ends_with('/') && !named_by_user {
        return Some(Ending::Skipped {
            reason: "folder_marker".into(),
            message: String::new(),
        });
    }
    root.refused.as_ref().map(|message| Ending::Failed {
        reason: Reason::ContainerRejected,
        message: message.clone(),
    })
}
