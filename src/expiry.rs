//! Credentials that end: told by a metric, and by a warning before it bites.
//!
//! What is renewed by itself does not end. It counts as ending while renewing fails: then what is
//! held is all there is.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clients::Clients;
use crate::metrics::Metrics;

/// How often is looked.
const LOOK: Duration = Duration::from_secs(5);
/// Seconds before the end at which it is said, the first time and again.
const MARKS: [i64; 2] = [3600, 600];
/// The sides as the metric names them.
const SIDES: [&str; 2] = ["source", "destination"];

/// Shows when a process's credentials end, and warns in time; goes on until it is dropped.
pub(crate) async fn watch(clients: Clients, metrics: Metrics) {
    let mut warnings = [Warnings::default(), Warnings::default()];
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        let now = clients.clock().unix_seconds();
        let sides = SIDES.iter().zip(clients.ends()).zip(&mut warnings);
        for ((side, end), warnings) in sides {
            metrics
                .credentials_expiry
                .with_label_values(&[*side])
                .set(end.unwrap_or(0));
            if let Some(end) = end.filter(|end| warnings.due(*end, now)) {
                tracing::warn!("{}", text(side, end, now));
            }
        }
    }
}

/// What has been said of one side's credentials.
#[derive(Clone, Copy, Debug, Default)]
struct Warnings {
    end: i64,
    said: usize,
}

impl Warnings {
    /// Is something to be said now? Once at each mark; again where the end has moved.
    fn due(&mut self, end: i64, now: i64) -> bool {
        if self.end != end {
            *self = Self { end, said: 0 };
        }
        let left = end.saturating_sub(now);
        let passed = MARKS.iter().filter(|mark| left < **mark).count();
        let due = passed > self.said;
        self.said = passed;
        due
    }
}

fn text(side: &str, end: i64, now: i64) -> String {
    let when = OffsetDateTime::from_unix_timestamp(end)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{end} s after 1970"));
    let left = match end.saturating_sub(now) {
        ..=0 => return format!("the {side}'s credentials ended at {when}: give new ones"),
        seconds @ ..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    };
    format!(
        "the {side}'s credentials end in {left}, at {when}, and nothing renews them: start again \
         with new ones before; a job goes on where it stopped"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_at_each_mark_and_again_for_another_end() {
        let mut warnings = Warnings::default();
        let mut said = |end, seconds: &[i64]| -> Vec<i64> {
            let due = seconds
                .iter()
                .copied()
                .filter(|left| warnings.due(end, end - left));
            due.collect()
        };
        let falling = [7200, 3600, 3599, 3000, 601, 600, 599, 10, 0, -5];
        assert_eq!(said(1_000_000, &falling), [3599, 599]);
        assert_eq!(said(2_000_000, &[100, 50]), [100], "both marks at once");
        assert_eq!(said(3_000_000, &[9000]), [0; 0]);
    }

    #[test]
    fn the_line_names_what_ends_when_and_what_to_do() {
        let line = text("source", 1_896_091_200, 1_896_091_200 - 3540);
        for part in [
            "the source's credentials end in 59 min",
            "2030-01-31T12:00:00Z",
            "start again",
        ] {
            assert!(line.contains(part), "{line}");
        }
        assert!(text("x", 100, 41).contains("in 59 s"));
        assert!(text("x", 100, 100).contains("ended at 1970-01-01T00:01:40Z"));
    }
}
