//! The source URL as the Blob service requests it, which is not always as it was given.
//!
//! Observed of the real service (cloud-apis notes A9): `%2F` becomes `/`, a backslash fails,
//! as do segments of dots and segments that end in one. All of that is what .NET's URL class
//! does to a path, so it is done here too; the signature then fits no longer and S3 refuses.

use crate::query::decode;

/// Longest source URL, in bytes.
pub(crate) const LONGEST: usize = 2048;

/// Where to fetch from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceUrl {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As in the Host header: without the scheme's own port.
    pub(crate) authority: String,
    /// Normalised path and, untouched, the query.
    pub(crate) target: String,
}

impl SourceUrl {
    /// Reads an absolute URL of http or https without user information and fragment.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) || url.contains('#') {
            return None;
        }
        let (tls, rest) = match url.split_once("://")? {
            (scheme, rest) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            (scheme, rest) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            _ => return None,
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let default = if tls { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, default),
        };
        if host.is_empty() || host.contains(['@', '[']) {
            return None;
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (target, String::new()),
        };
        let host = host.to_ascii_lowercase();
        Some(Self {
            tls,
            authority: if port == default {
                host.clone()
            } else {
                format!("{host}:{port}")
            },
            host,
            port,
            target: normalise(path) + &query,
        })
    }
}

fn normalise(path: &str) -> String {
    let slashes = path
        .replace('\\', "/")
        .replace("%5C", "/")
        .replace("%5c", "/")
        .replace("%2F", "/")
        .replace("%2f", "/");
    let mut segments: Vec<&str> = Vec::new();
    let path = slashes.strip_prefix('/').unwrap_or(&slashes);
    let last = path.split('/').count() - 1;
    for (index, segment) in path.split('/').enumerate() {
        let plain = decode(segment).unwrap_or_default();
        match plain.as_str() {
            "." | ".." => {
                if plain == ".." {
                    segments.pop();
                }
                if index == last {
                    segments.push("");
                }
            }
            _ if plain.ends_with('.') => segments.push(without_end_dots(segment)),
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

fn without_end_dots(mut segment: &str) -> &str {
    while let Some(shorter) = [".", "%2E", "%2e"]
        .iter()
        .find_map(|dot| segment.strip_suffix(dot))
    {
        segment = shorter;
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_rewritten_as_the_service_does() {
        for (path, expected) in [
            ("/b/a%20b+c", "/b/a%20b+c"),
            ("/b//a//", "/b//a//"),
            ("/b/a%2Fc", "/b/a/c"),
            ("/b/a/./c", "/b/a/c"),
            ("/b/a/../c", "/b/c"),
            ("/b/a/%2E%2e/c", "/b/c"),
            ("/b/a/..", "/b/"),
            ("/b/a.", "/b/a"),
            ("/b/a%2E/c", "/b/a/c"),
            ("/b/a%5Cc", "/b/a/c"),
            ("", "/"),
        ] {
            assert_eq!(normalise(path), expected, "{path}");
        }
    }

    #[test]
    fn only_absolute_urls_are_read() {
        let url = SourceUrl::parse("https://B.s3.amazonaws.com:443/k?a=%2Fb").unwrap();
        assert_eq!(url.authority, "b.s3.amazonaws.com");
        assert_eq!((url.port, url.target.as_str()), (443, "/k?a=%2Fb"));
        let url = SourceUrl::parse("http://127.0.0.1:9000?x").unwrap();
        assert_eq!(
            (url.authority.as_str(), url.target.as_str()),
            ("127.0.0.1:9000", "/?x")
        );
        for wrong in [
            "/b/k",
            "ftp://h/k",
            "http:///k",
            "http://u@h/k",
            "http://h/a b",
            "http://h/ä",
            "http://h/k#f",
        ] {
            assert_eq!(SourceUrl::parse(wrong), None, "{wrong}");
        }
    }
}
