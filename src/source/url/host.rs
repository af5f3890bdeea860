//! What the host of an Amazon S3 URL says: bucket, region, and which endpoint.
//!
//! Hosts are read from the right, where the service stands, so that a bucket may hold any label,
//! `s3` included (AWS, "Methods for accessing a general purpose bucket").

use crate::failure::Result;
use crate::source::region::{AWS, DEFAULT, SUFFIXES, is_known_region, is_region, suffix_of};

use super::refuse;

/// A host taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) bucket: Option<String>,
    pub(super) region: Option<String>,
    pub(super) suffix: String,
    pub(super) fips: bool,
    pub(super) dualstack: bool,
}

/// What the labels after the bucket say.
struct Service {
    labels: usize,
    region: Option<String>,
    fips: bool,
    dualstack: bool,
}

/// Takes a lower-case host with perhaps a port apart.
pub(super) fn parse(authority: &str) -> Result<Host> {
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let host = host.strip_suffix('.').unwrap_or(host);
    let Some((suffix, front)) = SUFFIXES.iter().find_map(|suffix| {
        let front = host.strip_suffix(suffix)?.strip_suffix('.')?;
        Some((*suffix, front))
    }) else {
        return Err(refuse(&foreign(host)));
    };
    if !matches!(port, "" | "443" | "80") {
        return Err(refuse(
            "Amazon S3 has no such port; for an S3-compatible server set --s3-endpoint",
        ));
    }
    let labels: Vec<&str> = front.split('.').collect();
    if labels.iter().any(|label| label.is_empty()) {
        return Err(refuse(&format!("the host {host} has an empty label")));
    }
    let service = service(&labels).map_err(|why| refuse(&format!("{host} {why}")))?;
    let bucket = labels
        .get(..labels.len() - service.labels)
        .unwrap_or_default()
        .join(".");
    let mut region = service.region;
    let mut bucket = Some(bucket).filter(|bucket| !bucket.is_empty());
    // `us-west-2.s3.amazonaws.com`, once documented for a region; a bucket of that name needs the
    // path style.
    if region.is_none() && bucket.as_deref().is_some_and(is_known_region) {
        region = bucket.take();
    }
    if bucket.as_deref().is_some_and(|bucket| bucket.contains('*')) {
        return Err(refuse(
            "a bucket pattern cannot stand in the host: write https://s3.amazonaws.com/PATTERN",
        ));
    }
    let suffix = region.as_deref().and_then(suffix_of).unwrap_or(suffix);
    Ok(Host {
        bucket,
        region,
        suffix: suffix.to_owned(),
        fips: service.fips,
        dualstack: service.dualstack,
    })
}

/// The service at the end of the labels, or why there is none that can be copied from.
fn service(labels: &[&str]) -> Result<Service, &'static str> {
    let (last, before, third) = match labels {
        [.., third, before, last] => (*last, *before, *third),
        [before, last] => (*last, *before, ""),
        [last] => (*last, "", ""),
        [] => return Err("is no S3 endpoint"),
    };
    let found = |labels, name: &str, region: Option<&str>, dualstack| {
        usable(name).map(|fips| Service {
            labels,
            region: region.map(str::to_owned),
            fips,
            dualstack,
        })
    };
    if last == "vpce" || before == "vpce" {
        return Err("is a private endpoint, which Azure cannot reach: use the bucket's public URL");
    }
    if before == "dualstack" && is_s3(third) {
        return found(3, third, Some(last), true);
    }
    if last == "dualstack" && is_s3(before) {
        return found(2, before, None, true);
    }
    if is_region(last) && is_s3(before) {
        return found(2, before, Some(last), false);
    }
    if let Some((name, region)) = merged(last) {
        return found(1, name, region, false);
    }
    if before == "s3" && last.contains('-') {
        return found(2, before, Some(last), false);
    }
    Err("is no S3 endpoint: buckets are at s3.REGION.amazonaws.com")
}

fn is_s3(label: &str) -> bool {
    label == "s3" || label.starts_with("s3-") || label.starts_with("s3express")
}

/// A label that holds service and region in one, such as `s3-us-west-2`.
fn merged(label: &str) -> Option<(&str, Option<&str>)> {
    if label == "s3" || usable(label).is_err() {
        return Some((label, None));
    }
    match label.strip_prefix("s3-")? {
        // Accelerated uploads; for listing and reading the global endpoint under another name.
        "accelerate" | "fips" => Some((label, None)),
        "external-1" => Some(("s3", Some(DEFAULT))),
        rest => match rest.strip_prefix("fips-") {
            Some(region) => Some(("s3-fips", Some(region))),
            None => rest.contains('-').then_some(("s3", Some(rest))),
        },
    }
}

/// Can objects be listed and fetched at the endpoint of this name? Says whether it is FIPS.
fn usable(name: &str) -> Result<bool, &'static str> {
    if name.starts_with("s3express") {
        return Err(
            "is an S3 Express directory bucket, which presigned URLs and ordered listings do not \
             cover: copy it to a general purpose bucket first",
        );
    }
    let Some(kind) = name.strip_prefix("s3-") else {
        return Ok(false);
    };
    let is = |word: &str| {
        kind.strip_prefix(word)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    if is("accesspoint") || is("global") || is("object-lambda") {
        return Err("is an access point: give the URL of its bucket");
    }
    if is("website") {
        return Err("is a website endpoint, which lists nothing: give the URL of its bucket");
    }
    if is("outposts") || is("control") {
        return Err("serves no buckets that Azure could fetch from: give the URL of a bucket");
    }
    Ok(kind == "fips")
}

/// What to say of a host outside Amazon.
fn foreign(host: &str) -> String {
    if [".blob.", ".file.", ".dfs."]
        .iter()
        .any(|azure| host.contains(azure))
    {
        return format!("{host} is an Azure host: the source comes first, the destination second");
    }
    if host.contains("console.aws.") {
        return format!("{host} is the AWS console: write s3://BUCKET/KEY instead");
    }
    format!(
        "{host} is not an Amazon S3 host (https://s3.{AWS}/BUCKET/KEY or \
         https://BUCKET.s3.{AWS}/KEY); for an S3-compatible server set --s3-endpoint"
    )
}
