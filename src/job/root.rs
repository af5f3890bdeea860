//! What a root makes of a key.

use super::{Root, Scope};

impl Root {
    /// The key relative to the source: what filters look at.
    pub fn relative<'a>(&self, key: &'a str) -> &'a str {
        let base = match &self.scope {
            Scope::Object { key, .. } => key.rfind('/').map_or(0, |slash| slash + 1),
            Scope::Prefix { prefix, .. } => prefix.len(),
            Scope::Either { base, .. } => *base,
        };
        key.get(base..).unwrap_or(key)
    }

    /// The blob a key becomes; none for the marker of the listed folder itself, which nothing is
    /// left of.
    pub fn blob(&self, key: &str) -> Option<String> {
        let named = matches!(&self.scope, Scope::Object { .. });
        let kept = key.get(self.strip..)?;
        (named || !kept.is_empty()).then(|| format!("{}{kept}", self.blob_prefix))
    }
}
