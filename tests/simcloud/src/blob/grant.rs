//! What a caller may do: Shared Key and tokens everything, a SAS what its permissions say.

use crate::op::OpKind;
use crate::refusal::Refusal;

/// The right a request came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Account key or bearer token.
    Full,
    /// Bearer token of a role that may do all but read and write index tags.
    AllButTags,
    AccountSas {
        permissions: String,
        services: String,
        types: String,
    },
    ServiceSas {
        permissions: String,
    },
}

/// From this version on `c` is enough for Put Block and Put Block List.
const CREATE_BLOCKS: &str = "2026-04-06";

impl Grant {
    /// Refuses what the grant does not cover.
    pub(crate) fn check(&self, kind: OpKind, version: &str, tags: bool) -> Result<(), Refusal> {
        let (level, any_of) = need(kind, version);
        let permissions = match self {
            Self::Full => return Ok(()),
            Self::AllButTags => {
                let about_tags = matches!(kind, OpKind::GetBlobTags | OpKind::SetBlobTags);
                return match tags || about_tags {
                    true => Err(denied("AuthorizationPermissionMismatch", "permission")),
                    false => Ok(()),
                };
            }
            Self::AccountSas {
                permissions,
                services,
                types,
            } => {
                if !services.contains('b') {
                    return Err(denied("AuthorizationServiceMismatch", "service"));
                }
                if level != '*' && !types.contains(level) {
                    return Err(denied("AuthorizationResourceTypeMismatch", "resource type"));
                }
                permissions
            }
            Self::ServiceSas { permissions } => {
                if level == 's' || (level == 'c' && kind != OpKind::ListBlobs) {
                    return Err(denied("AuthorizationFailure", "operation"));
                }
                permissions
            }
        };
        let allowed = any_of.is_empty() || any_of.chars().any(|one| permissions.contains(one));
        if !allowed || (tags && !permissions.contains('t')) {
            return Err(denied("AuthorizationPermissionMismatch", "permission"));
        }
        Ok(())
    }

    /// Whether an existing blob may be replaced.
    pub(crate) fn may_overwrite(&self) -> bool {
        match self {
            Self::Full | Self::AllButTags => true,
            Self::AccountSas { permissions, .. } | Self::ServiceSas { permissions } => {
                permissions.contains('w')
            }
        }
    }
}

/// Level of the resource (`s`ervice, `c`ontainer, `o`bject, `*` any) and the permissions of
/// which one is needed.
fn need(kind: OpKind, version: &str) -> (char, &'static str) {
    match kind {
        OpKind::ListContainers => ('s', "l"),
        OpKind::GetServiceProperties => ('s', "r"),
        OpKind::CreateContainer => ('c', "cw"),
        OpKind::GetContainerProperties => ('c', "r"),
        OpKind::DeleteContainer => ('c', "d"),
        OpKind::ListBlobs => ('c', "l"),
        OpKind::PutBlob | OpKind::PutBlobFromUrl => ('o', "cw"),
        OpKind::PutBlock | OpKind::PutBlockFromUrl | OpKind::PutBlockList => {
            let create = version >= CREATE_BLOCKS;
            ('o', if create { "cw" } else { "w" })
        }
        OpKind::GetBlockList | OpKind::GetBlob | OpKind::HeadBlob => ('o', "r"),
        OpKind::DeleteBlob => ('o', "d"),
        OpKind::SetBlobMetadata | OpKind::SetBlobProperties => ('o', "w"),
        OpKind::GetBlobTags | OpKind::SetBlobTags => ('o', "t"),
        _ => ('*', ""),
    }
}

fn denied(code: &'static str, what: &str) -> Refusal {
    let message =
        format!("This request is not authorized to perform this operation using this {what}.");
    Refusal::new(403, code, message)
}
