//! Sizes given in MiB, with fractions where they make whole bytes.

use crate::copier::plan::{MAX_BLOCK_SIZE, MAX_PUT_BLOB_SIZE, MIB};
use crate::failure::{Failure, Reason, Result};

/// The largest object that goes with one request, in bytes.
pub(super) fn put_blob_size(text: &str) -> Result<u64> {
    within("--put-blob-size-mb", text, 0, MAX_PUT_BLOB_SIZE)
}

/// The smallest block, in bytes.
pub(super) fn block_size(text: &str) -> Result<u64> {
    within("--block-size-mb", text, 1, MAX_BLOCK_SIZE)
}

/// Bytes a second of a cap in megabits (of a million bits); none for 0, which is no cap.
pub(super) fn bytes_per_second(megabits: &str) -> Result<Option<u64>> {
    let value: Option<f64> = megabits.parse().ok();
    match value {
        Some(0.0) => Ok(None),
        Some(value) if value.is_finite() && value >= 0.001 => Ok(Some((value * 125_000.0) as u64)),
        _ => Err(Failure::stop(
            Reason::Usage,
            "--cap-mbps is given no number of megabits a second: give 0 for no cap",
        )),
    }
}

fn within(flag: &str, text: &str, least: u64, most: u64) -> Result<u64> {
    mebibytes(text)
        .filter(|bytes| (least..=most).contains(bytes))
        .ok_or_else(|| {
            Failure::stop(
                Reason::Usage,
                format!(
                    "{flag} is given no size: give MiB up to {}, fractions only where they make \
                 whole bytes",
                    most / MIB
                ),
            )
        })
}

/// Exact: a decimal fraction of a MiB that is no whole number of bytes is none.
fn mebibytes(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 20 || whole.is_empty() {
        return None;
    }
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u128>().ok()?
    };
    let bytes = part.checked_mul(u128::from(MIB))?;
    if bytes % scale != 0 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(MIB)?;
    whole.checked_add(u64::try_from(bytes / scale).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_must_make_whole_bytes() {
        for (text, expected) in [
            ("8", Some(8 * MIB)),
            ("0.5", Some(MIB / 2)),
            ("0.25000", Some(MIB / 4)),
            ("0.00000095367431640625", Some(1)),
            ("0.3", None),
            ("-1", None),
            ("1e3", None),
            ("", None),
            (".5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(mebibytes(text), expected, "{text}");
        }
    }

    #[test]
    fn a_cap_is_in_megabits() {
        assert_eq!(bytes_per_second("0").unwrap(), None);
        assert_eq!(bytes_per_second("8").unwrap(), Some(1_000_000));
        assert_eq!(bytes_per_second("0.5").unwrap(), Some(62_500));
        for text in ["", "-1", "fast", "NaN", "inf"] {
            assert!(bytes_per_second(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_are_azures() {
        assert_eq!(put_blob_size("5000").unwrap(), MAX_PUT_BLOB_SIZE);
        assert!(
            put_blob_size("5001")
                .unwrap_err()
                .message
                .contains("up to 5000")
        );
        assert_eq!(block_size("4000").unwrap(), MAX_BLOCK_SIZE);
        assert!(block_size("0").is_err());
    }
}
