//! Accounts with a hierarchical namespace: directories are things of their own there.
//!
//! That names are files or directories but never both, that such accounts know no index tags and
//! no delimiter but `/`, and how Get Account Information tells them is known. What becomes of
//! names with empty segments or dots at their ends is not: the service may well mend them
//! silently, so refusing them, as here, is the stricter reading. So is refusing a block, not only
//! the list, where a directory stands. The code of that refusal is from memory, its 409 is not.

use hyper::http::request::Parts;

use super::request::Request;
use super::store::{Committed, Container, Properties, Stamp};
use crate::op::OpKind;
use crate::refusal::Refusal;

/// 63 with the account's and the container's.
const MOST_SEGMENTS: usize = 61;

/// Refuses what such an account does not take, whatever it holds.
pub(crate) fn check(request: &Request, parts: &Parts) -> Result<(), Refusal> {
    if matches!(request.kind, OpKind::GetBlobTags | OpKind::SetBlobTags) {
        return Err(invalid_parameter("comp", "tags"));
    }
    if parts.headers.contains_key("x-ms-tags") {
        let message = "Specified feature is not yet supported for hierarchical namespace accounts.";
        let code = "FeatureNotYetSupportedForHierarchicalNamespaceAccounts";
        return Err(Refusal::new(409, code, message).element("FeatureName", "Blob Tags"));
    }
    let delimiter = request.query.get("delimiter").unwrap_or("/");
    if request.kind == OpKind::ListBlobs && !matches!(delimiter, "" | "/") {
        return Err(invalid_parameter("delimiter", delimiter));
    }
    match request.kind {
        OpKind::GetAccountInformation => Ok(()),
        _ if request.name.is_empty() => Ok(()),
        _ => check_name(&request.name),
    }
}

fn invalid_parameter(name: &str, value: &str) -> Refusal {
    let message = "Value for one of the query parameters specified in the request URI is invalid.";
    Refusal::new(400, "InvalidQueryParameterValue", message)
        .element("QueryParameterName", name)
        .element("QueryParameterValue", value)
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let segments = || name.split('/');
    let wrong = |segment: &str| segment.is_empty() || segment.ends_with('.');
    if segments().any(wrong) || segments().count() > MOST_SEGMENTS {
        let message = "The specified resource name contains invalid characters.";
        return Err(Refusal::new(400, "InvalidResourceName", message));
    }
    Ok(())
}

/// The directories a path lies in, from the outermost on, each with its slash.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/')
        .filter_map(|(at, _)| path.get(..=at))
}

impl Container {
    /// Refuses a blob where a directory stands, or below another blob.
    pub(crate) fn check_path(&self, name: &str) -> Result<(), Refusal> {
        let below = || parents(name).filter_map(|directory| directory.strip_suffix('/'));
        let directory = self.directories.contains_key(&format!("{name}/"));
        let below_blob = || below().any(|parent| self.committed(parent).is_ok());
        if self.hierarchical && (directory || below_blob()) {
            let message = "The specified path, or an element of the path, exists and its resource type is invalid for this operation.";
            return Err(Refusal::new(409, "ResourceTypeMismatch", message));
        }
        Ok(())
    }

    /// Makes the directories a path lies in.
    pub(crate) fn make_parents(&mut self, path: &str, stamp: Stamp) {
        if self.hierarchical {
            for directory in parents(path) {
                self.directories
                    .entry(directory.to_owned())
                    .or_insert(stamp);
            }
        }
    }

    /// A directory as those who ask for a blob of its name see it.
    pub(crate) fn directory(&self, name: &str) -> Option<Committed> {
        let stamp = self.directories.get(&format!("{name}/"))?;
        Some(Committed {
            stamp: *stamp,
            created: stamp.modified,
            data: Some(Vec::new()),
            properties: Properties::default(),
            metadata: vec![("hdi_isfolder".to_owned(), "true".to_owned())],
            ..Committed::default()
        })
    }

    /// Removes a directory if there is one of this name; one that holds anything stays.
    pub(crate) fn remove_directory(&mut self, name: &str) -> Option<Result<(), Refusal>> {
        let path = format!("{name}/");
        self.directories.get(&path)?;
        let inside = |other: &String| other.starts_with(&path) && *other != path;
        let blobs = self.blobs.range(path.clone()..);
        let mut blobs = blobs.take_while(|(name, _)| inside(name));
        let mut directories = self.directories.range(path.clone()..).skip(1);
        if blobs.any(|(_, blob)| blob.committed.is_some())
            || directories.next().is_some_and(|(other, _)| inside(other))
        {
            let message = "This operation is not permitted on a non-empty directory.";
            return Some(Err(Refusal::new(409, "DirectoryIsNotEmpty", message)));
        }
        self.directories.remove(&path);
        Some(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lies_in_all_its_parents() {
        let of = |path| parents(path).collect::<Vec<_>>();
        assert_eq!(of("a/b/c"), ["a/", "a/b/"]);
        assert_eq!(of("a"), [""; 0]);
    }

    #[test]
    fn names_have_whole_segments() {
        let deep = |segments: usize| vec!["a"; segments].join("/");
        for (name, good) in [
            ("a/.b/..c", true),
            ("a//b", false),
            ("/a", false),
            ("a/", false),
            ("a./b", false),
            ("a/b.", false),
            (&deep(61), true),
            (&deep(62), false),
        ] {
            assert_eq!(check_name(name).is_ok(), good, "{name}");
        }
    }
}
