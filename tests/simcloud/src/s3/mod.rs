//! Amazon S3, the reading half of it.

pub(crate) mod address;
pub(crate) mod auth;
mod buckets;
mod customer_key;
mod list;
mod metadata;
mod object;
mod odd_list;
pub(crate) mod store;
mod tagging;
mod versions;

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response};

use self::address::{Address, Endpoint};
use self::auth::Claim;
use crate::body::Body;
use crate::lock;
use crate::op::OpKind;
use crate::query::Query;
use crate::quirks::{Quirk, Quirks};
use crate::refusal::{Refusal, element};
use crate::state::State;

const XML_HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Parameters that belong to the signature, and `x-id`, by which SDKs name the operation.
const COMMON: &[&str] = &[
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
    "x-id",
];

/// A request that names an operation served here.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) kind: OpKind,
    pub(crate) address: Address,
    query: Query,
}

impl Request {
    /// Reads what a request asks for; anything not served is refused loudly.
    pub(crate) fn read(parts: &Parts, quirks: &Quirks) -> Result<Self, Refusal> {
        let mut address = Address::read(parts)?;
        if quirks.has(Quirk::VirtualHostOnly) {
            address = address.by_host(parts)?;
        }
        let query = Query::parse(parts.uri.query().unwrap_or_default())
            .ok_or_else(|| Refusal::new(400, "InvalidURI", "Couldn't parse the specified URI."))?;
        let (kind, known) = operation(parts, &address, &query)?;
        let stray = query
            .iter()
            .find(|(name, _)| !COMMON.contains(name) && !known.contains(name));
        if let Some((name, _)) = stray {
            return Err(not_implemented(&format!("{kind:?} with parameter {name}")));
        }
        Ok(Self {
            kind,
            address,
            query,
        })
    }

    /// Carries the request out.
    pub(crate) fn run(&self, state: &State, parts: &Parts) -> Result<Response<Body>, Refusal> {
        let signed = self.check_access(state, parts)?;
        let quirks = &state.quirks;
        quirks.check(self.kind, &self.address.key, parts, &self.query)?;
        self.answer(state, parts, signed)
    }

    /// Refuses who may not ask this, or not here; tells whether the request is signed.
    fn check_access(&self, state: &State, parts: &Parts) -> Result<bool, Refusal> {
        let claim = Claim::read(parts, &self.query)?;
        let place = {
            let store = lock(&state.s3);
            let bucket = store.buckets.get(&self.address.bucket);
            bucket.map(|bucket| (bucket.region.clone(), bucket.public))
        };
        if let (Some((region, _)), true) = (&place, self.kind != OpKind::GetBucketLocation) {
            self.address.check_endpoint(region)?;
        }
        match &claim {
            Some(claim) => {
                self.check_scope(claim, place.as_ref().map(|(region, _)| region.as_str()))?;
                let now = state.s3_clock.now();
                claim
                    .verify(parts, &self.query, &lock(&state.secrets), now)
                    .map_err(|refusal| self.tell_region(refusal, place.as_ref()))?;
            }
            None if self.is_public(place.as_ref()) => {}
            None => {
                let refusal = Refusal::new(403, "AccessDenied", "Access Denied");
                return Err(self.tell_region(refusal, place.as_ref()));
            }
        }
        Ok(claim.is_some())
    }

    fn answer(
        &self,
        state: &State,
        parts: &Parts,
        signed: bool,
    ) -> Result<Response<Body>, Refusal> {
        let quirks = &state.quirks;
        let store = lock(&state.s3);
        let bucket = store.buckets.get(&self.address.bucket);
        if self.kind == OpKind::ListBuckets {
            return buckets::list(&store, &self.address, &self.query);
        }
        let bucket = bucket.ok_or_else(|| {
            Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist")
                .element("BucketName", self.address.bucket.as_str())
        })?;
        match self.kind {
            OpKind::GetBucketLocation => Ok(buckets::location(&bucket.region)),
            OpKind::HeadBucket if quirks.has(Quirk::RegionUntold) => {
                Ok(Response::new(Body::default()))
            }
            OpKind::HeadBucket if quirks.has(Quirk::OtherRegionTold) => {
                Ok(region_reply("elsewhere-1"))
            }
            OpKind::HeadBucket => Ok(region_reply(&bucket.region)),
            OpKind::ListObjects if quirks.list_oddly() => {
                let most = state.page_keys.load(Ordering::Relaxed);
                let named = (self.address.bucket.as_str(), bucket);
                odd_list::page(named, parts, &self.query, (most, quirks))
            }
            // Only now: a source that the fetcher tidied up to its bucket fails by its signature.
            OpKind::ListObjects if self.query.get("list-type") != Some("2") => {
                Err(not_implemented("ListObjects of version 1"))
            }
            OpKind::ListObjects => {
                let most = state.page_keys.load(Ordering::Relaxed);
                list::page(
                    (&self.address.bucket, bucket),
                    parts,
                    &self.query,
                    (most, quirks),
                )
            }
            _ => {
                let version = self.query.get("versionId");
                if self.kind == OpKind::HeadObject && self.is_folder(bucket, quirks) {
                    return Ok(object::folder());
                }
                // The version that is there has the name null.
                let version = version.filter(|_| !quirks.has(Quirk::NullVersions));
                let object = bucket.find(&self.address.key, version)?;
                match self.kind {
                    OpKind::GetObjectTagging => Ok(tagging::read(&object)),
                    _ => object::read(parts, &self.query, &object, (signed, quirks)),
                }
            }
        }
    }

    /// Is it a key below which others are, of a server that answers HEAD for such?
    fn is_folder(&self, bucket: &store::Bucket, quirks: &Quirks) -> bool {
        let key = &self.address.key;
        let below = format!("{}/", key.trim_end_matches('/'));
        let first = bucket.keys.next(std::ops::Bound::Included(&below));
        quirks.has(Quirk::FoldersAnswerHead)
            && bucket.keys.get(key).is_none()
            && first.is_some_and(|(name, _)| name.starts_with(&below))
    }

    /// Whether anyone may: a public bucket lets objects be read, not their tags.
    fn is_public(&self, place: Option<&(String, bool)>) -> bool {
        place.is_some_and(|(_, public)| *public) && self.kind != OpKind::GetObjectTagging
    }

    /// HeadBucket tells the region of a bucket even to those who may not see it.
    fn tell_region(&self, refusal: Refusal, place: Option<&(String, bool)>) -> Refusal {
        match place {
            Some((region, _)) if self.kind == OpKind::HeadBucket => {
                refusal.header("x-amz-bucket-region", region.as_str())
            }
            _ => refusal,
        }
    }

    /// The region in the signature must be the bucket's; GetBucketLocation may be asked of
    /// us-east-1 for any bucket, and the list of buckets of any endpoint under its own name.
    fn check_scope(&self, claim: &Claim, region: Option<&str>) -> Result<(), Refusal> {
        match (region, &self.address.endpoint) {
            (Some(_), _)
                if self.kind == OpKind::GetBucketLocation && claim.region == "us-east-1" =>
            {
                Ok(())
            }
            (Some(region), _) => claim.check_region(region),
            (None, Endpoint::Regional(region)) => claim.check_region(region),
            (None, Endpoint::Global) => claim.check_region("us-east-1"),
            (None, Endpoint::Any) => Ok(()),
        }
    }
}

/// The operation and the parameters it takes.
fn operation(
    parts: &Parts,
    address: &Address,
    query: &Query,
) -> Result<(OpKind, &'static [&'static str]), Refusal> {
    const LIST: &[&str] = &[
        "list-type",
        "marker",
        "x-amz-request-payer",
        "prefix",
        "delimiter",
        "max-keys",
        "start-after",
        "continuation-token",
        "encoding-type",
        "fetch-owner",
    ];
    const BUCKETS: &[&str] = &[
        "max-buckets",
        "continuation-token",
        "prefix",
        "bucket-region",
    ];
    const READ: &[&str] = &[
        "versionId",
        "x-amz-checksum-mode",
        "x-amz-request-payer",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
    ];
    const TAGGING: &[&str] = &["tagging", "versionId", "x-amz-request-payer"];
    let get = parts.method == Method::GET;
    let head = parts.method == Method::HEAD;
    match (address.bucket.is_empty(), address.key.is_empty()) {
        (true, _) if get => Ok((OpKind::ListBuckets, BUCKETS)),
        (false, true) if head => Ok((OpKind::HeadBucket, &[])),
        (false, true) if get && query.has("location") => {
            Ok((OpKind::GetBucketLocation, &["location"]))
        }
        (false, true) if get => Ok((OpKind::ListObjects, LIST)),
        (false, false) if get && query.has("tagging") => Ok((OpKind::GetObjectTagging, TAGGING)),
        (false, false) if get => Ok((OpKind::GetObject, READ)),
        (false, false) if head => Ok((OpKind::HeadObject, READ)),
        _ => Err(not_implemented(&format!("{} {}", parts.method, parts.uri))),
    }
}

fn not_implemented(what: &str) -> Refusal {
    let message = format!("simcloud does not serve this: {what}");
    Refusal::new(501, "NotImplemented", message)
}

/// A whole number of a query, within its limits.
fn number(
    query: &Query,
    name: &str,
    default: usize,
    limits: RangeInclusive<usize>,
) -> Result<usize, Refusal> {
    let Some(text) = query.get(name) else {
        return Ok(default);
    };
    text.parse()
        .ok()
        .filter(|value| limits.contains(value))
        .ok_or_else(|| {
            let message = format!("Provided {name} not an integer or within integer range");
            Refusal::new(400, "InvalidArgument", message)
                .element("ArgumentName", name)
                .element("ArgumentValue", text)
        })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn region_reply(region: &str) -> Response<Body> {
    let mut response = Response::new(Body::default());
    if let Ok(value) = region.parse() {
        response.headers_mut().insert("x-amz-bucket-region", value);
    }
    response
}

fn xml_reply(root: &str, inner: &str) -> Response<Body> {
    let xml = format!(
        "{XML_HEAD}<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}</{root}>"
    );
    let mut response = Response::new(Body::text(xml));
    let content_type = hyper::header::HeaderValue::from_static("application/xml");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A refusal in S3's form; HEAD has no body, so it tells no code.
pub(crate) fn refuse(refusal: &Refusal, parts: &Parts, request_id: &str) -> Response<Body> {
    let mut response = Response::new(Body::default());
    if parts.method != Method::HEAD && refusal.status != 304 {
        let mut xml = refusal.xml_elements();
        element(&mut xml, "Resource", parts.uri.path());
        element(&mut xml, "RequestId", request_id);
        *response.body_mut() = Body::text(format!("{XML_HEAD}<Error>{xml}</Error>"));
        let content_type = hyper::header::HeaderValue::from_static("application/xml");
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    *response.status_mut() = refusal.status();
    response
}
