//! The wall clocks of the simulated clouds; tests move them.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::macros::format_description;

/// The machine's clock plus an offset that tests set.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead_seconds: AtomicI64,
    hidden: AtomicBool,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place of this crate that reads the wall clock"
    )]
    pub(crate) fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        let ahead = self.ahead_seconds.load(Ordering::Relaxed);
        let shift = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { now - shift } else { now + shift }
    }

    pub(crate) fn set_ahead(&self, seconds: i64) {
        self.ahead_seconds.store(seconds, Ordering::Relaxed);
    }

    pub(crate) fn hide(&self) {
        self.hidden.store(true, Ordering::Relaxed);
    }

    /// Now as the head of an answer tells it.
    pub(crate) fn told(&self) -> String {
        match self.hidden.load(Ordering::Relaxed) {
            true => "no time is told".to_owned(),
            false => http_date(unix_millis(self.now())),
        }
    }
}

/// Milliseconds since 1970.
pub(crate) fn unix_millis(when: SystemTime) -> u64 {
    let since = when.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time as an HTTP date.
pub(crate) fn http_date(millis: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(millis))
}

/// The time as S3's listings write it.
pub(crate) fn iso_date(millis: u64) -> String {
    let when = OffsetDateTime::from(UNIX_EPOCH + Duration::from_millis(millis));
    when.format(format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    ))
    .unwrap_or_default()
}

/// Seconds since 1970 of `20130524T000000Z`.
pub(crate) fn parse_amz_date(text: &str) -> Option<i64> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let when = time::PrimitiveDateTime::parse(text, format).ok()?;
    Some(when.assume_utc().unix_timestamp())
}

/// Seconds since 1970 of the ISO 8601 forms a SAS may hold.
pub(crate) fn parse_sas_date(text: &str) -> Option<i64> {
    let date = format_description!("[year]-[month]-[day]");
    let minute = format_description!("[year]-[month]-[day]T[hour]:[minute]Z");
    let second = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let fraction =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond]Z");
    if let Ok(day) = time::Date::parse(text, date) {
        return Some(day.midnight().assume_utc().unix_timestamp());
    }
    time::PrimitiveDateTime::parse(text, second)
        .or_else(|_| time::PrimitiveDateTime::parse(text, minute))
        .or_else(|_| time::PrimitiveDateTime::parse(text, fraction))
        .ok()
        .map(|when| when.assume_utc().unix_timestamp())
}

/// The time as a SAS writes it: seconds, UTC.
pub(crate) fn sas_date(when: SystemTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    OffsetDateTime::from(when)
        .format(format)
        .unwrap_or_default()
}

/// Whole seconds since 1970.
pub(crate) fn unix_seconds(when: SystemTime) -> i64 {
    i64::try_from(unix_millis(when) / 1000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_both_clouds_are_read() {
        assert_eq!(parse_amz_date("20130524T000000Z"), Some(1_369_353_600));
        assert_eq!(parse_amz_date("2013-05-24"), None);
        for text in [
            "2013-05-24",
            "2013-05-24T00:00Z",
            "2013-05-24T00:00:00Z",
            "2013-05-24T00:00:00.0000000Z",
        ] {
            assert_eq!(parse_sas_date(text), Some(1_369_353_600), "{text}");
        }
        assert_eq!(
            http_date(1_369_353_600_000),
            "Fri, 24 May 2013 00:00:00 GMT"
        );
        assert_eq!(iso_date(1_369_353_600_007), "2013-05-24T00:00:00.007Z");
    }
}
