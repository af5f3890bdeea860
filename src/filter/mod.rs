//! Which of the listed keys are copied. Pure.
//!
//! The rules are AzCopy's (`azcopy copy`, filters): globs look at the last segment of a key, all
//! else at its path relative to the source. What can be told from a prefix alone is not listed at
//! all: see [`Filter::begins_with`] and [`Filter::left_out`].
//!
//! Regular expressions are searched for, as Go's are; only that `\d`, `\w`, `\s` and `\b` know the
//! digits and letters of every script here.

mod glob;
mod literal;

use regex::Regex;

pub use self::glob::Glob;
use crate::failure::{Failure, Reason, Result};
use crate::job::Filters;
use crate::message::UNKNOWN_TIME;

/// Filters ready for use.
#[derive(Clone, Debug)]
pub struct Filter {
    include_pattern: Vec<Glob>,
    exclude_pattern: Vec<Glob>,
    exclude_path: Vec<String>,
    include_regex: Vec<Regex>,
    exclude_regex: Vec<Regex>,
    after: Option<i64>,
    before: Option<i64>,
    begins_with: String,
}

impl Filter {
    /// Compiles filters.
    ///
    /// # Errors
    /// [`Reason::Usage`]: a glob or regular expression that is none.
    pub fn new(filters: &Filters) -> Result<Self> {
        let begins_with = match &filters.include_regex[..] {
            [only] => literal::prefix(only).unwrap_or_default(),
            _ => String::new(),
        };
        Ok(Self {
            begins_with,
            include_pattern: globs("--include-pattern", &filters.include_pattern)?,
            exclude_pattern: globs("--exclude-pattern", &filters.exclude_pattern)?,
            exclude_path: filters.exclude_path.clone(),
            include_regex: regexes("--include-regex", &filters.include_regex)?,
            exclude_regex: regexes("--exclude-regex", &filters.exclude_regex)?,
            after: filters.after,
            before: filters.before,
        })
    }

    /// Is an object of this path relative to the source, last modified then (seconds since 1970),
    /// copied?
    pub fn admits(&self, relative: &str, modified: i64) -> bool {
        let name = relative.rsplit('/').next().unwrap_or(relative);
        let matches = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(name));
        let found = |regexes: &[Regex]| regexes.iter().any(|regex| regex.is_match(relative));
        // An object without a date passes: leaving it out would be a guess.
        let dated = modified != UNKNOWN_TIME;
        self.after.is_none_or(|after| modified >= after)
            && self
                .before
                .is_none_or(|before| modified <= before || !dated)
            && (self.include_pattern.is_empty() || matches(&self.include_pattern))
            && !matches(&self.exclude_pattern)
            && self.left_out(relative).is_none()
            && (self.include_regex.is_empty() || found(&self.include_regex))
            && !found(&self.exclude_regex)
    }

    /// What every path that is admitted begins with; empty where nothing is certain.
    pub fn begins_with(&self) -> &str {
        &self.begins_with
    }

    /// The shortest beginning of the path that no path is admitted with.
    pub fn left_out(&self, relative: &str) -> Option<&str> {
        self.exclude_path
            .iter()
            .map(String::as_str)
            .filter(|path| relative.starts_with(path))
            .min_by_key(|path| path.len())
    }
}

// Values are not shown: one that went to the wrong place may be a secret.

fn globs(flag: &str, texts: &[String]) -> Result<Vec<Glob>> {
    let read = |(text, number): (&String, u32)| {
        Glob::new(text).map_err(|why| usage(format!("{flag}: entry {number} is no pattern: {why}")))
    };
    texts.iter().zip(1..).map(read).collect()
}

fn regexes(flag: &str, texts: &[String]) -> Result<Vec<Regex>> {
    let read = |(text, number): (&String, u32)| {
        Regex::new(text).map_err(|error| {
            // The library draws the place under the text; its last line says what is wrong.
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default();
            let why = why.strip_prefix("error: ").unwrap_or(why);
            usage(format!(
                "{flag}: entry {number} is no regular expression: {why}; a ; separates several"
            ))
        })
    };
    texts.iter().zip(1..).map(read).collect()
}

fn usage(message: String) -> Failure {
    Failure::stop(Reason::Usage, message)
}

#[cfg(test)]
mod tests;
