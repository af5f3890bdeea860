//! What a probe's refusal means for the job. Pure.

use crate::destination::client::BlobError;
use crate::failure::{Reason, Remedy};

/// As whom the job's blobs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writers {
    /// As this process, so that what it may not write will not be written.
    Ourselves,
    /// As copiers elsewhere, whose credentials may be others.
    Others,
}

/// What a refusal tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Azure cannot read the source.
    Source,
    /// Nothing can be written, whoever writes.
    Hopeless,
    /// This process may not write; others may.
    OursAlone,
    /// Whole blobs may be created all the same.
    BlocksAlone,
    /// It may pass, or nothing follows from it.
    Perhaps,
}

/// Refusals that are about the account or container and not about who asks.
const FOR_ALL: [&str; 2] = ["AccountIsDisabled", "ContainerDisabled"];

/// What follows from `error`. `only_creates`: the credential is a SAS that may not write blocks, for
/// all it says of itself.
pub(super) fn of(error: &BlobError, writers: Writers, only_creates: bool) -> Verdict {
    let failure = &error.failure;
    match failure.reason {
        Reason::SourceDenied | Reason::SourceRejected | Reason::SourceUnavailable => {
            Verdict::Source
        }
        // What is worth another try passes, or is found by the job.
        _ if failure.remedy == Remedy::Retry => Verdict::Perhaps,
        Reason::DestinationDenied | Reason::ContainerRejected => {
            if FOR_ALL.iter().any(|code| error.is(code)) {
                Verdict::Hopeless
            } else if error.is("AuthorizationPermissionMismatch") && only_creates {
                Verdict::BlocksAlone
            } else if writers == Writers::Others {
                Verdict::OursAlone
            } else {
                Verdict::Hopeless
            }
        }
        _ => Verdict::Perhaps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn refusal(failure: Failure, code: &str) -> BlobError {
        BlobError {
            code: Some(code.to_owned()),
            status: Some(403),
            ..failure.into()
        }
    }

    fn denied(code: &str) -> BlobError {
        refusal(Failure::stop(Reason::DestinationDenied, "no"), code)
    }

    #[test]
    fn what_refuses_the_one_who_writes_is_hopeless() {
        for code in ["AuthorizationPermissionMismatch", "AuthorizationFailure"] {
            let ours = of(&denied(code), Writers::Ourselves, false);
            assert_eq!(ours, Verdict::Hopeless, "{code}");
            let others = of(&denied(code), Writers::Others, false);
            assert_eq!(others, Verdict::OursAlone, "{code}");
        }
        let missing = Failure::give_up(Reason::ContainerRejected, "may not be created");
        let missing = BlobError::from(missing);
        assert_eq!(of(&missing, Writers::Ourselves, true), Verdict::Hopeless);
        assert_eq!(of(&missing, Writers::Others, true), Verdict::OursAlone);
    }

    #[test]
    fn what_is_the_accounts_is_everybodys() {
        for writers in [Writers::Ourselves, Writers::Others] {
            let disabled = denied("AccountIsDisabled");
            assert_eq!(of(&disabled, writers, false), Verdict::Hopeless);
        }
    }

    #[test]
    fn who_may_only_create_writes_whole_blobs() {
        let error = denied("AuthorizationPermissionMismatch");
        assert_eq!(of(&error, Writers::Ourselves, true), Verdict::BlocksAlone);
        let firewall = denied("AuthorizationFailure");
        assert_eq!(of(&firewall, Writers::Ourselves, true), Verdict::Hopeless);
    }

    #[test]
    fn what_may_pass_ends_nothing() {
        for reason in [
            Reason::DestinationThrottled,
            Reason::DestinationUnavailable,
            Reason::DestinationTimedOut,
            Reason::ContainerRejected,
            Reason::DestinationDenied,
        ] {
            let error = refusal(Failure::retry(reason, "busy"), "ServerBusy");
            assert_eq!(of(&error, Writers::Ourselves, false), Verdict::Perhaps);
        }
        let odd = refusal(
            Failure::give_up(Reason::DestinationRejected, "?"),
            "APINotImplemented",
        );
        assert_eq!(of(&odd, Writers::Ourselves, false), Verdict::Perhaps);
    }
}
