//! One accepted page: which of its objects have ended, and what it has brought to the totals.

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::job::Totals;
use crate::message::{ListTask, Page};

/// A page whose objects have not all ended.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenPage {
    /// The listing that was accepted.
    pub nonce: u64,
    /// What was listed.
    pub task: ListTask,
    /// Objects in it.
    pub objects: u32,
    /// Those that have ended.
    pub done: RoaringBitmap,
    /// What it has brought; none where a ledger of an older version does not tell.
    pub tally: Option<Box<Tally>>,
}

/// What of the job's totals is a page's, so that it can be taken back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Its part of the totals.
    pub totals: Totals,
    /// The last key it covers, where something followed.
    pub until: Option<String>,
    /// Keys of it that failed and were put back, in no order: they are counted elsewhere now.
    pub put_back: Vec<String>,
}

impl OpenPage {
    /// A page as it is accepted: nothing has ended yet.
    pub fn new(task: ListTask, page: &Page) -> Self {
        let totals = Totals {
            pages: 1,
            listed: u64::from(page.objects),
            listed_bytes: page.bytes,
            filtered: u64::from(page.filtered),
            ..Totals::default()
        };
        let follows = page.next.iter().filter_map(|range| range.after.clone());
        Self {
            nonce: page.nonce,
            objects: page.objects,
            done: RoaringBitmap::new(),
            tally: Some(Box::new(Tally {
                totals,
                until: follows.min().or_else(|| task.range.until.clone()),
                put_back: Vec::new(),
            })),
            task,
        }
    }

    /// Marks an object as ended; false where that is no news or not of this page.
    pub fn mark(&mut self, index: u32) -> bool {
        index < self.objects && self.done.insert(index)
    }

    /// Have all ended?
    pub fn is_done(&self) -> bool {
        self.done.len() >= u64::from(self.objects)
    }

    /// Objects that have not ended.
    pub fn open(&self) -> u64 {
        u64::from(self.objects).saturating_sub(self.done.len())
    }
}
