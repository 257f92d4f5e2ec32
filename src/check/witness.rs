//! The witness: writes down kernel facts that would vanish before a check could read them.
//!
//! A child of `drydock shell`, it listens to the process connector (fork, exec, exit with its status),
//! to the kernel's log and to the notices of cgroups (inotify, the v1 OOM eventfd), and sweeps every
//! second for what raises no event: a process that has changed its namespaces. Facts go to a file,
//! one JSON object a line; the first says which boot this is and what can be heard here. It ends with
//! its parent: a pipe between them closes.

use super::record::{Event, LOG, Opening};
use crate::kernel::cgroup::limit::{Event as Counted, keyed};
use crate::kernel::cgroup::notice::{Notice, Notices};
use crate::kernel::cgroup::{Controller, Layout};
use crate::kernel::connector::{self, Connector};
use crate::kernel::kmsg::{Follower, Told};
use crate::kernel::ns::Ns;
use crate::kernel::pidfd::{self, Fork, Pidfd};
use crate::kernel::proc::{Process, boot_id, pids};
use crate::kernel::session;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Between two sweeps.
const SWEEP: Duration = Duration::from_secs(1);
/// The parent of all threads of the kernel, where we see the first PID namespace.
const KTHREADD: i32 = 2;
/// v1 rings before it kills: for this long the counter is looked at again and again.
const LINGER: Duration = Duration::from_millis(500);

/// A witness at work; it ends when this is dropped.
#[derive(Debug)]
pub struct Witness {
    child: Option<Pidfd>,
    pipe: Option<OwnedFd>,
}

impl Witness {
    /// Starts one that writes to `record`, from the beginning, and waits until it hears. Where it
    /// cannot, there is none, and checks that need one say so.
    pub fn start(record: &Path) -> Self {
        let none = Self { child: None, pipe: None };
        // Emptied only when it is ours: another shell's witness may be keeping it.
        let opened = File::options().create(true).truncate(false).read(true).write(true).open(record);
        let Ok(file) = opened else { return none };
        // Locked for as long as the witness lives: a record that nobody keeps proves nothing.
        if file.try_lock().is_err() || file.set_len(0).is_err() {
            return none;
        }
        let pipe = || nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC);
        let (Ok((end, ours)), Ok((listening, tell))) = (pipe(), pipe()) else { return none };
        match pidfd::fork() {
            Ok(Fork::Child) => {
                drop((ours, listening));
                // A process group of its own: Ctrl-C in the learner's shell is not meant for it.
                let _ = nix::unistd::setsid();
                // Quicker than those of whom it must know something before they end; without root the
                // kernel refuses, and nothing is lost but that.
                session::goes_first();
                Record::new(file).keep(&end, tell);
                pidfd::exit_now(0)
            }
            Ok(Fork::Parent(child)) => {
                drop(tell);
                // What the learner does next is to be heard. Ends also when the child does.
                let _ = File::from(listening).read(&mut [0]);
                Self { child: Pidfd::open(child).ok(), pipe: Some(ours) }
            }
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

/// What is known of a process that has called exec.
#[derive(Debug, Clone, Default)]
struct Traits {
    command: String,
    cgroup: String,
    /// Its pid in its own PID namespace; of a forked child that is not known.
    inner: Option<u64>,
}

type Known = Rc<Traits>;

/// Where the witness hears of processes, and of its own end.
struct Ears<'a> {
    connector: Option<Connector>,
    end: &'a OwnedFd,
}

impl Ears<'_> {
    fn is_over(&self) -> bool {
        poll(&mut [PollFd::new(self.end.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
    }
}

struct Record {
    file: File,
    /// Lines not written yet: one write for all that came together.
    lines: String,
    /// Processes seen alive: at their exit it is too late to ask.
    commands: BTreeMap<i32, Known>,
    /// Those of them that were not there at the last sweep.
    gone: BTreeSet<i32>,
    /// OOM kills counted so far in each cgroup.
    groups: BTreeMap<PathBuf, u64>,
    /// Start and namespaces of processes at the last sweep; those that may not be read are missing.
    spaces: BTreeMap<i32, (u64, BTreeMap<Ns, u64>)>,
    /// Whether a cgroup of the v2 tree had processes, and whether it was frozen.
    populated: BTreeMap<PathBuf, (bool, u64)>,
    layout: Option<Layout>,
    log: Option<Follower>,
}

impl Record {
    fn new(file: File) -> Self {
        Self {
            file,
            lines: String::new(),
            commands: BTreeMap::new(),
            gone: BTreeSet::new(),
            groups: BTreeMap::new(),
            spaces: BTreeMap::new(),
            populated: BTreeMap::new(),
            layout: Layout::read().ok(),
            log: None,
        }
    }

    /// Until the pipe closes.
    fn keep(&mut self, end: &OwnedFd, tell: OwnedFd) {
        let connector = Connector::open();
        let log = Follower::open();
        let mut notices = self.layout.as_ref().and_then(|layout| Notices::open(layout).ok());
        let opening = Opening {
            boot: boot_id().unwrap_or_default(),
            ticks: now_ticks(),
            deaf: connector.as_ref().err().map(ToString::to_string),
            no_log: log.as_ref().err().map(ToString::to_string),
        };
        self.line(&opening);
        self.log = log.ok();
        let ears = Ears { connector: connector.ok(), end };
        self.sweep(notices.as_mut(), &ears, true);
        self.flush();
        let _ = nix::unistd::write(&tell, b"1");
        drop(tell);
        let mut swept = Instant::now();
        let mut linger: Option<(Instant, Vec<PathBuf>)> = None;
        loop {
            let patience = if linger.is_some() { Duration::from_millis(5) } else { SWEEP.saturating_sub(swept.elapsed()) };
            let mut fds = vec![PollFd::new(end.as_fd(), PollFlags::POLLIN)];
            fds.extend(ears.connector.as_ref().map(|c| PollFd::new(c.as_fd(), PollFlags::POLLIN)));
            fds.extend(self.log.as_ref().map(|l| PollFd::new(l.as_fd(), PollFlags::POLLIN)));
            fds.extend(notices.as_ref().map(|n| PollFd::new(n.as_fd(), PollFlags::POLLIN)));
            let _ = poll(&mut fds, PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO));
            if fds[0].any().unwrap_or(true) {
                return;
            }
            drop(fds);
            self.read_log();
            let counted = notices.as_mut().map(|n| self.noticed(n.drain())).unwrap_or_default();
            if !counted.is_empty() {
                linger = Some((Instant::now(), counted));
            } else if let Some((since, groups)) = linger.take() {
                groups.iter().for_each(|g| self.count(g, false));
                linger = Some((since, groups)).filter(|(since, _)| since.elapsed() < LINGER);
            }
            self.hear(&ears);
            if swept.elapsed() >= SWEEP {
                self.sweep(notices.as_mut(), &ears, false);
                swept = Instant::now();
            }
            self.flush();
        }
    }

    fn write(&mut self, event: &Event) {
        self.line(event);
    }

    fn line(&mut self, fact: &impl serde::Serialize) {
        self.lines += &serde_json::to_string(fact).unwrap_or_default();
        self.lines.push('\n');
    }

    /// Whole lines only, in one write: a reader never sees half.
    fn flush(&mut self) {
        if !self.lines.is_empty() {
            let _ = self.file.write_all(self.lines.as_bytes());
            self.lines.clear();
        }
    }

    /// All that the kernel has told of processes by now.
    fn hear(&mut self, ears: &Ears<'_>) {
        while let Some(event) = ears.connector.as_ref().and_then(Connector::next) {
            self.heard(event);
        }
    }

    fn heard(&mut self, event: connector::Event) {
        let ticks = now_ticks();
        match event {
            // No look into /proc: a child is what its parent was until it becomes something else.
            connector::Event::Fork { parent, child } => {
                let parents = self.commands.get(&parent).map(|k| k.as_ref().clone()).unwrap_or_default();
                let known = Rc::new(Traits { inner: None, ..parents });
                self.write(&Event { parent: Some(parent), ..about("fork", ticks, child, &known) });
                self.commands.insert(child, known);
            }
            connector::Event::Exec { pid } => {
                // Too short a life to be asked has no command: its parent's is not its own any more.
                let known = describe(pid).map(Rc::new).unwrap_or_default();
                self.write(&about("exec", ticks, pid, &known));
                self.commands.insert(pid, known);
            }
            connector::Event::Exit { pid, status } => {
                let signal = u64::from(status & 0x7f);
                if signal == 9 {
                    // The log names a process of which its exit makes us forget.
                    self.read_log();
                }
                let known = self.commands.remove(&pid).unwrap_or_default();
                let code = u64::from(status >> 8 & 0xff);
                let (status, signal) = if signal == 0 { (Some(code), None) } else { (None, Some(signal)) };
                self.write(&Event { status, signal, ..about("exit", ticks, pid, &known) });
            }
            connector::Event::Lost => self.write(&Event { kind: "lost".into(), ticks, ..Event::default() }),
        }
    }

    /// The kernel's log names who was killed, also when the cgroup is gone already.
    fn read_log(&mut self) {
        while let Some(told) = self.log.as_ref().and_then(Follower::next) {
            let event = Event { ticks: now_ticks(), by: LOG.into(), ..Event::default() };
            self.write(&match told {
                Told::Kill(kill) => {
                    let command = self.commands.get(&kill.pid).map(|k| k.command.clone()).unwrap_or_default();
                    Event { kind: "oom-kill".into(), pid: kill.pid, command, cgroup: kill.cgroup, ..event }
                }
                Told::Lost => Event { kind: "lost".into(), ..event },
            });
        }
    }

    /// Looks where the notices say; gives the groups whose counters may be about to move.
    fn noticed(&mut self, notices: Vec<Notice>) -> Vec<PathBuf> {
        let mut counted = Vec::new();
        for notice in notices {
            match notice {
                Notice::Counted(folder) => {
                    self.count(&folder, false);
                    self.populate(&folder, false);
                    counted.push(folder);
                }
                Notice::Populated(folder) => self.populate(&folder, true),
                Notice::Gone(folder, ooms) => {
                    self.groups.remove(&folder);
                    // It may have emptied and gone at once: then this is the first that is heard.
                    if self.populated.remove(&folder).is_some_and(|(had, _)| had) {
                        self.group_fact("emptied", &folder);
                    }
                    (0..ooms).for_each(|_| self.group_fact("oom", &folder));
                    self.group_fact("removed", &folder);
                }
            }
        }
        counted
    }

    fn group_fact(&mut self, kind: &str, folder: &Path) {
        let cgroup = self.name(folder);
        self.write(&Event { kind: kind.into(), ticks: now_ticks(), cgroup, ..Event::default() });
    }

    /// Its path as /proc/PID/cgroup shows it: below the root of its hierarchy.
    fn name(&self, folder: &Path) -> String {
        let hierarchies = self.layout.iter().flat_map(|l| l.v1.iter().chain(&l.unified));
        let below = hierarchies.filter_map(|h| folder.strip_prefix(&h.mount).ok()).min_by_key(|p| p.components().count());
        format!("/{}", below.unwrap_or(folder).display())
    }

    /// New OOM kills in one cgroup.
    fn count(&mut self, folder: &Path, first: bool) {
        let Some(v1) = self.layout.as_ref().and_then(|l| l.hierarchy(Controller::Memory)).map(|h| h.v1) else { return };
        let (_, file, key) = Counted::OomKill.place(v1);
        // Without those of groups below, where the kernel tells: each kill is one fact.
        let own = std::fs::read_to_string(folder.join(format!("{file}.local")));
        let text = own.or_else(|_| std::fs::read_to_string(folder.join(file)));
        let Some(count) = text.ok().and_then(|t| keyed(&t, key)) else { return };
        let before = self.groups.insert(folder.to_owned(), count).unwrap_or(0);
        // What happened before the witness came is not its to tell.
        if !first {
            (before..count).for_each(|_| self.group_fact("oom-kill", folder));
        }
    }

    /// Whether a group of the v2 tree has lost its last process. Only a change is notified: where the
    /// text is the same again, somebody has come and gone in between.
    fn populate(&mut self, folder: &Path, notified: bool) {
        let before = self.populated.get(folder).copied();
        if before.is_some() && !notified {
            return;
        }
        let text = std::fs::read_to_string(folder.join("cgroup.events"));
        let now = text.ok().and_then(|t| Some((keyed(&t, "populated")? == 1, keyed(&t, "frozen").unwrap_or(0))));
        match now {
            // It is gone, so it has emptied; that is told with its removal.
            None if before.is_some() => _ = self.populated.insert(folder.to_owned(), (true, 0)),
            None => {}
            Some(now) => {
                let had = before.is_some_and(|b| b.0 || b == now);
                self.populated.insert(folder.to_owned(), now);
                if had && !now.0 {
                    self.group_fact("emptied", folder);
                }
            }
        }
    }

    /// What raises no event: a living process whose namespaces have changed, and what was missed.
    fn sweep(&mut self, notices: Option<&mut Notices>, ears: &Ears<'_>, first: bool) {
        if let Some(notices) = notices {
            notices.walk();
            let folders: Vec<PathBuf> = notices.groups().map(Path::to_owned).collect();
            for folder in &folders {
                self.count(folder, first);
                self.populate(folder, false);
            }
            self.groups.retain(|folder, _| folders.binary_search(folder).is_ok());
        }
        let mut now = BTreeMap::new();
        // In a container's PID namespace number 2 is somebody.
        let threads = Process::open(KTHREADD).and_then(|p| p.status()).is_ok_and(|s| s.get("Name") == "kthreadd");
        for pid in pids() {
            // A sweep of a slow machine takes long: a process may begin and end meanwhile, and be asked
            // too late; and whoever closes the shell waits for us.
            self.hear(ears);
            if ears.is_over() {
                return;
            }
            let Ok(process) = Process::open(pid) else { continue };
            // The kernel's own threads, half of all there is in a small VM, change nothing of theirs.
            if threads && (pid == KTHREADD || process.parent() == Ok(KTHREADD)) {
                continue;
            }
            let Ok(start) = process.start() else { continue };
            let known = describe(pid).map(Rc::new);
            let spaces: BTreeMap<Ns, u64> = Ns::ALL.into_iter().filter_map(|ns| Some((ns, process.ns(ns).ok()?))).collect();
            if self.spaces.get(&pid).is_some_and(|(was, before)| *was == start && moved(before, &spaces)) {
                self.write(&about("unshare", now_ticks(), pid, &known.clone().unwrap_or_default()));
            }
            now.insert(pid, (start, spaces));
            // A process may have been put into another cgroup since its exec.
            self.commands.extend(known.filter(|k| !k.command.is_empty()).map(|k| (pid, k)));
        }
        // One that has just ended is still to be heard of, and its exit says nothing but its number.
        let gone: BTreeSet<i32> = self.commands.keys().filter(|pid| !now.contains_key(pid)).copied().collect();
        self.commands.retain(|pid, _| !(gone.contains(pid) && self.gone.contains(pid)));
        self.gone = gone;
        self.spaces = now;
    }
}

/// True when a namespace that could be read both times is another now.
fn moved(before: &BTreeMap<Ns, u64>, now: &BTreeMap<Ns, u64>) -> bool {
    before.iter().any(|(kind, inode)| now.get(kind).is_some_and(|n| n != inode))
}

fn about(kind: &str, ticks: u64, pid: i32, known: &Known) -> Event {
    let Traits { command, cgroup, inner } = known.as_ref().clone();
    Event { kind: kind.into(), ticks, pid, command, cgroup, inner, ..Event::default() }
}

fn describe(pid: i32) -> Option<Traits> {
    let process = Process::open(pid).ok()?;
    let command = process.argv().ok()?.join(" ");
    let cgroup = process.cgroups().ok()?.into_iter().map(|(_, path)| path).max_by_key(String::len)?;
    let inner = process.status().ok()?.numbers("NSpid").last().map(|n| u64::from(*n));
    Some(Traits { command, cgroup, inner })
}

/// Clock ticks (1/100 s) since boot.
fn now_ticks() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    now.map_or(0, |t| t.tv_sec() as u64 * 100 + t.tv_nsec() as u64 / 10_000_000)
}
