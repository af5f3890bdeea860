//! A job for tests.

use super::{CopyOptions, JobId, JobSpec, Root, Scope, SourceEndpoint};

impl JobSpec {
    /// Job `j-1` of so many roots, each the whole of a bucket `b`.
    pub(crate) fn sample(roots: usize) -> Self {
        let root = Root {
            bucket: "b".into(),
            region: "us-east-1".into(),
            scope: Scope::Prefix {
                prefix: String::new(),
                top_level_only: false,
            },
            container: "c".into(),
            blob_prefix: String::new(),
            strip: 0,
            refused: None,
        };
        Self {
            id: JobId::new("j-1"),
            source: "s3://b".into(),
            destination: "http://d/a/c".into(),
            endpoint: SourceEndpoint::custom("http://s"),
            account: "http://d/a".into(),
            roots: vec![root; roots],
            options: CopyOptions::default(),
            submitted_at_ms: 0,
            destination_clock: None,
            requester_pays: false,
        }
    }
}
