//! What the user names as the source, in every form that S3 has had.
//!
//! All of AzCopy's forms (path style, virtual-hosted, any endpoint, bucket patterns, a trailing
//! `/*`) and `s3://BUCKET/KEY`. Pure: nothing is asked of the network.

mod host;
mod parts;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::failure::{Failure, Reason, Result};
use crate::filter::Glob;
use crate::job::SourceEndpoint;
use crate::source::encoding::{decode, encode_path, encode_query};
use crate::source::region::{self, AWS, is_known_region, suffix_of};
use crate::source::settings::Settings;

use self::parts::{Parts, contents, custom_endpoint_url, same_server, split, version};

/// A source: what is copied, and where S3 is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceUrl {
    /// What is named.
    pub level: Level,
    /// A trailing `/*`: the contents, without a folder for them at the destination.
    pub contents_only: bool,
    /// The region the URL names. It filters buckets at service level, and is where to ask first
    /// below that.
    pub region: Option<String>,
    /// Which S3 service the requests go to.
    pub endpoint: SourceEndpoint,
    /// The region of environment or profile: where to ask first, and what another server calls its
    /// own. Confines nothing.
    pub hint: Option<String>,
}

/// What a source names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// All buckets.
    Service,
    /// All buckets whose name matches.
    BucketPattern(BucketPattern),
    /// One bucket.
    Bucket {
        /// Its name.
        bucket: String,
    },
    /// An object, or a directory.
    Path {
        /// The bucket.
        bucket: String,
        /// The key, decoded; for a directory it may or may not end in `/`.
        key: String,
        /// The version, where one is named.
        version: Option<String>,
        /// The key ends in `/`: certainly a directory.
        directory: bool,
    },
}

/// A glob over bucket names, with the meaning that patterns of keys have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketPattern(Glob);

impl BucketPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Malformed brackets.
    pub fn new(text: &str) -> Result<Self> {
        Glob::new(text)
            .map(Self)
            .map_err(|error| refuse(&format!("bucket pattern {text}: {error}")))
    }

    /// Does the bucket's name match?
    pub fn matches(&self, bucket: &str) -> bool {
        self.0.matches(bucket)
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl SourceUrl {
    /// Reads a source argument.
    ///
    /// `custom_endpoint` is the S3-compatible server in use, if any (`http://HOST:PORT`): requests
    /// then go there, and a URL on that host is read path-style.
    ///
    /// In an `https://` URL the path is percent-decoded, `+` means a space (as the S3 console
    /// writes it; a plus is `%2B`) and `%2A` is a literal star. In `s3://BUCKET/KEY` the key stands
    /// as it is, as for the AWS CLI. `http://` is accepted; Amazon is asked over TLS all the same.
    ///
    /// # Errors
    /// [`Reason::Usage`], stopping: one line with cause and remedy, which never repeats the query.
    pub fn parse(text: &str, custom_endpoint: Option<&str>) -> Result<Self> {
        let custom = custom_endpoint.map(custom_endpoint_url).transpose()?;
        let Some((scheme, rest)) = text.split_once("://") else {
            let arn = text.starts_with("arn:");
            return Err(refuse(if arn {
                "an ARN is no source: write s3://BUCKET/KEY"
            } else {
                "the source must begin with s3:// or https://"
            }));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "s3" => Self::literal(rest, custom),
            "http" | "https" if rest.contains('#') => Err(refuse(
                "a # in a URL begins no part of a key: write it as %23",
            )),
            "http" | "https" => Self::web(&split(rest), custom),
            _ => Err(refuse("the source must begin with s3:// or https://")),
        }
    }

    /// `s3://BUCKET/KEY`, where nothing is encoded.
    fn literal(rest: &str, custom: Option<String>) -> Result<Self> {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if let Some(why) = no_bucket(rest, bucket) {
            return Err(refuse(why));
        }
        let (key, contents_only) = contents(key);
        if key.contains('*') {
            return Err(refuse(
                "wildcards stand for buckets, or alone at the end as /*; for a key with a star \
                 write https://s3.amazonaws.com/BUCKET/KEY with %2A for it",
            ));
        }
        Ok(Self {
            level: level(bucket, key.to_owned(), contents_only, None)?,
            contents_only: contents_only && !bucket.contains('*'),
            region: None,
            endpoint: custom.map_or_else(|| aws(&host::Host::default()), SourceEndpoint::custom),
            hint: None,
        })
    }

    /// `https://HOST/PATH`.
    fn web(parts: &Parts<'_>, custom: Option<String>) -> Result<Self> {
        let version = version(parts.query)?;
        if parts.authority.contains('@') {
            return Err(refuse("credentials do not belong into the source's URL"));
        }
        let authority = parts.authority.to_ascii_lowercase();
        let on_custom = custom
            .as_deref()
            .is_some_and(|url| same_server(url, &authority));
        let host = if on_custom {
            host::Host::default()
        } else {
            host::parse(&authority)?
        };
        let (bucket, key) = match &host.bucket {
            Some(bucket) => (bucket.as_str(), parts.path),
            None => parts.path.split_once('/').unwrap_or((parts.path, "")),
        };
        let (key, contents_only) = contents(key);
        if key.contains('*') && !bucket.contains('*') {
            return Err(refuse(
                "wildcards stand for buckets, or alone at the end as /*: write a star in a key \
                 as %2A",
            ));
        }
        let key = decode(key, true).ok_or_else(|| {
            refuse("the path has a % that begins no character: write a percent sign as %25")
        })?;
        Ok(Self {
            level: level(bucket, key, contents_only, version)?,
            contents_only: contents_only && !bucket.contains('*'),
            endpoint: custom.map_or_else(|| aws(&host), SourceEndpoint::custom),
            region: host.region,
            hint: None,
        })
    }

    /// The same source confined to a region (`--s3-region`).
    ///
    /// # Errors
    /// The URL names another one.
    pub fn with_region(mut self, region: &str) -> Result<Self> {
        if let Some(named) = self.region.as_deref().filter(|named| *named != region) {
            return Err(refuse(&format!(
                "the source's URL names the region {named}, --s3-region {region}: give one of them"
            )));
        }
        let dns_label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.is_empty() || !region.bytes().all(dns_label) {
            return Err(refuse(
                "--s3-region takes the name of a region, such as eu-north-1",
            ));
        }
        if let (SourceEndpoint::Aws { suffix, .. }, Some(known)) =
            (&mut self.endpoint, suffix_of(region))
        {
            known.clone_into(suffix);
        }
        self.region = Some(region.to_owned());
        Ok(self)
    }

    /// The same source with what environment and profile say of it; none of it changes what is
    /// copied.
    #[must_use]
    pub fn with_settings(mut self, settings: &Settings) -> Self {
        let region = settings.region.as_deref();
        self.hint = match &mut self.endpoint {
            SourceEndpoint::Custom { .. } => region.map(str::to_owned),
            SourceEndpoint::Aws {
                suffix,
                fips,
                dualstack,
            } => {
                *fips |= settings.fips;
                *dualstack |= settings.dualstack;
                // Another partition knows nothing of these buckets.
                let here = |region: &&str| {
                    is_known_region(region) && suffix_of(region).unwrap_or(AWS) == suffix
                };
                region.filter(here).map(str::to_owned)
            }
        };
        self
    }

    /// The same source at a server that wants the bucket in the name of its host, or in the path.
    ///
    /// # Errors
    /// It is Amazon's, where that is certain; or the host is a number, which has no names.
    pub fn with_addressing(mut self, wanted: bool) -> Result<Self> {
        match &mut self.endpoint {
            SourceEndpoint::Aws { .. } => Err(refuse(
                "--s3-addressing is for an S3-compatible server (--s3-endpoint): of Amazon it is \
                 certain",
            )),
            SourceEndpoint::Custom {
                url,
                virtual_hosted,
            } => {
                if wanted && !has_host_name(url) {
                    return Err(refuse(
                        "--s3-addressing=virtual puts the bucket before the name of the host, and \
                         --s3-endpoint has a number: give the name",
                    ));
                }
                *virtual_hosted = wanted;
                Ok(self)
            }
        }
    }

    /// Could the bucket stand in the name of the host, of a server of which nothing was said?
    pub fn may_be_virtual_hosted(&self) -> bool {
        matches!(&self.endpoint, SourceEndpoint::Custom { url, virtual_hosted: false } if has_host_name(url))
    }

    /// What is copied, in one form whatever form the user chose: equal for two sources that name
    /// the same objects. A URL that [`SourceUrl::parse`] reads again; part of a job's identity.
    pub fn identity(&self) -> String {
        let service = matches!(self.level, Level::Service | Level::BucketPattern(_));
        let region = self.region.as_deref().filter(|_| service);
        match &self.endpoint {
            SourceEndpoint::Custom { url, .. } => {
                let region = region.map_or(String::new(), |region| format!(" in {region}"));
                format!("{url}{}{region}", self.path())
            }
            SourceEndpoint::Aws { suffix, .. } => {
                let region = region.map_or(String::new(), |region| format!(".{region}"));
                format!("https://s3{region}.{suffix}{}", self.path())
            }
        }
    }

    /// The region whose endpoint is asked about buckets: the URL's, else the one that speaks for the
    /// partition.
    pub fn home_region(&self) -> &str {
        let told = self.region.as_deref().or(self.hint.as_deref());
        told.unwrap_or_else(|| region::home(&self.endpoint))
    }

    /// Path and version in the one form.
    fn path(&self) -> String {
        let star = if self.contents_only { "*" } else { "" };
        match &self.level {
            Level::Service => "/".to_owned(),
            Level::BucketPattern(pattern) => format!("/{}", pattern.as_str()),
            Level::Bucket { bucket } => format!("/{bucket}/{star}"),
            Level::Path {
                bucket,
                key,
                version,
                ..
            } => {
                let key = encode_path(key);
                let version = version.as_deref().map_or(String::new(), |version| {
                    format!("?versionId={}", encode_query(version))
                });
                format!("/{bucket}/{key}{star}{version}")
            }
        }
    }
}

/// The source in the one form, for people; no source that is accepted holds a secret.
impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.identity())
    }
}

/// Is the host of a URL a name, not a number?
fn has_host_name(url: &str) -> bool {
    let url = reqwest::Url::parse(url).ok();
    url.is_some_and(|url| url.domain().is_some())
}

/// Why a name in `s3://` is none of a general purpose bucket, in the words that hosts get.
fn no_bucket(rest: &str, bucket: &str) -> Option<&'static str> {
    if rest.starts_with("arn:") && rest.contains(":accesspoint") || bucket.ends_with(".mrap") {
        return Some("an access point is no source: give the name of its bucket");
    }
    if rest.starts_with("arn:") {
        return Some("an ARN is no source: write s3://BUCKET/KEY");
    }
    if bucket.ends_with("--x-s3") {
        return Some(
            "an S3 Express directory bucket is no source, as presigned URLs and ordered listings do \
             not work with it: give a general purpose bucket",
        );
    }
    bucket
        .ends_with("--table-s3")
        .then_some("a table bucket is no source: give a general purpose bucket")
}

/// A usage error about the source.
fn refuse(why: &str) -> Failure {
    Failure::stop(Reason::Usage, format!("source: {why}"))
}

fn aws(host: &host::Host) -> SourceEndpoint {
    SourceEndpoint::Aws {
        suffix: if host.suffix.is_empty() {
            AWS.to_owned()
        } else {
            host.suffix.clone()
        },
        fips: host.fips,
        dualstack: host.dualstack,
    }
}

fn level(bucket: &str, key: String, contents_only: bool, version: Option<String>) -> Result<Level> {
    if bucket.is_empty() {
        // `https://HOST/*` reads as an empty bucket only where the star was taken for the key.
        return if key.is_empty() && !contents_only {
            Ok(Level::Service)
        } else {
            Err(refuse(
                "the bucket's name is empty: is there one `/` too many?",
            ))
        };
    }
    if bucket.contains('*') {
        return if key.is_empty() && !contents_only && version.is_none() {
            BucketPattern::new(bucket).map(Level::BucketPattern)
        } else {
            Err(refuse(
                "a key cannot follow a bucket pattern: name the bucket, or leave the key out",
            ))
        };
    }
    // `tenant:bucket` is how Ceph names another tenant's.
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':');
    if !bucket.bytes().all(named) || bucket.bytes().all(|b| b == b'.') {
        return Err(refuse(
            "a bucket's name has only letters, digits, dots, hyphens and underscores",
        ));
    }
    let bucket = bucket.to_owned();
    if version.is_some() && (key.is_empty() || key.ends_with('/') || contents_only) {
        return Err(refuse(
            "versionId names a version of one object: give its key",
        ));
    }
    if key.is_empty() {
        return Ok(Level::Bucket { bucket });
    }
    let directory = key.ends_with('/');
    Ok(Level::Path {
        bucket,
        key,
        version,
        directory,
    })
}
