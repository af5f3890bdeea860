//! Which blob each object becomes: source and destination to the roots of a job. Pure.
//!
//! The rules are AzCopy's (`azcopy copy`, "destination path"), with one difference: a bucket named
//! in virtual-hosted style gives the same names as in path style.

use crate::destination::naming::ContainerNames;
use crate::destination::url::DestinationUrl;
use crate::failure::{Failure, Reason, Result};
use crate::job::{Root, Scope};
use crate::source::client::BucketRef;

/// A bucket and its region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
}

impl Bucket {
    /// As the client of the source takes it.
    pub(super) fn place(&self) -> BucketRef {
        BucketRef {
            name: self.name.clone(),
            region: self.region.clone(),
        }
    }
}

/// How the user wants folders treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Go below the first level.
    pub recursive: bool,
    /// Keep the source folder's own name at the destination.
    pub as_subdir: bool,
    /// The source ended in `/*`: its contents only.
    pub contents_only: bool,
}

/// The root of a single object.
///
/// # Errors
/// The destination names no container.
pub fn object(
    bucket: &Bucket,
    key: &str,
    version: Option<&str>,
    destination: &DestinationUrl,
) -> Result<Root> {
    let container = destination.container().ok_or_else(|| {
        usage("a single object cannot go to the root of an account: name a container")
    })?;
    let path = destination.path().unwrap_or_default();
    let (blob_prefix, strip) = if destination.is_directory() {
        (path.to_owned(), parent(key).len())
    } else {
        (path.to_owned(), key.len())
    };
    let scope = Scope::Object {
        key: key.to_owned(),
        version: version.map(str::to_owned),
    };
    Ok(root(bucket, scope, container, blob_prefix, strip))
}

/// The root of one version of an object, of several: its blob is `VERSION-NAME`, as AzCopy names
/// versions, in the destination as a folder.
///
/// # Errors
/// The destination names no container.
pub fn version(
    bucket: &Bucket,
    key: &str,
    version: &str,
    destination: &DestinationUrl,
) -> Result<Root> {
    let container = destination
        .container()
        .ok_or_else(|| usage("versions cannot go to the root of an account: name a container"))?;
    let name = key.strip_prefix(parent(key)).unwrap_or(key);
    let blob = format!("{}{}{name}", folder(destination), version_prefix(version));
    let scope = Scope::Object {
        key: key.to_owned(),
        version: Some(version.to_owned()),
    };
    Ok(root(bucket, scope, container, blob, key.len()))
}

/// What stands before the name of a blob that is one version of several.
pub(super) fn version_prefix(version: &str) -> String {
    format!("{}-", version.replace(':', "-"))
}

/// The root of a directory; `key` may or may not end in `/`.
///
/// # Errors
/// Neither recursive nor `/*`, or the destination names no container.
pub fn directory(
    bucket: &Bucket,
    key: &str,
    layout: Layout,
    destination: &DestinationUrl,
) -> Result<Root> {
    check_depth(layout, "a directory")?;
    let container = destination.container().ok_or_else(|| {
        usage("a directory cannot go to the root of an account: name a container")
    })?;
    let prefix = format!("{}/", key.strip_suffix('/').unwrap_or(key));
    let keep_name = layout.as_subdir && !layout.contents_only;
    let strip = if keep_name {
        parent(key).len()
    } else {
        prefix.len()
    };
    let scope = Scope::Prefix {
        prefix,
        top_level_only: !layout.recursive,
    };
    Ok(root(bucket, scope, container, folder(destination), strip))
}

/// The root of one whole bucket.
///
/// # Errors
/// Neither recursive nor `/*`, or a layout that has no place at the account's root.
pub fn bucket(
    bucket: &Bucket,
    layout: Layout,
    destination: &DestinationUrl,
    names: &mut ContainerNames,
) -> Result<Root> {
    check_depth(layout, "a bucket")?;
    let scope = Scope::Prefix {
        prefix: String::new(),
        top_level_only: !layout.recursive,
    };
    let Some(container) = destination.container() else {
        if layout.contents_only || !layout.as_subdir {
            return Err(usage(
                "a bucket's contents cannot go to the root of an account: name a container",
            ));
        }
        return Ok(own_container(bucket, scope, names));
    };
    let mut blob_prefix = folder(destination);
    if !blob_prefix.is_empty() && layout.as_subdir && !layout.contents_only {
        let name = names.mapped(&bucket.name).unwrap_or(&bucket.name);
        blob_prefix = format!("{blob_prefix}{name}/");
    }
    Ok(root(bucket, scope, container, blob_prefix, 0))
}

/// The root of one of many buckets.
///
/// # Errors
/// Not recursive, or a layout that would pour the buckets into each other.
pub fn of_many(
    bucket: &Bucket,
    layout: Layout,
    destination: &DestinationUrl,
    names: &mut ContainerNames,
) -> Result<Root> {
    check_many(layout)?;
    let scope = Scope::Prefix {
        prefix: String::new(),
        top_level_only: false,
    };
    let Some(container) = destination.container() else {
        return Ok(own_container(bucket, scope, names));
    };
    let (folder_name, refused) = resolved(bucket, names);
    let blob_prefix = format!("{}{folder_name}/", folder(destination));
    Ok(Root {
        refused,
        ..root(bucket, scope, container, blob_prefix, 0)
    })
}

/// Checks that a layout has a place for each of several buckets.
///
/// # Errors
/// See [`of_many`].
pub(super) fn check_many(layout: Layout) -> Result<()> {
    if !layout.recursive {
        return Err(usage(
            "copying several buckets is recursive by nature: give --recursive",
        ));
    }
    if !layout.as_subdir {
        return Err(usage(
            "--as-subdir=false would pour several buckets into one: leave it out",
        ));
    }
    Ok(())
}

fn own_container(bucket: &Bucket, scope: Scope, names: &mut ContainerNames) -> Root {
    let (container, refused) = resolved(bucket, names);
    Root {
        refused,
        ..root(bucket, scope, &container, String::new(), 0)
    }
}

/// A bucket without a container name keeps its own, and the reason why that is refused.
fn resolved(bucket: &Bucket, names: &mut ContainerNames) -> (String, Option<String>) {
    match names.resolve(&bucket.name) {
        Ok(container) => (container, None),
        Err(failure) => (bucket.name.clone(), Some(failure.message)),
    }
}

fn root(bucket: &Bucket, scope: Scope, container: &str, blob_prefix: String, strip: usize) -> Root {
    Root {
        bucket: bucket.name.clone(),
        region: bucket.region.clone(),
        scope,
        container: container.to_owned(),
        blob_prefix,
        strip,
        refused: None,
    }
}

/// The destination's path as a folder: empty, or ending in `/`.
fn folder(destination: &DestinationUrl) -> String {
    match destination.path() {
        None | Some("") => String::new(),
        Some(path) if path.ends_with('/') => path.to_owned(),
        Some(path) => format!("{path}/"),
    }
}

/// Everything up to the last `/` before the key's own name.
fn parent(key: &str) -> &str {
    let name = key.strip_suffix('/').unwrap_or(key);
    name.rfind('/')
        .and_then(|slash| key.get(..=slash))
        .unwrap_or_default()
}

fn check_depth(layout: Layout, what: &str) -> Result<()> {
    if layout.recursive || layout.contents_only {
        return Ok(());
    }
    Err(usage(&format!(
        "{what} needs --recursive, or a trailing /* for its top level only"
    )))
}

fn usage(message: &str) -> Failure {
    Failure::stop(Reason::Usage, message)
}
