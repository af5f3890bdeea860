//! What to do where there is a blob already. Pure.

use crate::destination::client::{BlobProperties, Conditions};
use crate::job::Overwrite;
use crate::message::ListedObject;
use crate::skip::Skip;

/// The metadata under which a source's ETag is kept on request.
pub(super) const ETAG: &str = "s3_etag";

/// What follows from what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Write, as long as this holds.
    Write(Conditions),
    /// Ask the user; write as long as this holds.
    Ask(Conditions),
    /// Leave it.
    Skip(Skip),
    /// This job has written it before: the object is copied.
    Done,
}

/// What is decided about an object whose blob was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) verdict: Verdict,
    /// This job may have written the blob, as it has the object's size and is young enough; what
    /// would prove it is not in its properties.
    pub(super) perhaps_ours: bool,
}

/// Decides about an object whose blob was looked at. `first_write` is the first second in which the
/// job may have written, by the destination's own clock; where it is not known, time proves
/// nothing.
///
/// A blob is the job's own where it has the object's content and is young enough. One that has only
/// its size is somebody else's until something else proves the contrary.
pub(super) fn decide(
    mode: Overwrite,
    object: &ListedObject,
    md5: Option<[u8; 16]>,
    found: Option<&BlobProperties>,
    first_write: Option<i64>,
) -> Decision {
    let Some(found) = found else {
        return Decision {
            verdict: Verdict::Write(Conditions::create_only()),
            perhaps_ours: false,
        };
    };
    let same_size = found.length == object.size;
    let known = known_content(object, md5, found);
    let young = found.last_modified.zip(first_write);
    let young = young.map(|(written, first)| written >= first);
    // An earlier attempt whose outcome was lost is no reason to skip, nor to write again.
    if same_size && known == Some(true) && young == Some(true) {
        return Decision {
            verdict: Verdict::Done,
            perhaps_ours: false,
        };
    }
    Decision {
        verdict: by_mode(mode, object, (found, same_size, known)),
        perhaps_ours: mode != Overwrite::True && same_size && young != Some(false),
    }
}

/// What the overwrite rule says about a blob that is not the job's own.
fn by_mode(
    mode: Overwrite,
    object: &ListedObject,
    (found, same_size, known): (&BlobProperties, bool, Option<bool>),
) -> Verdict {
    let replace = Conditions {
        if_match: Some(found.etag.clone()),
        ..Conditions::default()
    };
    let newer = found.last_modified.is_none_or(|at| object.modified > at);
    match mode {
        Overwrite::True => Verdict::Write(replace),
        Overwrite::False => Verdict::Skip(Skip::DestinationExists),
        Overwrite::Prompt => Verdict::Ask(replace),
        Overwrite::IfSourceNewer if newer => Verdict::Write(replace),
        Overwrite::IfSourceNewer => Verdict::Skip(Skip::DestinationNewer),
        Overwrite::Changed if same_size && known.unwrap_or(!newer) => {
            Verdict::Skip(Skip::Unchanged)
        }
        Overwrite::Changed => Verdict::Write(replace),
    }
}

/// Has the blob this very content? By the ETag kept with it, else by MD5; none where neither can
/// tell.
fn known_content(
    object: &ListedObject,
    md5: Option<[u8; 16]>,
    found: &BlobProperties,
) -> Option<bool> {
    let kept = found.headers.metadata.iter();
    let mut kept = kept
        .filter(|(name, _)| name.eq_ignore_ascii_case(ETAG))
        .map(|(_, value)| value);
    if let (Some(kept), Some(etag)) = (kept.next_back(), &object.etag) {
        return Some(kept == etag);
    }
    Some(md5? == found.headers.content_md5?)
}

#[cfg(test)]
mod tests {
    use super::Overwrite::{Changed, False, IfSourceNewer, Prompt};
    use super::*;
    use crate::destination::client::BlobHeaders;

    const FIRST: i64 = 1_000;
    const BEGUN: Option<i64> = Some(FIRST);

    fn object(modified: i64) -> ListedObject {
        ListedObject {
            key: "k".into(),
            size: 5,
            etag: Some("new".into()),
            modified,
            version: None,
            storage_class: None,
        }
    }

    fn blob(length: u64, modified: i64) -> BlobProperties {
        BlobProperties {
            length,
            etag: "\"0x1\"".into(),
            last_modified: Some(modified),
            date: Some(2_000),
            blob_type: "BlockBlob".into(),
            headers: BlobHeaders::default(),
        }
    }

    fn with_etag(blob: BlobProperties, etag: &str) -> BlobProperties {
        BlobProperties {
            headers: BlobHeaders {
                metadata: vec![("S3_ETag".into(), etag.into())],
                ..BlobHeaders::default()
            },
            ..blob
        }
    }

    fn replace() -> Verdict {
        Verdict::Write(Conditions {
            if_match: Some("\"0x1\"".into()),
            ..Conditions::default()
        })
    }

    #[test]
    fn an_absent_blob_is_made_and_nothing_else_is_touched() {
        for mode in [False, IfSourceNewer, Changed, Prompt] {
            assert_eq!(
                decide(mode, &object(0), None, None, BEGUN).verdict,
                Verdict::Write(Conditions::create_only())
            );
        }
    }

    #[test]
    fn what_was_there_before_the_job_is_judged_by_the_mode() {
        let verdict = |mode, modified, found| {
            decide(mode, &object(modified), None, Some(&found), BEGUN).verdict
        };
        let skip = Verdict::Skip;
        assert_eq!(
            verdict(False, 950, blob(5, 900)),
            skip(Skip::DestinationExists)
        );
        assert_eq!(verdict(IfSourceNewer, 901, blob(5, 900)), replace());
        assert_eq!(
            verdict(IfSourceNewer, 900, blob(5, 900)),
            skip(Skip::DestinationNewer)
        );
        assert_eq!(verdict(Changed, 899, blob(5, 900)), skip(Skip::Unchanged));
        assert_eq!(verdict(Changed, 901, blob(5, 900)), replace());
        assert_eq!(verdict(Changed, 899, blob(6, 900)), replace());
        assert_eq!(
            verdict(Changed, 899, with_etag(blob(5, 900), "old")),
            replace()
        );
        assert_eq!(
            verdict(Changed, 901, with_etag(blob(5, 900), "new")),
            skip(Skip::Unchanged)
        );
        assert!(matches!(
            verdict(Prompt, 901, blob(5, 900)),
            Verdict::Ask(_)
        ));
    }

    #[test]
    fn content_is_compared_by_md5_where_both_have_one() {
        let mut found = blob(5, 900);
        found.headers.content_md5 = Some([1; 16]);
        let verdict = |md5| decide(Changed, &object(800), Some(md5), Some(&found), BEGUN).verdict;
        assert_eq!(verdict([1; 16]), Verdict::Skip(Skip::Unchanged));
        assert_eq!(verdict([2; 16]), replace());
    }

    /// What is replaced anyway is looked at only where a write was refused.
    #[test]
    fn what_is_replaced_anyway_is_written_again_unless_it_is_this_content() {
        fn verdict(found: Option<&BlobProperties>, md5: Option<[u8; 16]>) -> Verdict {
            decide(Overwrite::True, &object(800), md5, found, BEGUN).verdict
        }
        let mut found = blob(5, FIRST);
        assert_eq!(verdict(Some(&found), Some([1; 16])), replace());
        assert_eq!(verdict(Some(&found), None), replace());
        found.headers.content_md5 = Some([1; 16]);
        assert_eq!(verdict(Some(&found), Some([1; 16])), Verdict::Done);
        found.last_modified = Some(FIRST - 1);
        assert_eq!(verdict(Some(&found), Some([1; 16])), replace());
        let missing = Verdict::Write(Conditions::create_only());
        assert_eq!(verdict(None, Some([1; 16])), missing);
    }

    #[test]
    fn what_this_job_wrote_itself_is_copied_not_skipped() {
        for mode in [False, IfSourceNewer, Changed, Prompt] {
            let verdict = |found| decide(mode, &object(800), None, Some(&found), BEGUN).verdict;
            assert_eq!(verdict(with_etag(blob(5, FIRST), "new")), Verdict::Done);
            assert_ne!(verdict(with_etag(blob(6, FIRST), "new")), Verdict::Done);
            assert_ne!(verdict(with_etag(blob(5, FIRST), "other")), Verdict::Done);
            assert_ne!(verdict(with_etag(blob(5, FIRST - 1), "new")), Verdict::Done);
        }
    }

    /// A blob of the same size may be anybody's.
    #[test]
    fn size_and_time_alone_prove_nothing() {
        for mode in [False, IfSourceNewer, Changed, Prompt] {
            for (found, first, perhaps) in [
                (blob(5, FIRST), BEGUN, true),
                (blob(5, FIRST - 1), BEGUN, false),
                (blob(6, FIRST), BEGUN, false),
                (blob(5, 1), None, true),
            ] {
                let decision = decide(mode, &object(800), None, Some(&found), first);
                assert_ne!(decision.verdict, Verdict::Done);
                assert_eq!(decision.perhaps_ours, perhaps, "{mode:?} {found:?}");
            }
            // Without the destination's clock not even its content tells whose it is.
            let found = with_etag(blob(5, FIRST), "new");
            let decision = decide(mode, &object(800), None, Some(&found), None);
            assert_ne!(decision.verdict, Verdict::Done);
        }
    }
}
