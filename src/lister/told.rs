//! Which failures of ranges are logged: where one bucket refuses many of a job's ranges for the same
//! reason, one line a minute says so, and of how many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Reason;
use crate::job::JobId;

/// The time between two lines about the same.
const BETWEEN: Duration = Duration::from_secs(60);

/// What a line is about: the job, its root, why, and whether the range is given up.
type About = (JobId, u32, Reason, bool);

/// What was told. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(Arc<Mutex<HashMap<About, (Instant, u32)>>>);

impl Told {
    /// Takes a failure into account: is it to be told of now, and how many like it were not since
    /// the last time?
    pub(super) fn is_news(&self, about: About, now: Instant) -> Option<u32> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((told, untold)) = all.get_mut(&about)
            && now.saturating_duration_since(*told) < BETWEEN
        {
            *untold += 1;
            return None;
        }
        let (_, untold) = all.insert(about, (now, 0)).unwrap_or((now, 0));
        // What was told of long ago is a job's that goes on without trouble, or has ended.
        all.retain(|_, (told, _)| now.saturating_duration_since(*told) < BETWEEN * 60);
        Some(untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cause_is_one_line_a_minute() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let told = Told::default();
        let denied = |root, given_up| {
            let job = JobId::new("j");
            (job, root, Reason::SourceDenied, given_up)
        };
        assert_eq!(told.is_news(denied(0, false), at(0)), Some(0));
        for second in 1..60 {
            assert_eq!(told.is_news(denied(0, false), at(second)), None);
        }
        assert_eq!(told.is_news(denied(1, false), at(59)), Some(0), "another");
        assert_eq!(told.is_news(denied(0, true), at(59)), Some(0), "given up");
        assert_eq!(told.is_news(denied(0, false), at(60)), Some(59));
        assert_eq!(told.is_news(denied(0, false), at(61)), None);
        assert_eq!(told.is_news(denied(2, true), at(7200)), Some(0));
        assert_eq!(
            told.0.lock().unwrap().len(),
            1,
            "the old ones are forgotten"
        );
    }
}
