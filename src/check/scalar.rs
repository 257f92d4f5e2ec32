//! The small values of a probe's YAML: how many, a number, a text, a file's mode, a digest.

use super::verdict::Outcome;
use nix::sys::signal::Signal;
use serde::{Deserialize, Deserializer};
use std::fmt;

/// How many.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Count {
    /// Exactly.
    Is(Number),
    /// Within bounds.
    In(Bounds),
}

/// Bounds, both included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Bounds {
    /// No fewer.
    pub at_least: Option<Number>,
    /// No more.
    pub at_most: Option<Number>,
}

impl Count {
    /// Does `n` fit?
    pub fn fits(&self, n: u64) -> bool {
        match self {
            Count::Is(is) => n == is.0,
            Count::In(b) => b.at_least.is_none_or(|l| n >= l.0) && b.at_most.is_none_or(|m| n <= m.0),
        }
    }

    /// How it stands when `n` were seen and, unless `whole`, there may have been more: enough is
    /// enough and too many is too many, but too few may not be all.
    pub fn judge(&self, n: u64, whole: bool) -> Outcome {
        let most = match self {
            Count::Is(is) => Some(is.0),
            Count::In(b) => b.at_most.map(|m| m.0),
        };
        match (self.fits(n), most) {
            (so, _) if whole => if so { Outcome::Passed } else { Outcome::NotYet },
            (true, None) => Outcome::Passed,
            (false, Some(most)) if n > most => Outcome::NotYet,
            _ => Outcome::CannotTell,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Count::Is(is) => write!(f, "{}", is.0),
            Count::In(b) => {
                let least = b.at_least.map(|n| format!("at least {}", n.0));
                let most = b.at_most.map(|n| format!("at most {}", n.0));
                f.write_str(&least.into_iter().chain(most).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A number; in quotes too, as a template leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(pub u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        text.0.trim().parse().map(Number).map_err(|_| serde::de::Error::custom(format!("{:?} is not a whole number", text.0)))
    }
}

/// A text; numbers and booleans are taken as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Scalar {
            Text(String),
            Whole(u64),
            Real(f64),
            Truth(bool),
        }
        Ok(Text(match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => text,
            Scalar::Whole(n) => n.to_string(),
            Scalar::Real(n) => n.to_string(),
            Scalar::Truth(b) => b.to_string(),
        }))
    }
}

/// Permission bits, in octal as chmod(1) takes them: `644`, `0644`, `4755`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?.0;
        let digits = (3..=5).contains(&text.len());
        let bits = u32::from_str_radix(&text, 8).ok().filter(|bits| digits && *bits <= 0o7777);
        bits.map(Mode).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no mode in octal, such as 644 or 4755 (chmod(1))")))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// A signal by its name, with or without SIG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalName(pub Signal);

impl<'de> Deserialize<'de> for SignalName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = if text.starts_with("SIG") { text.clone() } else { format!("SIG{text}") };
        name.parse().map(SignalName).map_err(|_| serde::de::Error::custom(format!("there is no signal {text:?} (signal(7))")))
    }
}

/// `sha256:` and 64 hexadecimal digits, as the OCI image spec writes a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest(pub String);

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?.0;
        let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        if hex.is_some() { Ok(Digest(text)) } else { Err(serde::de::Error::custom(format!("{text:?} is no digest: expected sha256: and 64 hexadecimal digits"))) }
    }
}
