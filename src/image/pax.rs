//! PAX records (pax(1), "pax Extended Header"): what a tar's header has no field for.
//!
//! A header's time is a number of whole seconds that is not below zero. Layers are written with whole
//! seconds, as Docker writes them: filesystems keep finer times differently, and a digest must not hang
//! on that. Before 1970 the time is a record.

use nix::sys::time::TimeSpec;
use std::io::{self, Write};
use std::path::Path;

/// What a header says of a time in seconds since 1970; one before that is in the records.
pub fn header_time(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
}

/// Writes the records of an entry that is to follow: its time in seconds, if that is before 1970, and
/// its extended attributes but overlay's own and those whose name begins with one of `foreign`.
pub fn extend(tar: &mut tar::Builder<impl Write>, time: i64, source: Option<&Path>, foreign: &[&str]) -> io::Result<()> {
    let mut records = Vec::new();
    if time < 0 {
        records.push(("mtime".to_owned(), time.to_string().into_bytes()));
    }
    let listed = source.and_then(|s| Some((s, xattr::list(s).ok()?)));
    for (source, name) in listed.into_iter().flat_map(|(s, names)| names.map(move |n| (s, n))) {
        let text = name.to_string_lossy();
        if ["trusted.", "user.overlay."].iter().chain(foreign).any(|p| text.starts_with(p)) {
            continue;
        }
        if let Ok(Some(value)) = xattr::get(source, &name) {
            records.push((format!("SCHILY.xattr.{text}"), value));
        }
    }
    if records.is_empty() {
        return Ok(());
    }
    tar.append_pax_extensions(records.iter().map(|(k, v)| (k.as_str(), v.as_slice())))
}

/// `1700000000.25` as seconds and nanoseconds; `-1.25` is two seconds before the epoch and three quarters on. Nothing
/// where it is no number.
pub(super) fn time(text: &str) -> Option<TimeSpec> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanos: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let (whole, nanos): (i64, i64) = (seconds.parse().ok()?, nanos.parse().ok()?);
    let before = text.starts_with('-') && nanos > 0;
    Some(if before { TimeSpec::new(whole.checked_sub(1)?, 1_000_000_000 - nanos) } else { TimeSpec::new(whole, nanos) })
}
