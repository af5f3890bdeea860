//! Globs with the meaning of Go's `path.Match`, which AzCopy's patterns have.
//!
//! `*` and `?` stand for any characters and any character but `/`; `[a-z]` for one of a set, `[^a]`
//! for one outside of it; `\` takes the next character as it is, in sets too. Unlike a shell's
//! globs, `[!a]` is a set of two, a `]` or `-` in a set is written `\]` or `\-`, and `**` is `*`.
//! Source: <https://pkg.go.dev/path#Match>.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;

/// A glob, ready for use. Two are equal that were written alike.
#[derive(Clone, Debug)]
pub struct Glob {
    text: String,
    regex: Regex,
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Glob {}

impl Glob {
    /// Reads a glob.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub fn new(text: &str) -> Result<Self, String> {
        let mut pattern = String::from(r"\A");
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '*' => pattern.push_str("[^/]*"),
                '?' => pattern.push_str("[^/]"),
                '[' => set(&mut pattern, &mut rest)?,
                '\\' => literal(&mut pattern, escaped(&mut rest)?),
                c => literal(&mut pattern, c),
            }
        }
        pattern.push_str(r"\z");
        let regex = Regex::new(&pattern).map_err(|_| "it is too long".to_owned())?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }

    /// Does the whole text match?
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The glob as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// What follows a `[`, up to its `]`.
fn set(pattern: &mut String, rest: &mut Peekable<Chars<'_>>) -> Result<(), String> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = String::new();
    let mut read = 0;
    while read == 0 || rest.next_if_eq(&']').is_none() {
        let low = member(rest)?;
        let high = match rest.next_if_eq(&'-') {
            Some(_) => member(rest)?,
            None => low,
        };
        read += 1;
        // A range that runs backwards holds nothing; it is no mistake in Go.
        if low <= high {
            let (low, high) = (u32::from(low), u32::from(high));
            let written = write!(ranges, r"\x{{{low:X}}}-\x{{{high:X}}}");
            debug_assert!(written.is_ok(), "writing to a string does not fail");
        }
    }
    pattern.push_str(&match (negated, ranges.is_empty()) {
        (false, false) => format!("[{ranges}]"),
        (true, false) => format!("[^{ranges}]"),
        (false, true) => r"[^\x{0}-\x{10FFFF}]".to_owned(),
        (true, true) => r"[\x{0}-\x{10FFFF}]".to_owned(),
    });
    Ok(())
}

/// One character of a set.
fn member(rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    match rest.next() {
        Some('\\') => escaped(rest),
        Some(c @ (']' | '-')) => Err(format!("in a set {c} is written \\{c}")),
        Some(c) => Ok(c),
        None => Err("a [ has no ]".to_owned()),
    }
}

fn escaped(rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let next = rest.next();
    next.ok_or_else(|| "it ends in a \\: write \\\\ for that character".to_owned())
}

fn literal(pattern: &mut String, c: char) {
    pattern.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(rows: &[(&str, &str, Option<bool>)]) {
        for (glob, text, wanted) in rows {
            let got = Glob::new(glob).map(|glob| glob.matches(text));
            assert_eq!(got.ok(), *wanted, "{glob} {text}");
        }
    }

    /// Go's own table (path/match_test.go), what is refused there as `None`.
    #[test]
    fn the_meaning_is_gos() {
        check(&[
            ("abc", "abc", Some(true)),
            ("*", "abc", Some(true)),
            ("*c", "abc", Some(true)),
            ("a*", "a", Some(true)),
            ("a*", "abc", Some(true)),
            ("a*", "ab/c", Some(false)),
            ("a*/b", "abc/b", Some(true)),
            ("a*/b", "a/c/b", Some(false)),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", Some(true)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", Some(true)),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", Some(false)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", Some(false)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Some(true)),
            ("a*b?c*x", "abxbbxdbxebxczzy", Some(false)),
            ("ab[c]", "abc", Some(true)),
            ("ab[b-d]", "abc", Some(true)),
            ("ab[e-g]", "abc", Some(false)),
            ("ab[^c]", "abc", Some(false)),
            ("ab[^b-d]", "abc", Some(false)),
            ("ab[^e-g]", "abc", Some(true)),
            ("a\\*b", "a*b", Some(true)),
            ("a\\*b", "ab", Some(false)),
            ("a?b", "a☺b", Some(true)),
            ("a[^a]b", "a☺b", Some(true)),
            ("a???b", "a☺b", Some(false)),
            ("a[^a][^a][^a]b", "a☺b", Some(false)),
            ("[a-ζ]*", "α", Some(true)),
            ("*[a-ζ]", "A", Some(false)),
            ("a?b", "a/b", Some(false)),
            ("a*b", "a/b", Some(false)),
            ("[\\]a]", "]", Some(true)),
            ("[\\-]", "-", Some(true)),
            ("[x\\-]", "x", Some(true)),
            ("[x\\-]", "-", Some(true)),
            ("[x\\-]", "z", Some(false)),
            ("[\\-x]", "-", Some(true)),
            ("[\\-x]", "a", Some(false)),
            ("[]a]", "]", None),
            ("[-]", "-", None),
            ("[x-]", "x", None),
            ("[-x]", "x", None),
            ("\\", "a", None),
            ("[a-b-c]", "a", None),
            ("[", "a", None),
            ("[^", "a", None),
            ("[^bc", "a", None),
            ("a[", "a", None),
            ("a[", "ab", None),
            ("a[", "x", None),
            ("a/b[", "x", None),
            ("*x", "xxx", Some(true)),
        ]);
    }

    #[test]
    fn what_other_globs_take_otherwise() {
        check(&[
            ("**", "ab", Some(true)),
            ("[!a]", "a", Some(true)),
            ("[!a]", "b", Some(false)),
            ("[z-a]", "m", Some(false)),
            ("[^z-a]", "m", Some(true)),
            ("a{b,c}", "a{b,c}", Some(true)),
            ("A", "a", Some(false)),
            ("a]", "a]", Some(true)),
            ("?", "\n", Some(true)),
            ("a$", "a$", Some(true)),
            ("", "", Some(true)),
            ("", "a", Some(false)),
        ]);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_an_escaped_one_matches_itself(text in any::<String>()) {
            if let Ok(glob) = Glob::new(&text) {
                glob.matches("any");
                prop_assert_eq!(glob.as_str(), text.as_str());
            }
            let escaped: String = text.chars().flat_map(|c| ['\\', c]).collect();
            prop_assert!(Glob::new(&escaped).unwrap().matches(&text));
        }
    }
}
