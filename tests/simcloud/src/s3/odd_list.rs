//! Listings of servers that list in their own way (see [`crate::quirks`]).

use hyper::Response;
use hyper::http::request::Parts;

use super::list::{make_token, open_token};
use super::store::{Bucket, Stored};
use super::{number, xml_reply};
use crate::body::Body;
use crate::clock::{http_date, iso_date};
use crate::query::{Query, encode_path};
use crate::quirks::{Quirk, Quirks};
use crate::refusal::{Refusal, element};

/// Empty pages before each page with keys, where there are any.
const EMPTY: usize = 3;

/// One page of the bucket as this server tells it.
pub(crate) fn page(
    (name, bucket): (&str, &Bucket),
    _parts: &Parts,
    query: &Query,
    (most, quirks): (usize, &Quirks),
) -> Result<Response<Body>, Refusal> {
    let prefix = query.get("prefix").unwrap_or_default();
    let asked = number(query, "max-keys", 1000, 0..=i32::MAX as usize)?.min(most);
    let entries = entries(bucket, prefix, query.get("delimiter"), quirks);
    let place = place(query, &entries, quirks)?;
    // Version 1 goes on from a key: after an empty page there is none.
    let can_be_empty = quirks.has(Quirk::EmptyPages) && !quirks.has(Quirk::ListV1Only);
    let empty = can_be_empty && place.empty < EMPTY;
    let until = if empty {
        place.at
    } else {
        entries.len().min(place.at + asked)
    };
    let more = until < entries.len() || empty;
    let mut from = place.at;
    if quirks.has(Quirk::RepeatsAtEdge) && !empty && from > 0 {
        from -= 1;
    }
    let mut xml = String::new();
    element(&mut xml, "Name", name);
    element(&mut xml, "IsTruncated", &more.to_string());
    if query.has("encoding-type")
        && !quirks.has(Quirk::EncodingTypeUnsaid)
        && !quirks.has(Quirk::NeverEncodes)
    {
        element(&mut xml, "EncodingType", "url");
    }
    let shown = entries.get(from..until).unwrap_or_default();
    if more {
        next(
            &mut xml,
            query,
            &entries,
            (until, if empty { place.empty + 1 } else { 0 }),
            quirks,
        );
    }
    for entry in shown {
        let times = 1 + usize::from(quirks.has(Quirk::RepeatsKeys));
        for _ in 0..times {
            row(&mut xml, entry, query, quirks);
        }
    }
    Ok(xml_reply("ListBucketResult", &xml))
}

/// A key with its object, or a group of keys.
type Entry = (String, Option<Stored>);

fn entries(bucket: &Bucket, prefix: &str, delimiter: Option<&str>, quirks: &Quirks) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut from = std::ops::Bound::Unbounded;
    let mut last: String;
    while let Some((key, object)) = bucket.keys.next(from) {
        last = key.into_owned();
        if let Some(rest) = last.strip_prefix(prefix) {
            let group = delimiter.filter(|d| !d.is_empty()).and_then(|delimiter| {
                let end = rest.find(delimiter)? + delimiter.len();
                Some(format!("{prefix}{}", rest.get(..end)?))
            });
            match group {
                Some(group) if entries.last().is_some_and(|(name, _)| *name == group) => {}
                Some(group) => entries.push((group, None)),
                None => entries.push((last.clone(), Some(object.into_owned()))),
            }
        }
        from = std::ops::Bound::Excluded(last.as_str());
    }
    if quirks.has(Quirk::Unsorted) {
        entries.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
    }
    entries
}

/// Where a page begins, and how many empty ones there were before it.
struct Place {
    at: usize,
    empty: usize,
}

fn place(query: &Query, entries: &[Entry], quirks: &Quirks) -> Result<Place, Refusal> {
    let v1 = quirks.has(Quirk::ListV1Only);
    let token = query.get("continuation-token").filter(|_| !v1);
    if let Some(token) = token {
        let (_, text) = open_token(token)?;
        let (at, empty) = text.split_once(' ').unwrap_or((&text, "0"));
        let number = |text: &str| text.parse().unwrap_or(0);
        return Ok(Place {
            at: number(at),
            empty: number(empty),
        });
    }
    let after = match v1 {
        true => query.get("marker"),
        false => query.get("start-after"),
    };
    let after = after.unwrap_or_default();
    let included = quirks.has(Quirk::StartAfterIncluded) && !v1;
    let is_left_out = |name: &str| match included {
        true => name < after,
        false => name <= after,
    };
    // Of an unsorted listing this leaves out what a filter would have left out further on; what
    // it lists twice or not at all is for whoever continues by key to notice.
    let at = match v1 && quirks.has(Quirk::Unsorted) {
        // A marker is a place in whatever order the server has.
        true => entries
            .iter()
            .position(|(name, _)| name == after)
            .map(|at| at + 1),
        false => entries.iter().position(|(name, _)| !is_left_out(name)),
    };
    Ok(Place {
        at: match after {
            "" => 0,
            _ => at.unwrap_or(entries.len()),
        },
        empty: 0,
    })
}

/// What to go on with.
fn next(
    xml: &mut String,
    query: &Query,
    entries: &[Entry],
    (at, empty): (usize, usize),
    quirks: &Quirks,
) {
    if !quirks.has(Quirk::ListV1Only) {
        let token = make_token('o', &format!("{at} {empty}"));
        return element(xml, "NextContinuationToken", &token);
    }
    // Version 1 names the next marker with a delimiter only.
    let last = at.checked_sub(1).and_then(|last| entries.get(last));
    if let (Some((name, _)), true) = (last, query.has("delimiter")) {
        element(xml, "NextMarker", &told(name, query, quirks));
    }
}

fn told(name: &str, query: &Query, quirks: &Quirks) -> String {
    let encoded = query.has("encoding-type") && !quirks.has(Quirk::NeverEncodes);
    match encoded {
        true => encode_path(name).replace("%20", "+"),
        false => name.to_owned(),
    }
}

fn row(xml: &mut String, (name, object): &Entry, query: &Query, quirks: &Quirks) {
    let mut key = told(name, query, quirks);
    if quirks.has(Quirk::LatinKeys) && query.has("encoding-type") {
        key = key.replace("latin", "caf%E9");
    }
    let Some(object) = object else {
        xml.push_str("<CommonPrefixes>");
        element(xml, "Prefix", &key);
        xml.push_str("</CommonPrefixes>");
        return;
    };
    let iso = iso_date(object.modified);
    let date = if quirks.has(Quirk::HttpDates) {
        http_date(object.modified)
    } else if quirks.has(Quirk::DatesWithoutZone) {
        iso.trim_end_matches('Z').to_owned()
    } else if quirks.has(Quirk::NoDates) {
        String::new()
    } else {
        iso
    };
    xml.push_str("<Contents>");
    element(xml, "Key", &key);
    element(xml, "LastModified", &date);
    element(xml, "ETag", &super::object::etag(object, quirks));
    if !quirks.has(Quirk::NoSizes) {
        element(xml, "Size", &object.content.length().to_string());
    }
    element(xml, "StorageClass", object.storage_class());
    xml.push_str("</Contents>");
}
