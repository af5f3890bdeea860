//! What a command does whose job has ended: one rule and one sentence for `copy` and `lister`. Pure.

use super::jobs::list::rfc3339;
use crate::job::{JobId, JobStatus, Overwrite};
use crate::reporter::summary::Summary;

/// Says that no new run begins.
pub(super) fn no_run(ended: &Summary) -> String {
    format!("{}: no new run begins (--new=false)", has_ended(ended))
}

fn has_ended(ended: &Summary) -> String {
    let when = ended.ended_at_ms.map(rfc3339).unwrap_or_default();
    format!("job {} has ended ({} {when})", ended.job_id, ended.status)
}

/// Says that a new run begins, and how less is done.
pub(super) fn new_run(ended: &Summary, next: &JobId, overwrite: Overwrite) -> String {
    let does = match overwrite {
        Overwrite::True => {
            "copies everything again; --overwrite=changed copies what differs, --new=false nothing"
        }
        _ => "looks at every object again; --new=false begins none",
    };
    let retry = match ended.status {
        JobStatus::CompletedWithErrors
        | JobStatus::CompletedWithErrorsAndSkipped
        | JobStatus::Failed => ", jobs retry what failed alone",
        _ => "",
    };
    let head = has_ended(ended);
    format!("{head}: a new run, job {next}, begins and {does}{retry}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobEnd, JobSpec, Totals};

    #[test]
    fn one_sentence_says_what_ended_and_what_begins() {
        let spec = JobSpec::sample(0);
        let said = |status, overwrite| {
            let end = JobEnd {
                job: spec.id.clone(),
                status,
                ended_at_ms: 1_700_000_000_000,
                totals: Totals::default(),
                round: 0,
            };
            let ended = Summary::of_end(&spec, &end, true);
            new_run(&ended, &JobId::new("j-2"), overwrite)
        };
        let id = &spec.id;
        assert_eq!(
            said(JobStatus::Completed, Overwrite::True),
            format!(
                "job {id} has ended (Completed 2023-11-14T22:13:20Z): a new run, job j-2, begins \
                 and copies everything again; --overwrite=changed copies what differs, \
                 --new=false nothing"
            )
        );
        let failed = said(JobStatus::Failed, Overwrite::Changed);
        assert!(failed.contains("looks at every object again"), "{failed}");
        assert!(failed.ends_with("jobs retry what failed alone"), "{failed}");
    }
}
