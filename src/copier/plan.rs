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
    ids: Ids,
}

/// How the ids of blocks are made.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ids {
    /// The stem, then the index in six digits: 36 bytes, as AzCopy's are.
    Usual(String),
    /// So many bytes as the ids of staged blocks that somebody else left (ids of one blob have one
    /// length): what names content and size of blocks, then the index in two bytes.
    Fitted(Vec<u8>),
}

/// Bytes of a usual id, before it is encoded.
const USUAL_ID: usize = 36;
/// The shortest id that names content, size of blocks and index, in bytes.
const SHORTEST_ID: usize = 8;
/// The most blocks that may be staged beside each other, committed or not
/// (<https://learn.microsoft.com/rest/api/storageservices/put-block>).
const MAX_STAGED: u64 = 100_000;

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
    let fitting =
        sizes(options).find(|(size_of_block, _)| size.div_ceil(*size_of_block) <= MAX_BLOCKS);
    let Some((block_size, _)) = fitting else {
        return Err(Failure::give_up(
            Reason::DestinationRejected,
            format!("{size} bytes are more than a blob can hold (50,000 blocks of 4,000 MiB)"),
        ));
    };
    Ok(Plan::Blocks(Blocks {
        size,
        block_size,
        ids: Ids::usual(version, block_size),
    }))
}

/// Plans an object beside blocks that are staged at its blob already, as ids in base64. Those of
/// somebody else are left as they are: what is small enough goes in one request, which needs no
/// blocks (`most_whole` bytes are the most), the rest gets ids of the length found there and a
/// size of blocks with which all stay below the service's limit.
///
/// # Errors
/// As for [`plan`]; also where ours fit beside the others in no way.
pub fn plan_beside<'a>(
    size: u64,
    version: &str,
    options: &CopyOptions,
    (staged, most_whole): (impl Iterator<Item = &'a str>, u64),
) -> Result<Plan> {
    let usual = plan(size, version, options)?;
    if usual == Plan::Whole {
        return Ok(usual);
    }
    let staged: Vec<Vec<u8>> = staged
        .map(|id| STANDARD.decode(id).unwrap_or_default())
        .collect();
    let length = staged.first().map_or(USUAL_ID, Vec::len);
    let ids = |block_size, doublings| match length {
        USUAL_ID => Ids::usual(version, block_size),
        length => Ids::Fitted([fitted_hash(version, options, length), vec![doublings]].concat()),
    };
    // Blocks of another size are as much in the way as another program's.
    let others = |ids: &Ids| {
        let own = ids.head();
        let others = staged.iter().filter(|id| !id.starts_with(own)).count();
        u64::try_from(others).unwrap_or(u64::MAX)
    };
    let fits = |count: u64, ids: &Ids| count.saturating_add(others(ids)) <= MAX_STAGED;
    if let Plan::Blocks(blocks) = &usual
        && length == USUAL_ID
        && fits(blocks.count(), &blocks.ids)
    {
        return Ok(usual);
    }
    if size <= most_whole {
        return Ok(Plan::Whole);
    }
    let found = sizes(options)
        .filter(|_| length >= SHORTEST_ID)
        .map(|(block_size, doublings)| (block_size, ids(block_size, doublings)))
        .find(|(block_size, ids)| {
            let count = size.div_ceil(*block_size);
            count <= MAX_BLOCKS && fits(count, ids)
        });
    let Some((block_size, ids)) = found else {
        let others = others(&ids(MAX_BLOCK_SIZE, u8::MAX));
        return Err(Failure::give_up(
            Reason::DestinationRejected,
            format!(
                "another program, or another run, has staged {others} blocks with ids of {length} bytes at this \
                 blob, beside which ours do not fit: let it commit them, write a small blob of \
                 this name (which drops them), or wait a week until Azure does"
            ),
        ));
    };
    Ok(Plan::Blocks(Blocks {
        size,
        block_size,
        ids,
    }))
}

/// The sizes of blocks there may be: the one that is wanted, doubled up to the largest; each with how
/// often it was doubled.
fn sizes(options: &CopyOptions) -> impl Iterator<Item = (u64, u8)> {
    let wanted = options.block_size.clamp(1, MAX_BLOCK_SIZE);
    let double = |size: &u64| (*size < MAX_BLOCK_SIZE).then(|| (size * 2).min(MAX_BLOCK_SIZE));
    std::iter::successors(Some(wanted), double).zip(0..)
}

/// The content in twenty digits.
fn hash_of(version: &str) -> String {
    hex(Sha256::digest(version.as_bytes()).iter().take(10))
}

/// The content and the size of blocks that is wanted, in what an id of `length` bytes has left.
fn fitted_hash(version: &str, options: &CopyOptions, length: usize) -> Vec<u8> {
    let named = format!("{} {version}", options.block_size);
    let hash = Sha256::digest(named.as_bytes());
    let zeros = std::iter::repeat(&0);
    let room = length.saturating_sub(3);
    hash.iter().chain(zeros).take(room).copied().collect()
}

fn hex<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

impl Ids {
    fn usual(version: &str, block_size: u64) -> Self {
        Self::Usual(format!("{}{block_size:010x}", hash_of(version)))
    }

    /// What all of them begin with.
    fn head(&self) -> &[u8] {
        match self {
            Self::Usual(stem) => stem.as_bytes(),
            Self::Fitted(head) => head,
        }
    }
}

impl Blocks {
    /// Names the plan: the version of the content and the size of its blocks.
    pub fn stem(&self) -> String {
        match &self.ids {
            Ids::Usual(stem) => stem.clone(),
            Ids::Fitted(head) => hex(head.iter()),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.size.div_ceil(self.block_size)
    }

    fn id(&self, index: u64) -> String {
        match &self.ids {
            Ids::Usual(stem) => STANDARD.encode(format!("{stem}{index:06}")),
            Ids::Fitted(head) => {
                // Two bytes do: there are 50,000 at most.
                let [.., high, low] = index.to_be_bytes();
                STANDARD.encode([head.as_slice(), &[high, low]].concat())
            }
        }
    }

    /// The blocks in order.
    pub fn iter(&self) -> impl Iterator<Item = Block> + '_ {
        (0..self.count()).map(|index| {
            let offset = index * self.block_size;
            Block {
                id: self.id(index),
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

    /// The ids of another program, of `length` bytes before they are encoded.
    fn others(count: u32, length: usize) -> Vec<String> {
        let id = |number| STANDARD.encode(format!("{number:0length$}"));
        (0..count).map(id).collect()
    }

    fn beside(size: u64, options: &CopyOptions, staged: &[String], whole: u64) -> Result<Plan> {
        let ids = staged.iter().map(String::as_str);
        plan_beside(size, "v1", options, (ids, whole))
    }

    #[test]
    fn beside_blocks_of_the_usual_length_nothing_changes() {
        let options = options(8, 10);
        let usual = plan(25, "v1", &options).unwrap();
        for staged in [others(0, 36), others(2, 36), others(50_000, 36)] {
            assert_eq!(beside(25, &options, &staged, 100).unwrap(), usual);
        }
        // Our own take none of the room.
        let Plan::Blocks(many) = plan(500_000, "v1", &options).unwrap() else {
            panic!("expected blocks")
        };
        let own: Vec<String> = many.iter().map(|block| block.id).collect();
        let staged = [own, others(50_000, 36)].concat();
        let again = beside(500_000, &options, &staged, 0).unwrap();
        assert_eq!(again, Plan::Blocks(many));
    }

    #[test]
    fn beside_foreign_blocks_what_fits_goes_whole_and_the_rest_fits_in() {
        let options = options(8, 10);
        for (count, length) in [(1, 20), (1, 48), (1, 8), (50_001, 36)] {
            let staged = others(count, length);
            let whole = beside(500_000, &options, &staged, 500_000).unwrap();
            assert_eq!(whole, Plan::Whole, "{count} of {length}");
            let Plan::Blocks(blocks) = beside(500_000, &options, &staged, 499_999).unwrap() else {
                panic!("expected blocks")
            };
            assert!(blocks.count() + u64::from(count) <= MAX_STAGED);
            let ids: Vec<String> = blocks.iter().map(|block| block.id).collect();
            let lengths = ids.iter().map(|id| STANDARD.decode(id).unwrap().len());
            assert!(lengths.eq(ids.iter().map(|_| length)), "{length}");
            let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
            assert_eq!(distinct.len(), ids.len(), "{length}");
            // Some of ours are there now: the plan is the same.
            let staged = [ids[..ids.len() / 2].to_vec(), staged].concat();
            let again = beside(500_000, &options, &staged, 499_999).unwrap();
            assert_eq!(again, Plan::Blocks(blocks), "{length}");
        }
        for (staged, size) in [
            (others(3, 7), 25),
            (others(99_999, 36), 50_000 * MAX_BLOCK_SIZE),
        ] {
            let failure = beside(size, &options, &staged, 8).unwrap_err();
            assert!(failure.message.contains("another program"), "{failure}");
        }
    }

    #[test]
    fn blocks_of_another_size_take_room_too() {
        let plan_of = |block_size, staged: &[String]| match beside(
            100_000,
            &options(8, block_size),
            staged,
            0,
        )
        .unwrap()
        {
            Plan::Blocks(blocks) => blocks,
            Plan::Whole => panic!("expected blocks"),
        };
        let ids = |blocks: &Blocks| blocks.iter().map(|block| block.id).collect::<Vec<_>>();
        let mut staged = Vec::new();
        for block_size in [2, 3, 4, 5, 6] {
            let blocks = plan_of(block_size, &staged);
            let new = ids(&blocks);
            staged.extend(new.clone());
            // Half staged, or all: the plan is the same.
            assert_eq!(plan_of(block_size, &staged), blocks, "{block_size}");
            staged.truncate(staged.len() - new.len() / 2);
            assert_eq!(plan_of(block_size, &staged), blocks, "{block_size}");
            staged.extend(new.into_iter().skip(blocks.count().div_ceil(2) as usize));
            let all: std::collections::BTreeSet<_> = staged.iter().collect();
            assert!(all.len() as u64 <= MAX_STAGED, "{} blocks", all.len());
        }
        let all: std::collections::BTreeSet<_> = staged.iter().collect();
        assert!(
            all.len() > 90_000,
            "{} blocks: the limit was near",
            all.len()
        );
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
