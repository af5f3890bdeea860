//! What a dry run prints: a line per object, and what it comes to.

use std::collections::BTreeMap;

use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;

use crate::command::output::Output;
use crate::config::OutputType;
use crate::destination::client::BlobName;
use crate::destination::url::encode_path;
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobSpec, Root};
use crate::message::Page;
use crate::source::url::{Level, SourceUrl};
use crate::text::visible;

/// The report of one dry run.
#[derive(Debug)]
pub(super) struct Report<'a> {
    spec: &'a JobSpec,
    output: &'a Output,
    summary: Summary,
}

/// An object of the source.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Object<'a> {
    pub(super) key: &'a str,
    pub(super) version: Option<&'a str>,
    pub(super) size: u64,
}

/// What becomes of one object, as it is printed.
#[derive(Debug, Serialize)]
struct Line<'a> {
    action: &'static str,
    source: String,
    destination: Option<String>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

/// What it would come to: the last line.
#[derive(Debug, Default, Serialize)]
struct Summary {
    dry_run: bool,
    source: String,
    destination: String,
    objects_listed: u64,
    bytes_listed: u64,
    objects_to_copy: u64,
    bytes_to_copy: u64,
    objects_skipped: u64,
    objects_failed: u64,
    keys_filtered: u64,
    ranges_failed: u64,
    skipped_by_reason: BTreeMap<String, u64>,
    failed_by_reason: BTreeMap<String, u64>,
}

impl<'a> Report<'a> {
    pub(super) fn new(spec: &'a JobSpec, output: &'a Output) -> Self {
        let summary = Summary {
            dry_run: true,
            source: spec.source.clone(),
            destination: spec.destination.clone(),
            ..Summary::default()
        };
        Self {
            spec,
            output,
            summary,
        }
    }

    /// Counts what a page holds, whatever becomes of it.
    pub(super) fn listed(&mut self, page: &Page) {
        self.summary.objects_listed += u64::from(page.objects);
        self.summary.bytes_listed += page.bytes;
        self.summary.keys_filtered += u64::from(page.filtered);
    }

    /// The object would be copied.
    pub(super) fn copy(&mut self, root: &Root, object: &Object<'_>, blob: &BlobName) -> Result<()> {
        self.summary.objects_to_copy += 1;
        self.summary.bytes_to_copy += object.size;
        self.print(&Line {
            action: "copy",
            source: self.source(root, object),
            destination: Some(self.destination(&blob.container, &blob.blob)),
            size: object.size,
            reason: None,
            message: None,
        })
    }

    /// The object would be left out.
    pub(super) fn skip(
        &mut self,
        root: &Root,
        object: &Object<'_>,
        reason: &str,
        why: &str,
    ) -> Result<()> {
        self.summary.objects_skipped += 1;
        count(&mut self.summary.skipped_by_reason, reason);
        self.print(&self.left_out("skip", root, object, (reason, why)))
    }

    /// The object would fail.
    pub(super) fn fail(
        &mut self,
        root: &Root,
        object: &Object<'_>,
        reason: Reason,
        why: &str,
    ) -> Result<()> {
        self.summary.objects_failed += 1;
        count(&mut self.summary.failed_by_reason, reason.as_str());
        self.print(&self.left_out("fail", root, object, (reason.as_str(), why)))
    }

    /// The rest of a bucket cannot be listed.
    pub(super) fn range_failed(&mut self, root: &Root, failure: &Failure) -> Result<()> {
        self.summary.ranges_failed += 1;
        self.print(&Line {
            action: "fail",
            source: self.source(root, &Object::default()),
            destination: None,
            size: 0,
            reason: Some(failure.reason.as_str()),
            message: Some(&failure.message),
        })
    }

    /// Prints the summary; gives the exit code.
    pub(super) fn finish(self) -> Result<u8> {
        let summary = &self.summary;
        match self.output.kind {
            OutputType::Text => self.output.line(&summary.text())?,
            OutputType::Json | OutputType::AzcopyJson => self.output.json(summary)?,
        }
        Ok(u8::from(summary.ranges_failed > 0))
    }

    fn left_out<'b>(
        &self,
        action: &'static str,
        root: &Root,
        object: &Object<'_>,
        (reason, why): (&'b str, &'b str),
    ) -> Line<'b> {
        let blob = root.blob(object.key);
        Line {
            action,
            source: self.source(root, object),
            destination: blob.map(|blob| self.destination(&root.container, &blob)),
            size: object.size,
            reason: Some(reason),
            message: Some(why).filter(|why| !why.is_empty()),
        }
    }

    /// A URL of an object, or of its bucket.
    fn source(&self, root: &Root, object: &Object<'_>) -> String {
        let bucket = root.bucket.clone();
        let level = match object.key {
            "" => Level::Bucket { bucket },
            key => Level::Path {
                bucket,
                key: key.to_owned(),
                version: object.version.map(str::to_owned),
                directory: false,
            },
        };
        let url = SourceUrl {
            level,
            contents_only: false,
            region: None,
            endpoint: self.spec.endpoint.clone(),
            hint: None,
        };
        url.identity()
    }

    fn destination(&self, container: &str, blob: &str) -> String {
        format!("{}/{container}/{}", self.spec.account, encode_path(blob))
    }

    fn print(&self, line: &Line<'_>) -> Result<()> {
        match self.output.kind {
            OutputType::Text => self.output.line(&line.text()),
            OutputType::Json | OutputType::AzcopyJson => self.output.json(line),
        }
    }
}

impl Line<'_> {
    fn text(&self) -> String {
        let Self { action, source, .. } = self;
        let line = match (&self.destination, self.reason) {
            (Some(destination), None) => format!("DRYRUN: {action} {source} to {destination}"),
            (_, reason) => {
                let reason = reason.unwrap_or_default();
                let why = self.message.map_or(String::new(), |why| format!(": {why}"));
                format!("DRYRUN: {action} {source} ({reason}){why}")
            }
        };
        // Bucket names come from the server as they are.
        visible(&line).into_owned()
    }
}

impl Summary {
    fn text(&self) -> String {
        let mut parts = vec![
            format!(
                "{} objects, {} to copy",
                HumanCount(self.objects_to_copy),
                BinaryBytes(self.bytes_to_copy)
            ),
            format!(
                "{} to skip{}",
                HumanCount(self.objects_skipped),
                reasons(&self.skipped_by_reason)
            ),
            format!(
                "{} would fail{}",
                HumanCount(self.objects_failed),
                reasons(&self.failed_by_reason)
            ),
            format!("{} filtered", HumanCount(self.keys_filtered)),
        ];
        if self.ranges_failed > 0 {
            parts.push(format!("{} ranges not listed", self.ranges_failed));
        }
        format!("DRYRUN: {}", parts.join("; "))
    }
}

fn count(by_reason: &mut BTreeMap<String, u64>, reason: &str) {
    *by_reason.entry(reason.to_owned()).or_default() += 1;
}

fn reasons(by_reason: &BTreeMap<String, u64>) -> String {
    let each = by_reason
        .iter()
        .map(|(reason, count)| format!("{reason}: {}", HumanCount(*count)));
    let each: Vec<String> = each.collect();
    if each.is_empty() {
        String::new()
    } else {
        format!(" ({})", each.join(", "))
    }
}
