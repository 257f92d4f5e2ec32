//! What the host looks like: processes, mounts, cgroups, links, files. Taken before and after, the
//! two must be equal.
//!
//! Processes are those that descend from the test: it makes itself a subreaper (prctl(2)), so that
//! an orphan comes to it instead of to init, and nothing that it started can hide.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A picture of the host, as sentences that can be compared and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    lines: BTreeSet<String>,
}

impl Host {
    /// Takes the picture; `files` are folders whose names are listed too.
    pub fn now(files: &[&Path]) -> Self {
        adopt_orphans();
        let mut lines: BTreeSet<String> = descendants().into_iter().collect();
        lines.extend(mounts());
        lines.extend(cgroups());
        lines.extend(links());
        for dir in files.iter().chain([&Path::new("/var/lib"), &Path::new("/run")]) {
            // The record of the default bridge stays as long as the bridge does: until a prune.
            let kept = names(dir).into_iter().filter(|n| n != "networks");
            lines.extend(kept.map(|n| format!("file {}/{n}", dir.display())));
        }
        // mount(8) itself keeps this, whoever calls it.
        lines.remove("file /run/mount");
        Self { lines }
    }

    /// What is there now and was not in `before`, and what is gone; empty when all is as it was.
    pub fn since(&self, before: &Self) -> Vec<String> {
        let more = self.lines.difference(&before.lines).map(|l| format!("left behind: {l}"));
        // Others may take away meanwhile what is theirs: empty cgroups, networks of engines.
        let of_others = |l: &str| ["cgroup ", "link br-", "link ve"].iter().any(|kind| l.starts_with(kind));
        let gone = before.lines.difference(&self.lines).filter(|l| !of_others(l)).map(|l| format!("gone: {l}"));
        more.chain(gone).collect()
    }

    /// Asserts that the host is again as in `self`. The kernel takes a moment to end a namespace,
    /// so this looks again for up to five seconds.
    pub fn assert_unchanged(&self, files: &[&Path], after: &str) {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let left = Host::now(files).since(self);
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "after {after}:\n{}", left.join("\n"));
            wait_for_a_mount_to_change(Duration::from_millis(50));
        }
    }
}

/// From here on orphans of this process come to it, and not to init.
pub fn adopt_orphans() {
    nix::sys::prctl::set_child_subreaper(true).expect("any process may become a subreaper");
}

/// Waits until no process that descends from this one is left; false when `within` passed first.
pub fn orphans_end_within(within: Duration) -> bool {
    let end = Instant::now() + within;
    while !descendants().is_empty() {
        if Instant::now() > end {
            return false;
        }
        wait_for_a_mount_to_change(Duration::from_millis(10));
    }
    true
}

/// Ends the orphans that came to this process and whose command line holds `mark`.
pub fn end_orphans(mark: &str) {
    use nix::{sys::signal, sys::wait, unistd::Pid};
    let own = nix::unistd::getpid().as_raw();
    for _ in 0..3 {
        for (pid, _) in stats().into_iter().filter(|(_, s)| s.parent == own) {
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if command.contains(mark) && signal::kill(Pid::from_raw(pid), signal::Signal::SIGKILL).is_ok() {
                let _ = wait::waitpid(Pid::from_raw(pid), None);
            }
        }
    }
}

fn wait_for_a_mount_to_change(within: Duration) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    if let Ok(file) = std::fs::File::open("/proc/self/mountinfo") {
        let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLPRI)];
        let _ = poll(&mut fds, PollTimeout::try_from(within).unwrap_or(PollTimeout::ZERO));
    }
}

struct Stat {
    parent: i32,
    state: char,
    command: String,
}

fn stats() -> Vec<(i32, Stat)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, tail) = stat.rsplit_once(") ")?;
        let words: Vec<&str> = tail.split(' ').collect();
        let command = head.split_once('(')?.1.to_owned();
        let state = words.first()?.chars().next()?;
        Some((pid, Stat { parent: words.get(1)?.parse().ok()?, state, command }))
    })
    .collect()
}

/// This process and all that descends from it.
fn own_tree(all: &[(i32, Stat)]) -> BTreeSet<i32> {
    let mut ours = BTreeSet::from([nix::unistd::getpid().as_raw()]);
    loop {
        let before = ours.len();
        ours.extend(all.iter().filter(|(_, s)| ours.contains(&s.parent)).map(|(pid, _)| *pid).collect::<Vec<_>>());
        if ours.len() == before {
            return ours;
        }
    }
}

fn descendants() -> Vec<String> {
    let all = stats();
    let mut ours = own_tree(&all);
    let own = nix::unistd::getpid().as_raw();
    ours.remove(&own);
    // A zombie of ours is an orphan that has ended: init would have collected it.
    let of_ours = all.into_iter().filter(|(pid, s)| ours.contains(pid) && !(s.state == 'Z' && s.parent == own));
    of_ours.map(|(pid, s)| format!("process {pid} {} ({})", s.command, s.state)).collect()
}

fn mounts() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let point = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        Some(format!("mount {} on {}", right.split(' ').next()?, left.split(' ').nth(4)?))
    };
    text.lines().filter_map(point).collect()
}

/// Where each cgroup hierarchy is mounted.
pub fn hierarchies() -> Vec<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let hierarchy = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let at = words.next()?;
        matches!(words.next()?, "cgroup" | "cgroup2").then(|| PathBuf::from(at))
    };
    text.lines().filter_map(hierarchy).collect()
}

/// The cgroups that hold a process of ours or none at all; those of others are not our business.
fn cgroups() -> Vec<String> {
    let ours = own_tree(&stats());
    let mut found = Vec::new();
    for hierarchy in hierarchies() {
        walk(&hierarchy, &ours, &mut found);
    }
    found.into_iter().map(|p| format!("cgroup {}", p.display())).collect()
}

/// Adds the cgroups below `dir`; true if somebody else's process was seen in one of them.
fn walk(dir: &Path, ours: &BTreeSet<i32>, found: &mut Vec<PathBuf>) -> bool {
    let mut foreign_below = false;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            let path = entry.path();
            let processes = std::fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
            let foreign_here = processes.lines().any(|pid| pid.parse().is_ok_and(|pid: i32| !ours.contains(&pid)));
            let foreign = walk(&path, ours, found) || foreign_here;
            if !foreign {
                found.push(path);
            }
            foreign_below |= foreign;
        }
    }
    foreign_below
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

/// Removes a cgroup and those below it, the innermost first.
pub fn remove_cgroup(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(dir);
}
