//! What is known of a job's objects that did not arrive, read page by page: there may be millions.

use super::remote::Remote;
use crate::failure::{Failure, Reason, Result};
use crate::job::JobId;
use crate::reporter::ledger::{EndingKind, EndingLine, Ledger, Place, RangeLine};

/// Lines read at a time.
const PAGE: u32 = 1_000;

/// Some lines, and where the next ones begin; none after the last.
pub(super) type Page<T> = (Vec<T>, Option<String>);

/// A job's records.
pub(super) struct Records {
    pub(super) job: JobId,
    pub(super) from: From,
}

/// Where they are read.
pub(super) enum From {
    Here(Box<Ledger>),
    Fleet(Remote),
}

impl Records {
    /// The address of the reporter that is asked, if one is.
    pub(super) fn reporter(&self) -> Option<String> {
        match &self.from {
            From::Here(_) => None,
            From::Fleet(reporter) => Some(reporter.address()),
        }
    }

    /// Objects that ended so.
    pub(super) async fn objects(
        &self,
        kind: EndingKind,
        after: Option<&str>,
    ) -> Result<Page<EndingLine>> {
        match &self.from {
            From::Here(ledger) => {
                let page = ledger.endings_after(&self.job, kind, place(after)?, PAGE)?;
                Ok((page.lines, page.next.map(|place| place.to_string())))
            }
            From::Fleet(reporter) => reporter.objects(self.job.as_str(), kind, after).await,
        }
    }

    /// Ranges that could not be listed.
    pub(super) async fn ranges(&self, after: Option<&str>) -> Result<Page<RangeLine>> {
        match &self.from {
            From::Here(ledger) => {
                let page = ledger.range_failures_after(&self.job, place(after)?, PAGE)?;
                Ok((page.lines, page.next.map(|place| place.to_string())))
            }
            From::Fleet(reporter) => reporter.ranges(self.job.as_str(), after).await,
        }
    }
}

fn place(after: Option<&str>) -> Result<Place> {
    let place = after.map_or(Ok(Place::START), str::parse);
    place.map_err(|why| Failure::stop(Reason::Internal, why))
}
