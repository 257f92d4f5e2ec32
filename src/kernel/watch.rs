//! Wake up when kernel state changes.
//!
//! What can be waited for: the mount table (poll(2) with POLLPRI on /proc/self/mountinfo), cgroups
//! (inotify(7), the v1 OOM eventfd), and processes (the proc connector, root only). What raises no event,
//! such as setns in a living process, is found by looking again after a while.

use super::cgroup::Layout;
use super::cgroup::notice::Notices;
use super::connector::Connector;
use super::{OrSys, SysError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::cell::RefCell;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// All sources of a change, together.
#[derive(Debug)]
pub struct Watch {
    mounts: File,
    folders: Inotify,
    processes: Option<Connector>,
    groups: RefCell<Option<Notices>>,
}

impl Watch {
    /// Watches mounts, the tops of these folders, cgroups, and processes where that is allowed.
    pub fn new<'a>(folders: impl Iterator<Item = &'a Path>) -> Result<Self, SysError> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).or_sys("start inotify")?;
        for folder in folders {
            let kinds = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MODIFY;
            // A folder that is not there, or not ours to watch, raises no event; the sweep finds it.
            let _ = inotify.add_watch(folder, kinds);
        }
        let mounts = File::open("/proc/self/mountinfo").or_sys("open /proc/self/mountinfo")?;
        let groups = Layout::read().ok().and_then(|layout| Notices::open(&layout).ok());
        Ok(Self { mounts, folders: inotify, processes: Connector::open().ok(), groups: RefCell::new(groups) })
    }

    /// True when process events arrive: then a slow sweep is enough.
    pub fn hears_processes(&self) -> bool {
        self.processes.is_some()
    }

    /// Waits for a change, at most `limit`. True when there was one.
    pub fn wait(&self, limit: Duration) -> Result<bool, SysError> {
        let mut fds = vec![PollFd::new(self.mounts.as_fd(), PollFlags::POLLPRI), PollFd::new(self.folders.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.processes.as_ref().map(|p| PollFd::new(p.as_fd(), PollFlags::POLLIN)));
        let mut groups = self.groups.borrow_mut();
        fds.extend(groups.as_ref().map(|g| PollFd::new(g.as_fd(), PollFlags::POLLIN)));
        let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        let changed = match poll(&mut fds, timeout) {
            Err(nix::errno::Errno::EINTR) => 0,
            other => other.or_sys("wait for a change")?,
        };
        drop(fds);
        let _ = self.folders.read_events();
        let _ = groups.as_mut().map(Notices::drain);
        if let Some(processes) = &self.processes {
            processes.drain();
        }
        Ok(changed > 0)
    }
}
