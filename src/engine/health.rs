//! Health checks: a command that is run inside again and again, and what its exit codes add up to
//! (Dockerfile reference, HEALTHCHECK; `--health-cmd`).
//!
//! Here are the check as it was asked for, and the report, health.json in the container's folder. Who
//! runs it is the second process beside the monitor: see `monitor/checks.rs`.

use super::container::Container;
use crate::image::{Image, Store};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A check. What is not said is the image's, and else Docker's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Check {
    /// `CMD` and words, `CMD-SHELL` and a line for the shell, or `NONE`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Nanoseconds between the end of one and the next; 30 s.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: u64,
    /// Nanoseconds that one may take; 30 s.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: u64,
    /// Nanoseconds from the start in which failures do not count; 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: u64,
    /// Failures in a row that make it unhealthy; 3.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's shape
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn or(nanos: u64, seconds: u64) -> Duration {
    if nanos == 0 { Duration::from_secs(seconds) } else { Duration::from_nanos(nanos) }
}

impl Check {
    /// What was asked for, over the image's own. `None` where there is nothing to be run.
    pub fn effective(asked: &Check, store: &Path, image: &Image) -> Option<Check> {
        let bytes = Store::open(store).document_bytes(&image.id).unwrap_or_default();
        let config: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let of_image: Check = serde_json::from_value(config["config"]["Healthcheck"].clone()).unwrap_or_default();
        let number = |own: u64, other: u64| if own == 0 { other } else { own };
        let check = Check {
            test: if asked.test.is_empty() { of_image.test } else { asked.test.clone() },
            interval: number(asked.interval, of_image.interval),
            timeout: number(asked.timeout, of_image.timeout),
            start_period: number(asked.start_period, of_image.start_period),
            retries: number(asked.retries, of_image.retries),
        };
        check.command().is_some().then_some(check)
    }

    /// The command to be run inside.
    pub fn command(&self) -> Option<Vec<String>> {
        let (kind, rest) = self.test.split_first()?;
        match kind.as_str() {
            "NONE" => None,
            "CMD-SHELL" => Some(["/bin/sh".to_owned(), "-c".to_owned()].into_iter().chain(rest.iter().cloned()).collect()),
            _ => (!rest.is_empty()).then(|| rest.to_vec()),
        }
    }

    /// From the end of one to the next.
    pub fn every(&self) -> Duration {
        or(self.interval, 30)
    }
    /// How long one may take.
    pub fn longest(&self) -> Duration {
        or(self.timeout, 30)
    }
    /// From the start, in which failures do not count.
    pub fn grace(&self) -> Duration {
        Duration::from_nanos(self.start_period)
    }
    /// Failures in a row that are too many.
    pub fn most(&self) -> u64 {
        if self.retries == 0 { 3 } else { self.retries }
    }
}

/// How a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// No check has succeeded yet, and not too many have failed.
    #[default]
    Starting,
    /// The last check succeeded, or not too many have failed since.
    Healthy,
    /// Too many have failed in a row.
    Unhealthy,
}

/// One run of the check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// Its exit code; -1 for one that could not be run, or took too long.
    pub code: i32,
    /// The beginning of what it wrote.
    pub output: String,
}

/// What the checks add up to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How the container is.
    pub health: Health,
    /// Failures in a row.
    pub failing: u64,
    /// The last few, oldest first.
    pub log: Vec<Probe>,
}

/// So many are kept.
const KEPT: usize = 5;

impl Report {
    /// Docker's word.
    pub fn word(&self) -> &'static str {
        match self.health {
            Health::Starting => "starting",
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        }
    }

    /// Adds a run of the check; true if the word changed by it.
    pub fn add(&mut self, probe: Probe, check: &Check, running_for: Duration) -> bool {
        let before = self.health;
        if probe.code == 0 {
            (self.health, self.failing) = (Health::Healthy, 0);
        } else if self.health != Health::Starting || running_for >= check.grace() {
            self.failing += 1;
            if self.failing >= check.most() {
                self.health = Health::Unhealthy;
            }
        }
        self.log.push(probe);
        self.log.drain(..self.log.len().saturating_sub(KEPT));
        self.health != before
    }

    /// Keeps it.
    pub fn write(&self, container: &Container) -> Result<(), SysError> {
        let (path, aside) = (container.folder().join("health.json"), container.folder().join("health.json.new"));
        let text = serde_json::to_vec(self).map_err(|_| SysError::new("write the health report", Errno::EINVAL))?;
        fs::write(&aside, text).and_then(|()| fs::rename(&aside, &path)).or_sys_with(|| format!("write {}", path.display()))
    }
}

/// How a container is; `None` without a check.
pub fn of(container: &Container) -> Option<Report> {
    container.record.health.as_ref()?;
    let text = fs::read(container.folder().join("health.json")).ok();
    Some(text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default())
}

/// A duration as Go writes it: `30s`, `1m30s`, `500ms`. In nanoseconds.
pub fn nanos(text: &str) -> Option<u64> {
    const UNITS: [(&str, f64); 7] = [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        sum += number * UNITS.iter().find(|(name, _)| *name == &rest[..end])?.1;
        rest = &rest[end..];
    }
    (!text.is_empty()).then_some(sum as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(code: i32) -> Probe {
        Probe { start: SystemTime::UNIX_EPOCH, end: SystemTime::UNIX_EPOCH, code, output: String::new() }
    }

    #[test]
    fn three_failures_in_a_row_make_it_unhealthy_and_one_success_healthy_again() {
        let (check, mut report) = (Check::default(), Report::default());
        let words: Vec<&str> = [1, 0, 1, 1, 0, 1, 1, 1, 1, 0].map(|code| {
            report.add(probe(code), &check, Duration::ZERO);
            report.word()
        }).to_vec();
        assert_eq!(words, ["starting", "healthy", "healthy", "healthy", "healthy", "healthy", "healthy", "unhealthy", "unhealthy", "healthy"]);
        assert_eq!(report.log.len(), KEPT);
    }

    #[test]
    fn failures_in_the_beginning_do_not_count() {
        let check = Check { start_period: 5_000_000_000, retries: 1, ..Check::default() };
        let mut report = Report::default();
        assert!(!report.add(probe(1), &check, Duration::from_secs(4)) && report.health == Health::Starting);
        assert!(report.add(probe(1), &check, Duration::from_secs(6)) && report.health == Health::Unhealthy);
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!([nanos("1m30s"), nanos("500ms"), nanos("1.5s"), nanos("0")], [Some(90_000_000_000), Some(500_000_000), Some(1_500_000_000), Some(0)]);
        assert_eq!([nanos("30"), nanos("s"), nanos(""), nanos("1 s")], [None; 4]);
    }
}
