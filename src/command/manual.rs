//! `blobfleet completions` and `blobfleet man`, made from the command lines themselves.

use std::io;

use clap::builder::Resettable;
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::config::{
    CompletionsCommand, CopierCli, FrontCli, ListerCli, ManCommand, ReporterCli, command,
};
use crate::failure::{Failure, Reason, Result};
use crate::process::write;

/// What every page says it is from.
const SOURCE: &str = concat!("blobfleet ", env!("CARGO_PKG_VERSION"));

/// Prints completions for a shell; gives the exit code.
///
/// # Errors
/// stdout cannot be written.
pub fn completions(wanted: &CompletionsCommand) -> Result<u8> {
    let mut script = Vec::new();
    let mut front = whole::<FrontCli>();
    clap_complete::generate(wanted.shell, &mut front, "blobfleet", &mut script);
    write(&script)?;
    Ok(0)
}

/// Prints the manual, or writes its pages into a folder; gives the exit code.
///
/// # Errors
/// stdout or the folder cannot be written.
pub fn man(wanted: &ManCommand) -> Result<u8> {
    let mut pages: Vec<Page> = Vec::new();
    for program in [
        whole::<FrontCli>(),
        whole::<ListerCli>(),
        whole::<CopierCli>(),
        whole::<ReporterCli>(),
    ] {
        let mut program = program.disable_help_subcommand(true);
        program.build();
        add(&mut pages, &program);
    }
    let Some(folder) = &wanted.dir else {
        for page in pages {
            write(&page.rendered()?)?;
        }
        return Ok(0);
    };
    let unusable = |error: io::Error| {
        Failure::stop(
            Reason::LocalState,
            format!("the pages cannot be written: {error}: give --dir another folder"),
        )
    };
    std::fs::create_dir_all(folder).map_err(unusable)?;
    for page in pages {
        let path = folder.join(page.man.get_filename());
        std::fs::write(path, page.rendered()?).map_err(unusable)?;
    }
    Ok(0)
}

/// A program's command line, whatever is set in the environment.
fn whole<C: CommandFactory>() -> Command {
    command::<C>(|_| false)
}

/// A page, and the examples at its end, whose lines stay as they are.
struct Page {
    man: Man,
    examples: String,
}

/// The page of a command and those of its own.
fn add(pages: &mut Vec<Page>, command: &Command) {
    let examples = command.get_after_long_help().map(ToString::to_string);
    let plain = command.clone().after_long_help(Resettable::Reset);
    pages.push(Page {
        man: Man::new(plain).source(SOURCE).manual("blobfleet"),
        examples: examples.unwrap_or_default(),
    });
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    for sub in shown {
        add(pages, sub);
    }
}

impl Page {
    fn rendered(&self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        self.man
            .render(&mut text)
            .map_err(|error| Failure::stop(Reason::Internal, format!("no manual: {error}")))?;
        let mut lines = self.examples.lines().skip(1).peekable();
        if lines.peek().is_some() {
            text.extend_from_slice(b".SH EXAMPLES\n.nf\n");
        }
        for line in lines {
            // A dash is one to be typed, and no line is a request to roff.
            let line = line.replace('\\', "\\e").replace('-', "\\-");
            text.extend_from_slice(format!("\\&{line}\n").as_bytes());
        }
        if !self.examples.is_empty() {
            text.extend_from_slice(b".fi\n");
        }
        Ok(text)
    }
}
