//! Pages, whole and cut short.

use super::*;

fn root(refused: Option<&str>) -> Root {
    Root {
        bucket: "b".into(),
        region: "us-east-1".into(),
        scope: Scope::Prefix {
            prefix: String::new(),
            top_level_only: false,
        },
        container: "c".into(),
        blob_prefix: String::new(),
        strip: 0,
        refused: refused.map(str::to_owned),
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
        },
        round: 1,
    }
}

fn listing(keys: &[&str], next_after: Option<&str>) -> Listing {
    let object = |key: &&str| ListedObject {
        key: (*key).to_owned(),
        size: 10,
        etag: None,
        modified: 0,
        version: None,
        storage_class: None,
    };
    Listing {
        objects: keys.iter().map(object).collect(),
        next_after: next_after.map(str::to_owned),
    }
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
    let draft = draft(
        &task(None),
        &root(None),
        9,
        listing(&["a", "d/", "d/x"], Some("d/x")),
    );
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
    assert_eq!((page.objects, page.bytes), (3, 30));
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
            until: None
        }]
    );
}

#[test]
fn a_range_ends_at_its_last_key_whatever_the_source_goes_on_to() {
    let draft = draft(
        &task(Some("b")),
        &root(None),
        9,
        listing(&["a", "b", "c"], Some("c")),
    );
    assert_eq!(keys(&draft), [(0, "a"), (1, "b")]);
    assert_eq!(draft.whole().next, [], "nothing follows beyond the range");
}

#[test]
fn a_bucket_without_a_container_fails_object_by_object() {
    let draft = draft(
        &task(None),
        &root(Some("no name")),
        9,
        listing(&["a", "d/"], None),
    );
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
        draft(&task(Some("z")), &root(None), 9, listed)
    };
    let page = whole().cut(1).unwrap();
    assert_eq!((page.objects, page.bytes), (2, 20), "a and d/");
    assert_eq!(page.decided.len(), 1);
    assert_eq!(
        page.next,
        [KeyRange {
            after: Some("d/".into()),
            until: Some("z".into())
        }]
    );
    let page = whole().cut(3).unwrap();
    assert_eq!(page.objects, 4, "all is confirmed");
    assert_eq!(whole().cut(0), None, "nothing is");
}

#[test]
fn a_last_page_cut_short_is_followed_by_the_rest_of_its_range() {
    let page = draft(&task(None), &root(None), 9, listing(&["a", "b"], None))
        .cut(1)
        .unwrap();
    assert_eq!(
        page.next,
        [KeyRange {
            after: Some("a".into()),
            until: None
        }]
    );
}
