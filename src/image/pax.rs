//! Values of PAX records (pax(1), "pax Extended Header").

use nix::sys::time::TimeSpec;

/// `1700000000.25` as seconds and nanoseconds; `-1.25` is two seconds before the epoch and three quarters on.
pub(super) fn time(text: &str) -> Option<TimeSpec> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanos: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let (whole, nanos): (i64, i64) = (seconds.parse().ok()?, nanos.parse().ok()?);
    let before = text.starts_with('-') && nanos > 0;
    Some(if before { TimeSpec::new(whole.checked_sub(1)?, 1_000_000_000 - nanos) } else { TimeSpec::new(whole, nanos) })
}
