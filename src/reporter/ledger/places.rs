//! Where an object was and where its blob is or would have been, for people. Nothing is sent
//! there: keys that no request can carry have such a URL too.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::job::{JobSpec, Root};
use crate::source::region::address;

/// What stands in a path as it is.
const PATH: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The root an object was listed under; where that is not known, the only one there is.
pub(super) fn root(spec: &JobSpec, root: Option<u32>) -> Option<&Root> {
    spec.roots.get(usize::try_from(place(spec, root)?).ok()?)
}

/// Its place in the job.
pub(super) fn place(spec: &JobSpec, root: Option<u32>) -> Option<u32> {
    match (root, &spec.roots[..]) {
        (None, [_only]) => Some(0),
        (root, roots) => {
            root.filter(|root| usize::try_from(*root).is_ok_and(|at| at < roots.len()))
        }
    }
}

/// URL of an object; empty where its bucket is not known.
pub(super) fn object_url(spec: Option<&JobSpec>, root: Option<&Root>, key: &str) -> String {
    let (Some(spec), Some(root)) = (spec, root) else {
        return String::new();
    };
    let place = address(&spec.endpoint, &root.region, Some(&root.bucket));
    format!("{}{}/{}", place.base, place.path, encoded(key))
}

/// URL of the blob; empty where its container is not known.
pub(super) fn blob_url(spec: Option<&JobSpec>, root: Option<&Root>, key: &str) -> String {
    let (Some(spec), Some(root)) = (spec, root) else {
        return String::new();
    };
    let name = encoded(&root.blob(key).unwrap_or_default());
    format!("{}/{}/{name}", spec.account, root.container)
}

fn encoded(path: &str) -> String {
    utf8_percent_encode(path, &PATH).to_string()
}
