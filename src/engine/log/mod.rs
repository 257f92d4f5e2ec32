//! What a container in the background wrote: one JSON object a line, as Docker's json-file driver
//! writes them (`log`, `stream`, `time`). A line is written when it is whole.
//!
//! All that one read(2) brought is written by one write(2), so that a busy container costs two calls for
//! each 64 KiB, and whoever follows the log sees whole lines. With `--log-opt max-size=…` a file that is
//! full becomes `log.json.1`, that one `log.json.2`, and so on; see [`read`] for the way back.

pub mod read;
pub mod window;

use super::error::Error;
use super::relay::{self, Stream};
use crate::kernel::{OrSys, SysError, units};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

/// What was asked for (`--log-driver`, `--log-opt`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Nothing is kept.
    pub none: bool,
    /// Bytes after which a new file is begun; 0 is without end.
    pub max_size: u64,
    /// Files that are kept, the one that is written among them; 0 is one.
    pub max_file: u32,
}

impl Options {
    /// As `--log-driver` and `--log-opt` say it.
    pub fn read(driver: &str, options: &[String]) -> Result<Self, Error> {
        let mut read = Self { none: driver == "none", ..Self::default() };
        let bad = |text: &str, reason: &str| Error::Option { option: "--log-opt", value: text.to_owned(), reason: reason.to_owned(), example: "--log-opt max-size=10m --log-opt max-file=3" };
        for text in options {
            match text.split_once('=') {
                Some(("max-size", size)) => read.max_size = units::bytes(size).map_err(|e| bad(text, &e.to_string()))?,
                Some(("max-file", number)) => read.max_file = number.parse().ok().filter(|n| *n > 0).ok_or_else(|| bad(text, "it is a number from 1 on"))?,
                _ => return Err(bad(text, "its key is max-size or max-file")),
            }
        }
        if read.max_file > 1 && read.max_size == 0 {
            return Err(bad("max-file", "it needs max-size beside it"));
        }
        Ok(read)
    }
}

/// The log of one container.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    options: Options,
    file: Option<File>,
    size: u64,
    /// Entries on their way.
    entries: Vec<u8>,
}

/// A line that never ends is cut here, as Docker does.
const LONGEST: usize = 16 * 1024;

/// The file that is `number` rotations old.
pub(super) fn rotated(path: &Path, number: u32) -> PathBuf {
    if number == 0 { path.to_owned() } else { path.with_extension(format!("json.{number}")) }
}

impl Log {
    /// A log whose file is made when the first line comes.
    pub fn later(folder: &Path, options: &Options) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self { path: folder.join("log.json"), options: options.clone(), file: None, size: 0, entries: Vec::new() }))
    }

    /// Opens `log.json` in the container's folder.
    pub fn create(folder: &Path, options: &Options) -> Result<Rc<RefCell<Self>>, SysError> {
        let mut log = Self { path: folder.join("log.json"), options: options.clone(), file: None, size: 0, entries: Vec::new() };
        if !options.none {
            log.open()?;
        }
        Ok(Rc::new(RefCell::new(log)))
    }

    fn open(&mut self) -> Result<(), SysError> {
        let file = OpenOptions::new().create(true).append(true).open(&self.path).or_sys_with(|| format!("open {}", self.path.display()))?;
        self.size = file.metadata().map_or(0, |m| m.len());
        self.file = Some(file);
        Ok(())
    }

    /// Pipes for standard output and error: our streams, and the container's ends.
    pub fn streams<'a>(log: &Rc<RefCell<Self>>, tty: bool) -> Result<(Vec<Stream<'a>>, Vec<OwnedFd>), SysError> {
        let (mut streams, mut theirs) = (Vec::new(), Vec::new());
        if !tty {
            for name in ["stdout", "stderr"] {
                let (read, write) = relay::pipe()?;
                streams.push(Self::stream(log, read, name));
                theirs.push(write);
            }
        }
        Ok((streams, theirs))
    }

    /// A stream whose lines go to the log under `name`.
    pub fn stream<'a>(log: &Rc<RefCell<Self>>, from: OwnedFd, name: &'static str) -> Stream<'a> {
        let log = Rc::clone(log);
        let mut line = Line { log, name, bytes: Vec::new() };
        Stream { from, to: Box::new(move |bytes| line.add(bytes)), number: if name == "stderr" { 2 } else { 1 } }
    }

    /// Adds an entry to those on their way.
    fn add(&mut self, stream: &str, time: &str, line: &[u8]) {
        self.entries.extend_from_slice(b"{\"log\":\"");
        match std::str::from_utf8(line) {
            Ok(text) => escape(text, &mut self.entries),
            Err(_) => escape(&String::from_utf8_lossy(line), &mut self.entries),
        }
        for part in ["\",\"stream\":\"", stream, "\",\"time\":\"", time, "\"}\n"] {
            self.entries.extend_from_slice(part.as_bytes());
        }
        if self.options.max_size > 0 && self.size + self.entries.len() as u64 >= self.options.max_size {
            self.write();
        }
    }

    /// Writes them. A full disk must not end the container; what could not be written is lost, as in Docker.
    fn write(&mut self) {
        if self.file.is_none() && !self.options.none && !self.entries.is_empty() {
            let _ = self.open();
        }
        if let Some(file) = &mut self.file {
            let _ = file.write_all(&self.entries);
            self.size += self.entries.len() as u64;
        }
        self.entries.clear();
        // What one long burst took is given back.
        self.entries.shrink_to(1 << 16);
        if self.file.is_some() && self.options.max_size > 0 && self.size >= self.options.max_size {
            self.rotate();
        }
    }

    fn rotate(&mut self) {
        let kept = self.options.max_file.max(1);
        // The oldest goes by being renamed over.
        for number in (1..kept).rev() {
            let _ = fs::rename(rotated(&self.path, number - 1), rotated(&self.path, number));
        }
        if kept == 1 {
            let _ = fs::remove_file(&self.path);
        }
        // Where there is no room for another, the old one is written on.
        let _ = self.open();
    }
}

/// Text as it stands in a JSON string (RFC 8259, section 7).
fn escape(text: &str, to: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\') {
        to.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => to.extend_from_slice(b"\\n"),
            b'\r' => to.extend_from_slice(b"\\r"),
            b'\t' => to.extend_from_slice(b"\\t"),
            b'"' => to.extend_from_slice(b"\\\""),
            b'\\' => to.extend_from_slice(b"\\\\"),
            other => to.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    to.extend_from_slice(rest);
}

/// A line on its way; the rest of it is written when the stream ends.
struct Line {
    log: Rc<RefCell<Log>>,
    name: &'static str,
    bytes: Vec<u8>,
}

impl Line {
    fn add(&mut self, bytes: &[u8]) {
        let time = humantime::format_rfc3339_nanos(SystemTime::now()).to_string();
        let mut log = self.log.borrow_mut();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            // Most lines come whole, and need not be put together.
            if self.bytes.is_empty() && piece.ends_with(b"\n") && piece.len() <= LONGEST {
                log.add(self.name, &time, piece);
                continue;
            }
            for part in piece.chunks(LONGEST) {
                self.bytes.extend_from_slice(part);
                if self.bytes.len() >= LONGEST || part.ends_with(b"\n") {
                    log.add(self.name, &time, &self.bytes);
                    self.bytes.clear();
                }
            }
        }
        log.write();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            let time = humantime::format_rfc3339_nanos(SystemTime::now()).to_string();
            let mut log = self.log.borrow_mut();
            log.add(self.name, &time, &self.bytes);
            log.write();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_escaped_is_read_back_by_any_reader_of_json(text in ".*") {
            let mut escaped = vec![b'"'];
            escape(&text, &mut escaped);
            escaped.push(b'"');
            prop_assert_eq!(serde_json::from_slice::<String>(&escaped).expect("JSON"), text);
        }
    }
}
