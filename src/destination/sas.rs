//! A shared access signature: read, checked for what is surely wrong, never shown.
//!
//! Rules: Microsoft Learn, "Create an account SAS" and "Create a service SAS". What only the
//! service can know (a wrong signature, a missing permission) is left to the service.

use std::fmt;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, PrimitiveDateTime};

use crate::failure::{Failure, Reason, Result};

/// Seconds a start time may lie ahead of this machine's clock, for clocks that differ: as much as
/// both services allow the clock of who signs.
const SKEW: i64 = 900;

/// Parameters that belong to a request and not to a SAS.
const FOREIGN: [&str; 6] = [
    "comp",
    "restype",
    "timeout",
    "snapshot",
    "versionid",
    "blockid",
];

/// A shared access signature of the destination.
#[derive(Clone)]
pub struct Sas {
    query: SecretString,
    starts: Option<i64>,
    expires: Option<i64>,
    writes_tags: Option<bool>,
    writes: Option<bool>,
    opens_container: bool,
}

impl Sas {
    /// Reads the query string of a SAS, with or without its leading `?`.
    ///
    /// # Errors
    /// [`Reason::Usage`] where a part is missing without which no request can succeed. The text
    /// names the part and never holds the SAS.
    pub fn parse(text: &str) -> Result<Self> {
        // As it is copied from a page, or from a script.
        let unescaped = text.replace("&amp;", "&");
        let query = unescaped.trim().trim_matches(['"', '\'']);
        let query = query.strip_prefix('?').unwrap_or(query);
        let fields = Fields::read(query)?;
        if fields.get("sig").is_none() {
            return Err(malformed(
                "has no signature (sig); quote the URL so that the shell keeps everything after &",
            ));
        }
        if fields.get("sv").is_none() {
            return Err(malformed("has no version (sv); copy the whole SAS"));
        }
        let expires = fields.time("se")?;
        if expires.is_none() && fields.get("si").is_none() {
            return Err(malformed("has no expiry (se); copy the whole SAS"));
        }
        fields.check_scope()?;
        fields.check_permissions()?;
        Ok(Self {
            starts: fields.time("st")?,
            expires,
            writes_tags: fields
                .get("sp")
                .map(|permissions| permissions.contains('t')),
            writes: fields
                .get("sp")
                .map(|permissions| permissions.contains('w')),
            opens_container: !matches!(fields.get("sr"), Some("b" | "d")),
            query: query.to_owned().into(),
        })
    }

    /// Checks the time it is good for; `now` in seconds since 1970.
    ///
    /// # Errors
    /// [`Reason::Usage`] where it has expired or is not valid yet.
    pub fn check(&self, now: i64) -> Result<()> {
        if let Some(expires) = self.expires
            && expires <= now
        {
            return Err(malformed(&format!(
                "expired at {}; create a new one",
                when(expires)
            )));
        }
        if let Some(starts) = self.starts
            && starts > now.saturating_add(SKEW)
        {
            return Err(malformed(&format!(
                "is not valid before {}; wait, create one that starts now, or set this machine's \
                 clock",
                when(starts)
            )));
        }
        Ok(())
    }

    /// Seconds since 1970 at which it expires, where it says so itself.
    pub fn expires(&self) -> Option<i64> {
        self.expires
    }

    /// May index tags be written with it? None where a stored access policy says.
    pub fn writes_tags(&self) -> Option<bool> {
        self.writes_tags
    }

    /// May more be done with it than create blobs that are not there? None where a stored access
    /// policy says.
    pub fn writes(&self) -> Option<bool> {
        self.writes
    }

    /// Is it good for more than one folder or blob? Another knows nothing of its container, and its
    /// signature is no good there.
    pub fn opens_container(&self) -> bool {
        self.opens_container
    }

    /// The query string without `?`, to be appended to a request's URL.
    pub(super) fn expose(&self) -> &str {
        self.query.expose_secret()
    }
}

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sas")
            .field("query", &"[hidden]")
            .field("starts", &self.starts)
            .field("expires", &self.expires)
            .finish()
    }
}

/// The parameters, decoded; names in lower case.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(query: &str) -> Result<Self> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = name.to_ascii_lowercase();
            if FOREIGN.contains(&name.as_str()) {
                return Err(malformed(&format!(
                    "holds {name}=, which is no part of a SAS; remove it"
                )));
            }
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(malformed("names a parameter twice; give one SAS"));
            }
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            fields.push((name, value));
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    fn time(&self, name: &str) -> Result<Option<i64>> {
        self.get(name)
            .map(|text| {
                parse_time(text).ok_or_else(|| {
                    malformed(&format!(
                        "has a {name} that is no time such as 2030-01-31T12:00:00Z"
                    ))
                })
            })
            .transpose()
    }

    /// An account SAS says which services (`ss`) and resource types (`srt`) it opens, a service
    /// SAS which resource (`sr`).
    fn check_scope(&self) -> Result<()> {
        match (self.get("sr"), self.get("ss"), self.get("srt")) {
            (Some("b" | "c" | "d"), _, _) => Ok(()),
            (Some(_), _, _) => Err(malformed(
                "is for something other than a container, directory or blob (sr)",
            )),
            (None, Some(ss), Some(_)) if !ss.contains('b') => Err(malformed(
                "does not open the Blob service; allow it (ss must contain b)",
            )),
            (None, Some(_), Some(srt)) if !srt.contains('o') => Err(malformed(
                "does not open objects; allow container and object (srt=co)",
            )),
            (None, Some(_), Some(_)) => Ok(()),
            (None, Some(_), None) => Err(malformed(
                "has no resource types (srt); allow container and object (srt=co)",
            )),
            (None, None, Some(_)) => Err(malformed("has no services (ss); allow Blob (ss=b)")),
            (None, None, None) => Err(malformed(
                "does not say what it opens (sr, or ss and srt); copy the whole SAS",
            )),
        }
    }

    /// `sp` may stand in a stored access policy (`si`) instead.
    fn check_permissions(&self) -> Result<()> {
        match self.get("sp") {
            Some(sp) if !sp.contains(['w', 'c']) => Err(malformed(
                "does not allow writing; allow read, create and write (sp=rcw)",
            )),
            None if self.get("si").is_none() => {
                Err(malformed("has no permissions (sp); copy the whole SAS"))
            }
            _ => Ok(()),
        }
    }
}

/// The forms a SAS may use: a date, or a time in UTC down to minutes, seconds or fractions.
fn parse_time(text: &str) -> Option<i64> {
    let date = time::macros::format_description!("[year]-[month]-[day]");
    let minutes = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]Z");
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(time.unix_timestamp());
    }
    if let Ok(time) = PrimitiveDateTime::parse(text, &minutes) {
        return Some(time.assume_utc().unix_timestamp());
    }
    let midnight = Date::parse(text, &date).ok()?.midnight();
    Some(midnight.assume_utc().unix_timestamp())
}

fn when(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{seconds} s after 1970"))
}

fn malformed(what: &str) -> Failure {
    Failure::stop(Reason::Usage, format!("the destination's SAS {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "sv=2022-11-02&ss=b&srt=co&sp=rwlc&se=2030-01-31T12:00:00Z&st=2026-01-01&\
                        spr=https&sig=c2VjcmV0%3D";

    /// 2030-01-31T12:00:00Z.
    const END: i64 = 1_896_091_200;

    #[test]
    fn a_good_sas_is_kept_as_it_is() {
        for text in [GOOD.to_owned(), format!("?{GOOD}"), format!(" {GOOD}\n")] {
            let sas = Sas::parse(&text).unwrap();
            assert_eq!(sas.expose(), GOOD);
            assert_eq!(sas.expires(), Some(END));
        }
    }

    #[test]
    fn every_time_form_of_the_service_is_read() {
        for text in [
            "2030-01-31",
            "2030-01-31T00:00Z",
            "2030-01-31T00:00:00Z",
            "2030-01-31T00:00:00.0000000Z",
        ] {
            assert_eq!(parse_time(text), Some(END - 43_200), "{text}");
        }
        assert_eq!(parse_time("tomorrow"), None);
    }

    #[test]
    fn a_damaged_sas_is_refused_by_the_part_that_is_wrong() {
        let cases = [
            (GOOD.replace("&sig=c2VjcmV0%3D", ""), "no signature (sig)"),
            (GOOD.replace("sig=c2VjcmV0%3D", "sig="), "no signature"),
            (GOOD.replace("sv=2022-11-02&", ""), "(sv)"),
            (GOOD.replace("&se=2030-01-31T12:00:00Z", ""), "(se)"),
            (GOOD.replace("2030-01-31T12:00:00Z", "soon"), "a se that"),
            (GOOD.replace("&srt=co", ""), "(srt)"),
            (GOOD.replace("&srt=co", "&srt=sc"), "objects"),
            (GOOD.replace("&ss=b", ""), "(ss)"),
            (GOOD.replace("&ss=b", "&ss=fq"), "Blob service"),
            (GOOD.replace("&ss=b&srt=co", ""), "what it opens"),
            (GOOD.replace("&sp=rwlc", "&sp=rl"), "writing"),
            (GOOD.replace("&sp=rwlc", ""), "(sp)"),
            (format!("restype=container&{GOOD}"), "restype="),
            (format!("{GOOD}&{GOOD}"), "twice"),
            (String::new(), "no signature"),
        ];
        for (text, part) in cases {
            let failure = Sas::parse(&text).unwrap_err();
            assert_eq!(failure.reason, Reason::Usage);
            assert!(failure.message.contains(part), "{part}: {failure}");
            assert!(!failure.message.contains("c2VjcmV0"), "{failure}");
        }
    }

    #[test]
    fn a_service_sas_and_a_stored_policy_need_less() {
        for text in [
            "sv=2022-11-02&sr=c&sp=cw&se=2030-01-31&sig=abc",
            "sv=2022-11-02&sr=c&si=policy&sig=abc",
        ] {
            assert!(Sas::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn it_is_good_from_its_start_to_its_expiry() {
        let sas = Sas::parse(GOOD).unwrap();
        assert!(sas.check(END - 1).is_ok());
        let late = sas.check(END).unwrap_err();
        assert!(late.message.contains("expired at 2030-01-31T12:00:00Z"));
        let start = parse_time("2026-01-01").unwrap();
        assert!(sas.check(start - SKEW).is_ok());
        let early = sas.check(start - SKEW - 1).unwrap_err();
        assert!(early.message.contains("not valid before 2026-01-01"));
    }

    #[test]
    fn it_is_never_shown() {
        let shown = format!("{:?}", Sas::parse(GOOD).unwrap());
        assert!(
            !shown.contains("c2VjcmV0") && !shown.contains("sv="),
            "{shown}"
        );
    }
}
