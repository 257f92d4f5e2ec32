//! The witness: writes down kernel facts that would vanish before a check could read them.
//!
//! A child of `drydock shell`, it listens to the process connector (exec, exit with its status), looks
//! at the cgroups that appear, and sweeps every second for what raises no event: a process that has
//! changed its namespaces or lost capabilities. Facts go to a file, one JSON object a line. It ends
//! with its parent: a pipe between them closes.

use super::record::Event;
use crate::kernel::cgroup::limit::{Event as Counted, keyed};
use crate::kernel::cgroup::{Controller, Layout};
use crate::kernel::connector::{self, Connector};
use crate::kernel::ns::Ns;
use crate::kernel::pidfd::{self, Fork, Pidfd};
use crate::kernel::proc::{Process, pids};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A witness at work; it ends when this is dropped.
#[derive(Debug)]
pub struct Witness {
    child: Option<Pidfd>,
    pipe: Option<OwnedFd>,
}

impl Witness {
    /// Starts one that writes to `record`, from the beginning. Where it cannot, there is none, and
    /// checks that need one say so.
    pub fn start(record: &Path) -> Self {
        let none = Self { child: None, pipe: None };
        let Ok(file) = File::create(record) else { return none };
        // Locked for as long as the witness lives: a record that nobody keeps proves nothing.
        if file.try_lock().is_err() {
            return none;
        }
        let Ok((end, ours)) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC) else { return none };
        match pidfd::fork() {
            Ok(Fork::Child) => {
                drop(ours);
                // A process group of its own: Ctrl-C in the learner's shell is not meant for it.
                let _ = nix::unistd::setsid();
                Record { file, commands: BTreeMap::new(), groups: BTreeMap::new(), spaces: BTreeMap::new() }.keep(&end);
                pidfd::exit_now(0)
            }
            Ok(Fork::Parent(child)) => Self { child: Pidfd::open(child).ok(), pipe: Some(ours) },
            Err(_) => none,
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        drop(self.pipe.take());
        if let Some(child) = self.child.take() {
            let _ = child.wait();
        }
    }
}

/// True while a witness keeps this record.
pub fn is_kept(record: &Path) -> bool {
    File::open(record).is_ok_and(|file| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}

struct Record {
    file: File,
    /// Command line and cgroup of processes seen alive: at their exit it is too late to ask.
    commands: BTreeMap<i32, (String, String)>,
    /// OOM kills counted so far in each cgroup.
    groups: BTreeMap<PathBuf, u64>,
    /// Namespaces of processes at the last sweep.
    spaces: BTreeMap<i32, Vec<u64>>,
}

impl Record {
    /// Until the pipe closes.
    fn keep(&mut self, end: &OwnedFd) {
        let connector = Connector::open().ok();
        self.sweep(true);
        let (mut swept, mut looked) = (Instant::now(), Instant::now());
        loop {
            let mut fds = vec![PollFd::new(end.as_fd(), PollFlags::POLLIN)];
            fds.extend(connector.as_ref().map(|c| PollFd::new(c.as_fd(), PollFlags::POLLIN)));
            let ready = poll(&mut fds, PollTimeout::from(1000u16)).unwrap_or(0);
            if fds[0].any().unwrap_or(true) {
                return;
            }
            drop(fds);
            while let Some(event) = connector.as_ref().and_then(Connector::next) {
                self.heard(event);
            }
            // Under a steady stream of events there is no silence, and a sweep is due all the same.
            if ready == 0 || swept.elapsed() > Duration::from_secs(1) {
                self.sweep(false);
                swept = Instant::now();
            } else if looked.elapsed() > Duration::from_millis(50) {
                self.look_at_groups(false);
                looked = Instant::now();
            }
        }
    }

    fn write(&mut self, event: &Event) {
        let mut line = serde_json::to_string(event).unwrap_or_default();
        line.push('\n');
        // One write a line: a reader never sees half.
        let _ = self.file.write_all(line.as_bytes());
    }

    fn heard(&mut self, event: connector::Event) {
        let ticks = now_ticks();
        match event {
            connector::Event::Fork { .. } => {}
            connector::Event::Exec { pid } => {
                if let Some((command, cgroup)) = describe(pid) {
                    self.commands.insert(pid, (command.clone(), cgroup.clone()));
                    self.write(&Event { kind: "exec".into(), ticks, pid, command, cgroup, ..Event::default() });
                }
            }
            connector::Event::Exit { pid, status } => {
                let (command, cgroup) = self.commands.remove(&pid).unwrap_or_default();
                let signal = u64::from(status & 0x7f);
                let code = u64::from(status >> 8 & 0xff);
                self.write(&Event {
                    kind: "exit".into(),
                    ticks,
                    pid,
                    command,
                    cgroup,
                    status: (signal == 0).then_some(code),
                    signal: (signal != 0).then_some(signal),
                });
            }
        }
    }

    /// New OOM kills in the cgroups that there are now.
    fn look_at_groups(&mut self, first: bool) {
        let Ok(layout) = Layout::read() else { return };
        let Some(hierarchy) = layout.hierarchy(Controller::Memory) else { return };
        let (_, file, key) = Counted::OomKill.place(hierarchy.v1);
        let mut folders = vec![hierarchy.mount.clone()];
        for depth in 0..3 {
            let from = if depth == 0 { 0 } else { folders.len().saturating_sub(200) };
            let below: Vec<PathBuf> = folders[from..].iter().flat_map(|f| children(f)).collect();
            folders.extend(below);
        }
        let seen: BTreeSet<PathBuf> = folders.into_iter().collect();
        for folder in &seen {
            let Some(count) = std::fs::read_to_string(folder.join(file)).ok().and_then(|t| keyed(&t, key)) else { continue };
            let before = self.groups.insert(folder.clone(), count).unwrap_or(0);
            let cgroup = format!("/{}", folder.strip_prefix(&hierarchy.mount).unwrap_or(folder).display());
            // What happened before the witness came is not its to tell.
            for _ in before..if first { before } else { count } {
                self.write(&Event { kind: "oom-kill".into(), ticks: now_ticks(), cgroup: cgroup.clone(), ..Event::default() });
            }
        }
        self.groups.retain(|folder, _| seen.contains(folder));
    }

    /// What raises no event: a living process whose namespaces have changed.
    fn sweep(&mut self, first: bool) {
        self.look_at_groups(first);
        let mut now = BTreeMap::new();
        for pid in pids() {
            let Ok(process) = Process::open(pid) else { continue };
            let spaces: Vec<u64> = Ns::ALL.into_iter().map(|ns| process.ns(ns).unwrap_or(0)).collect();
            if !first && self.spaces.get(&pid).is_some_and(|before| *before != spaces) {
                let (command, cgroup) = describe(pid).unwrap_or_default();
                self.write(&Event { kind: "unshare".into(), ticks: now_ticks(), pid, command, cgroup, ..Event::default() });
            }
            now.insert(pid, spaces);
        }
        self.spaces = now;
    }
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

fn describe(pid: i32) -> Option<(String, String)> {
    let process = Process::open(pid).ok()?;
    let command = process.argv().ok()?.join(" ");
    let cgroup = process.cgroups().ok()?.into_iter().map(|(_, path)| path).max_by_key(String::len)?;
    Some((command, cgroup))
}

/// Clock ticks (1/100 s) since boot.
fn now_ticks() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    now.map_or(0, |t| t.tv_sec() as u64 * 100 + t.tv_nsec() as u64 / 10_000_000)
}
