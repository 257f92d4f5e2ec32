//! The processes of a container, from the host's side: `skiff top`, `ps --tree`.
//!
//! Which they are is said by its cgroup (cgroup.procs), so that those that were entered by `exec` are
//! among them; where a container has none, by being a descendant of its first process.

use super::container::{Container, Status};
use super::host::layout;
use super::steps::cgroup;
use crate::kernel::cgroup::Cgroup;
use crate::kernel::proc::Process;
use std::collections::BTreeSet;

/// One process of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its pid on the host.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its pid inside.
    pub inner: Option<u32>,
    /// Its command line.
    pub command: String,
}

/// The host pids of a container's processes.
pub fn pids(container: &Container) -> BTreeSet<i32> {
    if container.status() != Status::Running {
        return BTreeSet::new();
    }
    let group = layout().ok().and_then(|layout| Cgroup::open(&layout, &cgroup::name(container.id())).ok()).flatten();
    let in_group: BTreeSet<i32> = group.map(|g| g.processes().iter().map(|p| p.as_raw()).collect()).unwrap_or_default();
    if in_group.is_empty() { descendants(container.record.pid) } else { in_group }
}

/// A process, and all that it and its children have started.
fn descendants(first: i32) -> BTreeSet<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let all: Vec<i32> = entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    let parents: Vec<(i32, i32)> = all.iter().filter_map(|pid| Some((*pid, Process::open(*pid).ok()?.parent().ok()?))).collect();
    let mut found = BTreeSet::from([first]);
    loop {
        let more: Vec<i32> = parents.iter().filter(|(pid, parent)| found.contains(parent) && !found.contains(pid)).map(|(pid, _)| *pid).collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// The processes of a container, by their pids. One that ends meanwhile is left out.
pub fn members(container: &Container) -> Vec<Member> {
    let look = |pid: i32| {
        let process = Process::open(pid).ok()?;
        let command = process.argv().ok().filter(|a| !a.is_empty()).map_or_else(|| process.text("comm").unwrap_or_default().trim().to_owned(), |a| a.join(" "));
        let inner = process.status().ok()?.numbers("NSpid").get(1..).and_then(|inner| inner.last().copied());
        Some(Member { pid, parent: process.parent().ok()?, inner, command })
    };
    pids(container).into_iter().filter_map(look).collect()
}
