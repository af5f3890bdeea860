//! AzCopy's rules 5.3 (which blob an object becomes), every row, with the result we want.

use super::roots::{self, Bucket, Layout};
use crate::destination::naming::ContainerNames;
use crate::destination::url::DestinationUrl;
use crate::failure::Result;
use crate::job::Root;
use crate::source::url::{Level, SourceUrl};

const SERVICE: &str = "https://acct.blob.core.windows.net";

fn destination(path: &str) -> DestinationUrl {
    DestinationUrl::parse(&format!("{SERVICE}/{path}")).unwrap()
}

fn bucket(name: &str) -> Bucket {
    Bucket {
        name: name.into(),
        region: "us-east-1".into(),
    }
}

fn layout(as_subdir: bool, contents_only: bool) -> Layout {
    Layout {
        recursive: true,
        as_subdir,
        contents_only,
    }
}

/// Container and blob name a key gets.
fn named(root: Result<Root>, key: &str) -> String {
    let root = root.unwrap();
    format!(
        "{}: {}{}",
        root.container,
        root.blob_prefix,
        key.get(root.strip..).unwrap()
    )
}

#[test]
fn objects() {
    for (to, expected) in [
        ("cont", "cont: f"),
        ("cont/", "cont: f"),
        ("cont/d/", "cont: d/f"),
        ("cont/d/x", "cont: d/x"),
    ] {
        let root = roots::object(&bucket("b"), "a/b/f", None, &destination(to));
        assert_eq!(named(root, "a/b/f"), expected, "{to}");
    }
    let failure = roots::object(&bucket("b"), "a/b/f", None, &destination("")).unwrap_err();
    assert!(failure.message.contains("name a container"), "{failure}");
}

#[test]
fn directories() {
    for (key, subdir, contents, to, expected) in [
        ("a/b", true, false, "cont", "cont: b/x/y"),
        ("a/b/", true, false, "cont", "cont: b/x/y"),
        ("a/b", true, false, "cont/d", "cont: d/b/x/y"),
        ("a/b", true, false, "cont/d/", "cont: d/b/x/y"),
        ("a/b", false, false, "cont/d", "cont: d/x/y"),
        ("a/b/", true, true, "cont/d", "cont: d/x/y"),
        ("a/b/", true, true, "cont", "cont: x/y"),
    ] {
        let root = roots::directory(
            &bucket("b"),
            key,
            layout(subdir, contents),
            &destination(to),
        );
        assert_eq!(named(root, "a/b/x/y"), expected, "{key} {to}");
    }
    let failure = roots::directory(&bucket("b"), "a", layout(true, false), &destination(""));
    assert!(failure.unwrap_err().message.contains("name a container"));
    let top = roots::directory(
        &bucket("b"),
        "top",
        layout(true, false),
        &destination("cont"),
    );
    assert_eq!(named(top, "top/x"), "cont: top/x");
}

#[test]
fn buckets() {
    for (subdir, contents, to, expected) in [
        (true, false, "cont", "cont: k/l"),
        (true, false, "cont/d", "cont: d/bu.cket/k/l"),
        (false, false, "cont/d", "cont: d/k/l"),
        (true, true, "cont/d", "cont: d/k/l"),
        (true, false, "", "bu-cket: k/l"),
    ] {
        let mut names = ContainerNames::default();
        let root = roots::bucket(
            &bucket("bu.cket"),
            layout(subdir, contents),
            &destination(to),
            &mut names,
        );
        assert_eq!(named(root, "k/l"), expected, "{to}");
    }
    for (subdir, contents) in [(false, false), (true, true)] {
        let mut names = ContainerNames::default();
        let refused = roots::bucket(
            &bucket("b"),
            layout(subdir, contents),
            &destination(""),
            &mut names,
        );
        assert!(refused.unwrap_err().message.contains("name a container"));
    }
}

/// AzCopy calls the folder after the host where the bucket stands there.
#[test]
fn a_bucket_has_one_folder_however_it_is_named() {
    for url in [
        "https://s3.amazonaws.com/bu.cket",
        "https://bu.cket.s3.amazonaws.com/",
        "https://bu.cket.s3.eu-west-1.amazonaws.com",
        "s3://bu.cket",
    ] {
        let source = SourceUrl::parse(url, None).unwrap();
        let Level::Bucket { bucket: name } = &source.level else {
            panic!("{url}")
        };
        let mut names = ContainerNames::default();
        let layout = layout(true, source.contents_only);
        let root = roots::bucket(&bucket(name), layout, &destination("cont/d"), &mut names);
        assert_eq!(named(root, "k"), "cont: d/bu.cket/k", "{url}");
    }
}

#[test]
fn many_buckets() {
    for (to, expected) in [
        ("", "bu-cket: k"),
        ("cont", "cont: bu-cket/k"),
        ("cont/d", "cont: d/bu-cket/k"),
    ] {
        let mut names = ContainerNames::new(&["bu.cket"], &[]).unwrap();
        let root = roots::of_many(
            &bucket("bu.cket"),
            layout(true, false),
            &destination(to),
            &mut names,
        );
        assert_eq!(named(root, "k"), expected, "{to}");
    }
}

#[test]
fn depth_must_be_asked_for() {
    let flat = Layout {
        recursive: false,
        as_subdir: true,
        contents_only: false,
    };
    let to = destination("cont");
    let mut names = ContainerNames::default();
    for refused in [
        roots::directory(&bucket("b"), "a", flat, &to),
        roots::bucket(&bucket("b"), flat, &to, &mut names),
        roots::of_many(&bucket("b"), flat, &to, &mut names),
    ] {
        assert!(refused.unwrap_err().message.contains("--recursive"));
    }
}
