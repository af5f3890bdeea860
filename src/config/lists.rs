//! Values that hold several: lists, pairs, times, and files of lines.

use std::path::Path;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime};

use crate::failure::{Failure, Reason, Result};

/// Entries separated by `;`; empty ones do not count.
pub(super) fn entries(text: Option<&str>) -> Vec<String> {
    let entries = text.unwrap_or_default().split(';');
    entries
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `NAME=VALUE` entries separated by `separator`.
///
/// # Errors
/// An entry without `=` or without a name.
pub(super) fn pairs(
    flag: &str,
    text: Option<&str>,
    separator: char,
) -> Result<Vec<(String, String)>> {
    let entries = text.unwrap_or_default().split(separator);
    entries
        .filter(|entry| !entry.is_empty())
        .zip(1..)
        .map(|(entry, number)| match entry.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(usage(format!(
                "{flag}: entry {number} is no NAME=VALUE; separate several with {separator}"
            ))),
        })
        .collect()
}

/// A time in seconds since 1970: RFC 3339, or a date with or without a time, in UTC.
///
/// # Errors
/// The text is none of these.
pub(super) fn time(flag: &str, text: &str) -> Result<i64> {
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(time.unix_timestamp());
    }
    let seconds = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let minutes = format_description!("[year]-[month]-[day]T[hour]:[minute]");
    let day = format_description!("[year]-[month]-[day]");
    let local = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    PrimitiveDateTime::parse(local, seconds)
        .or_else(|_| PrimitiveDateTime::parse(local, minutes))
        .or_else(|_| Date::parse(text, day).map(Date::midnight))
        .map(|time| time.assume_utc().unix_timestamp())
        .map_err(|_| {
            usage(format!(
                "{flag} is given no time: give 2026-08-19, 2026-08-19T15:04:00Z or \
                 2026-08-19T15:04:00+02:00"
            ))
        })
}

/// The lines of a file with their numbers, from 1; empty ones do not count.
///
/// # Errors
/// The file cannot be read, or is not UTF-8 (the line is named).
pub(super) fn lines(flag: &str, path: &Path) -> Result<Vec<(usize, String)>> {
    // The path is not shown, as no value is.
    let bytes = std::fs::read(path).map_err(|error| {
        usage(format!(
            "{flag} is given no file of lines that can be read: {error}"
        ))
    })?;
    let mut lines = Vec::new();
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = at + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line)
            .map_err(|_| usage(format!("{flag}: line {number} is not UTF-8")))?;
        let line = match number {
            1 => line.trim_start_matches('\u{feff}'),
            _ => line,
        };
        if !line.is_empty() {
            lines.push((number, line.to_owned()));
        }
    }
    Ok(lines)
}

/// A file of `BUCKET,CONTAINER` lines.
///
/// # Errors
/// As [`lines`]; a line that is no pair or names a bucket again.
pub(super) fn container_map(flag: &str, path: &Path) -> Result<Vec<(String, String)>> {
    let mut map: Vec<(String, String)> = Vec::new();
    for (number, line) in lines(flag, path)? {
        let wrong = |why: &str| usage(format!("{flag}: line {number} {why}"));
        let (bucket, container) = line
            .split_once(',')
            .ok_or_else(|| wrong("is no BUCKET,CONTAINER"))?;
        let (bucket, container) = (bucket.trim(), container.trim());
        if bucket.is_empty() || container.is_empty() || container.contains(',') {
            return Err(wrong("is no BUCKET,CONTAINER"));
        }
        if map.iter().any(|(known, _)| known == bucket) {
            return Err(wrong(&format!("names the bucket {bucket} again")));
        }
        map.push((bucket.to_owned(), container.to_owned()));
    }
    Ok(map)
}

pub(super) fn usage(message: impl Into<String>) -> Failure {
    Failure::stop(Reason::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_utc_where_no_zone_is_given() {
        for (text, seconds) in [
            ("2020-08-19", 1_597_795_200),
            ("2020-08-19T15:04:00Z", 1_597_849_440),
            ("2020-08-19T15:04Z", 1_597_849_440),
            ("2020-08-19T15:04", 1_597_849_440),
            ("2020-08-19T15:04:00", 1_597_849_440),
            ("2020-08-19T17:04:00+02:00", 1_597_849_440),
        ] {
            assert_eq!(time("--include-after", text).unwrap(), seconds, "{text}");
        }
        for text in ["", "yesterday", "2020-13-01", "19.8.2020"] {
            let failure = time("--include-after", text).unwrap_err();
            assert!(failure.message.contains("--include-after"), "{failure}");
        }
    }

    #[test]
    fn a_malformed_line_is_named_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map");
        for (text, part) in [
            (&b"a,b\n\nc\n"[..], "line 3 is no BUCKET,CONTAINER"),
            (b"a,b,c", "line 1"),
            (b"a,\n", "line 1"),
            (b"a,b\r\na,c", "line 2 names the bucket a again"),
            (b"a,b\n\xff,c", "line 2 is not UTF-8"),
        ] {
            std::fs::write(&path, text).unwrap();
            let failure = container_map("--container-map", &path).unwrap_err();
            assert!(failure.message.contains(part), "{failure}");
            assert!(failure.message.contains("--container-map"), "{failure}");
        }
        std::fs::write(&path, "\u{feff}a, b\r\n\r\nc,d\r\n").unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            container_map("--container-map", &path).unwrap(),
            [pair("a", "b"), pair("c", "d")]
        );
        let missing = folder.path().join("none");
        assert!(lines("--list-of-files", &missing).is_err());
    }

    #[test]
    fn pairs_need_a_name() {
        let read = |text| pairs("--metadata", Some(text), ';');
        assert_eq!(read("a=1;;b=x=y;c=").unwrap().len(), 3);
        assert!(read("a").is_err());
        assert!(read("=1").is_err());
    }
}
