//! What a container uses, from the files of its cgroup: `skiff stats` (cgroups(7)).
//!
//! One reading is a sum since the container's start; how much of a CPU it uses is the difference of two.
//! See it live: `cat /sys/fs/cgroup/skiff/ID/cpu.stat` (v1: cpuacct.usage). What the kernel counts in no
//! cgroup here, or in one that a container is not put into, is summed up over its processes' files in
//! /proc; what those have that ended already is not in it.

use super::container::{Container, Status};
use super::host::layout;
use super::steps::cgroup;
use super::top;
use crate::kernel::cgroup::limit::keyed;
use crate::kernel::cgroup::{Cgroup, Controller};
use std::fs;
use std::path::Path;
use std::time::Instant;

/// One reading.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// When.
    pub at: Instant,
    /// Nanoseconds of CPU time.
    pub cpu: u64,
    /// Bytes, without what the kernel can take back at any time (`inactive_file`).
    pub memory: u64,
    /// Bytes: the limit, or the machine's memory.
    pub memory_limit: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Bytes received and sent, but on lo.
    pub network: (u64, u64),
    /// Bytes read from and written to block devices.
    pub block: (u64, u64),
}

/// Reads what a container has used; `None` of one that does not run.
pub fn read(container: &Container) -> Option<Reading> {
    if container.status() != Status::Running {
        return None;
    }
    let layout = layout().ok()?;
    let group = Cgroup::open(&layout, &cgroup::name(container.id())).ok().flatten();
    let at = |controller: Controller| group.as_ref().and_then(|g| g.directory(controller));
    let v1 = |controller: Controller| layout.is_v1(controller);
    let pids: Vec<i32> = top::pids(container).into_iter().collect();
    let machine = machine_memory();
    let (memory, limit) = at(Controller::Memory).map_or((None, None), |dir| memory(dir, v1(Controller::Memory)));
    Some(Reading {
        at: Instant::now(),
        cpu: cpu(at(Controller::Cpuacct), at(Controller::Cpu)).unwrap_or_else(|| pids.iter().map(|pid| cpu_of(*pid)).sum()),
        memory: memory.unwrap_or_else(|| pids.iter().map(|pid| resident(*pid)).sum()),
        memory_limit: limit.unwrap_or(machine).min(machine),
        pids: at(Controller::Pids).and_then(|dir| number(&dir.join("pids.current"))).unwrap_or(pids.len() as u64),
        network: network(container.record.pid),
        block: at(Controller::Io).map_or_else(|| sum(&pids, block_of), block),
    })
}

impl Reading {
    /// How much of one CPU was used since an earlier reading, in percent.
    pub fn cpu_percent(&self, before: &Self) -> f64 {
        let passed = self.at.saturating_duration_since(before.at).as_nanos() as f64;
        if passed == 0.0 { 0.0 } else { self.cpu.saturating_sub(before.cpu) as f64 / passed * 100.0 }
    }
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn number(path: &Path) -> Option<u64> {
    text(path)?.trim().parse().ok()
}

fn cpu(accounting: Option<&Path>, cpu: Option<&Path>) -> Option<u64> {
    accounting.and_then(|dir| number(&dir.join("cpuacct.usage"))).or_else(|| Some(keyed(&text(&cpu?.join("cpu.stat"))?, "usage_usec")? * 1000))
}

fn memory(dir: &Path, v1: bool) -> (Option<u64>, Option<u64>) {
    let (used, limit, key) = if v1 { ("memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file") } else { ("memory.current", "memory.max", "inactive_file") };
    let idle = text(&dir.join("memory.stat")).and_then(|t| keyed(&t, key)).unwrap_or(0);
    (number(&dir.join(used)).map(|used| used.saturating_sub(idle)), number(&dir.join(limit)))
}

/// `MemTotal` of /proc/meminfo, in bytes.
pub fn machine_memory() -> u64 {
    let text = text(Path::new("/proc/meminfo")).unwrap_or_default();
    text.lines().find_map(|l| l.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn block(dir: &Path) -> (u64, u64) {
    let unified = text(&dir.join("io.stat"));
    let of = |text: &str, key: &str| text.split_whitespace().filter_map(|w| w.strip_prefix(key)?.parse::<u64>().ok()).sum::<u64>();
    if let Some(text) = unified {
        return (of(&text, "rbytes="), of(&text, "wbytes="));
    }
    let text = text(&dir.join("blkio.throttle.io_service_bytes")).unwrap_or_default();
    let of = |kind: &str| text.lines().filter_map(|l| l.split_once(&format!(" {kind} "))?.1.parse::<u64>().ok()).sum();
    (of("Read"), of("Write"))
}

fn sum(pids: &[i32], of: impl Fn(i32) -> (u64, u64)) -> (u64, u64) {
    pids.iter().map(|pid| of(*pid)).fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
}

/// CPU time of a process, in nanoseconds (/proc/PID/schedstat).
fn cpu_of(pid: i32) -> u64 {
    let text = text(Path::new(&format!("/proc/{pid}/stat"))).unwrap_or_default();
    let fields: Vec<u64> = text.rsplit_once(") ").map(|(_, rest)| rest.split(' ').map(|f| f.parse().unwrap_or(0)).collect()).unwrap_or_default();
    // utime and stime, and those of children that were waited for, in hundredths of a second (proc_pid_stat(5)).
    fields.get(11..15).map_or(0, |ticks| ticks.iter().sum::<u64>() * 10_000_000)
}

fn resident(pid: i32) -> u64 {
    let text = text(Path::new(&format!("/proc/{pid}/statm"))).unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn block_of(pid: i32) -> (u64, u64) {
    let text = text(Path::new(&format!("/proc/{pid}/io"))).unwrap_or_default();
    let of = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)?.trim().parse().ok()).unwrap_or(0);
    (of("read_bytes:"), of("write_bytes:"))
}

/// Bytes in and out of all links but lo, as the process sees them (/proc/PID/net/dev).
fn network(pid: i32) -> (u64, u64) {
    let text = text(Path::new(&format!("/proc/{pid}/net/dev"))).unwrap_or_default();
    let lines = text.lines().filter_map(|l| l.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    let numbers = lines.map(|(_, rest)| rest.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<u64>>());
    numbers.filter(|n| n.len() >= 9).fold((0, 0), |(a, b), n| (a + n[0], b + n[8]))
}
