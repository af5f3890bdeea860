//! How an object is cut: one request, or so many blocks. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Reason, Result};
use crate::job::CopyOptions;

/// Blocks a blob may have
/// (<https://learn.microsoft.com/rest/api/storageservices/put-block-list>).
pub const MAX_BLOCKS: u64 = 50_000;
/// Largest block, in bytes (4,000 MiB; service versions from 2019-12-12).
pub const MAX_BLOCK_SIZE: u64 = 4_000 * MIB;
/// Largest blob of one Put Blob From URL, in bytes (5,000 MiB; versions from 2020-04-08).
pub const MAX_PUT_BLOB_SIZE: u64 = 5_000 * MIB;
/// One MiB in bytes.
pub const MIB: u64 = 1024 * 1024;

/// How an object goes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Put Blob From URL.
    Whole,
    /// Put Block From URL for each block, then Put Block List.
    Blocks(Blocks),
}

/// The blocks of one version of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    size: u64,
    block_size: u64,
    stem: String,
}

/// One block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Base64, as requests carry it.
    pub id: String,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// Plans an object of `size` bytes. `version` names its content: version id, or ETag with
/// Last-Modified; block ids are a pure function of it, so that a repetition stages the same
/// blocks and another version's can never be mixed in.
///
/// # Errors
/// The object is larger than a blob can be.
pub fn plan(size: u64, version: &str, options: &CopyOptions) -> Result<Plan> {
    if size <= options.put_blob_size {
        return Ok(Plan::Whole);
    }
    let mut block_size = options.block_size.clamp(1, MAX_BLOCK_SIZE);
    while size.div_ceil(block_size) > MAX_BLOCKS {
        if block_size == MAX_BLOCK_SIZE {
            return Err(Failure::give_up(
                Reason::DestinationRejected,
                format!("{size} bytes are more than a blob can hold (50,000 blocks of 4,000 MiB)"),
            ));
        }
        block_size = (block_size * 2).min(MAX_BLOCK_SIZE);
    }
    let hash = Sha256::digest(version.as_bytes());
    let stem: String = hash
        .iter()
        .take(10)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Plan::Blocks(Blocks {
        size,
        block_size,
        stem: format!("{stem}{block_size:010x}"),
    }))
}

impl Blocks {
    /// Names the plan: the version of the content and the size of its blocks.
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// Is this the id, in base64, of a block of this plan?
    pub fn owns(&self, id: &str) -> bool {
        let decoded = STANDARD.decode(id).unwrap_or_default();
        decoded.starts_with(self.stem.as_bytes())
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.size.div_ceil(self.block_size)
    }

    /// The blocks in order.
    pub fn iter(&self) -> impl Iterator<Item = Block> + '_ {
        (0..self.count()).map(|index| {
            let offset = index * self.block_size;
            Block {
                id: STANDARD.encode(format!("{}{index:06}", self.stem)),
                offset,
                length: self.block_size.min(self.size - offset),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(put_blob_size: u64, block_size: u64) -> CopyOptions {
        CopyOptions {
            put_blob_size,
            block_size,
            ..CopyOptions::default()
        }
    }

    fn blocks(size: u64, options: &CopyOptions) -> Blocks {
        match plan(size, "v1", options).unwrap() {
            Plan::Blocks(blocks) => blocks,
            Plan::Whole => panic!("expected blocks"),
        }
    }

    #[test]
    fn the_threshold_itself_still_goes_whole() {
        let options = options(256 * MIB, 8 * MIB);
        assert_eq!(plan(0, "v", &options).unwrap(), Plan::Whole);
        assert_eq!(plan(256 * MIB, "v", &options).unwrap(), Plan::Whole);
        assert_eq!(blocks(256 * MIB + 1, &options).count(), 33);
    }

    #[test]
    fn blocks_cover_the_object_once_in_order() {
        let all: Vec<_> = blocks(25, &options(8, 10)).iter().collect();
        let spans: Vec<_> = all
            .iter()
            .map(|block| (block.offset, block.length))
            .collect();
        assert_eq!(spans, [(0, 10), (10, 10), (20, 5)]);
        for block in &all {
            assert_eq!(STANDARD.decode(&block.id).unwrap().len(), 36);
        }
    }

    #[test]
    fn the_block_size_doubles_until_fifty_thousand_suffice() {
        let options = options(MIB, 8 * MIB);
        let tib = 1024 * 1024 * MIB;
        for (size, expected) in [
            (50_000 * 8 * MIB, 8 * MIB),
            (50_000 * 8 * MIB + 1, 16 * MIB),
            (5 * tib, 128 * MIB),
            (50_000 * MAX_BLOCK_SIZE, MAX_BLOCK_SIZE),
        ] {
            let blocks = blocks(size, &options);
            assert_eq!(blocks.block_size, expected, "{size}");
            assert!(blocks.count() <= MAX_BLOCKS);
        }
        let failure = plan(50_000 * MAX_BLOCK_SIZE + 1, "v", &options).unwrap_err();
        assert_eq!(failure.reason, Reason::DestinationRejected);
    }

    #[test]
    fn another_version_or_block_size_has_other_ids() {
        let first = |version, block_size| match plan(100, version, &options(1, block_size)) {
            Ok(Plan::Blocks(blocks)) => blocks.iter().next().unwrap().id,
            other => panic!("{other:?}"),
        };
        assert_eq!(first("v1", 10), first("v1", 10));
        assert_ne!(first("v1", 10), first("v2", 10));
        assert_ne!(first("v1", 10), first("v1", 20));
    }
}
