//! What every match of a regular expression begins with. Pure.

/// Characters that mean something else than themselves.
const SPECIAL: &str = r"\.+*?()|[]{}^$";

/// The literal text after the `^` that a regular expression begins with: what it is found in
/// begins with it too. None where there is no such text, or none that is certain.
pub(super) fn prefix(regex: &str) -> Option<String> {
    let rest = regex.strip_prefix('^')?;
    if may_choose(rest) {
        return None;
    }
    let mut literal = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            // These may ask for none of what stands before them; + does where another follows.
            '*' | '?' | '{' | '+' => {
                literal.pop();
                break;
            }
            '\\' => match chars.next() {
                Some(c) if SPECIAL.contains(c) || c == '/' || c == '-' => literal.push(c),
                _ => break,
            },
            c if SPECIAL.contains(c) => break,
            c => literal.push(c),
        }
    }
    Some(literal).filter(|literal| !literal.is_empty())
}

/// Could a `|` offer something that does not begin like the rest? In doubt, yes.
fn may_choose(regex: &str) -> bool {
    if regex.contains('|') && regex.contains('[') {
        return true;
    }
    let mut depth = 0_usize;
    let mut chars = regex.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    #[test]
    fn only_what_is_certain_counts() {
        for (regex, wanted) in [
            ("^logs/2024", Some("logs/2024")),
            (r"^logs/.*\.gz$", Some("logs/")),
            (r"^a\.b/c", Some("a.b/c")),
            (r"^a\\b", Some(r"a\b")),
            ("^ab*", Some("a")),
            ("^ab?c", Some("a")),
            ("^ab{0,2}", Some("a")),
            ("^ab+", Some("a")),
            ("^ab+??", Some("a")),
            ("^é*", None),
            ("^ü/x", Some("ü/x")),
            (r"^a\d", Some("a")),
            (r"^a\b", Some("a")),
            ("^a(b|c)", Some("a")),
            (r"^a\(b|c", None),
            ("^a|b", None),
            ("^a(b)|c", None),
            ("^a[(]|b", None),
            ("^a[b]c", Some("a")),
            ("^a$", Some("a")),
            ("a", None),
            ("(^a)", None),
            ("(?i)^a", None),
            ("^(?i)a", None),
            ("^", None),
            ("", None),
        ] {
            assert_eq!(prefix(regex).as_deref(), wanted, "{regex}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn nothing_is_found_that_begins_otherwise(
            tail in r"[ab|()\[\]*+?.^$\\{}1,x-]{0,8}",
            texts in proptest::collection::vec("[ab|()x1-]{0,4}", 20),
        ) {
            let text = format!("^{tail}");
            if let (Ok(regex), Some(literal)) = (Regex::new(&text), prefix(&text)) {
                for found in texts.iter().filter(|text| regex.is_match(text)) {
                    prop_assert!(found.starts_with(&literal), "{text} {literal} {found}");
                }
            }
        }
    }
}
