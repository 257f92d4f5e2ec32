//! Reading the journal while it is written: event by event, and waiting for the next.

use super::{Event, older, path};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The journal of a skiff root, from some place on.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// The beginning of a line whose rest is not written yet.
    begun: Vec<u8>,
}

impl Reader {
    /// From the oldest event that is kept.
    pub fn from_the_beginning(root: &Path) -> Self {
        let path = path(root);
        let file = File::open(older(&path)).or_else(|_| File::open(&path));
        Self { file: file.ok().map(BufReader::new), path, begun: Vec::new() }
    }

    /// Only what happens from now on.
    pub fn from_now(root: &Path) -> Self {
        let path = path(root);
        let at_end = |mut file: File| file.seek(SeekFrom::End(0)).map(|_| BufReader::new(file));
        Self { file: File::open(&path).and_then(at_end).ok(), path, begun: Vec::new() }
    }

    /// The next event; `None` when there is none by now.
    pub fn next(&mut self) -> Result<Option<Event>, SysError> {
        loop {
            let Some(file) = &mut self.file else {
                // Nothing may have happened yet.
                match File::open(&self.path) {
                    Ok(file) => self.file = Some(BufReader::new(file)),
                    Err(_) => return Ok(None),
                }
                continue;
            };
            let what = || format!("read {}", self.path.display());
            file.read_until(b'\n', &mut self.begun).or_sys_with(what)?;
            let mut next = None;
            if !self.begun.ends_with(b"\n") {
                next = younger(&self.path, file.get_ref());
                if next.is_some() {
                    // What was written before it was put aside may have come after we looked.
                    file.read_until(b'\n', &mut self.begun).or_sys_with(what)?;
                }
            }
            if self.begun.ends_with(b"\n") {
                let event = serde_json::from_slice(&self.begun);
                self.begun.clear();
                match event {
                    Ok(event) => return Ok(Some(event)),
                    // A disk that was full, or a machine that lost its power, has cut one short.
                    Err(_) => continue,
                }
            }
            match next {
                Some(next) => {
                    self.file = Some(BufReader::new(next));
                    self.begun.clear();
                }
                None => return Ok(None),
            }
        }
    }
}

/// The file that is written now, if it is another than `own`.
fn younger(path: &Path, own: &File) -> Option<File> {
    let next = File::open(path).ok()?;
    let inode = |file: &File| file.metadata().ok().map(|m| (m.dev(), m.ino()));
    (inode(&next) != inode(own)).then_some(next)
}

/// Waits for the journal to grow.
#[derive(Debug)]
pub struct News(Inotify);

impl News {
    /// To be had before the first look, so that nothing falls between the two.
    pub fn of(root: &Path) -> Result<Self, SysError> {
        let what = || format!("watch {}", root.display());
        let news = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).or_sys_with(what)?;
        // The folder, and not the file: that is another after a thousand events.
        news.add_watch(root, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_MOVED_TO).or_sys_with(what)?;
        Ok(Self(news))
    }

    /// Waits for the next; at most so long, if a time is given.
    pub fn wait(&self, most: Option<Duration>) -> Result<(), SysError> {
        // A millisecond more, or the last one would be spent turning round.
        let timeout = most.map_or(PollTimeout::NONE, |most| PollTimeout::try_from(most + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX));
        match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) | Ok(0) => Ok(()),
            Ok(_) => {
                let _ = self.0.read_events();
                Ok(())
            }
            Err(errno) => Err(SysError::new("wait for events", errno)),
        }
    }
}
