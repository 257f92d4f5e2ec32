//! The host before and after a case: what a learner may have left on it.
//!
//! Processes are our descendants: we are made a subreaper (prctl(2)), so that an orphan comes to us
//! and not to init. Mounts, cgroups and links are those of our namespaces. Files are the ones that
//! the exercise says it may touch. Other engines may work on the machine meanwhile: of cgroups below
//! an engine's own, those of the containers that were seen in the case's own engine root count, of the
//! others those that nobody lives in, and of groups that are gone nothing is said.

use super::ProveError;
use super::prompt;
use crate::kernel::OrSys;
use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A picture of the host, as sentences that can be compared and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture(BTreeSet<String>);

/// From now on orphans come to this process.
pub fn adopt_orphans() -> Result<(), ProveError> {
    nix::sys::prctl::set_child_subreaper(true).or_sys("become the parent of orphans")?;
    Ok(())
}

/// Collects what has ended. Only while no child of ours is being waited for elsewhere.
pub fn bury() {
    while let Ok(status) = waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            return;
        }
    }
}

/// What a command printed and how it ended; whatever else ends meanwhile is collected. A PID
/// namespace cannot end while one of its dead has not been (pid_namespaces(7)), and if that is an
/// orphan which came to us, whoever waits for the namespace waits for us.
pub fn output(command: &mut Command) -> std::io::Result<Output> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let read = |from: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = from.map(|mut from| from.read_to_end(&mut bytes));
            bytes
        })
    };
    let stdout = read(child.stdout.take().map(|o| Box::new(o) as _));
    let stderr = read(child.stderr.take().map(|e| Box::new(e) as _));
    let own = Pid::from_raw(i32::try_from(child.id()).unwrap_or(-1));
    loop {
        match waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).map(|ended| ended.pid()) {
            Ok(Some(ended)) if ended != own => _ = waitpid(ended, Some(WaitPidFlag::WNOHANG)),
            Err(Errno::EINTR) => {}
            _ => break,
        }
    }
    let status = child.wait()?;
    Ok(Output { status, stdout: stdout.join().unwrap_or_default(), stderr: stderr.join().unwrap_or_default() })
}

/// Ends all descendants of ours, the last resort after a case that failed.
pub fn end_all() {
    use nix::sys::signal::{Signal, kill};
    let own = nix::unistd::getpid().as_raw();
    for _ in 0..5 {
        let left: Vec<i32> = prompt::family(own).iter().map(|l| l.pid).filter(|pid| *pid != own).collect();
        for pid in &left {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        if left.is_empty() {
            break;
        }
        pause(Duration::from_millis(20));
        bury();
    }
    bury();
}

impl Picture {
    /// Takes it; of `files` those that exist.
    pub fn take(files: &[PathBuf]) -> Self {
        bury();
        let own = nix::unistd::getpid().as_raw();
        let mut lines: BTreeSet<String> = prompt::family(own).iter().filter(|l| l.pid != own).map(|l| process(l.pid)).collect();
        lines.extend(mounts());
        lines.extend(cgroups());
        lines.extend(links());
        lines.extend(files.iter().filter(|f| f.symlink_metadata().is_ok()).map(|f| format!("file {}", f.display())));
        Self(lines)
    }

    /// What is left of a case, once the kernel has had at most `patience` to end namespaces and groups.
    pub fn left(&self, files: &[PathBuf], containers: &[String], patience: Duration) -> Vec<String> {
        let end = Instant::now() + patience;
        let of_engines = |l: &str| l.starts_with("cgroup ") && ["skiff", "skiff-oci"].iter().any(|top| l.contains(&format!("/{top}/")) || l.ends_with(&format!("/{top}")));
        let of_others = |l: &str| of_engines(l) && !containers.iter().any(|id| l.contains(id.as_str()));
        loop {
            let now = Self::take(files);
            let left: Vec<String> = now.0.difference(&self.0).filter(|l| !of_others(l) && !is_lived_in(l)).map(|l| format!("left behind: {l}")).collect();
            let gone = self.0.difference(&now.0).filter(|l| !["process ", "cgroup ", "link br-", "link ve"].iter().any(|kind| l.starts_with(kind))).map(|l| format!("gone: {l}"));
            let all: Vec<String> = left.into_iter().chain(gone).collect();
            if all.is_empty() || Instant::now() >= end {
                return all;
            }
            pause(Duration::from_millis(30));
        }
    }
}

/// A cgroup that a process lives in is that process's matter: ours are in the picture themselves, and
/// what systemd, say, starts meanwhile is nobody's here.
fn is_lived_in(line: &str) -> bool {
    fn lives(group: &Path) -> bool {
        std::fs::read(group.join("cgroup.procs")).is_ok_and(|pids| !pids.is_empty()) || names(group).iter().map(|name| group.join(name)).any(|below| below.is_dir() && lives(&below))
    }
    line.strip_prefix("cgroup ").is_some_and(|group| lives(Path::new(group)))
}

/// Waits for the mount table to change, at most so long; other things are looked at again then.
fn pause(within: Duration) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    if let Ok(file) = std::fs::File::open("/proc/self/mountinfo") {
        let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLPRI)];
        let _ = poll(&mut fds, PollTimeout::try_from(within).unwrap_or(PollTimeout::ZERO));
    }
}

/// A process by number and command line.
pub fn process(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    format!("process {pid} {}", line.trim())
}

fn mounts() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        Some(format!("mount {} on {}", right.split(' ').next()?, left.split(' ').nth(4)?))
    };
    text.lines().filter_map(mount).collect()
}

fn cgroups() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ').skip(1);
        if let (Some(at), Some("cgroup" | "cgroup2")) = (words.next(), words.next()) {
            walk(Path::new(at), &mut found);
        }
    }
    found
}

fn walk(dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            // The engine's own parent group stays; only containers' groups count.
            if entry.file_name() != "skiff" {
                found.push(format!("cgroup {}", entry.path().display()));
            }
            walk(&entry.path(), found);
        }
    }
}

/// The links of this network namespace. Not the default bridge of an engine, which stays until a prune as
/// Docker's does, nor the cables in it: several engines, each with a root of its own, may be at work. A
/// cable whose bridge was pruned and that is still there counts.
fn links() -> impl Iterator<Item = String> {
    let all = Path::new("/sys/class/net");
    let is_default = |name: &str| name == "skiff0" || name.starts_with("skiff0-");
    let plugged = move |name: &str| std::fs::read_link(all.join(name).join("master")).is_ok_and(|to| to.file_name().is_some_and(|n| is_default(&n.to_string_lossy())));
    names(all).into_iter().filter(move |n| !is_default(n) && !plugged(n)).map(|n| format!("link {n}"))
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}
