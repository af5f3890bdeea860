//! Which of the listed keys are copied. Pure.

use glob::Pattern;
use regex::Regex;

use crate::failure::{Failure, Reason, Result};
use crate::job::Filters;

/// Filters ready for use.
#[derive(Clone, Debug)]
pub struct Filter {
    include_pattern: Vec<Pattern>,
    exclude_pattern: Vec<Pattern>,
    exclude_path: Vec<String>,
    include_regex: Vec<Regex>,
    exclude_regex: Vec<Regex>,
    after: Option<i64>,
    before: Option<i64>,
}

impl Filter {
    /// Compiles filters.
    ///
    /// # Errors
    /// [`Reason::Usage`]: a glob or regular expression that is none.
    pub fn new(filters: &Filters) -> Result<Self> {
        Ok(Self {
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
        let matches = |globs: &[Pattern]| globs.iter().any(|glob| glob.matches(name));
        let found = |regexes: &[Regex]| regexes.iter().any(|regex| regex.is_match(relative));
        self.after.is_none_or(|after| modified >= after)
            && self.before.is_none_or(|before| modified <= before)
            && (self.include_pattern.is_empty() || matches(&self.include_pattern))
            && !matches(&self.exclude_pattern)
            && !self
                .exclude_path
                .iter()
                .any(|path| relative.starts_with(path.as_str()))
            && (self.include_regex.is_empty() || found(&self.include_regex))
            && !found(&self.exclude_regex)
    }
}

fn globs(flag: &str, texts: &[String]) -> Result<Vec<Pattern>> {
    let read = |text: &String| {
        Pattern::new(text).map_err(|error| usage(format!("{flag} {text:?}: {}", error.msg)))
    };
    texts.iter().map(read).collect()
}

fn regexes(flag: &str, texts: &[String]) -> Result<Vec<Regex>> {
    let read = |text: &String| {
        Regex::new(text).map_err(|error| usage(format!("{flag} {text:?}: {error}")))
    };
    texts.iter().map(read).collect()
}

fn usage(message: String) -> Failure {
    Failure::stop(Reason::Usage, message)
}
