//! What is copied where, for every shape of source, and what must then be at the destination.
//! The objects are those of `tests/parts/plan.py`; the naming rules are AzCopy's.

use serde::Serialize;

/// One copy and what it must bring about.
pub(crate) struct Case {
    pub(crate) shape: Shape,
    pub(crate) source: &'static str,
    pub(crate) flags: &'static [&'static str],
    /// `container`, `container/dir/`, …; empty for the account.
    pub(crate) destination: &'static str,
    pub(crate) rules: &'static [Rule<'static>],
}

/// The shapes a source can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Object,
    Directory,
    Bucket,
    Pattern,
    Region,
    AllRegions,
}

/// Which objects become which blobs; see compare.py.
#[derive(Serialize)]
pub(crate) struct Rule<'a> {
    bucket: &'static str,
    prefix: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<&'a [&'a str]>,
    top_level: bool,
    container: &'static str,
    strip: &'static str,
    add: &'static str,
}

/// A whole bucket, its keys unchanged after `add`.
const fn whole(bucket: &'static str, container: &'static str, add: &'static str) -> Rule<'static> {
    Rule {
        bucket,
        prefix: "",
        keys: None,
        top_level: false,
        container,
        strip: "",
        add,
    }
}

/// These of a bucket's keys, unchanged.
pub(crate) const fn exactly<'a>(
    bucket: &'static str,
    keys: &'a [&'a str],
    container: &'static str,
) -> Rule<'a> {
    Rule {
        keys: Some(keys),
        ..whole(bucket, container, "")
    }
}

const RECURSIVE: &[&str] = &["--recursive"];

/// No two of them share a container, but for those that go to the account's root.
pub(crate) const CASES: &[Case] = &[
    Case {
        shape: Shape::Object,
        source: "s3://pre-one/dir/file.txt",
        flags: &[],
        destination: "object",
        rules: &[Rule {
            keys: Some(&["dir/file.txt"]),
            strip: "dir/",
            ..whole("pre-one", "object", "")
        }],
    },
    Case {
        shape: Shape::Object,
        source: "https://s3.amazonaws.com/pre-one/dir/a%20b%2Bc%25.txt",
        flags: &[],
        destination: "object-named/d/x%20y",
        rules: &[Rule {
            keys: Some(&["dir/a b+c%.txt"]),
            strip: "dir/a b+c%.txt",
            ..whole("pre-one", "object-named", "d/x y")
        }],
    },
    Case {
        shape: Shape::Object,
        source: "https://other-eu.s3.eu-west-1.amazonaws.com/3145745.bin",
        flags: &[],
        destination: "object-in-blocks/d/",
        rules: &[Rule {
            keys: Some(&["3145745.bin"]),
            ..whole("other-eu", "object-in-blocks", "d/")
        }],
    },
    Case {
        shape: Shape::Directory,
        source: "s3://pre-one/dir",
        flags: RECURSIVE,
        destination: "directory",
        rules: &[Rule {
            prefix: "dir/",
            ..whole("pre-one", "directory", "")
        }],
    },
    Case {
        shape: Shape::Directory,
        source: "https://s3.us-east-1.amazonaws.com/pre-one/dir/",
        flags: &["--recursive", "--as-subdir=false"],
        destination: "directory-flat/d",
        rules: &[Rule {
            prefix: "dir/",
            strip: "dir/",
            ..whole("pre-one", "directory-flat", "d/")
        }],
    },
    Case {
        shape: Shape::Directory,
        source: "s3://pre-one/dir/*",
        flags: &[],
        destination: "directory-top",
        rules: &[Rule {
            prefix: "dir/",
            strip: "dir/",
            top_level: true,
            ..whole("pre-one", "directory-top", "")
        }],
    },
    Case {
        shape: Shape::Bucket,
        source: "s3://pre-one",
        flags: RECURSIVE,
        destination: "bucket",
        rules: &[whole("pre-one", "bucket", "")],
    },
    Case {
        shape: Shape::Bucket,
        source: "https://other-eu.s3-eu-west-1.amazonaws.com",
        flags: RECURSIVE,
        destination: "bucket-below/d",
        rules: &[whole("other-eu", "bucket-below", "d/other-eu/")],
    },
    Case {
        shape: Shape::Pattern,
        source: "s3://pre*",
        flags: RECURSIVE,
        destination: "",
        rules: &[
            whole("pre-one", "pre-one", ""),
            whole("pre-two", "pre-two", ""),
        ],
    },
    Case {
        shape: Shape::Pattern,
        source: "https://s3.amazonaws.com/*e*t*",
        flags: RECURSIVE,
        destination: "pattern/d",
        rules: &[
            whole("pre-two", "pattern", "d/pre-two/"),
            whole("west", "pattern", "d/west/"),
            whole("empty-bucket", "pattern", "d/empty-bucket/"),
        ],
    },
    Case {
        shape: Shape::Region,
        source: "s3://",
        flags: &["--recursive", "--s3-region", "eu-west-1"],
        destination: "",
        rules: &[
            whole("pre-two", "pre-two", ""),
            whole("other-eu", "other-eu", ""),
        ],
    },
    Case {
        shape: Shape::Region,
        source: "https://s3.eu-west-1.amazonaws.com",
        flags: RECURSIVE,
        destination: "region/d/",
        rules: &[
            whole("pre-two", "region", "d/pre-two/"),
            whole("other-eu", "region", "d/other-eu/"),
        ],
    },
    Case {
        shape: Shape::AllRegions,
        source: "https://s3.amazonaws.com",
        flags: RECURSIVE,
        destination: "",
        rules: &[
            whole("pre-one", "pre-one", ""),
            whole("pre-two", "pre-two", ""),
            whole("other-eu", "other-eu", ""),
            whole("west", "west", ""),
            whole("thousand", "thousand", ""),
            whole("empty-bucket", "empty-bucket", ""),
        ],
    },
    Case {
        shape: Shape::AllRegions,
        source: "s3://",
        flags: RECURSIVE,
        destination: "all/d",
        rules: &[
            whole("pre-one", "all", "d/pre-one/"),
            whole("pre-two", "all", "d/pre-two/"),
            whole("other-eu", "all", "d/other-eu/"),
            whole("west", "all", "d/west/"),
            whole("thousand", "all", "d/thousand/"),
            whole("empty-bucket", "all", "d/empty-bucket/"),
        ],
    },
];
