//! Under which name an object is stored. Pure, but for the account's kind.

use crate::clients::JobClients;
use crate::destination::client::BlobName;
use crate::destination::naming::{self, Namespace};
use crate::failure::{Failure, Reason, Result};
use crate::job::{InvalidNames, JobSpec, Root};
use crate::skip::Skip;

/// Where an object goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To this blob; `escaped` where it is not its own name.
    Blob {
        /// The blob.
        name: BlobName,
        /// Its name had to be written otherwise.
        escaped: bool,
    },
    /// Nowhere; the message says what is wrong with its name.
    Skipped(Skip, String),
}

/// The place of a key. Only a name whose fate depends on it asks what kind of account it is.
pub(crate) async fn of(
    clients: &JobClients,
    spec: &JobSpec,
    root: &Root,
    key: &str,
) -> Result<Target> {
    let name = root.blob(key).ok_or_else(|| {
        let why = "nothing of the key is left for a name: it is the folder's own, which has no place \
                   below the destination; copy it by itself";
        Failure::give_up(Reason::NameRejected, why)
    })?;
    let fault = |namespace| naming::blob_fault(namespace, &root.container, &name);
    let namespace = if fault(Namespace::Flat) == fault(Namespace::Hierarchical) {
        Namespace::Flat
    } else {
        clients.namespace().await
    };
    decide(spec.options.invalid_names, namespace, &root.container, name)
}

fn decide(
    mode: InvalidNames,
    namespace: Namespace,
    container: &str,
    name: String,
) -> Result<Target> {
    let escaped = match mode {
        InvalidNames::Escape => naming::escape(namespace, container, &name),
        _ => None,
    };
    let fault = naming::blob_fault(namespace, container, &name);
    match (escaped, fault, mode) {
        (Some(name), ..) => Ok(Target::Blob {
            name: BlobName::new(container, name),
            escaped: true,
        }),
        (None, None, _) => Ok(Target::Blob {
            name: BlobName::new(container, name),
            escaped: false,
        }),
        (None, Some(fault), InvalidNames::Skip) => {
            Ok(Target::Skipped(Skip::InvalidName, fault.to_owned()))
        }
        (None, Some(fault), _) => Err(naming::rejected(fault)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_azure_cannot_hold_fails_is_skipped_or_escaped() {
        let place = |mode, name: &str| decide(mode, Namespace::Flat, "abc", name.to_owned());
        let blob = |name: &str, escaped| Target::Blob {
            name: BlobName::new("abc", name),
            escaped,
        };
        for mode in [InvalidNames::Fail, InvalidNames::Skip, InvalidNames::Escape] {
            assert_eq!(place(mode, "a//b").unwrap(), blob("a//b", false));
        }
        let failure = place(InvalidNames::Fail, "a.").unwrap_err();
        assert_eq!(failure.reason, Reason::NameRejected);
        assert!(failure.message.contains("--invalid-name-handle=escape"));
        assert!(matches!(
            place(InvalidNames::Skip, "a.").unwrap(),
            Target::Skipped(Skip::InvalidName, _)
        ));
        assert_eq!(
            place(InvalidNames::Escape, "a.").unwrap(),
            blob("a%2E", true)
        );
    }
}
