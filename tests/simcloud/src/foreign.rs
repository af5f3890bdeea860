//! Blobs that somebody else writes, beside whoever is tested.

use std::time::SystemTime;

use md5::{Digest, Md5};

use crate::blob::store::{Block, Committed, NamedBlock, Origin, Properties, Stamp};
use crate::clock::unix_millis;
use crate::cloud::SimCloud;
use crate::config::Keep;
use crate::content::Content;
use crate::crc;
use crate::inspect::BlobView;
use crate::lock;

/// A blob as another program writes it, past all conditions.
#[derive(Clone, Debug)]
pub struct Foreign {
    content: Content,
    md5: Option<[u8; 16]>,
    metadata: Vec<(String, String)>,
    blocks: Vec<(Vec<u8>, u64)>,
    modified: Option<u64>,
    tier: Option<String>,
}

impl Foreign {
    /// A whole blob, whose MD5 Azure calculates and keeps.
    pub fn whole(content: Content) -> Self {
        let bytes = content.read(0, usize::MAX);
        Self {
            content,
            md5: Some(Md5::digest(&bytes).into()),
            metadata: Vec::new(),
            blocks: Vec::new(),
            modified: None,
            tier: None,
        }
    }

    /// A blob like one that is or was somewhere: its bytes, MD5, metadata and blocks. None where
    /// its bytes are not kept.
    pub fn like(blob: &BlobView) -> Option<Self> {
        Some(Self {
            content: Content::Bytes(blob.bytes.clone()?),
            md5: blob.md5,
            metadata: blob.metadata.clone(),
            blocks: blob.blocks.clone(),
            modified: None,
            tier: None,
        })
    }

    /// Last-Modified, instead of now.
    #[must_use]
    pub fn modified(mut self, when: SystemTime) -> Self {
        self.modified = Some(unix_millis(when));
        self
    }

    /// The access tier.
    #[must_use]
    pub fn tier(mut self, tier: &str) -> Self {
        self.tier = Some(tier.into());
        self
    }

    fn committed(&self, mut stamp: Stamp, keep: Keep) -> Committed {
        stamp.modified = self.modified.unwrap_or(stamp.modified);
        let length = self.content.length();
        let bytes = || (keep == Keep::Bytes).then(|| vec![self.content.read(0, usize::MAX)]);
        Committed {
            stamp,
            created: stamp.modified,
            length,
            crc64: self.content.crc64(0, length),
            data: bytes(),
            properties: Properties {
                md5: self.md5,
                ..Properties::default()
            },
            metadata: self.metadata.clone(),
            tier: self.tier.clone(),
            origin: Origin::Body,
            blocks: self.blocks(keep),
            ..Committed::default()
        }
    }

    fn blocks(&self, keep: Keep) -> Vec<NamedBlock> {
        let mut at = 0;
        let blocks = self.blocks.iter().map(|(id, length)| {
            let data = self
                .content
                .read(at, usize::try_from(*length).unwrap_or(usize::MAX));
            at += length;
            let block = Block {
                origin: Origin::Body,
                length: *length,
                crc64: crc::crc64(&data),
                data: (keep == Keep::Bytes).then_some(data),
            };
            (id.clone().into(), block)
        });
        blocks.collect()
    }
}

impl SimCloud {
    /// Writes a blob as somebody else would, whatever is there. Of a container that does not exist
    /// nothing is written.
    pub fn write_blob(&self, account: &str, container: &str, name: &str, blob: &Foreign) {
        let committed = blob.committed(self.state.stamp(), self.state.keep);
        if let Ok(container) = lock(&self.state.blob).container(account, container) {
            container.put(name, committed);
        }
    }
}
