//! AzCopy's variables for an identity in Entra ID, so that its scripts need no others.
//!
//! Where a variable of Azure's own is set too, that one counts.

use azure_identity::UserAssignedId;

use super::{Env, usage};
use crate::failure::Result;

/// Azure's names, and AzCopy's for the same.
const NAMES: [(&str, &str); 5] = [
    ("AZURE_AUTHORITY_HOST", "AZCOPY_ACTIVE_DIRECTORY_ENDPOINT"),
    ("AZURE_TENANT_ID", "AZCOPY_TENANT_ID"),
    ("AZURE_CLIENT_ID", "AZCOPY_SPA_APPLICATION_ID"),
    ("AZURE_CLIENT_SECRET", "AZCOPY_SPA_CLIENT_SECRET"),
    ("AZURE_CLIENT_CERTIFICATE_PATH", "AZCOPY_SPA_CERT_PATH"),
];

/// The password of AzCopy's certificate.
pub(super) const CERT_PASSWORD: &str = "AZCOPY_SPA_CERT_PASSWORD";

/// Which identity is used, and no other.
const LOGIN_TYPE: &str = "AZCOPY_AUTO_LOGIN_TYPE";

/// A variable that is set.
#[derive(Clone)]
pub(super) struct Found {
    /// The name it was found under.
    pub(super) name: &'static str,
    pub(super) value: String,
}

/// Looks up a variable of Azure's, then AzCopy's of the same meaning.
pub(super) fn find(env: &Env<'_>, azures: &'static str) -> Option<Found> {
    let found = |name: &'static str| env(name).map(|value| Found { name, value });
    let azcopys = NAMES.iter().find(|(name, _)| *name == azures);
    found(azures).or_else(|| found(azcopys?.1))
}

/// A name of Azure's, with AzCopy's beside it, for people.
pub(super) fn both(azures: &str) -> String {
    match NAMES.iter().find(|(name, _)| *name == azures) {
        Some((azures, azcopys)) => format!("{azures} or {azcopys}"),
        None => azures.to_owned(),
    }
}

/// The one member of the chain that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// A client secret or certificate.
    ServicePrincipal,
    /// The machine's own identity.
    ManagedIdentity,
    /// Whoever is logged in to the Azure CLI.
    AzureCli,
    /// A federated token, as in Kubernetes.
    Workload,
}

/// What `AZCOPY_AUTO_LOGIN_TYPE` allows; none where it is not set.
pub(super) fn login(env: &Env<'_>) -> Result<Option<Login>> {
    let Some(kind) = env(LOGIN_TYPE) else {
        return Ok(None);
    };
    let why = match kind.trim().to_ascii_uppercase().as_str() {
        "SPN" => return Ok(Some(Login::ServicePrincipal)),
        "MSI" => return Ok(Some(Login::ManagedIdentity)),
        "AZCLI" => return Ok(Some(Login::AzureCli)),
        "WORKLOAD" => return Ok(Some(Login::Workload)),
        "DEVICE" => "DEVICE needs a person at a browser, and would again in mid-job",
        "PSCRED" => "PSCRED asks Azure PowerShell, which is not asked here",
        _ => "it is none",
    };
    Err(usage(format!(
        "{LOGIN_TYPE}: {why}: give SPN, MSI, AZCLI or WORKLOAD, or unset it"
    )))
}

/// The identity of a machine that has several; none where nothing names one.
pub(super) fn user_assigned(env: &Env<'_>) -> Result<Option<UserAssignedId>> {
    if let Some(id) = env("AZURE_CLIENT_ID") {
        return Ok(Some(UserAssignedId::ClientId(id)));
    }
    let client = env("AZCOPY_MSI_CLIENT_ID").map(UserAssignedId::ClientId);
    let object = env("AZCOPY_MSI_OBJECT_ID").map(UserAssignedId::ObjectId);
    let resource = env("AZCOPY_MSI_RESOURCE_STRING").map(UserAssignedId::ResourceId);
    let mut named = [client, object, resource].into_iter().flatten();
    match (named.next(), named.next()) {
        (Some(_), Some(_)) => Err(usage(
            "AZCOPY_MSI_CLIENT_ID, AZCOPY_MSI_OBJECT_ID and AZCOPY_MSI_RESOURCE_STRING name one \
             identity each: set one of them",
        )),
        (named, _) => Ok(named),
    }
}
