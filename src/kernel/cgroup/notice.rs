//! Being told when a cgroup comes, goes, empties or runs out of memory (cgroups(7), inotify(7)).
//!
//! Mechanism: v2 raises inotify's IN_MODIFY on `memory.events` and `cgroup.events` when their text
//! changes. v1 signals an eventfd that was written, with a descriptor of `memory.oom_control`, into
//! `cgroup.event_control`; once more when the cgroup is removed (cgroup-v1/memory.rst, section 9).
//! New directories are told by inotify on the one above.
//! See it live: `inotifywait -m /sys/fs/cgroup/skiff/*/cgroup.events`.
//! Contract: a notice says where to look, not what is there. What is not to be had (no inotify
//! instance, too few descriptors) raises none, so the caller looks by himself now and then.

use super::layout::{Controller, Layout};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use nix::sys::resource::{Resource, getrlimit};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// The most cgroups that are followed: a host with more of them is swept only.
const MOST: usize = 600;

/// Something that happened to a cgroup, by its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Its counters may have moved.
    Counted(PathBuf),
    /// v2: the last process left it, or the first one came.
    Populated(PathBuf),
    /// It was removed. v1: it ran out of memory so many times since the notice before.
    Gone(PathBuf, u64),
}

/// What an inotify watch is on.
enum On {
    Folder(PathBuf),
    Memory(PathBuf),
    Events(PathBuf),
}

/// Follows the cgroups of the memory hierarchy and of the v2 tree.
pub struct Notices {
    tops: Vec<PathBuf>,
    inotify: Option<Inotify>,
    epoll: Epoll,
    watches: HashMap<WatchDescriptor, On>,
    groups: BTreeMap<PathBuf, Option<EventFd>>,
    /// Which group an eventfd in the epoll set is of, by its descriptor's number.
    numbers: HashMap<u64, PathBuf>,
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notices").field("groups", &self.groups.len()).finish_non_exhaustive()
    }
}

impl Notices {
    /// Follows all cgroups that there are. EMFILE without a free descriptor.
    pub fn open(layout: &Layout) -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
        if let Some(inotify) = &inotify {
            epoll.add(inotify, EpollEvent::new(EpollFlags::EPOLLIN, u64::MAX))?;
        }
        let mut tops: Vec<PathBuf> = layout.hierarchy(Controller::Memory).into_iter().chain(&layout.unified).map(|h| h.mount.clone()).collect();
        tops.dedup();
        let mut notices = Self { tops, inotify, epoll, watches: HashMap::new(), groups: BTreeMap::new(), numbers: HashMap::new() };
        notices.walk();
        Ok(notices)
    }

    /// The directories of all cgroups that are followed.
    pub fn groups(&self) -> impl Iterator<Item = &Path> {
        self.groups.keys().map(PathBuf::as_path)
    }

    /// Follows whatever is there and not followed yet, and forgets what is gone.
    pub fn walk(&mut self) {
        let gone: Vec<PathBuf> = self.groups.keys().filter(|f| !f.is_dir()).cloned().collect();
        for folder in gone {
            self.forget(&folder);
        }
        let mut below = self.tops.clone();
        // Breadth first: where there are too many, the deepest are left out.
        while !below.is_empty() && self.groups.len() < MOST {
            for folder in &below {
                self.follow(folder);
            }
            below = below.iter().flat_map(|f| children(f)).collect();
        }
    }

    /// Whatever has happened since.
    pub fn drain(&mut self) -> Vec<Notice> {
        let mut told = Vec::new();
        let mut ready = [EpollEvent::empty(); 64];
        let count = self.epoll.wait(&mut ready, EpollTimeout::ZERO).unwrap_or(0);
        let rings: Vec<u64> = ready[..count].iter().map(EpollEvent::data).filter(|n| *n != u64::MAX).collect();
        while let Some(Ok(events)) = self.inotify.as_ref().map(Inotify::read_events) {
            for event in events {
                told.extend(self.heard(&event));
            }
        }
        for number in rings {
            // Gone meanwhile, with its eventfd: then that was told.
            let Some(folder) = self.numbers.get(&number).cloned() else { continue };
            let rung = self.groups.get(&folder).and_then(Option::as_ref).and_then(|e| e.read().ok()).unwrap_or(0);
            match folder.is_dir() {
                true => told.push(Notice::Counted(folder)),
                false => {
                    self.forget(&folder);
                    // The removal rings too.
                    told.push(Notice::Gone(folder, rung.saturating_sub(1)));
                }
            }
        }
        told
    }

    fn heard(&mut self, event: &InotifyEvent) -> Vec<Notice> {
        if event.mask.contains(AddWatchFlags::IN_IGNORED) {
            self.watches.remove(&event.wd);
            return Vec::new();
        }
        match self.watches.get(&event.wd) {
            Some(On::Memory(folder)) => vec![Notice::Counted(folder.clone())],
            Some(On::Events(folder)) => vec![Notice::Populated(folder.clone())],
            Some(On::Folder(folder)) => {
                let Some(child) = event.name.as_ref().map(|name| folder.join(name)) else { return Vec::new() };
                if event.mask.contains(AddWatchFlags::IN_DELETE) {
                    let rung = self.forget(&child);
                    return vec![Notice::Gone(child, rung)];
                }
                self.follow_all(&child)
            }
            None => Vec::new(),
        }
    }

    /// A new directory, and those that were made below it before it was watched. Each may have
    /// counted something in the meantime.
    fn follow_all(&mut self, folder: &Path) -> Vec<Notice> {
        if self.groups.len() >= MOST || !folder.is_dir() {
            return Vec::new();
        }
        self.follow(folder);
        let mut told = vec![Notice::Counted(folder.to_owned())];
        for child in children(folder) {
            told.extend(self.follow_all(&child));
        }
        told
    }

    fn follow(&mut self, folder: &Path) {
        if self.groups.contains_key(folder) {
            return;
        }
        self.watch(folder, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_ONLYDIR, On::Folder(folder.to_owned()));
        // Its own events first: those of groups below it are told there.
        if !self.watch(&folder.join("memory.events.local"), AddWatchFlags::IN_MODIFY, On::Memory(folder.to_owned())) {
            self.watch(&folder.join("memory.events"), AddWatchFlags::IN_MODIFY, On::Memory(folder.to_owned()));
        }
        self.watch(&folder.join("cgroup.events"), AddWatchFlags::IN_MODIFY, On::Events(folder.to_owned()));
        let bell = if self.numbers.len() < most_bells() { bell(folder).ok() } else { None };
        let rings = bell.filter(|bell| {
            let number = bell.as_fd().as_raw_fd() as u64;
            let added = self.epoll.add(bell, EpollEvent::new(EpollFlags::EPOLLIN, number)).is_ok();
            added && self.numbers.insert(number, folder.to_owned()).is_none()
        });
        self.groups.insert(folder.to_owned(), rings);
    }

    fn watch(&mut self, path: &Path, kinds: AddWatchFlags, on: On) -> bool {
        let added = self.inotify.as_ref().and_then(|i| i.add_watch(path, kinds).ok());
        added.map(|wd| self.watches.insert(wd, on)).is_some()
    }

    /// Lets go of a group that was removed; how many times it ran out of memory, unheard.
    fn forget(&mut self, folder: &Path) -> u64 {
        let Some(Some(bell)) = self.groups.remove(folder) else { return 0 };
        self.numbers.remove(&(bell.as_fd().as_raw_fd() as u64));
        // The removal rings too, a moment before or after the directory is gone.
        bell.read().unwrap_or(0).saturating_sub(1)
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

/// Half of the descriptors that this process may have: the rest is for reading.
fn most_bells() -> usize {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| usize::try_from(soft / 2).unwrap_or(MOST))
}

/// An eventfd that rings when a v1 memory cgroup runs out of memory. ENOENT on v2.
fn bell(folder: &Path) -> nix::Result<EventFd> {
    let os = |e: std::io::Error| crate::kernel::error::errno_of(&e);
    let control = File::open(folder.join("memory.oom_control")).map_err(os)?;
    let mut register = OpenOptions::new().write(true).open(folder.join("cgroup.event_control")).map_err(os)?;
    let bell = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
    let line = format!("{} {}", bell.as_fd().as_raw_fd(), control.as_raw_fd());
    register.write_all(line.as_bytes()).map_err(os).map(|()| bell)
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}
