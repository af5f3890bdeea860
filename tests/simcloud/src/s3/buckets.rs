//! ListBuckets, GetBucketLocation, HeadBucket.

use hyper::Response;

use super::address::{Address, Endpoint};
use super::store::Store;
use super::{number, xml_reply};
use crate::body::Body;
use crate::clock::iso_date;
use crate::query::Query;
use crate::refusal::{Refusal, element};

/// The page of buckets a query asks for. BucketRegion is told only if a parameter was sent.
pub(crate) fn list(
    store: &Store,
    address: &Address,
    query: &Query,
) -> Result<Response<Body>, Refusal> {
    let max = number(query, "max-buckets", 10_000, 1..=10_000)?;
    let region = query.get("bucket-region");
    if let (Endpoint::Regional(here), Some(region)) = (&address.endpoint, region)
        && here != region
    {
        let message = format!("Argument value {region} is not applicable at this endpoint");
        return Err(Refusal::new(400, "InvalidArgument", message));
    }
    let prefix = query.get("prefix").unwrap_or_default();
    let after = match query.get("continuation-token") {
        None => None,
        Some(token) => Some(super::list::open_token(token)?.1),
    };
    let asked = [
        "max-buckets",
        "continuation-token",
        "prefix",
        "bucket-region",
    ]
    .iter()
    .any(|name| query.has(name));
    let mut found = store.buckets.iter().filter(|(name, bucket)| {
        name.starts_with(prefix)
            && after.as_ref().is_none_or(|after| *name > after)
            && region.is_none_or(|region| bucket.region == region)
    });
    let mut xml = String::from("<Buckets>");
    let mut last = None;
    for (name, bucket) in found.by_ref().take(max) {
        xml.push_str("<Bucket>");
        element(&mut xml, "Name", name);
        element(&mut xml, "CreationDate", &iso_date(bucket.created));
        if asked {
            element(&mut xml, "BucketRegion", &bucket.region);
        }
        xml.push_str("</Bucket>");
        last = Some(name);
    }
    xml.push_str("</Buckets><Owner><ID>simcloud</ID></Owner>");
    if let (Some(last), true) = (last, found.next().is_some()) {
        element(
            &mut xml,
            "ContinuationToken",
            &super::list::make_token('k', last),
        );
    }
    if query.has("prefix") {
        element(&mut xml, "Prefix", prefix);
    }
    Ok(xml_reply("ListAllMyBucketsResult", &xml))
}

/// Empty for us-east-1, `EU` never: no bucket here is that old.
pub(crate) fn location(region: &str) -> Response<Body> {
    let region = if region == "us-east-1" { "" } else { region };
    let mut xml = String::new();
    crate::refusal::escape(&mut xml, region);
    xml_reply("LocationConstraint", &xml)
}
