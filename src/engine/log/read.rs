//! Reading a log while it is written: entry by entry, from the oldest file to the newest.
//!
//! A file that is renamed keeps its inode, and that is how a reader who was overtaken finds where it
//! is: it reads its file to the end, then goes on with the one that is a rotation younger.

use super::rotated;
use crate::engine::container::Container;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde::Deserialize;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One line that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// The line, with its end if it has one.
    pub log: String,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// When it was written, RFC 3339 with nanoseconds: later is greater.
    pub time: String,
}

/// A log that is being read.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// The beginning of an entry whose rest is not written yet.
    begun: Vec<u8>,
    /// The file is written no more.
    is_last: bool,
}

/// How often the next file is looked for while a rotation is under way.
const TRIES: u32 = 1000;

impl Reader {
    /// A container's log, from its beginning.
    pub fn open(container: &Container) -> Self {
        let path = container.folder().join("log.json");
        let oldest = numbers(&path).last().copied();
        let file = oldest.and_then(|n| File::open(rotated(&path, n)).ok()).map(BufReader::new);
        Self { path, file, begun: Vec::new(), is_last: false }
    }

    /// From its end as it is now: only what comes.
    pub fn at_end(container: &Container) -> Self {
        use std::io::{Seek, SeekFrom};
        let path = container.folder().join("log.json");
        let file = File::open(&path).ok().and_then(|mut file| file.seek(SeekFrom::End(0)).ok().map(|_| BufReader::new(file)));
        Self { path, file, begun: Vec::new(), is_last: false }
    }

    /// The next entry that is whole; `None` when there is none by now.
    pub fn next(&mut self) -> Result<Option<Entry>, SysError> {
        loop {
            let Some(file) = &mut self.file else {
                // The container may not have begun its log yet.
                match File::open(&self.path) {
                    Ok(file) => self.file = Some(BufReader::new(file)),
                    Err(_) => return Ok(None),
                }
                continue;
            };
            let n = file.read_until(b'\n', &mut self.begun).or_sys_with(|| format!("read {}", self.path.display()))?;
            if self.begun.ends_with(b"\n") {
                let entry = serde_json::from_slice(&self.begun);
                self.begun.clear();
                match entry {
                    Ok(entry) => return Ok(Some(entry)),
                    // A disk that was full, or a machine that lost its power, has cut one short.
                    Err(_) => continue,
                }
            }
            if n > 0 {
                continue;
            }
            // What was written before it was renamed may have come after we looked: once more to its end.
            if !self.is_last {
                self.is_last = self.is_rotated();
                if !self.is_last {
                    return Ok(None);
                }
            } else if !self.go_on() {
                return Ok(None);
            }
        }
    }

    /// At the end of a file that is written no more: goes on with the next younger one.
    fn go_on(&mut self) -> bool {
        let inode = |path: &Path| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
        for _ in 0..TRIES {
            let Some(own) = self.file.as_ref().and_then(|f| f.get_ref().metadata().ok()) else { return false };
            let here = Some((own.dev(), own.ino()));
            // Gone altogether: the oldest that is left is the nearest.
            let place = if own.nlink() == 0 { numbers(&self.path).last().map(|n| n + 1) } else { numbers(&self.path).into_iter().find(|n| inode(&rotated(&self.path, *n)) == here) };
            let next = place.and_then(|n| Some((n, File::open(rotated(&self.path, n.checked_sub(1)?)).ok()?)));
            // The files may be about to be renamed: it is the next only if ours has stayed where it was.
            if let Some((_, next)) = next.filter(|(n, _)| own.nlink() == 0 || inode(&rotated(&self.path, *n)) == here) {
                self.file = Some(BufReader::new(next));
                self.begun.clear();
                self.is_last = false;
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    /// Is the file that is read one that was renamed or removed?
    fn is_rotated(&self) -> bool {
        let inode = |m: std::fs::Metadata| (m.dev(), m.ino());
        let live = std::fs::metadata(&self.path).ok().map(inode);
        live.is_some() && self.file.as_ref().and_then(|f| f.get_ref().metadata().ok()).map(inode) != live
    }
}

/// How old the files of a log are, in rotations; the youngest first.
fn numbers(path: &Path) -> Vec<u32> {
    let entries = path.parent().and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let mut all: Vec<u32> = entries
        .filter_map(|e| {
            let name = e.file_name();
            let rest = name.to_str()?.strip_prefix("log.json")?;
            if rest.is_empty() { Some(0) } else { rest.strip_prefix('.')?.parse().ok() }
        })
        .collect();
    all.sort_unstable();
    all
}

/// Waits for news of a container's log.
#[derive(Debug)]
pub struct News(Inotify);

impl News {
    /// Wakes up when the log grows, and when whoever waits for the container lets go of its lock, which
    /// closes the file. To be had before the first look, so that nothing falls between the two.
    pub fn of(container: &Container) -> Result<Self, SysError> {
        let what = || format!("follow the log of {}", container.name());
        let news = Inotify::init(InitFlags::IN_CLOEXEC).or_sys_with(what)?;
        let kinds = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_DELETE_SELF;
        news.add_watch(&container.folder(), kinds).or_sys_with(what)?;
        Ok(Self(news))
    }

    /// Waits for the next, at most so long.
    pub fn wait(&self, most: Option<Duration>) -> Result<(), SysError> {
        let timeout = most.map_or(PollTimeout::NONE, |most| PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX));
        match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) | Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(errno) => return Err(SysError::new("follow the log", errno)),
        }
        match self.0.read_events() {
            Err(Errno::EINTR) | Ok(_) => Ok(()),
            Err(errno) => Err(SysError::new("follow the log", errno)),
        }
    }
}
