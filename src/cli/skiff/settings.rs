//! Options of `run` and `create` about a container's life: labels, how it is stopped, what happens
//! when it ends.

use super::run::option;
use crate::engine::error::Error;
use crate::engine::life;
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
        request.stop_signal = self.stop_signal;
        request.stop_timeout = self.stop_timeout;
        Ok(())
    }

    /// Where the id is to be written.
    pub fn cidfile(&self) -> Option<PathBuf> {
        self.cidfile.clone()
    }
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

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.to_owned(), value.to_owned())
}
