//! A Content-Disposition that can stand in a header: what is not ASCII in it is written as RFC 8187
//! has it. Pure.

use std::collections::HashSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What an extended parameter's value may hold as it is (RFC 8187, 3.2.1, `attr-char`).
const ATTR_CHAR: AsciiSet = NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');
/// The same where the value is partly encoded already.
const ENCODED_CHAR: AsciiSet = ATTR_CHAR.remove(b'%');

/// A part between semicolons.
#[derive(Debug, PartialEq, Eq)]
struct Part<'a> {
    /// As it stands there.
    raw: &'a str,
    /// A parameter's name in lower case and its value without quotes; the type has neither.
    parameter: Option<(String, String)>,
}

/// The disposition in printable ASCII; `None` where it is that already, or cannot be read. Of a
/// parameter given both ways only the extended one is kept, which is what recipients heed (RFC 6266,
/// 4.3).
pub(super) fn in_ascii(value: &str) -> Option<String> {
    if is_printable(value) {
        return None;
    }
    let parts = read(value)?;
    let named = parts.iter().filter_map(|part| part.parameter.as_ref());
    let mut names = HashSet::new();
    for (name, _) in named {
        // Which of two was meant nobody knows.
        if !is_token(name) || !names.insert(name.as_str()) {
            return None;
        }
    }
    let mut written = Vec::new();
    for part in &parts {
        if is_printable(part.raw) {
            written.push(part.raw.to_owned());
            continue;
        }
        let (name, text) = part.parameter.as_ref()?;
        if name.ends_with('*') {
            written.push(format!("{name}={}", extended_in_ascii(text)?));
        } else if !names.contains(format!("{name}*").as_str()) {
            let text = utf8_percent_encode(text, &ATTR_CHAR);
            written.push(format!("{name}*=UTF-8''{text}"));
        }
    }
    Some(written.join("; "))
}

/// An extended value whose text was not encoded, or only in part.
fn extended_in_ascii(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (language, text) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") || !is_printable(language) {
        return None;
    }
    let text = utf8_percent_encode(text, &ENCODED_CHAR);
    Some(format!("UTF-8'{language}'{text}"))
}

/// Cuts a disposition at the semicolons that stand outside quotes (RFC 6266, 4.1). Values without
/// quotes may hold what they want, as many programs write file names so.
fn read(mut rest: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c == ';' || is_blank(c));
        if rest.is_empty() {
            return Some(parts);
        }
        let whole = rest;
        let end = rest.find([';', '=']).unwrap_or(rest.len());
        let name = rest.get(..end)?.trim_matches(is_blank);
        rest = rest.get(end..)?;
        let parameter = match rest.strip_prefix('=') {
            None => None,
            Some(after) => {
                let (value, behind) = read_value(after.trim_start_matches(is_blank))?;
                rest = behind;
                Some((name.to_ascii_lowercase(), value))
            }
        };
        let raw = whole.get(..whole.len() - rest.len())?;
        let raw = raw.trim_matches(is_blank);
        parts.push(Part { raw, parameter });
    }
}

/// The value at the beginning, without quotes, and what is behind it: a semicolon or nothing.
fn read_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        return Some((value.trim_matches(is_blank).to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let rest = quoted.get(at + 1..)?.trim_start_matches(is_blank);
                let ends = rest.is_empty() || rest.starts_with(';');
                return ends.then_some((value, rest));
            }
            '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

fn is_token(name: &str) -> bool {
    let separator = |c: char| "()<>@,;:\\\"/[]?={} ".contains(c);
    !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && !separator(c))
}

/// Is it printable ASCII?
fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ascii_or_cannot_be_read_is_left_alone() {
        for value in [
            "attachment; filename=\"a b\"",
            "attachment; filename=\"a;b\\\"c\"",
            "attachment; filename*=UTF-8''%C3%A9",
            "",
            "é",
            "attachment; é",
            "é; filename=a",
            "attachment; filename=\"é",
            "attachment; filename=\"é\\",
            "attachment; filename=\"é\"x",
            "attachment; filename=é; FileName=b",
            "attachment; file name=é",
            "attachment; =é",
            "attachment; filename*=é",
            "attachment; filename*=ISO-8859-1''é",
        ] {
            assert_eq!(in_ascii(value), None, "{value}");
        }
    }

    #[test]
    fn what_is_not_ascii_is_written_as_rfc_8187_has_it() {
        for (from, to) in [
            (
                "attachment; filename=\"naïve.txt\"",
                "attachment; filename*=UTF-8''na%C3%AFve.txt",
            ),
            (
                "inline; FileName=Übersicht (1).pdf",
                "inline; filename*=UTF-8''%C3%9Cbersicht%20%281%29.pdf",
            ),
            ("filename=é", "filename*=UTF-8''%C3%A9"),
            (
                "attachment;filename = \"é\" ; x=1",
                "attachment; filename*=UTF-8''%C3%A9; x=1",
            ),
            // A semicolon, an equals sign and quotes within quotes.
            (
                "attachment; filename=\"é; b=c.txt\"; size=3",
                "attachment; filename*=UTF-8''%C3%A9%3B%20b%3Dc.txt; size=3",
            ),
            (
                "attachment; filename=\"\\\"é\\\\\\;\"",
                "attachment; filename*=UTF-8''%22%C3%A9%5C%3B",
            ),
            (
                "attachment; name=\"a;\\\"b\"; filename=\"é\"",
                "attachment; name=\"a;\\\"b\"; filename*=UTF-8''%C3%A9",
            ),
            // Without quotes a backslash and a quote are characters.
            (
                "attachment; filename=a\\é\"",
                "attachment; filename*=UTF-8''a%5C%C3%A9%22",
            ),
            // The extended one is there already, before or behind it.
            (
                "attachment; filename=\"é\"; filename*=UTF-8''%C3%A8",
                "attachment; filename*=UTF-8''%C3%A8",
            ),
            (
                "attachment; FILENAME*=utf-8'en'%C3%A8; filename=\"é;\"",
                "attachment; FILENAME*=utf-8'en'%C3%A8",
            ),
            (
                "attachment; filename=\"e\"; filename*=UTF-8''100%25%20é'",
                "attachment; filename=\"e\"; filename*=UTF-8''100%25%20%C3%A9%27",
            ),
            // Any parameter may be extended (RFC 6266, `disp-ext-parm`).
            ("form-data; name=\"ñ\"", "form-data; name*=UTF-8''%C3%B1"),
            (
                "attachment; filename=\"a\u{7}\tb\"",
                "attachment; filename*=UTF-8''a%07%09b",
            ),
            (
                "attachment;; filename=é;",
                "attachment; filename*=UTF-8''%C3%A9",
            ),
            (
                "attachment; filename=文件名.txt",
                "attachment; filename*=UTF-8''%E6%96%87%E4%BB%B6%E5%90%8D.txt",
            ),
        ] {
            assert_eq!(in_ascii(from).as_deref(), Some(to), "{from}");
            assert_eq!(in_ascii(to), None, "{to}");
        }
    }
}
