//! Make the container's cgroup, write its limits, move into it (cgroups(7)).
//!
//! Mechanism: mkdir(2) below each hierarchy's `skiff`, writes into the controllers' files, `0` into
//! `cgroup.procs`.
//! See it live: `cat /proc/PID/cgroup`, then `ls /sys/fs/cgroup/skiff/ID`.
//! Contract: while the host's /sys/fs/cgroup can still be seen, so before pivot_root; before the
//! cgroup namespace, which takes the cgroup that the process is in as its root. What it makes lies
//! outside the process: [`undo`] removes it, also after a run that was killed.
//! Left out: systemd scopes, `update` of a running container.

use super::resources::{self, Entry};
use crate::engine::host::layout;
use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::Explain;
use crate::kernel::caps;
use crate::kernel::cgroup::device::{Kind, Rule};
use crate::kernel::cgroup::limit::{PERIOD, Throttle};
use crate::kernel::cgroup::{self, Amount, Error, Limit, Limits, Quota};
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxResources};
use serde::{Deserialize, Serialize};

/// The directory below each hierarchy that holds a directory for each container.
pub const PARENT: &str = "skiff";

/// The container's place in the cgroup tree, and what it is held to there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cgroup {
    /// What to write.
    pub limits: Limits,
    /// Which device nodes may be used; empty leaves that as it is.
    pub devices: Vec<Rule>,
    /// What few ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Entry>,
    /// It gets a directory in each hierarchy, also in those that it is not limited in.
    #[serde(default)]
    pub everywhere: bool,
}

/// The cgroup of container `id`, as `skiff/web`.
pub fn name(id: &str) -> String {
    format!("{PARENT}/{id}")
}

/// Kills whatever is left in the cgroup of container `id` and removes it. Nothing there is no error.
pub fn undo(id: &str) -> Result<(), Error> {
    match cgroup::Cgroup::open(&layout()?, &name(id))? {
        Some(group) => group.destroy(),
        None => Ok(()),
    }
}

impl Cgroup {
    /// The step for an OCI `linux.resources`.
    pub fn from_oci(resources: &LinuxResources) -> Self {
        let mut limits = Limits::default();
        if let Some(memory) = resources.memory() {
            memory_limits(memory, &mut limits);
        }
        if let Some(cpu) = resources.cpu() {
            cpu_limits(cpu, &mut limits);
        }
        if let Some(pids) = resources.pids() {
            // Docker and the OCI take 0 and negative numbers for "no limit".
            limits.pids = Some(match pids.limit() {
                count if count > 0 => Amount::Of(count as u64),
                _ => Amount::Unlimited,
            });
        }
        if let Some(io) = resources.block_io() {
            io_limits(io, &mut limits);
        }
        let devices = resources.devices().iter().flatten().filter_map(rule).collect();
        Self { limits, devices, others: resources::entries(resources), everywhere: false }
    }

    /// For a container that others drive: they look for it in each hierarchy. With what every container may
    /// use besides, as runtimes agree: the default devices, its
    /// terminals, and to make nodes at all. Who gives no rules gets none.
    pub fn of_others(mut self) -> Self {
        self.everywhere = true;
        if !self.devices.is_empty() {
            self.devices.extend(crate::engine::defaults::device_rules().into_iter().filter(|rule| rule.allow));
        }
        self
    }

    /// Writes the limits alone: into the cgroup of a container that runs.
    pub fn write(&self, group: &cgroup::Cgroup) -> Result<(), Error> {
        group.limit(&self.limits)?;
        resources::write(&self.others, group)
    }

    // ANCHOR: cgroup
    fn set_up(&self, inside: &mut Inside) -> Result<(), Error> {
        let layout = layout()?;
        let group = match cgroup::Cgroup::create_with(&layout, &inside.cgroup, &self.limits, &resources::controllers(&self.others), self.everywhere) {
            // An ordinary user's container without limits needs no cgroup of its own.
            // Nothing was asked for that it cannot give, so there is nothing to say either.
            Err(Error::NotDelegated { .. }) if self.limits.is_empty() && self.others.is_empty() => return Ok(()),
            made => made?,
        };
        let filled = self.write(&group).and_then(|()| self.rule_devices(&group, inside)).and_then(|()| group.join());
        if filled.is_err() && group.processes().is_empty() {
            group.remove()?;
        }
        filled
    }
    // ANCHOR_END: cgroup

    fn rule_devices(&self, group: &cgroup::Cgroup, inside: &mut Inside) -> Result<(), Error> {
        if self.devices.is_empty() {
            return Ok(());
        }
        match group.allow_devices(&self.devices) {
            Err(Error::NoBpf(_)) => {
                // Without the rules, a process that can make nodes could open any disk.
                let mknod = 1 << caps::MKNOD;
                if caps::Sets::of_self()?.bounding & mknod != 0 {
                    caps::limit_bounding(caps::ALL & !mknod)?;
                }
                inside.notes.push("device rules need BPF, which is not permitted here: CAP_MKNOD is dropped instead".into());
                Ok(())
            }
            done => done,
        }
    }
}

impl Carry for Cgroup {
    fn about(&self) -> About {
        let mut limited: Vec<_> = cgroup::limit::writes(&self.limits, |_| false).iter().map(|w| format!("{}={}", w.file, w.text)).collect();
        if !self.devices.is_empty() {
            limited.push("the default devices only".into());
        }
        About {
            name: "limit",
            what: match limited.as_slice() {
                [] => "move into a cgroup of its own".into(),
                some => format!("move into a cgroup of its own with {}", some.join(", ")),
            },
            why: "namespaces change what a process sees; how much it may use is the cgroup's matter. It moves \
                  itself in before it starts anything, so that every later process is born inside; and while \
                  the host's /sys/fs/cgroup can still be seen.",
            man: &["cgroups(7)", "cgroup_namespaces(7)"],
            syscalls: &["mkdir", "openat", "write", "bpf"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        self.set_up(inside).map_err(|error| step_error(&error))
    }
}

/// An error of the cgroup tree as one that can travel.
fn step_error(error: &Error) -> StepError {
    let text = error.to_string();
    let what = text.strip_prefix("cannot ").unwrap_or(&text);
    let what = what.rsplit_once(": E").map_or(what, |(what, _)| what);
    StepError { what: what.to_string(), errno: error.errno() as i32, why: error.why(), hint: error.hint() }
}

fn memory_limits(memory: &LinuxMemory, limits: &mut Limits) {
    limits.memory = memory.limit().map(Amount::from_oci);
    limits.memory_reservation = memory.reservation().map(Amount::from_oci);
    limits.memory_swap = memory.swap().map(Amount::from_oci);
}

fn cpu_limits(cpu: &LinuxCpu, limits: &mut Limits) {
    limits.cpu_shares = cpu.shares().filter(|shares| *shares > 0);
    limits.cpuset = cpu.cpus().clone().filter(|list| !list.is_empty());
    limits.cpuset_mems = cpu.mems().clone().filter(|list| !list.is_empty());
    if cpu.quota().is_some() || cpu.period().is_some() {
        let micros = cpu.quota().filter(|quota| *quota != 0).map_or(Amount::Unlimited, Amount::from_oci);
        let period = cpu.period().filter(|period| *period > 0).unwrap_or(PERIOD);
        limits.cpus = Some(Quota { micros, period });
    }
}

fn io_limits(io: &LinuxBlockIo, limits: &mut Limits) {
    limits.io_weight = io.weight().filter(|weight| *weight > 0).map(u64::from);
    let rates = [
        (Limit::IoReadBytes, io.throttle_read_bps_device()),
        (Limit::IoWriteBytes, io.throttle_write_bps_device()),
        (Limit::IoReadOps, io.throttle_read_iops_device()),
        (Limit::IoWriteOps, io.throttle_write_iops_device()),
    ];
    for (limit, devices) in rates {
        limits.io.extend(devices.iter().flatten().map(|device| Throttle {
            limit,
            major: device.major().max(0) as u64,
            minor: device.minor().max(0) as u64,
            rate: device.rate(),
        }));
    }
}

/// An OCI device rule; one about pipes (type `p`) has no meaning to the kernel.
fn rule(rule: &LinuxDeviceCgroup) -> Option<Rule> {
    let kind = match rule.typ() {
        None | Some(LinuxDeviceType::A) => Kind::All,
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => Kind::Char,
        Some(LinuxDeviceType::B) => Kind::Block,
        Some(LinuxDeviceType::P) => return None,
    };
    let number = |n: Option<i64>| n.and_then(|n| u32::try_from(n).ok());
    let access = Rule::access(rule.access().as_deref().unwrap_or("rwm"))?;
    Some(Rule { allow: rule.allow(), kind, major: number(rule.major()), minor: number(rule.minor()), access })
}
