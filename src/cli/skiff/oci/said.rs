//! What the runtime has to say: to people on standard error, to programs in the file of `--log`.
//!
//! containerd and conmon read the last line of that file, as JSON, and show its `msg` to whoever typed
//! `docker run`. Docker then takes the errno's own words out of it ("no such file or directory") for the
//! exit codes 127 and 126, so they are in it.

use crate::cli::out::visible;
use crate::engine::oci::Error;
use crate::kernel::Explain;
use clap::ValueEnum;
use nix::errno::Errno;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `time=… level=… msg=…`
    Text,
    /// A line of JSON each.
    Json,
}

/// Where errors and warnings go.
pub struct Said {
    log: Option<PathBuf>,
    format: Format,
    /// It runs a command for somebody: exit codes below 255 are the command's.
    pub runs_a_command: bool,
}

impl Said {
    pub fn new(log: Option<PathBuf>, format: Format) -> Self {
        Self { log, format, runs_a_command: false }
    }

    /// Why it could not be done. Podman reads standard error: the errno's own words are in its first line.
    pub fn error(&self, error: &Error) {
        let text = error.to_string();
        let text = match error.errno() {
            Some(Errno::ENOENT) if text.starts_with("cannot run ") && !text.contains('/') => format!("{text}: executable file not found in $PATH"),
            Some(errno) => format!("{text}: {}", errno.desc().to_lowercase()),
            None => text,
        };
        eprintln!("error: {}", visible(&text));
        error.why().into_iter().for_each(|why| eprintln!("  why: {}", visible(&why)));
        error.hint().into_iter().for_each(|hint| eprintln!("  try: {}", visible(&hint)));
        let why = error.why().map(|why| format!(": {why}")).unwrap_or_default();
        self.write("error", &format!("{text}{why}"));
    }

    /// What went otherwise than asked.
    pub fn warn(&self, text: &str) {
        eprintln!("warning: {}", visible(text));
        self.write("warning", text);
    }

    fn write(&self, level: &str, text: &str) {
        let Some(path) = &self.log else { return };
        let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let line = match self.format {
            Format::Json => serde_json::json!({ "level": level, "msg": text, "time": time }).to_string(),
            Format::Text => format!("time={time:?} level={level} msg={text:?}"),
        };
        // A log that cannot be written is no reason to fail: standard error has it all.
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = opened.and_then(|mut file| writeln!(file, "{line}"));
    }
}
