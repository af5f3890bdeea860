//! Signature Version 4, recomputed from the request as it came over the wire.
//!
//! Written from "Authenticating Requests (AWS Signature Version 4)" of the S3 API reference.
//! Both forms, header and query; whatever is missing or wrong is refused with S3's own code.

use std::collections::HashMap;
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use hyper::http::request::Parts;
use sha2::{Digest, Sha256};

use crate::clock::{parse_amz_date, unix_seconds};
use crate::query::{Query, decode, encode, encode_path};
use crate::refusal::Refusal;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// SHA-256 of nothing.
const EMPTY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// S3 refuses dates further away than this, in seconds.
const SKEW: i64 = 15 * 60;
/// The longest life of a presigned URL, in seconds.
const LONGEST: i64 = 7 * 24 * 3600;

/// A secret and the session token it must come with.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) key: String,
    pub(crate) session: Option<(String, SystemTime)>,
}

pub(crate) type Secrets = HashMap<String, Secret>;

/// Who a request says it is from, before that is believed.
#[derive(Debug)]
pub(crate) struct Claim {
    presigned: bool,
    access_key: String,
    date: String,
    pub(crate) region: String,
    signed_headers: Vec<String>,
    signature: String,
    /// Seconds a presigned URL lives.
    expires: i64,
    token: Option<String>,
}

impl Claim {
    /// Reads the claim of a request; `None` for an anonymous one.
    pub(crate) fn read(parts: &Parts, query: &Query) -> Result<Option<Self>, Refusal> {
        let header = header(parts, "authorization");
        match (header, query.has("X-Amz-Signature")) {
            (Some(_), true) => Err(Refusal::new(
                400,
                "InvalidArgument",
                "Only one auth mechanism allowed",
            )),
            (Some(header), false) => Self::from_header(parts, &header).map(Some),
            (None, true) => Self::from_query(query).map(Some),
            (None, false) if query.iter().any(|(name, _)| name.starts_with("X-Amz-")) => {
                Err(malformed_query("X-Amz-Signature is missing"))
            }
            (None, false) => Ok(None),
        }
    }

    fn from_header(parts: &Parts, header: &str) -> Result<Self, Refusal> {
        let fields = header
            .strip_prefix(ALGORITHM)
            .ok_or_else(|| Refusal::new(400, "InvalidRequest", "Please use AWS4-HMAC-SHA256."))?;
        let field = |name: &str| {
            fields.split(',').find_map(|field| {
                let (key, value) = field.trim().split_once('=')?;
                (key == name).then(|| value.to_owned())
            })
        };
        let missing = |name: &str| malformed_header(&format!("missing {name}"));
        let credential = field("Credential").ok_or_else(|| missing("Credential"))?;
        let signed = field("SignedHeaders").ok_or_else(|| missing("SignedHeaders"))?;
        let date = self::header(parts, "x-amz-date").ok_or_else(|| {
            Refusal::new(
                403,
                "AccessDenied",
                "AWS authentication requires a valid Date or x-amz-date header",
            )
        })?;
        let (access_key, scope_date, region) =
            scope(&credential).map_err(|why| malformed_header(&why))?;
        if !date.starts_with(&scope_date) {
            return Err(malformed_header("Invalid credential date"));
        }
        Ok(Self {
            presigned: false,
            access_key,
            date,
            region,
            signed_headers: signed.split(';').map(Into::into).collect(),
            signature: field("Signature").ok_or_else(|| missing("Signature"))?,
            expires: 0,
            token: self::header(parts, "x-amz-security-token"),
        })
    }

    fn from_query(query: &Query) -> Result<Self, Refusal> {
        let need = |name: &str| {
            query
                .get(name)
                .ok_or_else(|| malformed_query(&format!("{name} is missing")))
        };
        if need("X-Amz-Algorithm")? != ALGORITHM {
            return Err(malformed_query(
                "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"",
            ));
        }
        let (access_key, scope_date, region) =
            scope(need("X-Amz-Credential")?).map_err(|why| malformed_query(&why))?;
        let date = need("X-Amz-Date")?.to_owned();
        if !date.starts_with(&scope_date) {
            return Err(malformed_query("Invalid credential date"));
        }
        let expires: i64 = need("X-Amz-Expires")?
            .parse()
            .map_err(|_| malformed_query("X-Amz-Expires should be a number"))?;
        if !(1..=LONGEST).contains(&expires) {
            return Err(malformed_query(
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
            ));
        }
        Ok(Self {
            presigned: true,
            access_key,
            date,
            region,
            signed_headers: need("X-Amz-SignedHeaders")?
                .split(';')
                .map(Into::into)
                .collect(),
            signature: need("X-Amz-Signature")?.to_owned(),
            expires,
            token: query.get("X-Amz-Security-Token").map(Into::into),
        })
    }

    /// The refusal of a claim scoped to another region than `region`.
    pub(crate) fn check_region(&self, region: &str) -> Result<(), Refusal> {
        if self.region == region {
            return Ok(());
        }
        let message = format!(
            "the region '{}' is wrong; expecting '{region}'",
            self.region
        );
        let refusal = if self.presigned {
            malformed_query(&message)
        } else {
            malformed_header(&message)
        };
        Err(refusal
            .element("Region", region)
            .header("x-amz-bucket-region", region))
    }

    /// Believes the claim or refuses the request.
    pub(crate) fn verify(
        &self,
        parts: &Parts,
        query: &Query,
        secrets: &Secrets,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let secret = secrets.get(&self.access_key).ok_or_else(|| {
            Refusal::new(
                403,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
            )
        })?;
        self.check_time(unix_seconds(now))?;
        self.check_token(secret, now)?;
        self.check_headers(parts)?;
        let payload = self.payload(parts)?;
        let request = self.canonical_request(parts, query, &payload);
        let scope = self.date.get(..8).unwrap_or_default();
        let to_sign = format!(
            "{ALGORITHM}\n{}\n{scope}/{}/s3/aws4_request\n{}",
            self.date,
            self.region,
            hex(&Sha256::digest(&request))
        );
        let expected = hex(&sign(&secret.key, scope, &self.region, &to_sign));
        if expected == self.signature {
            return Ok(());
        }
        Err(Refusal::new(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
        )
        .element("AWSAccessKeyId", &self.access_key)
        .element("StringToSign", to_sign)
        .element("CanonicalRequest", request))
    }

    fn check_time(&self, now: i64) -> Result<(), Refusal> {
        let denied = |message: &'static str| Refusal::new(403, "AccessDenied", message);
        let date = parse_amz_date(&self.date).ok_or_else(|| {
            denied("AWS authentication requires a valid Date or x-amz-date header")
        })?;
        if !self.presigned {
            if (now - date).abs() > SKEW {
                return Err(Refusal::new(
                    403,
                    "RequestTimeTooSkewed",
                    "The difference between the request time and the current time is too large.",
                ));
            }
        } else if date > now + SKEW {
            return Err(denied("Request is not valid yet"));
        } else if now >= date + self.expires {
            return Err(
                denied("Request has expired").element("X-Amz-Expires", self.expires.to_string())
            );
        }
        Ok(())
    }

    fn check_token(&self, secret: &Secret, now: SystemTime) -> Result<(), Refusal> {
        match (&secret.session, &self.token) {
            (None, None) => Ok(()),
            (Some((_, end)), Some(_)) if *end <= now => Err(Refusal::new(
                400,
                "ExpiredToken",
                "The provided token has expired.",
            )),
            (Some((token, _)), Some(given)) if token == given => Ok(()),
            (Some(_), None) => Err(Refusal::new(
                403,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
            )),
            _ => Err(Refusal::new(
                400,
                "InvalidToken",
                "The provided token is malformed or otherwise invalid.",
            )),
        }
    }

    fn check_headers(&self, parts: &Parts) -> Result<(), Refusal> {
        let unsigned: Vec<&str> = parts
            .headers
            .keys()
            .map(hyper::header::HeaderName::as_str)
            .filter(|name| *name == "host" || name.starts_with("x-amz-"))
            .filter(|name| !self.signed_headers.iter().any(|signed| signed == name))
            .collect();
        if unsigned.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(
            403,
            "AccessDenied",
            "There were headers present in the request which were not signed",
        )
        .element("HeadersNotSigned", unsigned.join(", ")))
    }

    /// The payload's hash as it takes part in the signature; no request read here has a body.
    fn payload(&self, parts: &Parts) -> Result<String, Refusal> {
        match header(parts, "x-amz-content-sha256") {
            None if self.presigned => Ok(UNSIGNED.into()),
            None => Err(Refusal::new(
                400,
                "InvalidRequest",
                "Missing required header for this request: x-amz-content-sha256",
            )),
            Some(hash) if hash == UNSIGNED || hash == EMPTY_HASH => Ok(hash),
            Some(hash) if hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Err(Refusal::new(
                    400,
                    "XAmzContentSHA256Mismatch",
                    "The provided 'x-amz-content-sha256' header does not match what was computed.",
                ))
            }
            Some(_) => Err(Refusal::new(
                400,
                "InvalidArgument",
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a valid sha256 value.",
            )),
        }
    }

    fn canonical_request(&self, parts: &Parts, query: &Query, payload: &str) -> String {
        let path = decode(parts.uri.path()).unwrap_or_default();
        let mut pairs: Vec<(String, String)> = query
            .iter()
            .filter(|(name, _)| *name != "X-Amz-Signature")
            .map(|(name, value)| (encode(name), encode(value)))
            .collect();
        pairs.sort();
        let pairs: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let headers: String = self
            .signed_headers
            .iter()
            .map(|name| format!("{name}:{}\n", header(parts, name).unwrap_or_default()))
            .collect();
        format!(
            "{}\n{}\n{}\n{headers}\n{}\n{payload}",
            parts.method,
            encode_path(&path),
            pairs.join("&"),
            self.signed_headers.join(";"),
        )
    }
}

/// All values of a header, trimmed, inner runs of spaces made one, joined by commas.
fn header(parts: &Parts, name: &str) -> Option<String> {
    let mut values = parts.headers.get_all(name).iter().peekable();
    values.peek()?;
    let values: Vec<String> = values
        .map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect();
    Some(values.join(","))
}

/// Splits `KEY/20130524/REGION/s3/aws4_request`.
fn scope(credential: &str) -> Result<(String, String, String), String> {
    let fields: Vec<&str> = credential.split('/').collect();
    let [key, date, region, service, end] = fields[..] else {
        return Err("the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".".into());
    };
    if service != "s3" || end != "aws4_request" {
        return Err(format!(
            "incorrect service or terminator \"{service}/{end}\". This endpoint belongs to \"s3\"."
        ));
    }
    Ok((key.into(), date.into(), region.into()))
}

fn malformed_header(why: &str) -> Refusal {
    let message = format!("The authorization header is malformed; {why}");
    Refusal::new(400, "AuthorizationHeaderMalformed", message)
}

fn malformed_query(why: &str) -> Refusal {
    let message = format!("Error parsing the X-Amz-Credential parameter; {why}");
    Refusal::new(400, "AuthorizationQueryParametersError", message)
}

/// The signature of `to_sign` under the key derived for day, region and S3.
fn sign(secret: &str, day: &str, region: &str, to_sign: &str) -> [u8; 32] {
    [day, region, "s3", "aws4_request", to_sign]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, text| {
            hmac_sha256(&key, text.as_bytes()).to_vec()
        })
        .try_into()
        .unwrap_or_default()
}

/// HMAC-SHA256; the key may be of any length.
pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
