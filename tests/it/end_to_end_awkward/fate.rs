//! What must become of an object, told from its key and metadata alone. The rules are written here
//! a second time, from Microsoft's pages, not taken from the product.

use std::collections::BTreeMap;

use serde::Deserialize;

/// An object as awkward.py planned it.
#[derive(Debug, Deserialize)]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) sha256: String,
    headers: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
    /// Values that stand in encoded words though they are ASCII.
    plain: BTreeMap<String, String>,
}

/// What a copy does with names and metadata that Azure cannot hold.
#[derive(Debug)]
pub(super) struct Way {
    /// What stands before the key in a blob's name.
    pub(super) before: &'static str,
    /// `--invalid-name-handle=escape` and `--s2s-handle-invalid-metadata=RenameIfInvalid`; without
    /// it the defaults, fail and leave out.
    pub(super) tolerant: bool,
}

/// How an object ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Copied,
    Skipped(&'static str),
    Failed(&'static str),
}

impl Object {
    pub(super) fn name(&self, way: &Way) -> String {
        format!("{}{}", way.before, self.key)
    }

    pub(super) fn fate(&self, way: &Way) -> Fate {
        if self.key.ends_with('/') && self.size == 0 {
            Fate::Skipped("folder_marker")
        } else if !way.tolerant && !can_be_a_name(&self.name(way)) {
            Fate::Failed("name_rejected")
        } else if self.key.contains('\n') {
            // moto lists it and knows no route to it, see seed.py.
            Fate::Failed("source_not_found")
        } else {
            Fate::Copied
        }
    }

    /// Must its blob have another name?
    pub(super) fn escaped(&self, way: &Way) -> bool {
        let name = self.name(way);
        way.tolerant && (!can_be_a_name(&name) || looks_escaped(&name))
    }

    /// Must its content come through the copier? Azure takes URLs of 2 KiB; awkward.py leaves out
    /// the lengths at which the signature's own decides.
    pub(super) fn relayed(&self) -> bool {
        let kept = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(byte);
        let plain = self.key.bytes().filter(kept).count();
        plain + 3 * (self.key.len() - plain) >= 1800 || is_rewritten(&self.key)
    }

    /// The blob's content headers: an empty one is none, and S3 has a type for every object.
    pub(super) fn headers(&self) -> BTreeMap<String, String> {
        let mut headers = self.headers.clone();
        headers.retain(|_, value| !value.is_empty());
        let kind = headers.entry("ContentType".into());
        kind.or_insert_with(|| "binary/octet-stream".into());
        headers
    }

    /// The blob's metadata, without what tells an escaped name's key, and the names left out.
    pub(super) fn metadata(&self, way: &Way) -> (BTreeMap<String, String>, Vec<&str>) {
        let (mut carried, mut excluded) = (BTreeMap::new(), Vec::new());
        for (name, sent) in &self.metadata {
            let value = self.plain.get(name).unwrap_or(sent).clone();
            let taken = self.escaped(way) && name == "s3_key";
            if is_identifier(name) && !taken {
                carried.insert(name.clone(), value);
            } else if way.tolerant {
                let safe = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                carried.insert(format!("rename_{safe}"), value);
                carried.insert(format!("rename_key_{safe}"), name.clone());
            } else {
                excluded.push(name.as_str());
            }
        }
        (carried, excluded)
    }
}

/// The rules for blob names, and RFC 3987, which they refer to for what is no character.
/// <https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata>
pub(super) fn can_be_a_name(name: &str) -> bool {
    let units = name.encode_utf16().count();
    let segments = name.matches('/').count() + 1;
    (1..=1024).contains(&units)
        && segments <= 254
        && !is_rewritten(name)
        && name.chars().all(is_a_character)
}

/// Does a URL library or the service read it as another name?
fn is_rewritten(name: &str) -> bool {
    name.contains('\\') || name.ends_with('.') || name.contains("./")
}

fn is_a_character(c: char) -> bool {
    let code = u32::from(c);
    let control = code < 0x20 || (0x7f..0xa0).contains(&code);
    let special = (0xfff0..=0xffff).contains(&code) || (0xfdd0..=0xfdef).contains(&code);
    !control && !special && code & 0xffff < 0xfffe
}

/// Could the name be an escaped one? Then it is escaped too, so that no two become one.
pub(super) fn looks_escaped(name: &str) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| matches!(c, '0'..='9' | 'A'..='F'));
    name.split('%').skip(1).any(|rest| {
        let mut rest = rest.chars();
        let first = rest.next();
        first == Some('~') || (digit(first) && digit(rest.next()))
    })
}

/// <https://learn.microsoft.com/dotnet/csharp/language-reference/language-specification/lexical-structure#643-identifiers>
fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .chars()
            .all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
}
