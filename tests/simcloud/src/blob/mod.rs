//! Azure Blob Storage: block blobs, and what a mover asks about them.

mod auth;
mod block_list;
mod blocks;
mod containers;
mod copy;
pub(crate) mod grant;
mod hierarchy;
mod list;
mod names;
mod read;
mod receive;
mod request;
pub(crate) mod sas;
pub(crate) mod store;
mod tags;
mod write;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response};

use self::grant::Grant;
pub(crate) use self::request::Request;
use crate::body::Body;
use crate::lock;
use crate::op::OpKind;
use crate::refusal::Refusal;
use crate::state::State;

impl Request {
    /// Carries the request out.
    pub(crate) async fn run(
        &self,
        state: &Arc<State>,
        parts: &Parts,
        body: Incoming,
        secure: bool,
    ) -> Result<Response<Body>, Refusal> {
        let grant = self.authorise(state, parts, secure)?;
        let number = state.counters.requests(self.kind);
        state.quirks.check_blob(self.kind, &self.name, number)?;
        match self.kind {
            OpKind::ListContainers => containers::list(state, self),
            OpKind::GetServiceProperties => Ok(containers::service_properties()),
            OpKind::GetAccountInformation => Ok(containers::account(state, self)),
            OpKind::CreateContainer => containers::create(state, self, &parts.headers),
            OpKind::GetContainerProperties => containers::properties(state, self),
            OpKind::DeleteContainer => containers::delete(state, self),
            OpKind::ListBlobs => list::blobs(state, self),
            OpKind::PutBlob => write::put_blob(state, self, parts, body, &grant).await,
            OpKind::PutBlobFromUrl => write::put_blob_from_url(state, self, parts, &grant).await,
            OpKind::PutBlock => blocks::put_block(state, self, parts, body).await,
            OpKind::PutBlockFromUrl => blocks::put_block_from_url(state, self, parts).await,
            OpKind::PutBlockList => blocks::put_block_list(state, self, parts, body, &grant).await,
            OpKind::GetBlockList => blocks::get_block_list(state, self),
            OpKind::GetBlob | OpKind::HeadBlob => read::get(state, self, parts),
            OpKind::DeleteBlob => read::delete(state, self, parts),
            OpKind::SetBlobMetadata => read::change(state, self, parts, true),
            OpKind::GetBlobTags => tags::get(state, self),
            OpKind::SetBlobTags => tags::replace(state, self, parts, body).await,
            OpKind::SetBlobProperties => read::change(state, self, parts, false),
            _ => Err(Refusal::new(501, "NotImplemented", "an operation of S3")),
        }
    }

    fn authorise(&self, state: &State, parts: &Parts, secure: bool) -> Result<Grant, Refusal> {
        let store = lock(&state.blob);
        let account = store.accounts.get(&self.account);
        let account = account.ok_or_else(containers::no_account)?;
        let grant = auth::authenticate(self, parts, account, secure, state.clock.now())?;
        let tags = parts.headers.contains_key("x-ms-tags");
        grant.check(self.kind, &self.version, tags)?;
        if account.hierarchical {
            hierarchy::check(self, parts)?;
        }
        Ok(grant)
    }
}

/// A refusal in Azure's form: the code in a header too, as HEAD has no body.
pub(crate) fn refuse(refusal: &Refusal, parts: &Parts) -> Response<Body> {
    let mut response = Response::new(Body::default());
    if parts.method != Method::HEAD && refusal.status != 304 {
        let xml = refusal.xml_elements();
        let text = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><Error>{xml}</Error>");
        *response.body_mut() = Body::text(text);
        write::set(&mut response, "content-type", "application/xml");
    }
    *response.status_mut() = refusal.status();
    write::set(&mut response, "x-ms-error-code", &refusal.code);
    response
}

/// Headers every answer has.
pub(crate) fn common(response: &mut Response<Body>, parts: &Parts) {
    for name in ["x-ms-version", "x-ms-client-request-id"] {
        if let Some(value) = parts.headers.get(name) {
            let value: HeaderValue = value.clone();
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
}
