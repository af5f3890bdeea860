//! What a container holds, as Microsoft's own library reads it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{bridge, parts};

/// A blob as blobs.py prints it.
#[derive(Debug, Deserialize)]
pub(crate) struct Blob {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) tier: Option<String>,
    /// Under boto3's names.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// With `--tags`.
    pub(crate) tags: Option<BTreeMap<String, String>>,
    /// With `--blocks`, how many.
    pub(crate) blocks: Option<u64>,
}

/// Everything a container of the account at this URL holds, in the order of names.
pub(crate) fn read(azurite: &str, container: &str, flags: &[&str]) -> Vec<Blob> {
    let sas = bridge::sas();
    let mut arguments = vec!["--blob", azurite, "--sas", &sas, "--container", container];
    arguments.extend(flags);
    serde_json::from_value(parts::script("blobs.py", &arguments)).unwrap()
}
