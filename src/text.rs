//! Text of other machines made fit to be shown: one line, bounded, nothing in it that a terminal
//! or a reader takes for something else. Pure.

use std::borrow::Cow;
use std::fmt::Write;

/// The most bytes a failure's text has. What a service says has no bound of its own, and every
/// outcome, ledger row and log line carries it.
pub const LONGEST_MESSAGE: usize = 1024;

/// The text on one line: control characters separate words, bidirectional controls are written
/// out, as they would change the order in which the rest is read (Unicode Annex 9).
pub fn one_line(text: &str) -> String {
    let parts: Vec<&str> = text
        .split(char::is_control)
        .filter(|part| !part.is_empty())
        .collect();
    write_out(Cow::Owned(parts.join(" ")), is_bidirectional).into_owned()
}

/// The text, such as a key, with control characters and bidirectional controls written out as
/// `\n` or `\u{202e}`, so that what is shown tells it from every other.
pub fn visible(text: &str) -> Cow<'_, str> {
    write_out(Cow::Borrowed(text), |letter| {
        letter.is_control() || is_bidirectional(letter)
    })
}

/// A key as it is, or in quotes where something in it is written out.
pub fn quoted_if_odd(key: &str) -> Cow<'_, str> {
    match visible(key) {
        Cow::Borrowed(key) => Cow::Borrowed(key),
        Cow::Owned(_) => Cow::Owned(format!("{key:?}")),
    }
}

/// A name of somebody else's, such as a job's in a message, for a line of the log: visible, and at
/// most 100 bytes.
pub fn short(name: &str) -> String {
    const SHORT: usize = 100;
    cut(visible(name).into_owned(), SHORT)
}

/// The text cut to `most` bytes, the marker of what is missing included.
pub fn cut(text: String, most: usize) -> String {
    const MARK: &str = " […]";
    if text.len() <= most {
        return text;
    }
    let room = most.saturating_sub(MARK.len());
    let mut short = text;
    short.truncate(short.floor_char_boundary(room));
    short.push_str(MARK);
    short
}

fn write_out(text: Cow<'_, str>, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hidden) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if hidden(letter) {
            // Writing to a String does not fail.
            write!(shown, "{}", letter.escape_debug()).unwrap_or_default();
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// Characters that only change the direction of others (Unicode, property `Bidi_Control`).
fn is_bidirectional(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn foreign_text_is_one_line_and_reads_from_left_to_right() {
        assert_eq!(one_line("bad\r\nthing\u{7}here"), "bad thing here");
        assert_eq!(one_line("a\u{202e}gpj.exe"), "a\\u{202e}gpj.exe");
        assert_eq!(one_line("naïve ☃ 𝒳"), "naïve ☃ 𝒳");
    }

    #[test]
    fn a_key_is_shown_so_that_it_can_be_told_from_others() {
        assert_eq!(visible("a\nb\u{7}"), "a\\nb\\u{7}");
        assert_eq!(visible("\u{2066}x\u{2069}"), "\\u{2066}x\\u{2069}");
        assert_eq!(visible("שלום/a b"), "שלום/a b");
    }

    proptest! {
        #[test]
        fn what_is_cut_is_short_and_begins_alike(text in "\\PC*", most in 8usize..64) {
            let short = cut(text.clone(), most);
            prop_assert!(short.len() <= most.max(text.len().min(most)));
            match short.strip_suffix(" […]") {
                Some(kept) if short != text => prop_assert!(text.starts_with(kept)),
                _ => prop_assert_eq!(short, text),
            }
        }
    }
}
