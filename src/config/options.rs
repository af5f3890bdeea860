//! From flags to what a job carries.

use std::collections::BTreeMap;
use std::time::Duration;

use super::args::{
    CarryArgs, CopyArgs, CopyCommand, OutputLevel, Payer, SelectArgs, SourceArgs, SpeedArgs,
};
use super::lists::{container_map, entries, lines, pairs, time, usage};
use super::{Env, sizes};
use crate::copier::Speed;
use crate::destination::url::DestinationUrl;
use crate::failure::Result;
use crate::files;
use crate::filter::Filter;
use crate::job::{ContentHeaders, CopyOptions, Filters, Overwrite, Properties};
use crate::pace::Pace;
use crate::submit::{Request, Selection};

/// Objects a copier works on at a time, where nothing else is said.
const CONCURRENCY: u16 = 2000;
/// So few requests at a time are worth a warning.
const FEW: u16 = 128;

/// Tiers of a block blob.
const TIERS: [&str; 4] = ["Hot", "Cool", "Cold", "Archive"];

/// Tiers of S3's storage classes, by what each is for. Standard and the classes that move objects
/// themselves take the account's default.
const TIER_OF_CLASS: [(&str, &str); 6] = [
    ("STANDARD_IA", "Cool"),
    ("ONEZONE_IA", "Cool"),
    ("REDUCED_REDUNDANCY", "Hot"),
    ("GLACIER_IR", "Cold"),
    ("GLACIER", "Archive"),
    ("DEEP_ARCHIVE", "Archive"),
];

impl SpeedArgs {
    /// How much a copier does at a time, as far as this process may open connections.
    ///
    /// # Errors
    /// The cap is no number of megabits.
    pub fn speed(&self, env: Env) -> Result<Speed> {
        let azcopys = || env("AZCOPY_CONCURRENCY_VALUE")?.parse().ok();
        let wanted = self.concurrency.or_else(azcopys);
        let asked = wanted.filter(|value| *value > 0);
        let (wanted, most) = (asked.unwrap_or(CONCURRENCY), files::most_connections());
        // What nobody asked for is missed by nobody, unless little is left.
        if most < wanted && (asked.is_some() || most < FEW) {
            files::say_lowered(wanted, most);
        }
        let pace = sizes::bytes_per_second(&self.cap_mbps)?;
        Ok(Speed {
            concurrency: wanted.min(most),
            hold: Duration::from_secs(60 * u64::from(self.hold_denied)),
            pace: pace.map(Pace::new),
        })
    }
}

impl CopyArgs {
    /// What changes how objects are copied.
    ///
    /// # Errors
    /// A value that is none of its flag, or flags that contradict each other.
    pub fn options(&self) -> Result<CopyOptions> {
        self.check_kinds()?;
        Ok(CopyOptions {
            put_blob_size: sizes::put_blob_size(&self.put_blob_size_mb)?,
            block_size: sizes::block_size(&self.block_size_mb)?,
            filters: self.select.filters()?,
            overwrite: self.overwrite,
            relay: self.relay,
            invalid_names: self.invalid_name_handle,
            directory_stubs: self.include_directory_stub,
            check_length: self.check_length,
            detect_source_changed: self.s2s_detect_source_changed,
            properties: self.carry.properties()?,
        })
    }

    fn check_kinds(&self) -> Result<()> {
        let is = |given: &Option<String>, kinds: &[&str]| {
            let given = given.as_deref();
            given.is_none_or(|given| kinds.iter().any(|kind| kind.eq_ignore_ascii_case(given)))
        };
        if !is(&self.from_to, &["S3Blob"]) {
            return Err(usage("--from-to: only S3Blob is copied here"));
        }
        if !is(&self.blob_type, &["Detect", "BlockBlob"]) {
            return Err(usage(
                "--blob-type: objects become block blobs only; page and append blobs cannot be \
                 compared with their objects by a digest: leave it out",
            ));
        }
        Ok(())
    }

    /// The whole request.
    ///
    /// # Errors
    /// A source or destination that cannot be used, or a flag's value.
    pub fn request(
        &self,
        source: &SourceArgs,
        (from, to): (&str, &str),
        env: Env,
    ) -> Result<Request> {
        let request = Request {
            source: source.source(from, env)?,
            destination: DestinationUrl::parse(to)?,
            recursive: self.recursive,
            as_subdir: self.as_subdir,
            options: self.options()?,
            selection: self.selection()?,
            job_name: self.job_name.clone(),
            requester_pays: source.s3_request_payer == Some(Payer::Requester),
        };
        request.check()?;
        Ok(request)
    }

    fn selection(&self) -> Result<Selection> {
        let select = &self.select;
        let mut paths = entries(select.include_path.as_deref());
        if let Some(file) = &select.list_of_files {
            if !paths.is_empty() {
                return Err(usage(
                    "--include-path and --list-of-files: give one of them",
                ));
            }
            let lines = lines("--list-of-files", file)?;
            paths.extend(lines.into_iter().map(|(_, line)| line));
            if paths.is_empty() {
                return Err(usage("--list-of-files names a file without a line in it"));
            }
        }
        let versions = match &select.list_of_versions {
            Some(file) => lines("--list-of-versions", file)?,
            None => Vec::new(),
        };
        if select.list_of_versions.is_some() && versions.is_empty() {
            return Err(usage(
                "--list-of-versions names a file without a line in it",
            ));
        }
        let map = &self.container_map;
        let containers = match map {
            Some(file) => container_map("--container-map", file)?,
            None => Vec::new(),
        };
        Ok(Selection {
            paths,
            versions: versions.into_iter().map(|(_, line)| line).collect(),
            exclude_buckets: entries(select.exclude_container.as_deref()),
            containers,
        })
    }
}

impl CopyCommand {
    /// Checks flags that contradict each other.
    ///
    /// # Errors
    /// What cannot be had together, by name.
    pub fn check(&self) -> Result<()> {
        let prompt = self.copy.overwrite == Overwrite::Prompt;
        if self.dry_run && prompt {
            return Err(usage(
                "--dry-run does not ask, as --overwrite=prompt would have it: leave one of them out",
            ));
        }
        let silent = self.output.output_level != OutputLevel::Default;
        match (self.dry_run, prompt) {
            (true, _) if silent => Err(usage(
                "--dry-run prints a line per object: leave --output-level out",
            )),
            (_, true) if silent => Err(usage(
                "--overwrite=prompt has something to print: leave --output-level out",
            )),
            _ => Ok(()),
        }
    }
}

impl SelectArgs {
    fn filters(&self) -> Result<Filters> {
        let moment =
            |flag, text: &Option<String>| text.as_deref().map(|text| time(flag, text)).transpose();
        let filters = Filters {
            include_pattern: entries(self.include_pattern.as_deref()),
            exclude_pattern: entries(self.exclude_pattern.as_deref()),
            exclude_path: entries(self.exclude_path.as_deref()),
            include_regex: entries(self.include_regex.as_deref()),
            exclude_regex: entries(self.exclude_regex.as_deref()),
            after: moment("--include-after", &self.include_after)?,
            before: moment("--include-before", &self.include_before)?,
        };
        Filter::new(&filters)?;
        Ok(filters)
    }
}

impl CarryArgs {
    fn properties(&self) -> Result<Properties> {
        let metadata = self.metadata.as_deref();
        Ok(Properties {
            preserve: self.s2s_preserve_properties,
            invalid_metadata: self.s2s_handle_invalid_metadata,
            preserve_tags: self.s2s_preserve_tags,
            tags: pairs("--blob-tags", self.blob_tags.as_deref(), '&')?,
            headers: ContentHeaders {
                content_type: self.content_type.clone(),
                content_encoding: self.content_encoding.clone(),
                content_language: self.content_language.clone(),
                content_disposition: self.content_disposition.clone(),
                cache_control: self.cache_control.clone(),
            },
            metadata: metadata
                .map(|text| pairs("--metadata", Some(text), ';'))
                .transpose()?,
            source_metadata: self.s2s_source_metadata.clone(),
            tier: self.tier()?,
            tier_of_class: self.tier_of_class()?,
        })
    }

    fn tier(&self) -> Result<Option<String>> {
        match self.block_blob_tier.as_deref() {
            None => Ok(None),
            Some(none) if none.eq_ignore_ascii_case("none") => Ok(None),
            Some(text) => known_tier("--block-blob-tier", text).map(Some),
        }
    }

    /// Empty where tiers are not carried over.
    fn tier_of_class(&self) -> Result<BTreeMap<String, String>> {
        let given = pairs("--tier-map", self.tier_map.as_deref(), ';')?;
        if !self.s2s_preserve_access_tier {
            return match given.is_empty() {
                true => Ok(BTreeMap::new()),
                false => Err(usage("--tier-map needs --s2s-preserve-access-tier")),
            };
        }
        let mut tiers: BTreeMap<String, String> = TIER_OF_CLASS
            .iter()
            .map(|(class, tier)| ((*class).to_owned(), (*tier).to_owned()))
            .collect();
        for (class, tier) in given {
            tiers.insert(class, known_tier("--tier-map", &tier)?);
        }
        Ok(tiers)
    }
}

/// The tier as Azure spells it.
fn known_tier(flag: &str, text: &str) -> Result<String> {
    let known = TIERS.iter().find(|tier| tier.eq_ignore_ascii_case(text));
    known.map(|tier| (*tier).to_owned()).ok_or_else(|| {
        usage(format!(
            "{flag} is given no tier of block blobs: choose from Hot, Cool, Cold, Archive"
        ))
    })
}
