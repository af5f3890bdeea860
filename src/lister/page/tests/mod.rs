//! Pages, whole and cut short.

mod named;

use proptest::prelude::*;

use super::*;
use crate::failure::Reason;
use crate::job::{CopyOptions, Scope};

fn root(refused: Option<&str>) -> Root {
    Root {
        refused: refused.map(str::to_owned),
        ..directory("")
    }
}

/// All keys of a prefix, which is dropped from the names.
fn directory(prefix: &str) -> Root {
    Root {
        bucket: "b".into(),
        region: "us-east-1".into(),
        scope: Scope::Prefix {
            prefix: prefix.to_owned(),
            top_level_only: false,
        },
        container: "c".into(),
        blob_prefix: String::new(),
        strip: prefix.len(),
        refused: None,
    }
}

fn task(until: Option<&str>) -> ListTask {
    ListTask {
        job: JobId::new("j-1"),
        id: 4,
        root: 2,
        range: KeyRange {
            after: None,
            until: until.map(str::to_owned),
            cursor: None,
        },
        round: 1,
        only: Vec::new(),
        without: Vec::new(),
    }
}

fn found(key: &str) -> Found {
    Found {
        object: ListedObject {
            key: key.to_owned(),
            // A folder's marker holds nothing.
            size: if key.ends_with('/') { 0 } else { 10 },
            etag: None,
            modified: 0,
            version: None,
            storage_class: None,
        },
        archived: None,
    }
}

fn listing(keys: &[&str], next_after: Option<&str>) -> Listing {
    Listing {
        objects: keys.iter().map(|key| found(key)).collect(),
        next: next_after.map(|after| Onward {
            after: Some(after.to_owned()),
            cursor: None,
        }),
        is_order_promised: true,
        ..Listing::default()
    }
}

fn rules(set: impl FnOnce(&mut CopyOptions)) -> Rules {
    let mut options = CopyOptions::default();
    set(&mut options);
    Rules::new(&options).unwrap()
}

fn excluding(paths: &[&str]) -> Rules {
    rules(|options| {
        options.filters.exclude_path = paths.iter().map(|path| (*path).to_owned()).collect();
    })
}

fn drafted(task: &ListTask, root: &Root, rules: &Rules, listing: Listing) -> Draft {
    draft(task, root, rules, 9, listing).unwrap()
}

/// With every rule at its default.
fn plain(task: &ListTask, root: &Root, listing: Listing) -> Draft {
    drafted(task, root, &rules(|_| {}), listing)
}

fn keys(draft: &Draft) -> Vec<(u32, &str)> {
    draft
        .tasks
        .iter()
        .map(|task| (task.id.index, task.object.key.as_str()))
        .collect()
}

#[test]
fn folder_markers_are_skipped_and_keep_their_index() {
    let listed = listing(&["a", "d/", "d/x"], Some("d/x"));
    let draft = plain(&task(None), &root(None), listed);
    assert_eq!(keys(&draft), [(0, "a"), (2, "d/x")]);
    assert_eq!(
        draft.tasks[1].id,
        CopyId {
            job: JobId::new("j-1"),
            list_task: 4,
            nonce: 9,
            index: 2,
            round: 1
        }
    );
    let page = draft.whole();
    assert_eq!((page.objects, page.bytes), (3, 20));
    let decided: Vec<_> = page
        .decided
        .iter()
        .map(|d| (d.index, d.key.as_str()))
        .collect();
    assert_eq!(decided, [(1, "d/")]);
    assert_eq!(
        page.next,
        [KeyRange {
            after: Some("d/x".into()),
            until: None,
            cursor: None,
        }]
    );
}

#[test]
fn a_range_ends_at_its_last_key_whatever_the_source_goes_on_to() {
    let listed = listing(&["a", "b", "c"], Some("c"));
    let draft = plain(&task(Some("b")), &root(None), listed);
    assert_eq!(keys(&draft), [(0, "a"), (1, "b")]);
    assert_eq!(draft.whole().next, [], "nothing follows beyond the range");
}

#[test]
fn a_bucket_without_a_container_fails_object_by_object() {
    let listed = listing(&["a", "d/"], None);
    let draft = plain(&task(None), &root(Some("no name")), listed);
    assert!(draft.tasks.is_empty());
    let page = draft.whole();
    assert!(
        matches!(&page.decided[0].ending, Ending::Failed { reason, message }
        if *reason == Reason::ContainerRejected && message == "no name")
    );
    assert!(matches!(page.decided[1].ending, Ending::Skipped { .. }));
}

#[test]
fn a_page_cut_short_ends_before_the_first_task_that_is_missing() {
    let whole = || {
        let listed = listing(&["a", "d/", "e", "f"], Some("f"));
        plain(&task(Some("z")), &root(None), listed)
    };
    let page = whole().cut(1).unwrap();
    assert_eq!((page.objects, page.bytes), (2, 10), "a and d/");
    assert_eq!(page.decided.len(), 1);
    assert_eq!(
        page.next,
        [KeyRange {
            after: Some("d/".into()),
            until: Some("z".into()),
            cursor: None,
        }]
    );
    let page = whole().cut(3).unwrap();
    assert_eq!(page.objects, 4, "all is confirmed");
    assert_eq!(whole().cut(0), None, "nothing is");
}

#[test]
fn a_last_page_cut_short_is_followed_by_the_rest_of_its_range() {
    let page = plain(&task(None), &root(None), listing(&["a", "b"], None))
        .cut(1)
        .unwrap();
    assert_eq!(
        page.next,
        [KeyRange {
            after: Some("a".into()),
            until: None,
            cursor: None,
        }]
    );
}

/// What is filtered has no index, is counted apart, and its bytes are nobody's.
#[test]
fn what_a_filter_leaves_out_is_seen_but_not_listed() {
    let listed = listing(&["d/a", "d/x/", "d/x/b", "d/z"], None);
    let draft = drafted(&task(None), &directory("d/"), &excluding(&["x/"]), listed);
    assert_eq!(keys(&draft), [(0, "d/a"), (1, "d/z")]);
    let page = draft.whole();
    assert_eq!((page.objects, page.bytes, page.filtered), (2, 20, 2));
    assert_eq!(page.decided, [], "not even as a folder marker");
}

#[test]
fn a_page_that_ends_in_an_excluded_path_is_followed_by_what_comes_behind_it() {
    let next = |root: &Root, rules: &Rules, until: Option<&str>, last: &str| {
        let listed = listing(&[last], Some(last));
        let page = drafted(&task(until), root, rules, listed).whole();
        page.next
            .into_iter()
            .map(|range| (range.after.unwrap(), range.until))
            .collect::<Vec<_>>()
    };
    let range = |after: &str, until: Option<&str>| vec![(after.to_owned(), until.map(Into::into))];
    let skip = excluding(&["skip/", "sk"]);
    let whole = root(None);
    assert_eq!(
        next(&whole, &skip, None, "skip/1"),
        range("sk\u{10ffff}", None)
    );
    assert_eq!(
        next(&directory("d/"), &skip, Some("z"), "d/sk"),
        range("d/sk\u{10ffff}", Some("z")),
        "relative to the source"
    );
    assert_eq!(next(&whole, &skip, None, "s"), range("s", None));
    assert_eq!(
        next(&whole, &skip, Some("skz"), "skip/1"),
        [],
        "the excluded path goes beyond the range"
    );
    assert_eq!(
        next(&whole, &skip, None, "sk\u{10ffff}x"),
        range("sk\u{10ffff}x", None),
        "never backwards"
    );
    let long = "x".repeat(1022);
    assert_eq!(
        next(&whole, &excluding(&[&long]), None, &long),
        range(&long, None),
        "S3 takes no longer start-after"
    );
}

/// The keys behind the cut come again, so those filtered among them do not count yet.
#[test]
fn a_page_cut_short_counts_what_was_filtered_before_the_cut() {
    let whole = || {
        let listed = listing(&["a", "skip1", "b", "skip2", "c", "skip3"], None);
        drafted(&task(None), &root(None), &excluding(&["skip"]), listed)
    };
    for (confirmed, last, objects, filtered) in [(1, "a", 1, 0), (2, "b", 2, 1)] {
        let page = whole().cut(confirmed).unwrap();
        assert_eq!((page.objects, page.filtered), (objects, filtered));
        assert_eq!(page.next[0].after.as_deref(), Some(last));
    }
    let page = whole().cut(3).unwrap();
    assert_eq!((page.objects, page.filtered, page.next.len()), (3, 3, 0));
}

#[test]
fn archived_objects_are_skipped_with_their_storage_class() {
    let mut listed = listing(&["a", "b"], None);
    listed.objects[1].archived = Some("DEEP_ARCHIVE".into());
    let draft = plain(&task(None), &root(None), listed);
    assert_eq!(keys(&draft), [(0, "a")]);
    let decided = &draft.whole().decided[0];
    assert_eq!((decided.index, decided.key.as_str()), (1, "b"));
    assert!(
        matches!(&decided.ending, Ending::Skipped { reason, message }
        if reason == "archived" && message.contains("DEEP_ARCHIVE") && message.contains("restore")),
        "{decided:?}"
    );
}

#[test]
fn folder_markers_are_copied_on_demand_but_for_the_one_without_a_name() {
    let stubs = rules(|options| options.directory_stubs = true);
    let below = directory("d/");
    let kept = Root {
        strip: 0,
        ..below.clone()
    };
    let listed = || listing(&["d/", "d/e/", "d/e/f"], None);
    let draft = drafted(&task(None), &below, &stubs, listed());
    assert_eq!(keys(&draft), [(1, "d/e/"), (2, "d/e/f")]);
    assert_eq!(draft.whole().decided[0].key, "d/");
    let draft = drafted(&task(None), &kept, &stubs, listed());
    assert_eq!(keys(&draft), [(0, "d/"), (1, "d/e/"), (2, "d/e/f")]);
}

#[test]
fn an_object_the_user_named_fails_under_its_name() {
    let failed = Failure::give_up(Reason::SourceNotFound, "no such object");
    let listed = Listing {
        failed: vec![("d/k".into(), failed)],
        ..Listing::default()
    };
    let page = plain(&task(None), &root(None), listed).whole();
    assert_eq!((page.objects, page.bytes), (1, 0));
    let decided = &page.decided[0];
    assert_eq!((decided.index, decided.key.as_str()), (0, "d/k"));
    assert!(matches!(&decided.ending, Ending::Failed { reason, message }
        if *reason == Reason::SourceNotFound && message == "no such object"));
}

#[test]
fn a_listing_is_narrowed_to_what_can_pass() {
    let found =
        |regex: &str| rules(|options| options.filters.include_regex = vec![regex.to_owned()]);
    let logs = found(r"^logs/2024.*\.gz$");
    assert_eq!(logs.narrowed("", false), "logs/2024");
    assert_eq!(logs.narrowed("d/", false), "d/logs/2024");
    assert_eq!(logs.narrowed("d/", true), "d/logs", "its top level only");
    assert_eq!(found("logs").narrowed("d/", false), "d/");
    let long = "x".repeat(1020);
    assert_eq!(logs.narrowed(&long, false), long);
}

/// Any legal key, or what a URL, a path or a glob takes specially.
fn key() -> impl Strategy<Value = String> {
    let special = prop_oneof![
        Just("/"),
        Just("."),
        Just(".."),
        Just("\\"),
        Just("%2F"),
        Just("*"),
        Just("[a"),
        Just("\n"),
        Just("//"),
        Just("d/"),
        Just("\u{10ffff}"),
    ];
    let piece = prop_oneof![
        special.prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
        "[a-z]{1,300}",
    ];
    proptest::collection::vec(piece, 1..6).prop_map(|pieces| {
        let mut key = pieces.concat();
        while key.len() > 1024 {
            key.pop();
        }
        key
    })
}

proptest! {
    /// No key is lost: it is filtered, decided with a reason, or a task whose blob has the root's
    /// prefix and the key; and the indices are those of the page.
    #[test]
    fn every_key_gets_a_task_or_a_reason(
        tails in proptest::collection::btree_set(key(), 1..20),
        archived in any::<u32>(),
        stubs in any::<bool>(),
        excluded in "[a-d/]{0,2}",
        cut in 0..20_usize,
    ) {
        let rules = rules(|options| {
            options.directory_stubs = stubs;
            options.filters.exclude_path = vec![excluded.clone()];
            options.filters.exclude_path.retain(|path| !path.is_empty());
        });
        let root = Root { blob_prefix: "to/".into(), ..directory("d/") };
        let all: Vec<String> = tails.iter().map(|tail| format!("d/{tail}")).collect();
        let mut listed = listing(&all.iter().map(String::as_str).collect::<Vec<_>>(), None);
        for (at, found) in listed.objects.iter_mut().enumerate() {
            found.archived = (archived >> at & 1 == 1).then(|| "GLACIER".to_owned());
        }
        let draft = drafted(&task(None), &root, &rules, listed);
        let mut named = std::collections::BTreeMap::new();
        for task in &draft.tasks {
            let tail = task.object.key.strip_prefix("d/").unwrap();
            prop_assert_eq!(root.blob(&task.object.key), Some(format!("to/{tail}")));
            prop_assert!(named.insert(task.id.index, task.object.key.clone()).is_none());
        }
        let short = draft.clone().cut(cut);
        let page = draft.whole();
        for decided in &page.decided {
            let why = match &decided.ending {
                Ending::Skipped { reason, .. } => reason.as_str(),
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            prop_assert!(matches!(why, "folder_marker" | "archived"), "{}", why);
            prop_assert!(named.insert(decided.index, decided.key.clone()).is_none());
        }
        let left: Vec<&String> = all.iter()
            .filter(|key| excluded.is_empty() || !key.starts_with(&format!("d/{excluded}")))
            .collect();
        prop_assert_eq!(named.values().collect::<Vec<_>>(), left.clone());
        prop_assert!(named.keys().copied().eq(0..page.objects));
        prop_assert_eq!(page.filtered as usize, all.len() - left.len());
        if let Some(short) = short {
            let after = short.next.first().and_then(|range| range.after.as_ref());
            let before = all.iter().filter(|key| after.is_none_or(|after| *key <= after));
            prop_assert_eq!(before.count(), (short.objects + short.filtered) as usize);
        }
    }
}
