//! How many files this process may have open: a connection is one too.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::{Failure, Reason, Result};

/// Files a process has open beside its connections.
const OTHERS: u64 = 200;
/// With fewer nothing can be begun: runtime, state and log need as many.
const FEWEST: u64 = 24;
/// How a limit is raised.
const REMEDY: &str = "raise it (ulimit -n 4096, or LimitNOFILE= of a systemd unit)";

/// Raises the limit on open files as far as this process may.
///
/// # Errors
/// It is too low for anything to be begun.
pub fn raise_limit() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit = raised,
            Err(error) => tracing::debug!(%error, "the limit on open files stays as it is"),
        }
    }
    match limit.current {
        Some(files) if files < FEWEST => Err(Failure::stop(
            Reason::LocalState,
            format!("the limit of open files is {files}, and {FEWEST} are needed: {REMEDY}"),
        )),
        _ => Ok(()),
    }
}

/// How many connections this process may open to each of two sides.
pub fn most_connections() -> u16 {
    connections(limit())
}

/// How many connections it may serve beside its work.
pub(crate) fn most_served() -> usize {
    usize::try_from(limit() / 8).map_or(SERVED, |some| some.clamp(2, SERVED))
}

/// No role is asked by more than so many at a time.
const SERVED: usize = 256;

/// Says that fewer requests are sent than were asked for, as the limit has room for no more.
pub(crate) fn say_lowered(wanted: u16, most: u16) {
    tracing::warn!(
        "the limit of open files is {}, which leaves room for {most} requests at a time instead of \
         {wanted}: {REMEDY}",
        limit()
    );
}

/// Says that no file can be opened.
pub(crate) fn say_none_left(error: &std::io::Error) {
    tracing::warn!("no connection can be served ({error}): {REMEDY}");
}

fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Where the limit is low, a part of it is for connections all the same.
fn connections(files: u64) -> u16 {
    let each = (files.saturating_sub(OTHERS) / 2).max(files / 16);
    u16::try_from(each.max(1)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_limit_leaves_room_for_files_and_for_some_connections() {
        for (files, each) in [
            (1, 1),
            (FEWEST, 1),
            (40, 2),
            (64, 4),
            (128, 8),
            (256, 28),
            (1024, 412),
            (u64::MAX, u16::MAX),
        ] {
            assert_eq!(connections(files), each, "{files}");
        }
    }
}
