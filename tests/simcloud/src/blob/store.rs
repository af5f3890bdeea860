//! Accounts, containers, blobs and blocks.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;

use super::grant::Grant;
use super::tags::Tags;
use crate::conditions::Conditions;
use crate::refusal::Refusal;

/// All accounts.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) accounts: BTreeMap<String, Account>,
}

/// What a bearer token is good for, and until when.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) grant: Grant,
    pub(crate) end: SystemTime,
}

#[derive(Default)]
pub(crate) struct Account {
    /// The decoded account key.
    pub(crate) key: Vec<u8>,
    pub(crate) hierarchical: bool,
    pub(crate) containers: BTreeMap<String, Container>,
    pub(crate) tokens: BTreeMap<String, Token>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let containers = self.containers.keys();
        f.debug_list().entries(containers).finish()
    }
}

/// Moment and mark of a change.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamp {
    /// Milliseconds since 1970.
    pub(crate) modified: u64,
    pub(crate) mark: u64,
}

impl Stamp {
    /// The ETag with its quotes.
    pub(crate) fn etag(&self) -> String {
        format!("\"0x8D{:013X}\"", self.mark)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Container {
    pub(crate) stamp: Stamp,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) blobs: BTreeMap<String, Blob>,
    pub(crate) hierarchical: bool,
    /// Of a hierarchical account; each with a slash at its end.
    pub(crate) directories: BTreeMap<String, Stamp>,
}

#[derive(Debug, Default)]
pub(crate) struct Blob {
    pub(crate) committed: Option<Box<Committed>>,
    /// By decoded id.
    pub(crate) uncommitted: BTreeMap<Box<[u8]>, Block>,
    /// Completed writes: whole blobs and commits.
    pub(crate) writes: u32,
}

/// A block and its decoded id.
pub(crate) type NamedBlock = (Box<[u8]>, Block);

/// A blob that can be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Committed {
    pub(crate) stamp: Stamp,
    pub(crate) created: u64,
    pub(crate) length: u64,
    pub(crate) crc64: u64,
    /// The bytes in order; `None` when only digests are kept.
    pub(crate) data: Option<Vec<Bytes>>,
    pub(crate) properties: Properties,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) tags: Tags,
    pub(crate) tier: Option<String>,
    pub(crate) origin: Origin,
    pub(crate) blocks: Vec<NamedBlock>,
}

impl Committed {
    /// Whether its bytes are out of reach.
    pub(crate) fn is_archived(&self) -> bool {
        self.tier.as_deref() == Some("Archive")
    }
}

/// Whence the bytes of a blob came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// From nowhere: a committed list of no blocks.
    #[default]
    Nowhere,
    /// Fetched by the service, by From-URL calls.
    Url,
    /// Relayed in the bodies of requests.
    Body,
    /// Some fetched, some relayed.
    Both,
}

impl Origin {
    /// Of a blob that has pieces of both.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nowhere, one) | (one, Self::Nowhere) => one,
            (one, same) if one == same => one,
            _ => Self::Both,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    pub(crate) origin: Origin,
    pub(crate) length: u64,
    pub(crate) crc64: u64,
    pub(crate) data: Option<Bytes>,
}

/// Standard properties; what is `None` is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) content_type: Option<String>,
    pub(crate) encoding: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) disposition: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) md5: Option<[u8; 16]>,
}

impl Store {
    pub(crate) fn container(
        &mut self,
        account: &str,
        container: &str,
    ) -> Result<&mut Container, Refusal> {
        self.accounts
            .get_mut(account)
            .and_then(|account| account.containers.get_mut(container))
            .ok_or_else(|| {
                let message = "The specified container does not exist.";
                Refusal::new(404, "ContainerNotFound", message)
            })
    }
}

impl Container {
    /// The committed blob of this name.
    pub(crate) fn committed(&self, name: &str) -> Result<&Committed, Refusal> {
        self.blobs
            .get(name)
            .and_then(|blob| blob.committed.as_deref())
            .ok_or_else(not_found)
    }

    /// Whether a write may go ahead: conditions, and the right to overwrite.
    pub(crate) fn may_write(
        &self,
        name: &str,
        conditions: &Conditions,
        may_overwrite: bool,
    ) -> Result<(), Refusal> {
        let existing = self
            .blobs
            .get(name)
            .and_then(|blob| blob.committed.as_deref());
        let Some(existing) = existing else {
            if conditions.only_if_present() {
                return Err(not_met());
            }
            return Ok(());
        };
        let etag = existing.stamp.etag();
        if conditions.only_if_missing() {
            let message = "The specified blob already exists.";
            return Err(Refusal::new(409, "BlobAlreadyExists", message));
        }
        if conditions.wants_other(&etag, existing.stamp.modified)
            || conditions.has_this(&etag, existing.stamp.modified)
        {
            return Err(not_met());
        }
        if !may_overwrite {
            let message = "This request is not authorized to perform blob overwrites.";
            return Err(Refusal::new(403, "UnauthorizedBlobOverwrite", message));
        }
        Ok(())
    }

    /// Whether a whole blob may be written here: besides, an archived one cannot be replaced.
    pub(crate) fn may_replace(
        &self,
        name: &str,
        conditions: &Conditions,
        may_overwrite: bool,
    ) -> Result<(), Refusal> {
        self.check_path(name)?;
        self.may_write(name, conditions, may_overwrite)?;
        match self.committed(name) {
            Ok(existing) if existing.is_archived() => Err(archived()),
            _ => Ok(()),
        }
    }

    /// Replaces the blob; uncommitted blocks are gone.
    pub(crate) fn put(&mut self, name: &str, committed: Committed) {
        self.make_parents(name, committed.stamp);
        let blob = self.blobs.entry(name.to_owned()).or_default();
        blob.committed = Some(Box::new(committed));
        blob.uncommitted = BTreeMap::new();
        blob.writes += 1;
    }
}

pub(crate) fn not_found() -> Refusal {
    Refusal::new(404, "BlobNotFound", "The specified blob does not exist.")
}

pub(crate) fn archived() -> Refusal {
    let message = "This operation is not permitted on an archived blob.";
    Refusal::new(409, "BlobArchived", message)
}

pub(crate) fn not_met() -> Refusal {
    let message = "The condition specified using HTTP conditional header(s) is not met.";
    Refusal::new(412, "ConditionNotMet", message)
}
