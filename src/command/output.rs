//! How and how much a command prints to stdout.

use serde::Serialize;

use super::azcopy_json;
use crate::clock::Clock;
use crate::config::{OutputArgs, OutputLevel, OutputType};
use crate::failure::{Failure, Reason, Result};
use crate::process::{is_read, print};

/// Prints as the flags say.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// For people, or for which scripts.
    pub(super) kind: OutputType,
    level: OutputLevel,
    clock: Clock,
}

impl Output {
    pub(super) fn new(args: &OutputArgs, clock: Clock) -> Self {
        Self {
            kind: args.output_type,
            level: args.output_level,
            clock,
        }
    }

    /// Are things shown that nobody has to see?
    pub(super) fn is_chatty(&self) -> bool {
        self.level == OutputLevel::Default
    }

    /// One line to stdout. Once its reader has gone, as behind `| head`, lines are lost, and nothing
    /// fails for that.
    pub(super) fn line(&self, line: &str) -> Result<()> {
        match self.level {
            OutputLevel::Quiet => Ok(()),
            OutputLevel::Default | OutputLevel::Essential => print(line),
        }
    }

    /// One line for people; scripts get none, as they know which lines come.
    pub(super) fn note(&self, text: &str) -> Result<()> {
        match self.kind {
            OutputType::Text if self.is_chatty() => self.line(text),
            _ => Ok(()),
        }
    }

    /// Is there anybody to print for?
    pub(super) fn is_wanted(&self) -> bool {
        self.level != OutputLevel::Quiet && is_read()
    }

    /// One line of JSON.
    pub(super) fn json(&self, value: &impl Serialize) -> Result<()> {
        self.line(&json(value)?)
    }

    /// One of AzCopy's messages whose content is text.
    pub(super) fn azcopy_text(&self, kind: &str, text: &str) -> Result<()> {
        self.json(&azcopy_json::message(self.clock.now(), kind, text))
    }

    /// One of AzCopy's messages whose content is JSON, as a string.
    pub(super) fn azcopy(&self, kind: &str, content: &impl Serialize) -> Result<()> {
        self.azcopy_text(kind, &json(content)?)
    }

    /// Passes a result on; who reads AzCopy's messages is told of a failure in one.
    pub(super) fn told<T>(&self, result: Result<T>) -> Result<T> {
        if let (Err(failure), OutputType::AzcopyJson) = (&result, self.kind) {
            self.azcopy_text("Error", &failure.message)?;
        }
        result
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Failure::stop(Reason::Internal, format!("no JSON: {error}")))
}
