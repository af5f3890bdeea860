//! List tasks that name keys: exactly these, or all but these.

use super::*;

/// Named objects that cannot be looked at stand among the others by their keys, as a page that is
/// cut short goes on behind the last of them.
#[test]
fn named_objects_that_fail_keep_the_order_of_the_keys() {
    let failed = |key: &str| {
        let failure = Failure::give_up(crate::failure::Reason::SourceDenied, "no");
        (key.to_owned(), failure)
    };
    let listed = Listing {
        failed: vec![failed("a"), failed("c"), failed("e")],
        ..listing(&["b", "d"], None)
    };
    let draft = plain(&task(None), &root(None), listed);
    assert_eq!(keys(&draft), [(1, "b"), (3, "d")]);
    let cut = draft.clone().cut(1).unwrap();
    assert_eq!((cut.objects, cut.bytes), (3, 10));
    assert_eq!(cut.next[0].after.as_deref(), Some("c"));
    let decided = |page: &Page| -> Vec<u32> { page.decided.iter().map(|one| one.index).collect() };
    assert_eq!(decided(&cut), [0, 2]);
    assert_eq!(decided(&draft.whole()), [0, 2, 4]);
}

#[test]
fn keys_that_are_counted_elsewhere_are_left_out() {
    let task = ListTask {
        without: vec!["a".into(), "c".into(), "d/".into()],
        ..task(Some("d"))
    };
    let draft = plain(
        &task,
        &root(None),
        listing(&["a", "b", "c", "d", "e"], Some("e")),
    );
    assert_eq!(keys(&draft), [(0, "b"), (1, "d")]);
    let page = draft.whole();
    assert_eq!((page.objects, page.bytes, page.filtered), (2, 20, 0));
    assert!(page.next.is_empty(), "the range ends at d");
}
