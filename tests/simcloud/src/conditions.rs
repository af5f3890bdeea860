//! Conditional headers, alike on both clouds.

use std::time::UNIX_EPOCH;

use hyper::HeaderMap;

/// If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    modified_since: Option<u64>,
    unmodified_since: Option<u64>,
}

impl Conditions {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let date = |name: &str| {
            let when = httpdate::parse_http_date(&text(name)?).ok()?;
            let since = when.duration_since(UNIX_EPOCH).ok()?;
            u64::try_from(since.as_millis()).ok()
        };
        Self {
            if_match: text("if-match"),
            if_none_match: text("if-none-match"),
            modified_since: date("if-modified-since"),
            unmodified_since: date("if-unmodified-since"),
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.if_match.is_none()
            && self.if_none_match.is_none()
            && self.modified_since.is_none()
            && self.unmodified_since.is_none()
    }

    /// `If-None-Match: *`.
    pub(crate) fn only_if_missing(&self) -> bool {
        self.if_none_match.as_deref() == Some("*")
    }

    /// Whether the caller wants a state that must exist.
    pub(crate) fn only_if_present(&self) -> bool {
        self.if_match.is_some()
    }

    /// The caller wants another state than this: If-Match or If-Unmodified-Since fails.
    pub(crate) fn wants_other(&self, etag: &str, modified: u64) -> bool {
        match (&self.if_match, self.unmodified_since) {
            (Some(wanted), _) => !matches(wanted, etag),
            (None, Some(since)) => modified / 1000 > since / 1000,
            (None, None) => false,
        }
    }

    /// The caller has this state already: If-None-Match or If-Modified-Since fails.
    pub(crate) fn has_this(&self, etag: &str, modified: u64) -> bool {
        match (&self.if_none_match, self.modified_since) {
            (Some(known), _) => matches(known, etag),
            (None, Some(since)) => modified / 1000 <= since / 1000,
            (None, None) => false,
        }
    }
}

fn matches(list: &str, etag: &str) -> bool {
    let bare = etag.trim_matches('"');
    list.split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.trim_matches('"') == bare)
}
