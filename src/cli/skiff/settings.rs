//! Options of `run` and `create` about a container's life: labels, how it is stopped, what happens
//! when it ends.

use super::run::option;
use crate::engine::error::Error;
use crate::engine::health::{self, Check};
use crate::engine::{life, log};
use crate::engine::request::Request;
use crate::engine::restart::Policy;
use crate::kernel::{OrSys, SysError};
use clap::Args;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

// No doc comment: it would be the command's own description.
#[derive(Debug, Args)]
pub struct Settings {
    /// A label
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// Read labels from a file
    #[arg(long, value_name = "FILE")]
    label_file: Vec<PathBuf>,
    /// What happens when it ends: no, on-failure[:MOST], always, unless-stopped
    #[arg(long, value_name = "POLICY", default_value = "no")]
    restart: Policy,
    /// The signal that stops it [default: the image's, or TERM]
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// Seconds from that to SIGKILL [default: 10]
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    stop_timeout: Option<i64>,
    /// What is kept of what it writes: json-file, none
    #[arg(long, value_name = "DRIVER", default_value = "json-file", value_parser = ["json-file", "local", "none"])]
    log_driver: String,
    /// max-size=SIZE of a file of the log, and max-file=NUMBER of them
    #[arg(long, value_name = "KEY=VALUE")]
    log_opt: Vec<String>,
    /// Run this inside again and again, by /bin/sh; exit code 0 is healthy
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// From one check to the next [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    health_interval: Option<u64>,
    /// How long one may take [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    health_timeout: Option<u64>,
    /// From the start, in which failures do not count [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    health_start_period: Option<u64>,
    /// Failures in a row that make it unhealthy [default: 3]
    #[arg(long, value_name = "NUMBER")]
    health_retries: Option<u64>,
    /// No health check, whatever the image says
    #[arg(long, conflicts_with_all = ["health_cmd", "health_interval", "health_timeout", "health_start_period", "health_retries"])]
    no_healthcheck: bool,
    /// Write the container's id to a file that is not there yet
    #[arg(long, value_name = "FILE")]
    cidfile: Option<PathBuf>,
}

impl Settings {
    /// Puts them into the request.
    pub fn apply(self, request: &mut Request) -> Result<(), Error> {
        request.labels = labels(&self.label, &self.label_file)?;
        if self.restart != Policy::No && request.remove {
            return Err(option("--restart", &self.restart.to_string(), "with --rm it is removed when it ends, so it cannot be started again", "leave out one of the two"));
        }
        request.restart = self.restart;
        if let Some(signal) = &self.stop_signal {
            life::signal_number(signal)?;
        }
        request.health = self.health();
        request.log = log::Options::read(&self.log_driver, &self.log_opt)?;
        request.stop_signal = self.stop_signal;
        request.stop_timeout = self.stop_timeout;
        Ok(())
    }

    fn health(&self) -> Check {
        let test = match &self.health_cmd {
            Some(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
            None if self.no_healthcheck => vec!["NONE".to_owned()],
            None => Vec::new(),
        };
        Check {
            test,
            interval: self.health_interval.unwrap_or(0),
            timeout: self.health_timeout.unwrap_or(0),
            start_period: self.health_start_period.unwrap_or(0),
            retries: self.health_retries.unwrap_or(0),
        }
    }

    /// Where the id is to be written.
    pub fn cidfile(&self) -> Option<PathBuf> {
        self.cidfile.clone()
    }
}

/// A duration as Go writes it, in nanoseconds.
fn duration(text: &str) -> Result<u64, String> {
    health::nanos(text).filter(|n| *n >= 1_000_000 || *n == 0).ok_or_else(|| "it is a duration of a millisecond or more, such as 30s, 1m30s or 500ms".to_owned())
}

/// The file for the id, which must not be there yet. Opened once nothing is handed over any more.
pub fn id_file(path: Option<PathBuf>) -> Result<Option<(PathBuf, File)>, SysError> {
    let open = |path: PathBuf| {
        let file = File::options().write(true).create_new(true).open(&path).or_sys_with(|| format!("make the container id file {}", path.display()))?;
        Ok((path, file))
    };
    path.map(open).transpose()
}

/// Writes the id where it was asked for.
pub fn write_id(file: Option<(PathBuf, File)>, id: &str) -> Result<(), SysError> {
    file.map_or(Ok(()), |(path, mut file)| file.write_all(id.as_bytes()).or_sys_with(|| format!("write {}", path.display())))
}

/// Files first, then those of the command line over them.
fn labels(given: &[String], files: &[PathBuf]) -> Result<BTreeMap<String, String>, Error> {
    let mut all = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(file).or_sys_with(|| format!("read {}", file.display()))?;
        let lines = text.lines().map(str::trim_start).filter(|l| !l.is_empty() && !l.starts_with('#'));
        all.extend(lines.map(pair));
    }
    for label in given {
        if label.is_empty() || label.starts_with('=') {
            return Err(option("--label", label, "it has no name", "-l NAME=value"));
        }
        all.extend([pair(label)]);
    }
    Ok(all)
}

/// `NAME=VALUE`, or a name with nothing behind it.
pub(super) fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.to_owned(), value.to_owned())
}
