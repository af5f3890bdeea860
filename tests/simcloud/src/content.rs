//! What objects contain: given bytes, or bytes computed from a seed when they are read.
//!
//! Generated content is one pseudo-random tile, turned by the seed, with a stamp of 16 bytes at
//! the start of each page, so that a page in the wrong place or of the wrong object shows. Pages
//! are 4 KiB, from 1 GiB on 8 MiB: the CRC of a 10 TiB object is then a sum over 1.3 million
//! stamps and no byte of it is ever computed for that.

use std::sync::LazyLock;

use bytes::Bytes;

use crate::crc::{self, crc64};

const TILE: usize = 64 * 1024;
const STAMP: u64 = 16;
/// The tile twice, so that each turn of it is one slice.
static TILES: LazyLock<Box<[u8]>> = LazyLock::new(|| {
    let words = (0..TILE as u64 / 8).flat_map(|word| mix(word ^ 0x7469_6c65).to_le_bytes());
    let tile: Vec<u8> = words.collect();
    [tile.as_slice(), tile.as_slice()].concat().into()
});

/// What an object contains.
#[derive(Clone, Debug)]
pub enum Content {
    /// Exactly these bytes.
    Bytes(Bytes),
    /// `length` bytes computed from `seed`; nothing is stored.
    Generated {
        /// Two objects of one length and different seeds differ.
        seed: u64,
        /// In bytes.
        length: u64,
    },
}

impl Content {
    /// Length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Generated { length, .. } => *length,
        }
    }

    /// The bytes from `start` on, at most `most` of them.
    pub fn read(&self, start: u64, most: usize) -> Bytes {
        let left = self.length().saturating_sub(start);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(most);
        match self {
            Self::Bytes(bytes) => {
                let from = usize::try_from(start).unwrap_or(usize::MAX);
                bytes.slice(from.min(bytes.len())..from.min(bytes.len()) + count)
            }
            Self::Generated { seed, length } => {
                let mut out = Vec::with_capacity(count);
                extend(*seed, *length, start, count, &mut out);
                out.into()
            }
        }
    }

    /// The CRC-64/NVME of the bytes in `start..end`, without computing most of them.
    pub fn crc64(&self, start: u64, end: u64) -> u64 {
        match self {
            Self::Bytes(_) => {
                crc64(&self.read(start, usize::try_from(end - start).unwrap_or(usize::MAX)))
            }
            Self::Generated { seed, length } => self.generated_crc64(*seed, *length, start, end),
        }
    }

    fn generated_crc64(&self, seed: u64, length: u64, start: u64, end: u64) -> u64 {
        let page = page_size(length);
        let factor = crc::power(page);
        let tail_factor = crc::power(page - STAMP);
        let mut tail = None;
        let (mut at, mut sum) = (start, 0);
        while at < end {
            let step = (page - at % page).min(end - at);
            if step == page {
                let tail = *tail.get_or_insert_with(|| self.partial_crc64(at + STAMP, at + page));
                let stamp = crc64(&stamp(seed, at / page));
                sum = crc::multiply(sum, factor) ^ crc::multiply(stamp, tail_factor) ^ tail;
            } else {
                sum = crc::combine(sum, self.partial_crc64(at, at + step), step);
            }
            at += step;
        }
        sum
    }

    fn partial_crc64(&self, start: u64, end: u64) -> u64 {
        let mut digest = crc64fast_nvme::Digest::new();
        let mut at = start;
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(TILE).min(TILE);
            digest.write(&self.read(at, most));
            at += most as u64;
        }
        digest.sum64()
    }
}

fn page_size(length: u64) -> u64 {
    if length < 1 << 30 { 4096 } else { 8 << 20 }
}

fn stamp(seed: u64, page: u64) -> [u8; 16] {
    let first = mix(seed ^ mix(page));
    let mut stamp = [0; 16];
    stamp[..8].copy_from_slice(&first.to_le_bytes());
    stamp[8..].copy_from_slice(&mix(first).to_le_bytes());
    stamp
}

/// Appends `count` bytes of the content from `start` on.
fn extend(seed: u64, length: u64, start: u64, count: usize, out: &mut Vec<u8>) {
    let page = page_size(length);
    let turn = mix(seed) % TILE as u64;
    let (mut at, mut left) = (start, count as u64);
    while left > 0 {
        let within = at % page;
        let piece = if within < STAMP {
            let step = (STAMP - within).min(left);
            let stamp = stamp(seed, at / page);
            out.extend_from_slice(&stamp[within as usize..(within + step) as usize]);
            step
        } else {
            let from = ((turn + within) % TILE as u64) as usize;
            let step = (page - within).min(left).min((TILES.len() - from) as u64);
            out.extend_from_slice(&TILES[from..from + step as usize]);
            step
        };
        at += piece;
        left -= piece;
    }
}

/// SplitMix64's output function: every bit of the result depends on every bit of `value`.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_same_bytes_as_the_whole() {
        let content = Content::Generated {
            seed: 7,
            length: 300_000,
        };
        let whole = content.read(0, usize::MAX);
        assert_eq!(whole.len(), 300_000);
        for (start, count) in [
            (0, 1),
            (5, 30),
            (4090, 20),
            (65_530, 70_000),
            (299_999, 100),
        ] {
            let end = (start + count).min(whole.len());
            assert_eq!(content.read(start as u64, count), whole[start..end]);
            assert_eq!(
                content.crc64(start as u64, end as u64),
                crc64(&whole[start..end])
            );
        }
        assert_ne!(whole[..4096], whole[4096..8192]);
    }

    #[test]
    fn seeds_differ_and_huge_content_has_a_crc_at_once() {
        let (one, two) = (
            Content::Generated {
                seed: 1,
                length: 20,
            },
            Content::Generated {
                seed: 2,
                length: 20,
            },
        );
        assert_ne!(one.read(0, 20), two.read(0, 20));
        let huge = Content::Generated {
            seed: 1,
            length: 64 << 30,
        };
        let (start, end) = (8 << 20, (24 << 20) + 5);
        assert_eq!(
            huge.crc64(start, end),
            crc64(&huge.read(start, (end - start) as usize))
        );
    }
}
