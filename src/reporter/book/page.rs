//! One accepted page: which of its objects have ended.

use roaring::RoaringBitmap;

/// A page whose objects have not all ended.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenPage {
    /// The listing that was accepted.
    pub nonce: u64,
    /// What was listed: the root's place in the job.
    pub root: u32,
    /// Objects in it.
    pub objects: u32,
    /// Round its objects were issued in.
    pub round: u32,
    /// Those that have ended.
    pub done: RoaringBitmap,
}

impl OpenPage {
    /// Marks an object as ended; false where that is no news or not of this page.
    pub fn mark(&mut self, index: u32) -> bool {
        index < self.objects && self.done.insert(index)
    }

    /// Have all ended?
    pub fn is_done(&self) -> bool {
        self.done.len() >= u64::from(self.objects)
    }
}
