//! ListObjectsV2.

use std::ops::Bound;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response};

use super::store::{Bucket, Stored};
use super::{number, xml_reply};
use crate::body::Body;
use crate::clock::iso_date;
use crate::object::Restore;
use crate::query::{Query, encode_path};
use crate::quirks::Quirks;
use crate::refusal::{Refusal, element};

/// One page: keys in UTF-8 binary order, and groups of keys that share a part up to a delimiter;
/// no more than `most` of both.
pub(crate) fn page(
    (name, bucket): (&str, &Bucket),
    parts: &Parts,
    query: &Query,
    (most, quirks): (usize, &Quirks),
) -> Result<Response<Body>, Refusal> {
    let asked = number(query, "max-keys", 1000, 0..=i32::MAX as usize)?;
    let prefix = query.get("prefix").unwrap_or_default();
    let delimiter = query.get("delimiter").filter(|text| !text.is_empty());
    let url = match query.get("encoding-type") {
        None | Some("") => false,
        Some("url") => true,
        Some(_) => {
            let message = "Invalid Encoding Method specified in Request";
            return Err(Refusal::new(400, "InvalidArgument", message));
        }
    };
    let from = start(query, prefix)?;
    let found = collect(bucket, prefix, delimiter, from, asked.min(most));
    let text = |text: &str| match url {
        true => encode_path(text).replace("%20", "+"),
        false => text.to_owned(),
    };
    let mut xml = String::with_capacity(256 + 320 * found.entries.len());
    element(&mut xml, "Name", name);
    element(&mut xml, "Prefix", &text(prefix));
    if let Some(start_after) = query.get("start-after") {
        element(&mut xml, "StartAfter", &text(start_after));
    }
    if let Some(token) = query.get("continuation-token") {
        element(&mut xml, "ContinuationToken", token);
    }
    element(&mut xml, "KeyCount", &found.entries.len().to_string());
    element(&mut xml, "MaxKeys", &asked.min(1000).to_string());
    if let Some(delimiter) = delimiter {
        element(&mut xml, "Delimiter", &text(delimiter));
    }
    if url {
        element(&mut xml, "EncodingType", "url");
    }
    element(&mut xml, "IsTruncated", &found.next.is_some().to_string());
    if let Some(token) = &found.next {
        element(&mut xml, "NextContinuationToken", token);
    }
    let shown = Shown {
        owner: query.get("fetch-owner") == Some("true"),
        restore: wants_restore(&parts.headers)?,
        quirks,
    };
    // Objects first, then groups, as S3 answers; both count as entries of the page.
    for entry in &found.entries {
        if let Entry::Object(key, object) = entry {
            contents(&mut xml, &text(key), object, shown);
        }
    }
    for entry in &found.entries {
        if let Entry::Group(group) = entry {
            xml.push_str("<CommonPrefixes>");
            element(&mut xml, "Prefix", &text(group));
            xml.push_str("</CommonPrefixes>");
        }
    }
    Ok(xml_reply("ListBucketResult", &xml))
}

/// What of an object is told only when asked for.
#[derive(Clone, Copy)]
struct Shown<'a> {
    owner: bool,
    restore: bool,
    quirks: &'a Quirks,
}

/// Whether `x-amz-optional-object-attributes` asks for the one attribute there is.
fn wants_restore(headers: &HeaderMap) -> Result<bool, Refusal> {
    match super::header(headers, "x-amz-optional-object-attributes") {
        None => Ok(false),
        Some("RestoreStatus") => Ok(true),
        Some(other) => {
            let message = "Invalid attribute name specified";
            Err(Refusal::new(400, "InvalidArgument", message)
                .element("ArgumentName", "x-amz-optional-object-attributes")
                .element("ArgumentValue", other))
        }
    }
}

fn contents(xml: &mut String, key: &str, object: &Stored, shown: Shown<'_>) {
    xml.push_str("<Contents>");
    element(xml, "Key", key);
    element(xml, "LastModified", &iso_date(object.modified));
    element(xml, "ETag", &super::object::etag(object, shown.quirks));
    if object.extra().is_some_and(|extra| extra.crc64.is_some()) {
        element(xml, "ChecksumAlgorithm", "CRC64NVME");
        element(xml, "ChecksumType", "FULL_OBJECT");
    }
    element(xml, "Size", &object.content.length().to_string());
    element(xml, "StorageClass", object.storage_class());
    if shown.restore {
        restore_status(xml, object);
    }
    if shown.owner {
        xml.push_str("<Owner><ID>simcloud</ID></Owner>");
    }
    xml.push_str("</Contents>");
}

/// Nothing for an object of which no restoration was asked for, archived or not.
fn restore_status(xml: &mut String, object: &Stored) {
    let Some(restore) = object.restore() else {
        return;
    };
    xml.push_str("<RestoreStatus>");
    let ongoing = restore == Restore::Ongoing;
    element(xml, "IsRestoreInProgress", &ongoing.to_string());
    if !ongoing {
        element(xml, "RestoreExpiryDate", "2040-12-21T00:00:00.000Z");
    }
    xml.push_str("</RestoreStatus>");
}

enum Entry {
    Object(String, Stored),
    Group(String),
}

struct Found {
    entries: Vec<Entry>,
    next: Option<String>,
}

/// Where a listing starts: a key, and whether that key itself is wanted.
fn start(query: &Query, prefix: &str) -> Result<(String, bool), Refusal> {
    let (edge, included) = match query.get("continuation-token") {
        Some(token) => match open_token(token)? {
            ('g', group) => (after_group(&group), true),
            (_, key) => (key, false),
        },
        None => match query.get("start-after") {
            Some(key) if !key.is_empty() => (key.to_owned(), false),
            _ => (String::new(), true),
        },
    };
    if edge.as_str() < prefix {
        return Ok((prefix.to_owned(), true));
    }
    Ok((edge, included))
}

fn collect(
    bucket: &Bucket,
    prefix: &str,
    delimiter: Option<&str>,
    (mut edge, mut included): (String, bool),
    max: usize,
) -> Found {
    let mut entries = Vec::new();
    let mut last = None;
    loop {
        let bound = match included {
            true => Bound::Included(edge.as_str()),
            false => Bound::Excluded(edge.as_str()),
        };
        let Some((key, object)) = bucket.keys.next(bound) else {
            return Found {
                entries,
                next: None,
            };
        };
        let Some(rest) = key.strip_prefix(prefix) else {
            return Found {
                entries,
                next: None,
            };
        };
        if entries.len() >= max {
            let next = last.filter(|_| max > 0);
            return Found { entries, next };
        }
        let group = delimiter.and_then(|delimiter| {
            let end = rest.find(delimiter)? + delimiter.len();
            Some(format!("{prefix}{}", rest.get(..end)?))
        });
        if let Some(group) = group {
            last = Some(make_token('g', &group));
            (edge, included) = (after_group(&group), true);
            entries.push(Entry::Group(group));
        } else {
            let key = key.into_owned();
            last = Some(make_token('k', &key));
            entries.push(Entry::Object(key.clone(), object.into_owned()));
            (edge, included) = (key, false);
        }
    }
}

/// The least text greater than every text that starts with `group`.
fn after_group(group: &str) -> String {
    let mut text = group.to_owned();
    while let Some(last) = text.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            text.push(next);
            return text;
        }
    }
    char::MAX.to_string().repeat(400)
}

/// An opaque token: what kind of entry came last (`k`ey or `g`roup), and which.
pub(crate) fn make_token(kind: char, last: &str) -> String {
    URL_SAFE.encode(format!("sim1{kind}{last}"))
}

/// Reads a token made here.
pub(crate) fn open_token(token: &str) -> Result<(char, String), Refusal> {
    let refusal = || {
        let message = "The continuation token provided is incorrect";
        Refusal::new(400, "InvalidArgument", message)
    };
    let bytes = URL_SAFE.decode(token).map_err(|_| refusal())?;
    let text = String::from_utf8(bytes).map_err(|_| refusal())?;
    let mut rest = text.strip_prefix("sim1").ok_or_else(refusal)?.chars();
    let kind = rest.next().ok_or_else(refusal)?;
    Ok((kind, rest.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_left_by_its_successor() {
        assert_eq!(after_group("a/"), "a0");
        assert_eq!(after_group("a\u{d7ff}"), "a\u{e000}");
        assert_eq!(after_group("a\u{10ffff}"), "b");
    }

    #[test]
    fn tokens_are_read_back_and_others_refused() {
        let token = make_token('g', "ä/");
        assert_eq!(open_token(&token).unwrap(), ('g', "ä/".into()));
        assert_eq!(open_token("bm9uZQ==").unwrap_err().code, "InvalidArgument");
    }
}
