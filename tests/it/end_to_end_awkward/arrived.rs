//! Holds the blobs of a container against the objects they came from.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::fate::{Object, Way, can_be_a_name, looks_escaped};
use crate::end_to_end_blobs::Blob;

/// Each object is one blob, identical and under its name or one that can be turned back; there is
/// no other blob.
pub(super) fn compare(way: &Way, copied: &[&Object], blobs: Vec<Blob>) {
    let mut by_name = BTreeMap::new();
    for mut blob in blobs {
        let name = own_name(way, &mut blob);
        let other = by_name.insert(name, blob);
        assert!(other.is_none(), "two blobs of one object: {other:#?}");
    }
    for object in copied {
        let blob = by_name.remove(&object.name(way));
        let blob = blob.unwrap_or_else(|| panic!("{:?} is not there", object.key));
        same(way, object, &blob);
    }
    assert!(by_name.is_empty(), "nobody asked for {by_name:#?}");
}

/// The name the blob would have if Azure could hold every name. Takes the key of an escaped name
/// out of the metadata.
fn own_name(way: &Way, blob: &mut Blob) -> String {
    assert!(can_be_a_name(&blob.name), "{:?}", blob.name);
    if !way.tolerant || !looks_escaped(&blob.name) {
        return blob.name.clone();
    }
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().unwrap();
        text.into_owned()
    };
    let key = blob.metadata.remove("s3_key");
    let key = key.unwrap_or_else(|| panic!("nothing tells the key of {blob:#?}"));
    let name = format!("{}{}", way.before, decoded(&key));
    match blob.name.split_once("%~") {
        // Too long to be told in the name; its digest keeps it apart from others.
        Some((_, digest)) => {
            assert_eq!(digest.len(), 32, "{:?}", blob.name);
            assert!(digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
        None => assert_eq!(decoded(&blob.name), name),
    }
    name
}

fn same(way: &Way, object: &Object, blob: &Blob) {
    let key = &object.key;
    assert_eq!(blob.size, object.size, "size of {key:?}");
    assert_eq!(blob.sha256, object.sha256, "content of {key:?}");
    assert_eq!(blob.kind, "BlockBlob", "{key:?}");
    assert_eq!(blob.headers, object.headers(), "headers of {key:?}");
    let (metadata, _) = object.metadata(way);
    assert_eq!(blob.metadata, metadata, "metadata of {key:?}");
    let renamed = blob.name != object.name(way);
    assert_eq!(renamed, object.escaped(way), "{key:?} is {:?}", blob.name);
}
