//! What the blob carries beside its content: the object's properties, and what the job says. Pure.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::overwrite::ETAG;
use crate::destination::client::BlobHeaders;
use crate::destination::metadata::{self, SourceProperties};
use crate::destination::tags;
use crate::failure::Result;
use crate::job::{InvalidMetadata, Properties, SourceFact};
use crate::source::client::ObjectHead;
use crate::source::encoding::encode_path;

/// The metadata that tells the key of a blob whose name is escaped, percent-encoded.
pub(super) const KEY: &str = "s3_key";

/// What marks a blob as a folder (Microsoft Learn, "Known issues with Data Lake Storage Gen2").
const FOLDER: (&str, &str) = ("hdi_isfolder", "true");

/// What is known of an object that its headers do not say.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    /// Its key.
    pub(super) key: &'a str,
    /// The blob has another name.
    pub(super) escaped: bool,
    /// Its tags, where they are carried over.
    pub(super) tags: &'a [(String, String)],
}

/// What the blob gets, and how many entries had to be left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Carriage {
    pub(super) headers: BlobHeaders,
    pub(super) excluded: Vec<String>,
}

/// Puts together what the blob carries.
///
/// # Errors
/// [`crate::failure::Reason::MetadataRejected`], as the job wants it.
pub(super) fn carry(job: &Properties, head: &ObjectHead, about: About<'_>) -> Result<Carriage> {
    let mode = job.invalid_metadata;
    let mut own = ours(job, head, about);
    own.extend(match &job.metadata {
        Some(given) => given.clone(),
        None if job.preserve => head.metadata.iter().map(decoded).collect(),
        None => Vec::new(),
    });
    let of = |given: &Option<String>, objects: &Option<String>| {
        given
            .clone()
            .or_else(|| objects.clone().filter(|_| job.preserve))
    };
    let source = SourceProperties {
        content_type: of(&job.headers.content_type, &head.content_type),
        cache_control: of(&job.headers.cache_control, &head.cache_control),
        content_encoding: of(&job.headers.content_encoding, &head.content_encoding),
        content_language: of(&job.headers.content_language, &head.content_language),
        content_disposition: of(&job.headers.content_disposition, &head.content_disposition),
        metadata: own,
    };
    let carried = metadata::carry(&source, mode)?;
    let (mut headers, mut excluded) = (carried.headers, carried.excluded);
    if job.preserve && job.metadata.is_none() && head.missing_meta > 0 {
        let missing = format!("{} entries that S3 does not show", head.missing_meta);
        if mode == InvalidMetadata::FailIfInvalid {
            return Err(metadata::rejected(format!("metadata has {missing}")));
        }
        excluded.push(missing);
    }
    headers.tags = tags::carry(&job.tags, about.tags, mode, &mut excluded)?;
    let class = head.storage_class.as_deref().unwrap_or("STANDARD");
    headers.tier = job
        .tier
        .clone()
        .or_else(|| job.tier_of_class.get(class).cloned());
    Ok(Carriage { headers, excluded })
}

/// Metadata of our own; it stands first, so that an object's entry of the same name gives way.
fn ours(job: &Properties, head: &ObjectHead, about: About<'_>) -> Vec<(String, String)> {
    let mut own = Vec::new();
    if about.escaped {
        own.push((KEY.to_owned(), encode_path(about.key)));
    }
    if about.key.ends_with('/') && head.size == 0 {
        own.push((FOLDER.0.to_owned(), FOLDER.1.to_owned()));
    }
    for fact in &job.source_metadata {
        let entry = match fact {
            SourceFact::Etag => (ETAG, head.etag.clone()),
            SourceFact::LastModified => ("s3_last_modified", rfc3339(head.modified)),
            SourceFact::VersionId => ("s3_version_id", head.version.clone()),
            SourceFact::Expires => ("s3_expires", head.expires.clone()),
            SourceFact::StorageClass => {
                let class = head.storage_class.as_deref().unwrap_or("STANDARD");
                ("s3_storage_class", Some(class.to_owned()))
            }
        };
        if let (name, Some(value)) = entry {
            own.push((name.to_owned(), value));
        }
    }
    own
}

fn rfc3339(seconds: i64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    time.format(&Rfc3339).ok()
}

/// S3 sends a value that is not ASCII in encoded words (RFC 2047). One that is ASCII all the same
/// is told in plain; another stays as it is, since a header of Azure's could not hold it otherwise.
fn decoded((name, value): &(String, String)) -> (String, String) {
    let plain = value.contains("=?").then(|| words(value)).flatten();
    let plain = plain.filter(|text| text.chars().all(|c| c == ' ' || c.is_ascii_graphic()));
    (name.clone(), plain.unwrap_or_else(|| value.clone()))
}

fn words(value: &str) -> Option<String> {
    let line = format!("x: {value}");
    let (header, _) = mailparse::parse_header(line.as_bytes()).ok()?;
    Some(header.get_value())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    fn about(key: &str) -> About<'_> {
        About {
            key,
            escaped: false,
            tags: &[],
        }
    }

    fn head() -> ObjectHead {
        ObjectHead {
            etag: Some("e1".into()),
            modified: 0,
            version: Some("v1".into()),
            content_type: Some("text/plain".into()),
            cache_control: Some("no-cache".into()),
            expires: Some("tomorrow".into()),
            storage_class: Some("STANDARD_IA".into()),
            metadata: vec![pair("a", "1"), pair("s3_etag", "theirs")],
            ..ObjectHead::default()
        }
    }

    #[test]
    fn the_objects_properties_go_over_unless_the_job_says_otherwise() {
        let kept = carry(&Properties::default(), &head(), about("k"))
            .unwrap()
            .headers;
        assert_eq!(kept.content_type.as_deref(), Some("text/plain"));
        assert_eq!(kept.metadata, head().metadata);
        assert_eq!(kept.tier, None);
        let mut job = Properties {
            metadata: Some(vec![pair("b", "2")]),
            ..Properties::default()
        };
        job.headers.content_type = Some("image/png".into());
        let replaced = carry(&job, &head(), about("k")).unwrap().headers;
        assert_eq!(replaced.content_type.as_deref(), Some("image/png"));
        assert_eq!(replaced.cache_control.as_deref(), Some("no-cache"));
        assert_eq!(replaced.metadata, [pair("b", "2")]);
        job.preserve = false;
        let bare = carry(&job, &head(), about("k")).unwrap().headers;
        assert_eq!(bare.content_type.as_deref(), Some("image/png"));
        assert_eq!(bare.cache_control, None);
    }

    #[test]
    fn facts_about_the_source_are_kept_on_request_and_win_over_metadata_of_their_name() {
        let job = Properties {
            source_metadata: vec![
                SourceFact::Etag,
                SourceFact::LastModified,
                SourceFact::VersionId,
                SourceFact::Expires,
                SourceFact::StorageClass,
            ],
            ..Properties::default()
        };
        let carried = carry(&job, &head(), about("k")).unwrap();
        assert_eq!(
            carried.headers.metadata,
            [
                pair("s3_etag", "e1"),
                pair("s3_last_modified", "1970-01-01T00:00:00Z"),
                pair("s3_version_id", "v1"),
                pair("s3_expires", "tomorrow"),
                pair("s3_storage_class", "STANDARD_IA"),
                pair("a", "1"),
            ]
        );
        assert_eq!(carried.excluded, ["s3_etag"]);
    }

    #[test]
    fn an_escaped_name_and_a_folder_are_told_in_metadata() {
        let job = Properties::default();
        let escaped = About {
            escaped: true,
            ..about("é./")
        };
        let carried = carry(&job, &ObjectHead::default(), escaped).unwrap();
        assert_eq!(
            carried.headers.metadata,
            [pair("s3_key", "%C3%A9./"), pair("hdi_isfolder", "true")]
        );
    }

    #[test]
    fn tiers_follow_the_class_or_the_job() {
        let mut job = Properties::default();
        job.tier_of_class
            .insert("STANDARD_IA".into(), "Cool".into());
        let tier = |job: &Properties| carry(job, &head(), about("k")).unwrap().headers.tier;
        assert_eq!(tier(&job).as_deref(), Some("Cool"));
        job.tier = Some("Hot".into());
        assert_eq!(tier(&job).as_deref(), Some("Hot"));
    }

    #[test]
    fn encoded_words_are_told_in_plain_where_that_is_ascii() {
        for (value, plain) in [
            ("=?UTF-8?B?aGVsbG8=?=", "hello"),
            ("=?UTF-8?Q?a=20b?=", "a b"),
            ("=?UTF-8?B?w6k=?=", "=?UTF-8?B?w6k=?="),
            ("=?UTF-8?B?Cg==?=", "=?UTF-8?B?Cg==?="),
            ("=?nothing", "=?nothing"),
            ("a=?b", "a=?b"),
        ] {
            assert_eq!(decoded(&pair("n", value)).1, plain, "{value}");
        }
    }

    #[test]
    fn what_s3_does_not_show_is_not_lost_in_silence() {
        let head = ObjectHead {
            missing_meta: 2,
            ..ObjectHead::default()
        };
        let mut job = Properties::default();
        let carried = carry(&job, &head, about("k")).unwrap();
        assert_eq!(carried.excluded, ["2 entries that S3 does not show"]);
        job.invalid_metadata = InvalidMetadata::FailIfInvalid;
        assert!(carry(&job, &head, about("k")).is_err());
    }
}
