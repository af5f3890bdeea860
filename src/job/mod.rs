//! A job: what is copied where, decided once at submit and the same for every role.

mod options;
mod packed;
mod root;
#[cfg(test)]
mod sample;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Reason, Result};

pub use options::{
    ContentHeaders, CopyOptions, Filters, InvalidMetadata, InvalidNames, Overwrite, Properties,
    Relay, SourceFact,
};

/// Names one run of one copy, e.g. `5f0c9a3e71b2-1`: identity, then run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// Wraps a known id.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything the roles must agree on; written once into the job log. Holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// The job's id.
    pub id: JobId,
    /// The source as the user gave it, without secrets.
    pub source: String,
    /// The destination as the user gave it, without its SAS.
    pub destination: String,
    /// Where S3 is, beyond what the buckets say.
    pub endpoint: SourceEndpoint,
    /// The Blob service root, e.g. `https://acct.blob.core.windows.net` or
    /// `http://127.0.0.1:10000/devstoreaccount1`.
    pub account: String,
    /// What is listed, in order.
    #[serde(with = "packed")]
    pub roots: Vec<Root>,
    /// How it is copied.
    pub options: CopyOptions,
    /// Milliseconds since 1970 at submit.
    pub submitted_at_ms: i64,
    /// The destination's own clock at submit, in seconds since 1970; none where it did not tell.
    /// What a blob's time says about this job is measured by it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_clock: Option<i64>,
    /// Requests say that who asks pays for them (`--s3-request-payer=requester`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requester_pays: bool,
}

impl JobSpec {
    /// Does the bucket stand in the name of a foreign server's host?
    pub fn is_virtual_hosted(&self) -> bool {
        let endpoint = &self.endpoint;
        matches!(endpoint, SourceEndpoint::Custom { virtual_hosted, .. } if *virtual_hosted)
    }

    /// The first second, by the destination's clock, in which the job itself may have written a
    /// blob; none where time proves nothing.
    pub fn first_write(&self) -> Option<i64> {
        // Blobs tell whole seconds, and a job that looks before it writes waits two of them.
        self.destination_clock.map(|clock| clock + 1)
    }

    /// What of the job a task belongs to.
    ///
    /// # Errors
    /// A task of a root the job does not have, which is a fault of this program.
    pub fn root(&self, root: u32) -> Result<&Root> {
        let index = usize::try_from(root).ok();
        index
            .and_then(|index| self.roots.get(index))
            .ok_or_else(|| {
                Failure::give_up(
                    Reason::Internal,
                    format!("job {} has no root {root}", self.id),
                )
            })
    }
}

/// Which S3 service the requests go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceEndpoint {
    /// Amazon's own regional endpoints.
    Aws {
        /// DNS suffix, `amazonaws.com` or `amazonaws.com.cn`.
        suffix: String,
        /// Use the FIPS endpoints (`s3-fips.REGION`).
        fips: bool,
        /// Use the dualstack endpoints (`s3.dualstack.REGION`).
        dualstack: bool,
    },
    /// An S3-compatible server, e.g. `http://127.0.0.1:9000`.
    Custom {
        /// Scheme, host and port, and the path below which it is.
        url: String,
        /// The bucket stands in the host's name, instead of in the path.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        virtual_hosted: bool,
    },
}

impl SourceEndpoint {
    /// A server that is addressed path-style.
    pub fn custom(url: impl Into<String>) -> Self {
        Self::Custom {
            url: url.into(),
            virtual_hosted: false,
        }
    }

    /// Is it Amazon itself, whatever name it is asked by? What only some other servers do is not
    /// expected of it.
    pub fn is_amazon(&self) -> bool {
        match self {
            Self::Aws { .. } => true,
            Self::Custom { url, .. } => {
                let host = url.split("://").nth(1).unwrap_or_default();
                let host = host.split(['/', ':']).next().unwrap_or_default();
                host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
            }
        }
    }

    /// Is it spoken to without TLS?
    pub fn is_plain_http(&self) -> bool {
        matches!(self, Self::Custom { url, .. } if url.starts_with("http:"))
    }
}

/// One place that is listed, and where its objects go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The bucket.
    pub bucket: String,
    /// Its region; requests are signed for it and go to its endpoint.
    pub region: String,
    /// What is listed.
    pub scope: Scope,
    /// The destination container.
    pub container: String,
    /// What stands before the kept part of a key in the blob name.
    pub blob_prefix: String,
    /// How many bytes of the key are dropped from its front.
    pub strip: usize,
    /// Why this root cannot be copied at all, where that is known at submit.
    pub refused: Option<String>,
}

/// What part of a bucket a root covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// One object by its exact key.
    Object {
        /// The key.
        key: String,
        /// Its version, where the user named one.
        version: Option<String>,
    },
    /// All keys that begin with the prefix.
    Prefix {
        /// The prefix; empty for the whole bucket.
        prefix: String,
        /// Only keys without a further `/` after the prefix.
        top_level_only: bool,
    },
    /// An entry of a list of paths: the object of this key, and all keys below `key/` if there is
    /// none or more than the top level was asked for. The lister finds out what is there.
    Either {
        /// The key; one that ends in `/` is a folder.
        key: String,
        /// How many bytes of the key lead to the source; the rest is the entry.
        base: usize,
        /// Of a folder only keys without a further `/`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        top_level_only: bool,
        /// Lengths of those other entries' keys, all beginnings of this one, that would bring the
        /// same keys if they are folders: then this entry brings none. Its own length: there is an
        /// entry `key/`, so that this one stands for the object alone.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inside: Vec<usize>,
    },
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnd {
    /// The job.
    pub job: JobId,
    /// Its status.
    pub status: JobStatus,
    /// Milliseconds since 1970.
    pub ended_at_ms: i64,
    /// What it came to.
    pub totals: Totals,
    /// The round it ended in.
    #[serde(default)]
    pub round: u32,
}

/// What a job has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Objects in accepted pages.
    pub listed: u64,
    /// Their bytes.
    pub listed_bytes: u64,
    /// Objects at the destination.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Objects left out on purpose.
    pub skipped: u64,
    /// Objects that could not be copied.
    pub failed: u64,
    /// Keys left out by a filter; not listed.
    pub filtered: u64,
    /// Pages accepted.
    pub pages: u64,
    /// Ranges that could not be listed.
    pub ranges_failed: u64,
    /// Copied objects whose content came through a copier.
    pub relayed: u64,
    /// Copied objects whose blob has another name.
    pub escaped: u64,
    /// Copied objects some of whose metadata or tags were left out.
    pub metadata_excluded: u64,
    /// Failed objects by reason.
    pub failed_by_reason: BTreeMap<String, u64>,
    /// Skipped objects by reason.
    pub skipped_by_reason: BTreeMap<String, u64>,
}

impl Totals {
    /// Objects listed whose end is not known yet.
    pub fn open(&self) -> u64 {
        self.listed.saturating_sub(self.ended())
    }

    /// Objects whose end is known.
    pub fn ended(&self) -> u64 {
        self.copied + self.skipped + self.failed
    }

    /// Takes an object out that failed.
    pub fn withdraw_failed(&mut self, reason: &str, size: u64) {
        self.listed = self.listed.saturating_sub(1);
        self.listed_bytes = self.listed_bytes.saturating_sub(size);
        self.failed = self.failed.saturating_sub(1);
        take(&mut self.failed_by_reason, reason, 1);
    }

    /// Takes a part out.
    pub fn withdraw(&mut self, part: &Self) {
        for (sum, some) in [
            (&mut self.listed, part.listed),
            (&mut self.listed_bytes, part.listed_bytes),
            (&mut self.copied, part.copied),
            (&mut self.copied_bytes, part.copied_bytes),
            (&mut self.skipped, part.skipped),
            (&mut self.failed, part.failed),
            (&mut self.filtered, part.filtered),
            (&mut self.pages, part.pages),
            (&mut self.ranges_failed, part.ranges_failed),
            (&mut self.relayed, part.relayed),
            (&mut self.escaped, part.escaped),
            (&mut self.metadata_excluded, part.metadata_excluded),
        ] {
            *sum = sum.saturating_sub(some);
        }
        for (counts, some) in [
            (&mut self.failed_by_reason, &part.failed_by_reason),
            (&mut self.skipped_by_reason, &part.skipped_by_reason),
        ] {
            some.iter()
                .for_each(|(name, some)| take(counts, name, *some));
        }
    }

    /// The status of a job that ended with these totals. Totals that do not add up are an error.
    pub fn final_status(&self) -> JobStatus {
        let errors = self.failed + self.ranges_failed > 0 || self.listed != self.ended();
        match (errors, self.skipped > 0) {
            (true, false) if self.copied == 0 => JobStatus::Failed,
            (true, true) => JobStatus::CompletedWithErrorsAndSkipped,
            (true, false) => JobStatus::CompletedWithErrors,
            (false, true) => JobStatus::CompletedWithSkipped,
            (false, false) => JobStatus::Completed,
        }
    }
}

/// Takes some of a count; one that comes to nothing goes away.
fn take(counts: &mut BTreeMap<String, u64>, name: &str, some: u64) {
    if let Some(count) = counts.get_mut(name) {
        *count = count.saturating_sub(some);
        if *count == 0 {
            counts.remove(name);
        }
    }
}

/// Where a job stands; the names are AzCopy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobStatus {
    /// Not ended yet.
    Running,
    /// Ended, everything copied.
    Completed,
    /// Ended, nothing failed, something was left out.
    CompletedWithSkipped,
    /// Ended, something failed.
    CompletedWithErrors,
    /// Ended, something failed and something was left out.
    CompletedWithErrorsAndSkipped,
    /// Ended by the user.
    Cancelled,
    /// Ended with failures and nothing copied.
    Failed,
    /// This process stopped before the job's end; the job can be resumed.
    Interrupted,
}

impl JobStatus {
    /// Every status, for initialising metrics.
    pub const ALL: [Self; 8] = [
        Self::Running,
        Self::Completed,
        Self::CompletedWithSkipped,
        Self::CompletedWithErrors,
        Self::CompletedWithErrorsAndSkipped,
        Self::Cancelled,
        Self::Failed,
        Self::Interrupted,
    ];

    /// The same of a job with errors beyond those that were counted.
    #[must_use]
    pub const fn with_errors(self) -> Self {
        match self {
            Self::Completed => Self::CompletedWithErrors,
            Self::CompletedWithSkipped => Self::CompletedWithErrorsAndSkipped,
            other => other,
        }
    }

    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::CompletedWithSkipped => "CompletedWithSkipped",
            Self::CompletedWithErrors => "CompletedWithErrors",
            Self::CompletedWithErrorsAndSkipped => "CompletedWithErrorsAndSkipped",
            Self::Cancelled => "Cancelled",
            Self::Failed => "Failed",
            Self::Interrupted => "Interrupted",
        }
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
