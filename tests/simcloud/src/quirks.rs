//! Servers that speak S3 in their own way, and accounts with troubles of their own, as people report
//! them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use hyper::http::request::Parts;

use crate::op::OpKind;
use crate::query::Query;
use crate::refusal::Refusal;

/// One way in which a server differs from Amazon's, or an account from one that is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    /// 400 for `x-amz-checksum-mode` (Backblaze B2).
    ChecksumModeRefused,
    /// 501 for `x-amz-optional-object-attributes`.
    OptionalAttributesRefused,
    /// 400 for `encoding-type`.
    EncodingTypeRefused,
    /// 400 for `max-buckets`.
    MaxBucketsRefused,
    /// 403 without `x-amz-request-payer` (requester pays).
    RequesterPays,
    /// 403 `SecondLevelDomainForbidden` for path style (Alibaba OSS); the bucket stands before
    /// `.localhost`.
    VirtualHostOnly,
    /// HeadBucket does not tell the region.
    RegionUntold,
    /// HeadBucket tells another region than the one requests must be signed for.
    OtherRegionTold,
    /// 503 `SlowDown` for ever for objects whose key holds `unreadable` (MinIO without quorum).
    UnreadableObjects,
    /// 503 for every object.
    AllObjectsBusy,
    /// ListObjects of version 1 only: `list-type`, `start-after` and tokens are passed over.
    ListV1Only,
    /// Keys are listed folder by folder (`foo/1` before `foo.conda`), and `start-after` filters
    /// what is not greater.
    Unsorted,
    /// Three empty pages, each with a new token, before every page with keys (Ceph, GCS).
    EmptyPages,
    /// Each page begins with the last key of the one before.
    RepeatsAtEdge,
    /// Each key is listed twice in a row.
    RepeatsKeys,
    /// `start-after` names the first key that is wanted.
    StartAfterIncluded,
    /// Keys are encoded as asked for, and EncodingType is left out (Ceph before 2016).
    EncodingTypeUnsaid,
    /// Keys are told as they are whatever is asked for, and EncodingType is left out.
    NeverEncodes,
    /// Keys that hold `latin` are told in a form that is not UTF-8.
    LatinKeys,
    /// `LastModified` as in HTTP headers.
    HttpDates,
    /// `LastModified` without a zone.
    DatesWithoutZone,
    /// `LastModified` is empty.
    NoDates,
    /// Listings tell no sizes.
    NoSizes,
    /// HEAD tells no length (R2, NetApp).
    HeadWithoutLength,
    /// HEAD tells a length of 0 whatever the object's.
    HeadOfNothing,
    /// 405 for HEAD of an object.
    HeadRefused,
    /// 400 for every continuation token: it has expired.
    TokensExpire,
    /// ETags are weak: `W/"…"`.
    WeakEtags,
    /// ETags have 32 hexadecimal digits and are no MD5.
    EtagsNoMd5,
    /// `Range` is passed over: 200 and everything.
    IgnoresRange,
    /// Every object has the version `null`.
    NullVersions,
    /// Storage classes are names alone: every object can be read (MinIO).
    ClassesAreNames,
    /// HEAD of a key below which there are others says 200, without an object of that name.
    FoldersAnswerHead,
    /// 503 `ServerBusy` for ever for blobs whose name ends in `busy`.
    BusyBlobs,
    /// The 201 of Put Blob From URL tells an MD5 that is not the content's, for blobs whose name
    /// holds `astray`.
    OtherMd5Told,
    /// 409 `ContainerBeingDeleted` for the first ten Create Container.
    ContainersBeingDeleted,
    /// Blobs whose name ends in `.vhd` are page blobs: 409 `InvalidBlobType` for blocks.
    PageBlobs,
}

/// Every quirk with its name on a command line.
pub const QUIRKS: &[(Quirk, &str)] = &[
    (Quirk::ChecksumModeRefused, "checksum-mode-refused"),
    (
        Quirk::OptionalAttributesRefused,
        "optional-attributes-refused",
    ),
    (Quirk::EncodingTypeRefused, "encoding-type-refused"),
    (Quirk::MaxBucketsRefused, "max-buckets-refused"),
    (Quirk::RequesterPays, "requester-pays"),
    (Quirk::VirtualHostOnly, "virtual-host-only"),
    (Quirk::RegionUntold, "region-untold"),
    (Quirk::OtherRegionTold, "other-region-told"),
    (Quirk::UnreadableObjects, "unreadable-objects"),
    (Quirk::AllObjectsBusy, "all-objects-busy"),
    (Quirk::ListV1Only, "list-v1-only"),
    (Quirk::Unsorted, "unsorted"),
    (Quirk::EmptyPages, "empty-pages"),
    (Quirk::RepeatsAtEdge, "repeats-at-edge"),
    (Quirk::RepeatsKeys, "repeats-keys"),
    (Quirk::StartAfterIncluded, "start-after-included"),
    (Quirk::EncodingTypeUnsaid, "encoding-type-unsaid"),
    (Quirk::NeverEncodes, "never-encodes"),
    (Quirk::LatinKeys, "latin-keys"),
    (Quirk::HttpDates, "http-dates"),
    (Quirk::DatesWithoutZone, "dates-without-zone"),
    (Quirk::NoDates, "no-dates"),
    (Quirk::NoSizes, "no-sizes"),
    (Quirk::HeadWithoutLength, "head-without-length"),
    (Quirk::HeadOfNothing, "head-of-nothing"),
    (Quirk::HeadRefused, "head-refused"),
    (Quirk::TokensExpire, "tokens-expire"),
    (Quirk::WeakEtags, "weak-etags"),
    (Quirk::EtagsNoMd5, "etags-no-md5"),
    (Quirk::IgnoresRange, "ignores-range"),
    (Quirk::NullVersions, "null-versions"),
    (Quirk::ClassesAreNames, "classes-are-names"),
    (Quirk::FoldersAnswerHead, "folders-answer-head"),
    (Quirk::BusyBlobs, "busy-blobs"),
    (Quirk::OtherMd5Told, "other-md5-told"),
    (Quirk::ContainersBeingDeleted, "containers-being-deleted"),
    (Quirk::PageBlobs, "page-blobs"),
];

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = QUIRKS.iter().find(|(quirk, _)| quirk == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

impl FromStr for Quirk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = QUIRKS.iter().find(|(_, name)| *name == text);
        found.map(|(quirk, _)| *quirk).ok_or_else(|| {
            let names: Vec<&str> = QUIRKS.iter().map(|(_, name)| *name).collect();
            format!("unknown quirk {text}; known: {}", names.join(" "))
        })
    }
}

/// Requests that a deletion of a container outlasts.
const DELETION: u64 = 10;

/// The quirks of one server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quirks(BTreeSet<Quirk>);

impl Quirks {
    pub(crate) fn new(quirks: impl IntoIterator<Item = Quirk>) -> Self {
        Self(quirks.into_iter().collect())
    }

    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.0.contains(&quirk)
    }

    /// Must the listing be made by [`crate::s3::odd_list`]?
    pub(crate) fn list_oddly(&self) -> bool {
        self.0
            .range(Quirk::ListV1Only..=Quirk::NoSizes)
            .next()
            .is_some()
    }

    pub(crate) fn blob_type(&self, name: &str) -> &'static str {
        match self.has(Quirk::PageBlobs) && name.ends_with(".vhd") {
            true => "PageBlob",
            false => "BlockBlob",
        }
    }

    /// Refuses what this account refuses whoever asks; `number` says how often it was asked this.
    pub(crate) fn check_blob(&self, kind: OpKind, name: &str, number: u64) -> Result<(), Refusal> {
        if self.has(Quirk::BusyBlobs) && name.ends_with("busy") {
            let message = "The server is busy.";
            return Err(Refusal::new(503, "ServerBusy", message));
        }
        let blocks = [
            OpKind::PutBlock,
            OpKind::PutBlockFromUrl,
            OpKind::PutBlockList,
            OpKind::GetBlockList,
        ];
        if self.blob_type(name) == "PageBlob" && blocks.contains(&kind) {
            let message = "The blob type is invalid for this operation.";
            return Err(Refusal::new(409, "InvalidBlobType", message));
        }
        let creates = kind == OpKind::CreateContainer;
        if self.has(Quirk::ContainersBeingDeleted) && creates && number <= DELETION {
            let message = "The specified container is being deleted. Try operation later.";
            return Err(Refusal::new(409, "ContainerBeingDeleted", message));
        }
        Ok(())
    }

    /// Refuses what this server refuses whoever asks.
    pub(crate) fn check(
        &self,
        kind: OpKind,
        key: &str,
        parts: &Parts,
        query: &Query,
    ) -> Result<(), Refusal> {
        let has = |name: &str| parts.headers.contains_key(name) || query.has(name);
        let unknown = [
            (Quirk::ChecksumModeRefused, "x-amz-checksum-mode", 400),
            (
                Quirk::OptionalAttributesRefused,
                "x-amz-optional-object-attributes",
                501,
            ),
            (Quirk::EncodingTypeRefused, "encoding-type", 400),
            (Quirk::MaxBucketsRefused, "max-buckets", 400),
            (Quirk::TokensExpire, "continuation-token", 400),
        ];
        for (quirk, name, status) in unknown {
            if self.has(quirk) && has(name) {
                let code = match status {
                    501 => "NotImplemented",
                    _ => "InvalidArgument",
                };
                let message = format!("{name} is not known to this server");
                return Err(Refusal::new(status, code, message));
            }
        }
        if self.has(Quirk::HeadRefused) && kind == OpKind::HeadObject {
            let message = "The specified method is not allowed against this resource.";
            return Err(Refusal::new(405, "MethodNotAllowed", message));
        }
        let asks_for_objects = !matches!(kind, OpKind::HeadBucket | OpKind::ListBuckets);
        if self.has(Quirk::RequesterPays) && asks_for_objects && !has("x-amz-request-payer") {
            return Err(Refusal::new(403, "AccessDenied", "Access Denied"));
        }
        let busy = self.has(Quirk::AllObjectsBusy) && !key.is_empty()
            || self.has(Quirk::UnreadableObjects) && key.contains("unreadable");
        if busy {
            let message = "Resource requested is unreadable, please reduce your request rate";
            return Err(Refusal::new(503, "SlowDown", message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quirk_is_read_back_from_its_name() {
        for (quirk, name) in QUIRKS {
            assert_eq!(name.parse::<Quirk>().unwrap(), *quirk);
            assert_eq!(quirk.to_string(), *name);
        }
        assert!(
            "unheard-of"
                .parse::<Quirk>()
                .unwrap_err()
                .contains("unsorted")
        );
    }
}
