//! This machine's facts, for texts that adapt to it; and those of imagined ones, for the lint.

use crate::course::Facts;
use crate::course::template::{CgroupFacts, HostFacts};
use crate::kernel::cgroup::limit::Limit;
use crate::kernel::cgroup::{Controller, Layout};

/// Reads this machine.
pub fn read() -> Facts {
    let layout = Layout::read().ok();
    let uts = nix::sys::utsname::uname().ok();
    let text = |s: &std::ffi::OsStr| s.to_string_lossy().into_owned();
    let host = HostFacts {
        kernel: uts.as_ref().map(|u| text(u.release())).unwrap_or_default(),
        hostname: uts.as_ref().map(|u| text(u.nodename())).unwrap_or_default(),
    };
    let v1 = layout.as_ref().is_some_and(|l| l.is_v1(Controller::Memory));
    let directory = |c: Controller| layout.as_ref().and_then(|l| l.directory(c)).map_or("/sys/fs/cgroup".into(), |d| d.display().to_string());
    let directories = (directory(Controller::Memory), directory(Controller::Cpu), directory(Controller::Pids));
    Facts { in_lab: super::doctor::in_lab(), ..of(nix::unistd::geteuid().is_root(), v1, directories, host) }
}

/// Facts of an imagined machine: for the lint, which tries all four kinds.
pub fn imagined(root: bool, v1: bool) -> Facts {
    let below = |name: &str| if v1 { format!("/sys/fs/cgroup/{name}") } else { "/sys/fs/cgroup".to_owned() };
    let host = HostFacts { kernel: "6.12.0".into(), hostname: "workbench".into() };
    of(root, v1, (below("memory"), below("cpu"), below("pids")), host)
}

fn of(root: bool, v1: bool, (memory, cpu, pids): (String, String, String), host: HostFacts) -> Facts {
    let cgroup = CgroupFacts {
        version: if v1 { 1 } else { 2 },
        memory,
        cpu,
        pids,
        memory_max: Limit::Memory.file_name(v1).to_owned(),
        pids_max: Limit::Pids.file_name(v1).to_owned(),
        cpu_max: Limit::Cpus.file_name(v1).to_owned(),
    };
    let sudo_skiff = if root { "skiff" } else { "sudo \"$(command -v skiff)\"" };
    Facts { root, in_lab: false, sudo_skiff, sudo: if root { String::new() } else { "sudo ".into() }, cgroup, host }
}

/// The kinds of host that every text must fit: as root or not, of either cgroup version; and the lab.
pub fn kinds() -> [Facts; 5] {
    let lab = Facts { in_lab: true, ..imagined(true, false) };
    [imagined(true, true), imagined(true, false), imagined(false, true), imagined(false, false), lab]
}
