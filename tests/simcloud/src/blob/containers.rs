//! The account and its containers.

use hyper::{HeaderMap, Response, StatusCode};

use super::list::{Page, limit};
use super::names;
use super::read::add_metadata;
use super::request::Request;
use super::store::Container;
use super::write::{created, set};
use crate::body::Body;
use crate::clock::http_date;
use crate::lock;
use crate::refusal::{Refusal, element};
use crate::state::State;

/// From here on the answer tells about the hierarchical namespace.
const TELLS_HIERARCHY: &str = "2019-07-07";

/// Get Account Information, asked of the account, a container or a blob, existing or not.
pub(crate) fn account(state: &State, request: &Request) -> Response<Body> {
    let store = lock(&state.blob);
    let hierarchical = store
        .accounts
        .get(&request.account)
        .is_some_and(|account| account.hierarchical);
    let mut response = Response::new(Body::default());
    set(&mut response, "x-ms-sku-name", "Standard_LRS");
    set(&mut response, "x-ms-account-kind", "StorageV2");
    if request.version.as_str() >= TELLS_HIERARCHY {
        let text = if hierarchical { "true" } else { "false" };
        set(&mut response, "x-ms-is-hns-enabled", text);
    }
    response
}

/// Get Blob Service Properties.
pub(crate) fn service_properties() -> Response<Body> {
    let xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties>\
               <Logging><Version>1.0</Version><Read>false</Read><Write>false</Write>\
               <Delete>false</Delete><RetentionPolicy><Enabled>false</Enabled></RetentionPolicy>\
               </Logging><Cors /><DeleteRetentionPolicy><Enabled>false</Enabled>\
               </DeleteRetentionPolicy></StorageServiceProperties>";
    let mut response = Response::new(Body::text(xml.into()));
    set(&mut response, "content-type", "application/xml");
    response
}

/// Create Container.
pub(crate) fn create(
    state: &State,
    request: &Request,
    headers: &HeaderMap,
) -> Result<Response<Body>, Refusal> {
    let metadata = names::metadata(headers)?;
    let stamp = state.stamp();
    let mut store = lock(&state.blob);
    let account = store.accounts.get_mut(&request.account);
    let account = account.ok_or_else(no_account)?;
    if account.containers.contains_key(&request.container) {
        let message = "The specified container already exists.";
        return Err(Refusal::new(409, "ContainerAlreadyExists", message));
    }
    let container = Container {
        stamp,
        metadata,
        hierarchical: account.hierarchical,
        ..Container::default()
    };
    account
        .containers
        .insert(request.container.clone(), container);
    Ok(created(&stamp))
}

/// Get Container Properties.
pub(crate) fn properties(state: &State, request: &Request) -> Result<Response<Body>, Refusal> {
    let mut store = lock(&state.blob);
    let container = store.container(&request.account, &request.container)?;
    let mut response = Response::new(Body::default());
    set(&mut response, "etag", &container.stamp.etag());
    let modified = http_date(container.stamp.modified);
    set(&mut response, "last-modified", &modified);
    set(&mut response, "x-ms-lease-status", "unlocked");
    set(&mut response, "x-ms-lease-state", "available");
    set(&mut response, "x-ms-has-immutability-policy", "false");
    set(&mut response, "x-ms-has-legal-hold", "false");
    add_metadata(&mut response, &container.metadata);
    Ok(response)
}

/// Delete Container.
pub(crate) fn delete(state: &State, request: &Request) -> Result<Response<Body>, Refusal> {
    let mut store = lock(&state.blob);
    store.container(&request.account, &request.container)?;
    if let Some(account) = store.accounts.get_mut(&request.account) {
        account.containers.remove(&request.container);
    }
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

/// List Containers.
pub(crate) fn list(state: &State, request: &Request) -> Result<Response<Body>, Refusal> {
    let query = &request.query;
    let (prefix, marker) = (query.get("prefix"), query.get("marker"));
    let max = limit(query)?;
    let store = lock(&state.blob);
    let account = store.accounts.get(&request.account);
    let containers = &account.ok_or_else(no_account)?.containers;
    let mut found = containers
        .range(marker.unwrap_or_default().to_owned()..)
        .filter(|(name, _)| name.starts_with(prefix.unwrap_or_default()));
    let mut page = Page::open(state, request, &[("Prefix", prefix), ("Marker", marker)]);
    page.xml.push_str("<Containers>");
    for (name, container) in found.by_ref().take(max) {
        page.xml.push_str("<Container>");
        element(&mut page.xml, "Name", name);
        page.xml.push_str("<Properties>");
        let modified = http_date(container.stamp.modified);
        element(&mut page.xml, "Last-Modified", &modified);
        element(&mut page.xml, "Etag", &container.stamp.etag());
        page.xml.push_str("</Properties></Container>");
    }
    page.xml.push_str("</Containers>");
    Ok(page.close(found.next().map(|(name, _)| name.as_str())))
}

pub(crate) fn no_account() -> Refusal {
    let message = "The specified resource does not exist.";
    Refusal::new(404, "ResourceNotFound", message)
}
