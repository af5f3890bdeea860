//! Roots as they are stored: those that differ in nothing but their scope share all else, so that
//! a job of a hundred thousand list entries stays near the length of its keys.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Root, Scope};

/// Roots in a row that differ in their scope alone. A single root as it was stored at first reads
/// as one of these too.
#[derive(Serialize, Deserialize)]
struct Group {
    bucket: String,
    region: String,
    container: String,
    blob_prefix: String,
    strip: usize,
    refused: Option<String>,
    #[serde(default, skip_serializing)]
    scope: Option<Scope>,
    #[serde(default)]
    scopes: Vec<Scope>,
}

impl Group {
    fn of(root: &Root) -> Self {
        Self {
            bucket: root.bucket.clone(),
            region: root.region.clone(),
            container: root.container.clone(),
            blob_prefix: root.blob_prefix.clone(),
            strip: root.strip,
            refused: root.refused.clone(),
            scope: None,
            scopes: vec![root.scope.clone()],
        }
    }

    fn takes(&self, root: &Root) -> bool {
        let texts = |a: &[&String; 4], b: &[&String; 4]| a == b;
        texts(
            &[
                &self.bucket,
                &self.region,
                &self.container,
                &self.blob_prefix,
            ],
            &[
                &root.bucket,
                &root.region,
                &root.container,
                &root.blob_prefix,
            ],
        ) && self.strip == root.strip
            && self.refused == root.refused
    }

    fn roots(self) -> impl Iterator<Item = Root> {
        let scopes: Vec<Scope> = self.scope.into_iter().chain(self.scopes).collect();
        scopes.into_iter().map(move |scope| Root {
            bucket: self.bucket.clone(),
            region: self.region.clone(),
            scope,
            container: self.container.clone(),
            blob_prefix: self.blob_prefix.clone(),
            strip: self.strip,
            refused: self.refused.clone(),
        })
    }
}

pub(super) fn serialize<S: Serializer>(roots: &[Root], to: S) -> Result<S::Ok, S::Error> {
    let mut groups: Vec<Group> = Vec::new();
    for root in roots {
        match groups.last_mut() {
            Some(group) if group.takes(root) => group.scopes.push(root.scope.clone()),
            _ => groups.push(Group::of(root)),
        }
    }
    groups.serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Root>, D::Error> {
    let groups: Vec<Group> = Vec::deserialize(from)?;
    Ok(groups.into_iter().flat_map(Group::roots).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{decode, encode};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Packed(#[serde(with = "super")] Vec<Root>);

    fn root(container: &str, key: &str) -> Root {
        Root {
            bucket: "a-bucket-with-a-name".into(),
            region: "eu-central-1".into(),
            scope: Scope::Either {
                key: key.into(),
                base: 2,
                top_level_only: false,
                inside: Vec::new(),
            },
            container: container.into(),
            blob_prefix: "folder/".into(),
            strip: 2,
            refused: None,
        }
    }

    #[test]
    fn roots_come_back_in_their_order_and_share_what_they_have_in_common() {
        let keys: Vec<String> = (0..1000).map(|n| format!("d/{n:08}")).collect();
        let mut roots: Vec<Root> = keys.iter().map(|key| root("one", key)).collect();
        roots.push(root("two", "d/x"));
        roots.push(root("one", "d/y"));
        let packed = Packed(roots);
        let stored = encode(&packed).unwrap();
        let length: usize = keys.iter().map(String::len).sum();
        assert!(
            stored.len() < length + 1000 * 24 + 1000,
            "{} bytes for {length} of keys",
            stored.len()
        );
        assert_eq!(decode::<Packed>(&stored).unwrap(), packed);
    }

    #[test]
    fn roots_that_were_stored_one_by_one_are_read() {
        let roots = vec![root("one", "d/a"), root("two", "d/b")];
        let stored = encode(&roots).unwrap();
        assert_eq!(decode::<Packed>(&stored).unwrap(), Packed(roots));
    }
}
