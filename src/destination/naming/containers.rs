//! Bucket names to container names, as AzCopy maps them.
//!
//! Periods become hyphens, a run of hyphens becomes its length between hyphens, and a name that is
//! taken gets a number. Two things are stricter than there: a name that needs no change is checked
//! against the names already given out, and every result is checked against Azure's rules.
//!
//! A map of the user's (`--container-map`) comes before all that.

use std::collections::{HashMap, HashSet};

use super::container_fault;
use crate::failure::{Failure, Reason, Result};

/// The highest number tried behind a name that is taken.
const MAX_SUFFIX: u32 = 1000;

/// Gives each bucket its container; the same buckets in the same order give the same containers.
#[derive(Clone, Debug, Default)]
pub struct ContainerNames {
    /// Every known bucket and what became of it.
    resolved: HashMap<String, Option<Result<String>>>,
    /// Containers given out.
    taken: HashSet<String>,
    /// The user's own choice for these buckets.
    mapped: HashMap<String, String>,
}

impl ContainerNames {
    /// Resolves all buckets in the given order; no changed name takes the name of another bucket,
    /// even of one that comes later. `map` names the containers of some of them, which no other
    /// bucket gets; what it says of other buckets counts for nothing.
    ///
    /// # Errors
    /// See [`check_map`]; also a bucket mapped to a container that another keeps as its own name.
    pub fn new<S: AsRef<str>>(buckets: &[S], map: &[(String, String)]) -> Result<Self> {
        check_map(map)?;
        let mut names = Self::default();
        for bucket in buckets {
            names.resolved.insert(bucket.as_ref().to_owned(), None);
        }
        for (bucket, container) in map {
            if names.resolved.contains_key(bucket) {
                names.taken.insert(container.clone());
                names.mapped.insert(bucket.clone(), container.clone());
            }
        }
        for (bucket, container) in &names.mapped {
            let own = names.resolved.contains_key(container);
            if own && !names.mapped.contains_key(container) {
                return Err(wrong(
                    bucket,
                    &format!("the bucket {container} goes to the container {container} too"),
                ));
            }
        }
        for bucket in buckets {
            // A bucket without a container is told when it is asked for.
            drop(names.resolve(bucket.as_ref()));
        }
        Ok(names)
    }

    /// The container the user chose for a bucket.
    pub fn mapped(&self, bucket: &str) -> Option<&str> {
        self.mapped.get(bucket).map(String::as_str)
    }

    /// The container of a bucket; a bucket not named before is resolved now.
    ///
    /// # Errors
    /// [`Reason::ContainerRejected`]: there is no container name for this bucket. Its objects
    /// cannot be copied; others can.
    pub fn resolve(&mut self, bucket: &str) -> Result<String> {
        if let Some(container) = self.mapped.get(bucket) {
            return Ok(container.clone());
        }
        if let Some(Some(known)) = self.resolved.get(bucket) {
            return known.clone();
        }
        let result = self.choose(bucket).map_err(|fault| refused(bucket, &fault));
        if let Ok(container) = &result {
            self.taken.insert(container.clone());
        }
        self.resolved
            .insert(bucket.to_owned(), Some(result.clone()));
        result
    }

    fn choose(&self, bucket: &str) -> Result<String, String> {
        let wanted = rewritten(bucket);
        let free = |name: &String| {
            let anothers = name != bucket && self.resolved.contains_key(name);
            !anothers && !self.taken.contains(name)
        };
        let numbered = (2..=MAX_SUFFIX).map(|number| format!("{wanted}-{number}"));
        let name = std::iter::once(wanted.clone())
            .chain(numbered)
            .find(free)
            .ok_or_else(|| format!("{wanted} is taken, up to {wanted}-{MAX_SUFFIX}"))?;
        match container_fault(&name) {
            Some(fault) if name == bucket => Err(fault.to_owned()),
            Some(fault) => Err(format!("it would become {name:?}, but {fault}")),
            None => Ok(name),
        }
    }
}

/// Checks a map of buckets to containers by itself.
///
/// # Errors
/// [`Reason::Usage`], naming the line's bucket: a container that Azure refuses, or that two buckets
/// would share, so that one's blobs would hide the other's.
pub fn check_map(map: &[(String, String)]) -> Result<()> {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for (bucket, container) in map {
        if let Some(fault) = container_fault(container) {
            let why = format!("{container:?} is no container name Azure accepts: {fault}");
            return Err(wrong(bucket, &why));
        }
        if let Some(other) = owners.insert(container, bucket) {
            let why = format!("the bucket {other} is mapped to the container {container} too");
            return Err(wrong(bucket, &why));
        }
    }
    Ok(())
}

fn wrong(bucket: &str, why: &str) -> Failure {
    Failure::stop(
        Reason::Usage,
        format!("--container-map: line of the bucket {bucket}: {why}; choose another container"),
    )
}

/// The name without periods and runs of hyphens. Runs are counted only where the bucket itself
/// has one, as AzCopy does: `a.-b` stays `a--b` (and is then refused).
fn rewritten(bucket: &str) -> String {
    let hyphened = bucket.replace('.', "-");
    if !bucket.contains("--") {
        return hyphened;
    }
    let mut name = String::new();
    let mut run = 0;
    for c in hyphened.chars() {
        if c == '-' {
            run += 1;
        } else {
            push_run(&mut name, run);
            run = 0;
            name.push(c);
        }
    }
    push_run(&mut name, run);
    name
}

fn push_run(name: &mut String, run: usize) {
    match run {
        0 => {}
        1 => name.push('-'),
        _ => name.push_str(&format!("-{run}-")),
    }
}

fn refused(bucket: &str, fault: &str) -> Failure {
    Failure::give_up(
        Reason::ContainerRejected,
        format!(
            "bucket {bucket:?} has no container name that Azure accepts: {fault}; copy it by \
             itself into a container you name, or name one with --container-map"
        ),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolve_all(buckets: &[&str]) -> Vec<String> {
        let mut names = ContainerNames::new(buckets, &[]).unwrap();
        buckets
            .iter()
            .map(|bucket| names.resolve(bucket).unwrap_or_else(|e| format!("!{e}")))
            .collect()
    }

    #[test]
    fn azcopys_mapping() {
        let fifty_nine = format!("{}.b", "a".repeat(57));
        let cases: &[(&[&str], &[&str])] = &[
            (&["bucket"], &["bucket"]),
            (&["my----bucket"], &["my-4-bucket"]),
            (
                &["bucket.name", "bucket-name"],
                &["bucket-name-2", "bucket-name"],
            ),
            (
                &["bucket-name", "bucket.name"],
                &["bucket-name", "bucket-name-2"],
            ),
            (&["a.b.c"], &["a-b-c"]),
            (&["a--b---c-d"], &["a-2-b-3-c-d"]),
            (&["a--b.c"], &["a-2-b-c"]),
            (&["a--.b"], &["a-3-b"]),
            (&["a.b-c", "a-b.c"], &["a-b-c", "a-b-c-2"]),
            (
                &["a.b-c", "a-b.c", "a.b.c"],
                &["a-b-c", "a-b-c-2", "a-b-c-3"],
            ),
            (&["a.b", "a-b", "a-b-2"], &["a-b-3", "a-b", "a-b-2"]),
            (&["a--b", "a-2-b"], &["a-2-b-2", "a-2-b"]),
            (&[fifty_nine.as_str()], &[&fifty_nine.replace('.', "-")]),
        ];
        for (buckets, containers) in cases {
            assert_eq!(resolve_all(buckets), *containers, "{buckets:?}");
        }
    }

    /// AzCopy gives both buckets one container here.
    #[test]
    fn a_name_that_needs_no_change_does_not_take_a_container_given_out() {
        let mut names = ContainerNames::default();
        assert_eq!(names.resolve("a--b").unwrap(), "a-2-b");
        assert_eq!(names.resolve("a-2-b").unwrap(), "a-2-b-2");
        assert_eq!(names.resolve("a--b").unwrap(), "a-2-b", "and it stays so");
    }

    #[test]
    fn what_cannot_be_mapped_is_named_and_harms_no_other() {
        let long = format!("{}--{}", "a".repeat(31), "b".repeat(30));
        let full = format!("{}.b", "a".repeat(61));
        let its_name = full.replace('.', "-");
        let buckets = [
            "Upper",
            "under_score",
            "a.-b",
            &long,
            &full,
            &its_name,
            "fine",
        ];
        let mut names = ContainerNames::new(&buckets, &[]).unwrap();
        for (bucket, part) in [
            ("Upper", "lower-case"),
            ("under_score", "lower-case"),
            (
                "a.-b",
                "would become \"a--b\", but it may not hold two hyphens",
            ),
            (&long, "3 to 63"),
            (&full, "3 to 63"),
        ] {
            let failure = names.resolve(bucket).unwrap_err();
            assert_eq!(failure.reason, Reason::ContainerRejected);
            assert!(failure.message.contains(part), "{bucket}: {failure}");
            assert!(failure.message.contains(bucket), "{failure}");
        }
        assert_eq!(names.resolve(&its_name).unwrap(), its_name);
        assert_eq!(names.resolve("fine").unwrap(), "fine");
    }

    fn map(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(bucket, container): &(&str, &str)| ((*bucket).into(), (*container).into());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn the_users_map_comes_first_and_its_containers_are_nobody_elses() {
        let buckets = ["Upper", "a.b", "ccc", "ddd"];
        let map = map(&[
            ("Upper", "a-b"),
            ("ccc", "ddd"),
            ("ddd", "ccc"),
            ("none", "e-e"),
        ]);
        let mut names = ContainerNames::new(&buckets, &map).unwrap();
        for (bucket, container) in [
            ("Upper", "a-b"),
            ("a.b", "a-b-2"),
            ("ccc", "ddd"),
            ("ddd", "ccc"),
        ] {
            assert_eq!(names.resolve(bucket).unwrap(), container);
        }
        assert_eq!(names.mapped("ccc"), Some("ddd"));
        assert_eq!(names.mapped("a.b"), None);
        assert_eq!(names.mapped("none"), None);
        assert_eq!(names.resolve("e.e").unwrap(), "e-e", "nobody has it");
    }

    #[test]
    fn a_map_that_pours_buckets_together_is_refused_by_line() {
        for (pairs, bucket, part) in [
            (&[("a", "Abc")][..], "a", "lower-case"),
            (
                &[("a", "xyz"), ("b", "xyz")],
                "b",
                "the bucket a is mapped to",
            ),
            (&[("a", "ccc")], "a", "the bucket ccc goes to"),
        ] {
            let failure = ContainerNames::new(&["a", "b", "ccc"], &map(pairs)).unwrap_err();
            assert_eq!(failure.reason, Reason::Usage);
            for part in ["--container-map", &format!("the bucket {bucket}:"), part] {
                assert!(failure.message.contains(part), "{part}: {failure}");
            }
        }
        ContainerNames::new(&["a", "ccc"], &map(&[("a", "ccc"), ("ccc", "ddd")])).unwrap();
    }

    proptest! {
        #[test]
        fn containers_are_valid_distinct_and_the_same_every_time(
            buckets in proptest::collection::hash_set("[ab][ab.-]{1,6}[ab2]", 1..40),
        ) {
            let buckets: Vec<&str> = buckets.iter().map(String::as_str).collect();
            let names = || ContainerNames::new(&buckets, &[]).unwrap();
            let mut seen = HashSet::new();
            let (mut one, mut two) = (names(), names());
            for bucket in &buckets {
                let container = one.resolve(bucket);
                if let Ok(container) = &container {
                    prop_assert_eq!(container_fault(container), None);
                    prop_assert!(seen.insert(container.clone()), "{} given twice", container);
                }
                prop_assert_eq!(container.ok(), two.resolve(bucket).ok());
            }
        }
    }
}
