//! Sizes and counts as command lines and the kernel's files spell them.
//!
//! Docker's sizes are binary whatever the letter says: `64m` is 64 × 1024 × 1024 bytes.

use thiserror::Error;

/// A size that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SizeError {
    /// Not a number with a unit.
    #[error("it is not a number with b, k, m, g or t after it")]
    NotASize,
    /// More than 64 bits hold.
    #[error("it is more bytes than there are")]
    TooLarge,
}

/// Bytes of `64m`, `1.5g`, `512k`, `100`, `64MiB`, `64MB`; the unit is binary in each.
pub fn bytes(text: &str) -> Result<u64, SizeError> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(SizeError::NotASize),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or(SizeError::TooLarge);
    }
    let value: f64 = number.parse().map_err(|_| SizeError::NotASize)?;
    let size = value * factor as f64;
    if size < u64::MAX as f64 { Ok(size as u64) } else { Err(SizeError::TooLarge) }
}

/// `67108864 (64 MiB)`: the kernel's number, and what it is to a person.
pub fn both(bytes: u64) -> String {
    let short = binary(bytes);
    if short.ends_with(" B") { bytes.to_string() } else { format!("{bytes} ({short})") }
}

/// `64 MiB`, `1.5 GiB`.
pub fn binary(bytes: u64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"], " ")
}

/// As Docker prints sizes: decimal units, `5.12MB`.
pub fn docker_size(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB"], "")
}

fn scaled(bytes: u64, step: f64, units: &[&str], space: &str) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= step && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = if value >= 100.0 || value.fract() == 0.0 { 0 } else if value >= 10.0 { 1 } else { 2 };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{space}{}", units[unit])
}

/// `1 file`, `2 files`: for things whose plural ends in s.
pub fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_whatever_the_letter_says() {
        assert_eq!(bytes("64m"), Ok(64 << 20));
        assert_eq!(bytes("64MB"), Ok(64 << 20));
        assert_eq!(bytes("1.5g"), Ok(3 << 29));
        assert_eq!(bytes("100"), Ok(100));
        assert_eq!(bytes("64x"), Err(SizeError::NotASize));
        assert_eq!(bytes(""), Err(SizeError::NotASize));
        assert_eq!(bytes("99999999999t"), Err(SizeError::TooLarge));
    }

    #[test]
    fn a_size_is_shown_as_the_kernel_and_a_person_write_it() {
        assert_eq!(both(67108864), "67108864 (64 MiB)");
        assert_eq!(both(100), "100");
        assert_eq!(docker_size(5_120_000), "5.12MB");
        assert_eq!(docker_size(0), "0B");
    }
}
