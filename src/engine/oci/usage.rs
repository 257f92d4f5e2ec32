//! What a container uses, in the shape of runc's `events` (cgroups(7)).
//!
//! See it live: `cat /sys/fs/cgroup/…/memory.current`, or v1's `memory.usage_in_bytes`.
//! Left out: per-device figures of block I/O, huge pages, RDMA.

use super::error::Error;
use super::state::Folder;
use crate::kernel::cgroup::limit::keyed;
use crate::kernel::cgroup::{Cgroup, Controller};
use crate::kernel::pidfd::Pidfd;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// One reading.
pub fn read(folder: &Folder) -> Result<Value, Error> {
    let Some(group) = folder.cgroup()?.filter(|_| folder.process().is_some()) else { return Err(Error::NotRunning) };
    let of = |controller: Controller, v1: &str, v2: &str| number(&group, controller, v1).or_else(|| number(&group, controller, v2)).unwrap_or(0);
    let statistics = |controller: Controller, file: &str, key: &str| {
        group.directory(controller).and_then(|dir| std::fs::read_to_string(dir.join(file)).ok()).and_then(|text| keyed(&text, key))
    };
    let total = number(&group, Controller::Cpuacct, "cpuacct.usage").or_else(|| statistics(Controller::Cpu, "cpu.stat", "usage_usec").map(|n| n * 1000));
    Ok(json!({
        "cpu": {
            "usage": { "total": total.unwrap_or(0) },
            "throttling": {
                "periods": statistics(Controller::Cpu, "cpu.stat", "nr_periods").unwrap_or(0),
                "throttledPeriods": statistics(Controller::Cpu, "cpu.stat", "nr_throttled").unwrap_or(0),
            },
        },
        "memory": {
            "usage": {
                "usage": of(Controller::Memory, "memory.usage_in_bytes", "memory.current"),
                "limit": of(Controller::Memory, "memory.limit_in_bytes", "memory.max"),
            },
        },
        "pids": { "current": of(Controller::Pids, "pids.current", "pids.current"), "limit": of(Controller::Pids, "pids.max", "pids.max") },
    }))
}

/// The number in a file; one without a limit says `max`.
fn number(group: &Cgroup, controller: Controller, file: &str) -> Option<u64> {
    let at: &Path = group.directory(controller)?;
    let text = std::fs::read_to_string(at.join(file)).ok()?;
    if text.trim() == "max" { Some(u64::MAX) } else { text.trim().parse().ok() }
}

/// Waits for `limit`, or for the process's end if that comes first: true then.
pub fn ends_within(process: &Pidfd, limit: Duration) -> Result<bool, Error> {
    match super::life::gone(process, limit) {
        Ok(()) => Ok(true),
        Err(e) if e.errno == nix::errno::Errno::ETIMEDOUT => Ok(false),
        Err(e) => Err(e.into()),
    }
}
