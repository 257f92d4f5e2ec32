//! What a container in the background wrote: one JSON object a line, as Docker's json-file driver
//! writes them (`log`, `stream`, `time`). A line is written when it is whole.

use super::relay::{self, Stream};
use crate::kernel::{OrSys, SysError};
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::SystemTime;

/// The log file of one container.
#[derive(Debug)]
pub struct Log {
    file: File,
}

/// A line that never ends is cut here, as Docker does.
const LONGEST: usize = 16 * 1024;

impl Log {
    /// Opens `log.json` in the container's folder.
    pub fn create(folder: &Path) -> Result<Rc<RefCell<Self>>, SysError> {
        let path = folder.join("log.json");
        let file = OpenOptions::new().create(true).append(true).open(&path).or_sys_with(|| format!("open {}", path.display()))?;
        Ok(Rc::new(RefCell::new(Self { file })))
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
        Stream { from, to: Box::new(move |bytes| line.add(bytes)) }
    }

    fn write(&mut self, stream: &str, bytes: &[u8]) {
        let mut entry = serde_json::json!({
            "log": String::from_utf8_lossy(bytes),
            "stream": stream,
            "time": humantime::format_rfc3339_nanos(SystemTime::now()).to_string(),
        })
        .to_string();
        entry.push('\n');
        // In one write(2), so that whoever follows the log sees whole lines. A full disk must not end the container; what could not be written is lost, as in Docker.
        let _ = self.file.write_all(entry.as_bytes());
    }
}

/// A line on its way; the rest of it is written when the stream ends.
struct Line {
    log: Rc<RefCell<Log>>,
    name: &'static str,
    bytes: Vec<u8>,
}

impl Line {
    fn add(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            self.bytes.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.bytes.len() >= LONGEST {
                self.log.borrow_mut().write(self.name, &self.bytes);
                self.bytes.clear();
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.log.borrow_mut().write(self.name, &self.bytes);
        }
    }
}
