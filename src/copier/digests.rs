//! The CRC-64/NVME of an object's blocks, as far as they are known, and of the whole. Pure.

use crc_fast::{CrcAlgorithm, checksum_combine};

use super::plan::Blocks;
use crate::message::Staged;

/// What is known of the blocks of one plan.
#[derive(Clone, Debug)]
pub(super) struct Digests {
    crcs: Vec<Option<u64>>,
}

impl Digests {
    /// Nothing is known.
    pub(super) fn none(plan: &Blocks) -> Self {
        let count = usize::try_from(plan.count()).unwrap_or_default();
        Self {
            crcs: vec![None; count],
        }
    }

    /// What an earlier lease learned, if it was of this very plan.
    pub(super) fn of_earlier(plan: &Blocks, earlier: Option<&Staged>) -> Self {
        let mut digests = Self::none(plan);
        if let Some(earlier) = earlier.filter(|earlier| earlier.plan == plan.stem()) {
            for (index, crc) in &earlier.crcs {
                digests.note(usize::try_from(*index).unwrap_or(usize::MAX), Some(*crc));
            }
        }
        digests
    }

    /// A block was staged.
    pub(super) fn note(&mut self, index: usize, crc: Option<u64>) {
        if let Some(known) = self.crcs.get_mut(index) {
            *known = crc;
        }
    }

    /// Is the digest of this block known?
    pub(super) fn knows(&self, index: usize) -> bool {
        matches!(self.crcs.get(index), Some(Some(_)))
    }

    /// The digest of the whole, if those of all blocks are known: CRCs combine.
    pub(super) fn whole(&self, plan: &Blocks) -> Option<u64> {
        let blocks = plan.iter().zip(&self.crcs);
        blocks.into_iter().try_fold(0, |whole, (block, crc)| {
            let crc = (*crc)?;
            Some(checksum_combine(
                CrcAlgorithm::Crc64Nvme,
                whole,
                crc,
                block.length,
            ))
        })
    }

    /// What the next lease should know.
    pub(super) fn to_message(&self, plan: &Blocks) -> Staged {
        let known = (0_u32..).zip(&self.crcs);
        Staged {
            plan: plan.stem(),
            crcs: known
                .filter_map(|(index, crc)| Some((index, (*crc)?)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copier::plan::{Plan, plan};
    use crate::job::CopyOptions;

    fn blocks(version: &str) -> Blocks {
        let options = CopyOptions {
            put_blob_size: 0,
            block_size: 4,
            ..CopyOptions::default()
        };
        match plan(10, version, &options).unwrap() {
            Plan::Blocks(blocks) => blocks,
            Plan::Whole => panic!("expected blocks"),
        }
    }

    fn crc(content: &[u8]) -> u64 {
        let mut digest = crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme);
        digest.update(content);
        digest.finalize()
    }

    #[test]
    fn the_digests_of_all_blocks_make_that_of_the_whole() {
        let plan = blocks("v1");
        let mut digests = Digests::none(&plan);
        digests.note(0, Some(crc(b"0123")));
        digests.note(2, Some(crc(b"89")));
        assert_eq!(digests.whole(&plan), None);
        // What one lease learned, the next knows.
        let mut next = Digests::of_earlier(&plan, Some(&digests.to_message(&plan)));
        assert!(next.knows(0) && !next.knows(1) && next.knows(2));
        next.note(1, Some(crc(b"4567")));
        assert_eq!(next.whole(&plan), Some(crc(b"0123456789")));
    }

    #[test]
    fn what_was_learned_of_another_version_is_forgotten() {
        let mut digests = Digests::none(&blocks("v1"));
        digests.note(0, Some(1));
        let earlier = digests.to_message(&blocks("v1"));
        let next = Digests::of_earlier(&blocks("v2"), Some(&earlier));
        assert!(!next.knows(0));
    }
}
