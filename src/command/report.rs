//! A job's summary as it is printed.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{BinaryBytes, HumanCount, HumanDuration};

use crate::job::JobStatus;
use crate::reporter::summary::Summary;

/// The summary for people.
pub(super) fn text(summary: &Summary) -> String {
    let elapsed = Duration::from_secs_f64(summary.elapsed_seconds);
    let mut lines = vec![
        format!("Job {}: {}", summary.job_id, summary.status),
        format!("  from     {}", summary.source),
        format!("  to       {}", summary.destination),
        format!(
            "  listed   {} objects, {}{}",
            HumanCount(summary.objects_listed),
            BinaryBytes(summary.bytes_listed),
            match summary.listing_complete {
                true => "",
                false => " (not all is listed)",
            }
        ),
        format!(
            "  copied   {} objects, {}",
            HumanCount(summary.objects_copied),
            BinaryBytes(summary.bytes_copied)
        ),
    ];
    lines.extend(remarks(summary));
    lines.push(counted(
        "skipped",
        summary.objects_skipped,
        &summary.skipped_by_reason,
    ));
    lines.push(counted(
        "failed",
        summary.objects_failed,
        &summary.failed_by_reason,
    ));
    if summary.ranges_failed > 0 {
        lines.push(format!("  not listed: {} ranges", summary.ranges_failed));
    }
    if summary.objects_open > 0 {
        let why = match summary.status {
            JobStatus::Cancelled => " (not copied, or not known to be, when the job was cancelled)",
            _ => "",
        };
        lines.push(format!(
            "  open     {} objects{why}",
            HumanCount(summary.objects_open)
        ));
    }
    if summary.objects_imbalance != 0 {
        lines.push(format!(
            "  imbalance: {} objects are not accounted for; compare source and destination",
            summary.objects_imbalance
        ));
    }
    lines.push(format!("  elapsed  {}", HumanDuration(elapsed)));
    if summary.status == JobStatus::Interrupted {
        lines.push(format!(
            "Run the same command again to resume, or blobfleet jobs resume {}.",
            summary.job_id
        ));
    }
    lines.join("\n")
}

/// The next step where something failed: in a fleet whose reporter is at `reporter`, or on this
/// machine. None where nothing can be put back now.
pub(super) fn next_step(summary: &Summary, reporter: Option<&str>) -> Option<String> {
    let refused = match summary.status {
        JobStatus::Cancelled => true,
        // Of this machine's jobs only one that nobody works on can be retried.
        JobStatus::Running => reporter.is_none(),
        _ => false,
    };
    if refused || summary.objects_failed + summary.ranges_failed == 0 {
        return None;
    }
    let job = &summary.job_id;
    let fleet = reporter.map_or(String::new(), |url| format!(" --reporter {url}"));
    Some(format!(
        "Try the failed ones again: blobfleet jobs retry {job}{fleet}"
    ))
}

/// What is worth saying of the objects that were copied.
fn remarks(summary: &Summary) -> impl Iterator<Item = String> {
    let counts = [
        (summary.objects_relayed, "relayed through a copier"),
        (summary.objects_escaped, "under another name"),
        (
            summary.objects_metadata_excluded,
            "without some of their metadata or tags",
        ),
    ];
    let there = counts.into_iter().filter(|(count, _)| *count > 0);
    there.map(|(count, what)| format!("           {} of them {what}", HumanCount(count)))
}

fn counted(what: &str, total: u64, reasons: &BTreeMap<String, u64>) -> String {
    let detail: Vec<_> = reasons
        .iter()
        .map(|(reason, count)| format!("{reason}: {}", HumanCount(*count)))
        .collect();
    let detail = if detail.is_empty() {
        String::new()
    } else {
        format!(" ({})", detail.join(", "))
    };
    format!("  {what:<8} {} objects{detail}", HumanCount(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobEnd, JobSpec, Totals};

    fn summary(status: JobStatus, failed: u64, ranges_failed: u64) -> Summary {
        let spec = JobSpec::sample(0);
        let end = JobEnd {
            job: spec.id.clone(),
            status,
            ended_at_ms: 1,
            totals: Totals {
                failed,
                ranges_failed,
                ..Totals::default()
            },
            round: 0,
        };
        Summary::of_end(&spec, &end, true)
    }

    #[test]
    fn a_retry_is_advised_where_it_would_be_taken() {
        let here = Some("Try the failed ones again: blobfleet jobs retry j-1");
        let fleet = Some("Try the failed ones again: blobfleet jobs retry j-1 --reporter http://r");
        for (status, (failed, ranges), expected) in [
            (JobStatus::CompletedWithErrors, (1, 0), (here, fleet)),
            (JobStatus::Failed, (0, 1), (here, fleet)),
            (JobStatus::Interrupted, (1, 0), (here, fleet)),
            (JobStatus::Running, (1, 0), (None, fleet)),
            (JobStatus::Cancelled, (1, 1), (None, None)),
            (JobStatus::CompletedWithSkipped, (0, 0), (None, None)),
        ] {
            let summary = summary(status, failed, ranges);
            assert_eq!(next_step(&summary, None).as_deref(), expected.0, "{status}");
            let told = next_step(&summary, Some("http://r"));
            assert_eq!(told.as_deref(), expected.1, "{status}");
        }
    }
}
