//! The rest of `linux.resources`: what few ask for, and what only one version of cgroups has (OCI runtime
//! spec, config-linux.md, "Control groups").
//!
//! See it live: `grep . /sys/fs/cgroup/…/hugetlb.*`, `cat memory.swappiness` on v1, `cpu.max.burst` on v2.
//! Contract: a field is written where the kernel has a file for it, and refused by its name where not; a
//! limit that is passed over in silence is none.

use crate::kernel::SysError;
use crate::kernel::cgroup::{self, Controller, Error};
use nix::errno::Errno;
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// One text for one file of a cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands in config.json, below `linux.resources`.
    pub field: String,
    /// Whose file it is; none for a file of the v2 tree that was named as such.
    pub controller: Option<Controller>,
    /// The file in v1; none if v1 has none.
    pub v1: Option<String>,
    /// The file in v2; none if v2 has none.
    pub v2: Option<String>,
    /// What is written.
    pub text: String,
}

fn entry(field: &str, controller: Controller, v1: &str, v2: &str, text: impl ToString) -> Entry {
    let file = |name: &str| Some(name.to_owned()).filter(|n| !n.is_empty());
    Entry { field: field.to_owned(), controller: Some(controller), v1: file(v1), v2: file(v2), text: text.to_string() }
}

/// What these resources say beside the limits that everybody sets.
pub fn entries(resources: &LinuxResources) -> Vec<Entry> {
    let mut all = Vec::new();
    resources.memory().iter().for_each(|memory| of_memory(memory, &mut all));
    resources.cpu().iter().for_each(|cpu| of_cpu(cpu, &mut all));
    resources.block_io().iter().for_each(|io| of_block_io(io, &mut all));
    for page in resources.hugepage_limits().iter().flatten() {
        let size = page.page_size();
        all.push(entry("hugepageLimits", Controller::Hugetlb, &format!("hugetlb.{size}.limit_in_bytes"), &format!("hugetlb.{size}.max"), page.limit()));
    }
    if let Some(network) = resources.network() {
        all.extend(network.class_id().filter(|id| *id != 0).map(|id| entry("network.classID", Controller::NetCls, "net_cls.classid", "", id)));
        all.extend(network.priorities().iter().flatten().map(|p| entry("network.priorities", Controller::NetPrio, "net_prio.ifpriomap", "", format!("{} {}", p.name(), p.priority()))));
    }
    let mut devices: Vec<_> = resources.rdma().iter().flatten().collect();
    devices.sort_by_key(|(name, _)| *name);
    for (device, limit) in devices {
        let part = |key: &str, n: Option<u32>| n.map(|n| format!(" {key}={n}")).unwrap_or_default();
        let text = format!("{device}{}{}", part("hca_handle", limit.hca_handles()), part("hca_object", limit.hca_objects()));
        all.push(entry("rdma", Controller::Rdma, "rdma.max", "rdma.max", text));
    }
    let mut files: Vec<_> = resources.unified().iter().flatten().collect();
    files.sort();
    all.extend(files.into_iter().map(|(file, text)| Entry { field: format!("unified {file:?}"), controller: None, v1: None, v2: Some(file.clone()), text: text.clone() }));
    all
}

fn of_memory(memory: &LinuxMemory, all: &mut Vec<Entry>) {
    let mut add = |field, v1, v2, text: Option<String>| all.extend(text.map(|text| entry(field, Controller::Memory, v1, v2, text)));
    let limited = |n: Option<i64>| n.filter(|n| *n > 0).map(|n| n.to_string());
    add("memory.kernel", "memory.kmem.limit_in_bytes", "", limited(memory.kernel()));
    add("memory.kernelTCP", "memory.kmem.tcp.limit_in_bytes", "", limited(memory.kernel_tcp()));
    add("memory.swappiness", "memory.swappiness", "", memory.swappiness().filter(|n| *n <= 200).map(|n| n.to_string()));
    add("memory.disableOOMKiller", "memory.oom_control", "", memory.disable_oom_killer().filter(|yes| *yes).map(|_| "1".into()));
}

fn of_cpu(cpu: &LinuxCpu, all: &mut Vec<Entry>) {
    let mut add = |field, v1, v2, text: Option<String>| all.extend(text.map(|text| entry(field, Controller::Cpu, v1, v2, text)));
    add("cpu.burst", "cpu.cfs_burst_us", "cpu.max.burst", cpu.burst().map(|n| n.to_string()));
    add("cpu.idle", "cpu.idle", "cpu.idle", cpu.idle().map(|n| n.to_string()));
    // The period first: the kernel checks the time against it.
    add("cpu.realtimePeriod", "cpu.rt_period_us", "", cpu.realtime_period().filter(|n| *n > 0).map(|n| n.to_string()));
    add("cpu.realtimeRuntime", "cpu.rt_runtime_us", "", cpu.realtime_runtime().filter(|n| *n != 0).map(|n| n.to_string()));
}

fn of_block_io(io: &LinuxBlockIo, all: &mut Vec<Entry>) {
    let leaf = io.leaf_weight().filter(|n| *n > 0);
    all.extend(leaf.map(|n| entry("blockIO.leafWeight", Controller::Io, "blkio.leaf_weight", "", n)));
    for device in io.weight_device().iter().flatten() {
        let of = |weight: u16| format!("{}:{} {weight}", device.major(), device.minor());
        all.extend(device.weight().map(|n| entry("blockIO.weightDevice", Controller::Io, "blkio.bfq.weight_device", "io.bfq.weight", of(n))));
        all.extend(device.leaf_weight().map(|n| entry("blockIO.weightDevice.leafWeight", Controller::Io, "blkio.leaf_weight_device", "", of(n))));
    }
}

/// Which controllers they need.
pub fn controllers(entries: &[Entry]) -> BTreeSet<Controller> {
    let named = |e: &Entry| e.v2.as_ref().and_then(|file| Controller::from_name(file.split('.').next().unwrap_or_default()));
    entries.iter().filter_map(|e| e.controller.or_else(|| named(e))).collect()
}

/// True if the file says what was written, but for rounding to pages.
fn holds(file: &Path, text: &str) -> bool {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let said = std::fs::read_to_string(file).ok();
    said.and_then(|said| Some(number(&said)?.abs_diff(number(text)?))).is_some_and(|off| off < 1 << 16)
}

/// Writes them.
pub fn write(entries: &[Entry], group: &cgroup::Cgroup) -> Result<(), Error> {
    entries.iter().try_for_each(|entry| {
        let refused = |errno| Error::from(SysError::new(format!("set linux.resources.{}: no file of this cgroup holds it", entry.field), errno));
        let (at, file) = match entry.controller {
            Some(controller) if group.has_v1(controller) => (group.directory(controller), &entry.v1),
            Some(controller) => (group.directory(controller), &entry.v2),
            None => (group.unified().filter(|at| at.join("cgroup.controllers").exists() && !group.is_hybrid()), &entry.v2),
        };
        let (Some(at), Some(file)) = (at, file) else { return Err(refused(Errno::EOPNOTSUPP)) };
        // A file's name, and no path that leads to another cgroup.
        if file.contains('/') || file.starts_with('.') {
            return Err(refused(Errno::EINVAL));
        }
        match cgroup::group::write_file(&at.join(file), &entry.text) {
            Err(error) if error.errno == Errno::ENOENT => Err(refused(Errno::EOPNOTSUPP)),
            // Kernels of today take this one and do nothing with it.
            Ok(()) if entry.field == "memory.kernel" && !holds(&at.join(file), &entry.text) => Err(refused(Errno::EOPNOTSUPP)),
            done => Ok(done?),
        }
    })
}
