//! AzCopy's rules for filters, one row each.

use super::*;

const NOON: i64 = 1_700_000_000;

fn filter(set: impl FnOnce(&mut Filters)) -> Filter {
    let mut filters = Filters::default();
    set(&mut filters);
    Filter::new(&filters).unwrap()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Asserts which of these paths pass.
fn passes(filter: &Filter, rows: &[(&str, bool)]) {
    for (path, wanted) in rows {
        assert_eq!(filter.admits(path, NOON), *wanted, "{path}");
    }
}

#[test]
fn without_filters_everything_passes() {
    passes(&filter(|_| {}), &[("a", true), ("a/b/", true), ("", true)]);
}

#[test]
fn patterns_look_at_the_last_segment_alone() {
    let images = filter(|f| f.include_pattern = texts(&["*.jpg", "exact.txt"]));
    passes(
        &images,
        &[
            ("a.jpg", true),
            ("d/e/a.jpg", true),
            ("d.jpg/a", false),
            ("a.JPG", false),
            ("d/exact.txt", true),
            ("d/inexact.txt", false),
            ("d.jpg/", false),
        ],
    );
    let others = filter(|f| f.exclude_pattern = texts(&["[^a]*", "a\\*"]));
    passes(
        &others,
        &[("ab", true), ("b/ab", true), ("ba", false), ("a*", false)],
    );
    let both = filter(|f| {
        f.include_pattern = texts(&["a*"]);
        f.exclude_pattern = texts(&["*z"]);
    });
    passes(&both, &[("ab", true), ("az", false), ("b", false)]);
}

#[test]
fn excluded_paths_are_beginnings_of_the_relative_path() {
    let filter = filter(|f| f.exclude_path = texts(&["logs/", "tmp", "logs/2024"]));
    passes(
        &filter,
        &[
            ("logs", true),
            ("logs/a", false),
            ("tmp", false),
            ("tmpfile", false),
            ("a/tmp", true),
            ("TMP", true),
        ],
    );
    assert_eq!(filter.left_out("logs/2024/x"), Some("logs/"));
    assert_eq!(filter.left_out("log"), None);
}

#[test]
fn regular_expressions_are_searched_for_in_the_relative_path() {
    let found = filter(|f| f.include_regex = texts(&["b/c", "^z"]));
    passes(
        &found,
        &[("a/b/c/d", true), ("z", true), ("az", false), ("b", false)],
    );
    let not = filter(|f| f.exclude_regex = texts(&[r"\.gz$", "(?i)SECRET"]));
    passes(
        &not,
        &[("a.gz", false), ("a.gz/b", true), ("x/secret/y", false)],
    );
}

#[test]
fn times_are_inclusive() {
    let filter = filter(|f| {
        f.after = Some(NOON);
        f.before = Some(NOON + 10);
    });
    for (modified, wanted) in [(-1, false), (0, true), (5, true), (10, true), (11, false)] {
        assert_eq!(filter.admits("a", NOON + modified), wanted, "{modified}");
    }
}

#[test]
fn one_anchored_expression_says_what_paths_begin_with() {
    let begins = |regexes| {
        let filter = filter(|f| f.include_regex = texts(regexes));
        filter.begins_with().to_owned()
    };
    assert_eq!(begins(&[r"^a/b.*\.gz$"]), "a/b");
    assert_eq!(begins(&["^a", "^b"]), "");
    assert_eq!(begins(&["a"]), "");
    assert_eq!(begins(&[]), "");
}

#[test]
fn what_cannot_be_read_is_named_with_its_flag() {
    for (set, parts) in [
        (
            (|f| f.include_pattern = texts(&["ok", "[a"])) as fn(&mut Filters),
            ["--include-pattern: entry 2", "no ]"],
        ),
        (
            |f| f.exclude_pattern = texts(&["a\\"]),
            ["--exclude-pattern: entry 1", "ends in a \\"],
        ),
        (
            |f| f.include_regex = texts(&["(a"]),
            ["--include-regex: entry 1", "unclosed group"],
        ),
        (
            |f| f.exclude_regex = texts(&["a{2,1}"]),
            ["--exclude-regex", "invalid repetition count range"],
        ),
    ] {
        let mut filters = Filters::default();
        set(&mut filters);
        let failure = Filter::new(&filters).unwrap_err();
        assert_eq!(failure.reason, Reason::Usage);
        for part in parts {
            assert!(failure.message.contains(part), "{part}: {failure}");
        }
    }
}
