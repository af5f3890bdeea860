//! When two commands are the same job: same source, destination and flags that change what is
//! copied; secrets, output and speed do not count.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Request, Selection};
use crate::job::CopyOptions;

#[derive(Serialize)]
struct Identity<'a> {
    source: String,
    destination: String,
    recursive: bool,
    as_subdir: bool,
    options: &'a CopyOptions,
    selection: &'a Selection,
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    requester_pays: bool,
}

impl Request {
    /// Twelve hexadecimal digits that are the same for the same job.
    pub fn identity(&self) -> String {
        let identity = Identity {
            source: self.source.identity(),
            destination: self.destination.to_string(),
            recursive: self.recursive,
            as_subdir: self.as_subdir,
            options: &self.options,
            selection: &self.selection,
            name: self.job_name.as_deref(),
            requester_pays: self.requester_pays,
        };
        let text = serde_json::to_vec(&identity).unwrap_or_default();
        Sha256::digest(&text)
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}
