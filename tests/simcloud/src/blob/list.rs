//! List Blobs, and the frame of both kinds of lists.

use std::ops::Bound;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Response;

use super::request::Request;
use super::store::{Blob, Committed, Container};
use super::tags;
use super::write::set;
use crate::body::Body;
use crate::clock::http_date;
use crate::lock;
use crate::query::{Query, encode};
use crate::refusal::{Refusal, element, escape};
use crate::state::State;

const LONGEST_PAGE: usize = 5000;
const INCLUDES: &[&str] = &[
    "",
    "copy",
    "deleted",
    "deletedwithversions",
    "immutabilitypolicy",
    "legalhold",
    "metadata",
    "permissions",
    "snapshots",
    "system",
    "tags",
    "uncommittedblobs",
    "versions",
];

/// An answer under construction.
pub(crate) struct Page {
    pub(crate) xml: String,
}

impl Page {
    pub(crate) fn open(state: &State, request: &Request, given: &[(&str, Option<&str>)]) -> Self {
        let mut xml =
            String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ");
        let endpoint = format!("http://{}/{}", state.addresses.blob, request.account);
        xml.push_str(&format!("ServiceEndpoint=\"{endpoint}\""));
        if !request.container.is_empty() {
            xml.push_str(&format!(" ContainerName=\"{}\"", request.container));
        }
        xml.push('>');
        for (name, value) in given {
            if let Some(value) = value {
                element(&mut xml, name, value);
            }
        }
        Self { xml }
    }

    pub(crate) fn close(mut self, next: Option<&str>) -> Response<Body> {
        element(&mut self.xml, "NextMarker", next.unwrap_or_default());
        self.xml.push_str("</EnumerationResults>");
        let mut response = Response::new(Body::text(self.xml));
        set(&mut response, "content-type", "application/xml");
        response
    }
}

/// `maxresults`, at most 5,000.
pub(crate) fn limit(query: &Query) -> Result<usize, Refusal> {
    let Some(text) = query.get("maxresults") else {
        return Ok(LONGEST_PAGE);
    };
    match text.parse::<usize>() {
        Ok(number) if number > 0 => Ok(number.min(LONGEST_PAGE)),
        _ => {
            let message =
                "A query parameter specified in the request URI is outside the permissible range.";
            Err(Refusal::new(400, "OutOfRangeQueryParameterValue", message)
                .element("QueryParameterName", "maxresults")
                .element("QueryParameterValue", text))
        }
    }
}

/// What a listing asks for besides place and page.
struct Wanted<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    metadata: bool,
    tags: bool,
    uncommitted: bool,
}

impl<'a> Wanted<'a> {
    fn read(query: &'a Query) -> Result<Self, Refusal> {
        let include: Vec<&str> = query
            .get("include")
            .unwrap_or_default()
            .split(',')
            .collect();
        if include.iter().any(|what| !INCLUDES.contains(what)) {
            let message =
                "Value for one of the query parameters specified in the request URI is invalid.";
            return Err(Refusal::new(400, "InvalidQueryParameterValue", message));
        }
        Ok(Self {
            prefix: query.get("prefix").unwrap_or_default(),
            delimiter: query.get("delimiter").filter(|text| !text.is_empty()),
            metadata: include.contains(&"metadata"),
            tags: include.contains(&"tags"),
            uncommitted: include.contains(&"uncommittedblobs"),
        })
    }

    fn shows(&self, found: &Found<'_>) -> bool {
        match found {
            Found::Blob(blob) => {
                blob.committed.is_some() || (self.uncommitted && !blob.uncommitted.is_empty())
            }
            Found::Directory(path) => path.starts_with(self.prefix),
        }
    }

    /// The group a name falls into under the delimiter.
    fn group(&self, name: &str) -> Option<String> {
        let delimiter = self.delimiter?;
        let rest = name.strip_prefix(self.prefix)?;
        let end = rest.find(delimiter)? + delimiter.len();
        Some(format!("{}{}", self.prefix, rest.get(..end)?))
    }
}

/// List Blobs. The marker is the name the next page starts with.
pub(crate) fn blobs(state: &State, request: &Request) -> Result<Response<Body>, Refusal> {
    let query = &request.query;
    let wanted = Wanted::read(query)?;
    let max = limit(query)?;
    let marker = query.get("marker").filter(|marker| !marker.is_empty());
    let mut store = lock(&state.blob);
    let container = store.container(&request.account, &request.container)?;
    let given = [
        ("Prefix", query.get("prefix")),
        ("Marker", marker),
        ("MaxResults", query.get("maxresults")),
        ("Delimiter", wanted.delimiter),
    ];
    let mut page = Page::open(state, request, &given);
    page.xml.push_str("<Blobs>");
    let from = marker.unwrap_or_default().max(wanted.prefix);
    let next = fill(&mut page.xml, container, &wanted, from, max);
    page.xml.push_str("</Blobs>");
    Ok(page.close(next.as_deref()))
}

/// What stands at a name.
enum Found<'a> {
    Blob(&'a Blob),
    /// Its path without the slash at the end.
    Directory(&'a str),
}

/// Blobs and directories from a name on, in order; a directory's name ends in a slash here, so
/// that what it holds follows it.
fn entries<'a>(
    container: &'a Container,
    from: &str,
) -> impl Iterator<Item = (&'a String, Found<'a>)> {
    let range = (Bound::Included(from), Bound::Unbounded);
    let mut blobs = container.blobs.range::<str, _>(range).peekable();
    let mut directories = container.directories.range::<str, _>(range).peekable();
    std::iter::from_fn(move || {
        let directory_first = match (directories.peek(), blobs.peek()) {
            (Some((directory, _)), Some((blob, _))) => directory < blob,
            (directory, _) => directory.is_some(),
        };
        if directory_first {
            let (name, _) = directories.next()?;
            return Some((name, Found::Directory(name.trim_end_matches('/'))));
        }
        let (name, blob) = blobs.next()?;
        Some((name, Found::Blob(blob)))
    })
}

fn fill(
    xml: &mut String,
    container: &Container,
    wanted: &Wanted<'_>,
    from: &str,
    max: usize,
) -> Option<String> {
    let mut group: Option<String> = None;
    let mut count = 0;
    for (name, found) in entries(container, from) {
        if !name.starts_with(wanted.prefix) {
            break;
        }
        let inside = group.as_ref().is_some_and(|group| name.starts_with(group));
        if inside || !wanted.shows(&found) {
            continue;
        }
        if count == max {
            return Some(name.clone());
        }
        count += 1;
        group = wanted.group(name);
        if let Some(group) = &group {
            xml.push_str("<BlobPrefix>");
            push_name(xml, group);
            xml.push_str("</BlobPrefix>");
            continue;
        }
        match found {
            Found::Blob(blob) => {
                let kind = container.hierarchical.then_some("file");
                entry(xml, name, blob.committed.as_deref(), kind, wanted);
            }
            Found::Directory(path) => {
                let directory = container.directory(path);
                entry(xml, path, directory.as_ref(), Some("directory"), wanted);
            }
        }
    }
    None
}

/// Names XML cannot hold are percent-encoded and marked so (version 2021-02-12 and later).
fn push_name(xml: &mut String, name: &str) {
    if name.contains(['\u{fffe}', '\u{ffff}']) {
        xml.push_str(&format!("<Name Encoded=\"true\">{}</Name>", encode(name)));
    } else {
        element(xml, "Name", name);
    }
}

/// One blob or directory; `kind` is told of those of hierarchical accounts alone.
fn entry(
    xml: &mut String,
    name: &str,
    blob: Option<&Committed>,
    kind: Option<&str>,
    wanted: &Wanted<'_>,
) {
    xml.push_str("<Blob>");
    push_name(xml, name);
    xml.push_str("<Properties>");
    if let Some(blob) = blob {
        properties(xml, blob);
        if let Some(kind) = kind {
            element(xml, "ResourceType", kind);
        }
    } else {
        element(xml, "Content-Length", "0");
        element(xml, "BlobType", "BlockBlob");
    }
    xml.push_str("</Properties>");
    if let (Some(blob), true) = (blob, wanted.metadata) {
        xml.push_str("<Metadata>");
        for (name, value) in &blob.metadata {
            element(xml, name, value);
        }
        xml.push_str("</Metadata>");
    }
    if let Some(blob) = blob.filter(|blob| wanted.tags && !blob.tags.is_empty()) {
        xml.push_str("<Tags>");
        tags::push_set(xml, &blob.tags);
        xml.push_str("</Tags>");
    }
    xml.push_str("</Blob>");
}

fn properties(xml: &mut String, blob: &Committed) {
    element(xml, "Creation-Time", &http_date(blob.created));
    element(xml, "Last-Modified", &http_date(blob.stamp.modified));
    xml.push_str("<Etag>");
    escape(xml, blob.stamp.etag().trim_matches('"'));
    xml.push_str("</Etag>");
    element(xml, "Content-Length", &blob.length.to_string());
    let known = &blob.properties;
    let content_type = known.content_type.as_deref();
    let md5 = known.md5.map(|md5| STANDARD.encode(md5));
    for (name, value) in [
        (
            "Content-Type",
            content_type.or(Some("application/octet-stream")),
        ),
        ("Content-Encoding", known.encoding.as_deref()),
        ("Content-Language", known.language.as_deref()),
        ("Content-MD5", md5.as_deref()),
        ("Cache-Control", known.cache_control.as_deref()),
        ("Content-Disposition", known.disposition.as_deref()),
    ] {
        element(xml, name, value.unwrap_or_default());
    }
    element(xml, "BlobType", "BlockBlob");
    element(xml, "AccessTier", blob.tier.as_deref().unwrap_or("Hot"));
    element(xml, "LeaseStatus", "unlocked");
    element(xml, "LeaseState", "available");
    element(xml, "ServerEncrypted", "true");
}
