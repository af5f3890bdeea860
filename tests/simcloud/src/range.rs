//! Byte ranges of requests.

use hyper::HeaderMap;

/// Bytes `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The range a header asks for of `length` bytes: `None` for all (RFC 9110 lets a server ignore
/// what it cannot read), an error for one that holds no byte.
pub(crate) fn read(headers: &HeaderMap, name: &str, length: u64) -> Result<Option<Range>, ()> {
    let header = headers.get(name).and_then(|value| value.to_str().ok());
    let Some((first, last)) = header
        .and_then(|text| text.strip_prefix("bytes="))
        .and_then(|text| text.split_once('-'))
    else {
        return Ok(None);
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(start), Ok(last)) if last >= start => Range {
            start,
            end: length.min(last.saturating_add(1)),
        },
        (Ok(start), Err(_)) if last.is_empty() => Range { start, end: length },
        (Err(_), Ok(count)) if first.is_empty() && count > 0 => Range {
            start: length.saturating_sub(count),
            end: length,
        },
        _ => return Ok(None),
    };
    if range.start >= range.end {
        return Err(());
    }
    Ok(Some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Result<Option<(u64, u64)>, ()> {
        let mut headers = HeaderMap::new();
        headers.insert("range", text.parse().unwrap());
        read(&headers, "range", 10).map(|range| range.map(|range| (range.start, range.end)))
    }

    #[test]
    fn ranges_are_cut_to_the_length() {
        assert_eq!(ask("bytes=0-0"), Ok(Some((0, 1))));
        assert_eq!(ask("bytes=8-99"), Ok(Some((8, 10))));
        assert_eq!(ask("bytes=3-"), Ok(Some((3, 10))));
        assert_eq!(ask("bytes=-4"), Ok(Some((6, 10))));
        assert_eq!(ask("bytes=5-2"), Ok(None));
        assert_eq!(ask("lines=1-2"), Ok(None));
        assert_eq!(ask("bytes=10-"), Err(()));
    }
}
