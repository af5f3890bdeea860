//! The entries of `--include-path` and `--list-of-files`: which of them are listed, so that no key
//! is copied twice. Pure.

use std::collections::HashSet;

use crate::job::{Root, Scope};

/// The entries as roots of their own, in the order given. `whole` is the root of the source, a
/// prefix: its names are kept.
pub(super) fn roots(whole: &Root, paths: &[String], recursive: bool) -> Vec<Root> {
    let source = match &whole.scope {
        Scope::Prefix { prefix, .. } => prefix.as_str(),
        Scope::Object { .. } | Scope::Either { .. } => "",
    };
    let mut given: HashSet<&str> = paths.iter().map(String::as_str).collect();
    let all = given.clone();
    paths
        .iter()
        .filter(|path| given.remove(path.as_str()))
        .filter_map(|path| {
            let inside = others_around(&all, path, recursive)?;
            Some(Root {
                scope: Scope::Either {
                    key: format!("{source}{path}"),
                    base: source.len(),
                    top_level_only: !recursive,
                    inside: inside.iter().map(|end| source.len() + end).collect(),
                },
                ..whole.clone()
            })
        })
        .collect()
}

/// Ends of the entries that `path` may lie in, as [`Scope::Either`] has them; none where it
/// certainly lies in one.
fn others_around(all: &HashSet<&str>, path: &str, recursive: bool) -> Option<Vec<usize>> {
    let mut ends = Vec::new();
    for (end, _) in path.match_indices('/') {
        let (Some(outer), Some(folder)) = (path.get(..end), path.get(..=end)) else {
            continue;
        };
        let beyond = path.get(end + 1..).unwrap_or_default();
        // Below `outer/` itself there is nothing to lie in, and at its top level no folder.
        if beyond.is_empty() || (!recursive && beyond.contains('/')) {
            continue;
        }
        match (all.contains(folder), all.contains(outer)) {
            (true, _) if recursive => return None,
            (true, _) => ends.push(end + 1),
            (false, true) => ends.push(end),
            (false, false) => {}
        }
    }
    // `path/` is listed by itself: this one is the object alone.
    if !path.ends_with('/') && all.contains(format!("{path}/").as_str()) {
        ends.push(path.len());
    }
    Some(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `entry`, and after it the entries it may lie in.
    fn listed(paths: &[&str], recursive: bool) -> Vec<String> {
        let whole = Root {
            bucket: "b".into(),
            region: "r".into(),
            scope: Scope::Prefix {
                prefix: "s/".into(),
                top_level_only: !recursive,
            },
            container: "c".into(),
            blob_prefix: "p/".into(),
            strip: 2,
            refused: None,
        };
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let roots = roots(&whole, &paths, recursive);
        let brief = |root: Root| match &root.scope {
            Scope::Either {
                key,
                base: 2,
                top_level_only,
                inside,
            } => {
                assert_eq!(*top_level_only, !recursive);
                assert_eq!((root.strip, root.blob_prefix.as_str()), (2, "p/"));
                let mut text = key.strip_prefix("s/").unwrap().to_owned();
                for end in inside {
                    text += &format!(" in {}", key.get(2..*end).unwrap());
                }
                text
            }
            other => panic!("{other:?}"),
        };
        roots.into_iter().map(brief).collect()
    }

    #[test]
    fn no_key_is_listed_twice() {
        for (paths, recursive, wanted) in [
            (&["b", "a", "b"][..], true, &["b", "a"][..]),
            // Surely inside: dropped.
            (&["a/b", "a/", "a/c/d"], true, &["a/"]),
            (&["/x", "/"], true, &["/"]),
            // Inside, unless `a` is an object: the lister looks.
            (&["a/b", "a"], true, &["a/b in a", "a"]),
            (
                &["a/b/c", "a", "a/b"],
                true,
                &["a/b/c in a in a/b", "a", "a/b in a"],
            ),
            // An object and a folder of one name.
            (&["a", "a/"], true, &["a in a", "a/"]),
            // Not inside.
            (&["ab", "a", "a-b/c"], true, &["ab", "a", "a-b/c"]),
            // A top level holds objects only.
            (&["a/b", "a/"], false, &["a/b in a/", "a/"]),
            (&["a/b", "a"], false, &["a/b in a", "a"]),
            (&["a/b/", "a/"], false, &["a/b/", "a/"]),
            (&["a/b/c", "a"], false, &["a/b/c", "a"]),
        ] {
            assert_eq!(listed(paths, recursive), wanted, "{paths:?}");
        }
    }
}
