//! When, where and as what the process runs: scheduler, I/O priority, memory nodes, CPUs, personality
//! (OCI runtime spec, config.md and config-linux.md; sched(7)).
//!
//! See it live: `chrt -p PID`, `ionice -p PID`, `taskset -p PID`, /proc/PID/personality.
//! Contract: before the capabilities go, for most of it needs CAP_SYS_NICE. Every process inside
//! inherits it.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::SysError;
use crate::kernel::task::{self, Schedule};
use nix::errno::Errno;
use oci_spec::runtime::{
    IOPriorityClass, LinuxIOPriority, LinuxMemoryPolicy, LinuxPersonality, LinuxPersonalityDomain, LinuxSchedulerFlag as Flag, LinuxSchedulerPolicy as Policy, MemoryPolicyFlagType, MemoryPolicyModeType as Mode,
    Process, Scheduler, Spec,
};
use serde::{Deserialize, Serialize};

/// The `scheduling` step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scheduling {
    /// Its policy.
    pub scheduler: Option<Scheduler>,
    /// Its place in the queues of block devices.
    pub io: Option<LinuxIOPriority>,
    /// Which memory nodes its pages come from.
    pub memory: Option<LinuxMemoryPolicy>,
    /// How the kernel presents itself.
    pub personality: Option<LinuxPersonality>,
    /// CPUs such as `0-2,7`.
    pub cpus: Option<String>,
}

impl Scheduling {
    /// What a process and the config around it say of it; nothing if they say nothing.
    pub fn from_oci(process: &Process, spec: &Spec) -> Option<Self> {
        let linux = spec.linux().as_ref();
        let wanted = Self {
            scheduler: process.scheduler().clone(),
            io: *process.io_priority(),
            memory: linux.and_then(|l| l.memory_policy().clone()),
            personality: linux.and_then(|l| l.personality().clone()),
            cpus: None,
        };
        (wanted != Self::default()).then_some(wanted)
    }

    /// The CPUs alone; nothing if they are not named.
    pub fn on(cpus: Option<&String>) -> Option<Self> {
        cpus.filter(|list| !list.is_empty()).map(|list| Self { cpus: Some(list.clone()), ..Self::default() })
    }
}

impl Carry for Scheduling {
    fn about(&self) -> About {
        let parts = [
            self.scheduler.as_ref().map(|s| s.policy().to_string()),
            self.io.map(|io| io.class().to_string()),
            self.memory.as_ref().map(|m| m.mode().to_string()),
            self.personality.as_ref().map(|p| format!("personality {}", p.domain())),
            self.cpus.as_ref().map(|list| format!("CPUs {list}")),
        ];
        About {
            name: "scheduling",
            what: format!("run with {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", ")),
            why: "a cgroup bounds a group of processes; this is about one, and every process inside inherits it. Most of it \
                  needs CAP_SYS_NICE, so before the capabilities go",
            man: &["sched(7)", "ioprio_set(2)", "set_mempolicy(2)", "personality(2)"],
            syscalls: &["sched_setattr", "ioprio_set", "set_mempolicy", "personality", "sched_setaffinity"],
        }
    }

    fn carry_out(&self, _: &mut Inside) -> Result<(), StepError> {
        if let Some(scheduler) = &self.scheduler {
            task::schedule(schedule(scheduler)?)?;
        }
        if let Some(io) = &self.io {
            let class = match io.class() {
                IOPriorityClass::IoprioClassRt => 1,
                IOPriorityClass::IoprioClassBe => 2,
                IOPriorityClass::IoprioClassIdle => 3,
            };
            task::io_priority(class, u16::try_from(io.priority()).ok().filter(|n| *n < 8).ok_or_else(|| out_of("the I/O priority", io.priority()))?)?;
        }
        if let Some(memory) = &self.memory {
            task::memory_policy(mode(memory), &numbers(memory.nodes().as_deref().unwrap_or_default())?)?;
        }
        if let Some(personality) = &self.personality {
            if let Some(flag) = personality.flags().iter().flatten().next() {
                return Err(out_of("a flag of the personality", flag));
            }
            task::personality(if personality.domain() == LinuxPersonalityDomain::PerLinux32 { 8 } else { 0 })?;
        }
        match &self.cpus {
            Some(list) => Ok(task::run_on(&numbers(list)?)?),
            None => Ok(()),
        }
    }
}

fn out_of(what: &str, value: impl std::fmt::Display) -> StepError {
    SysError::new(format!("use {value} as {what}"), Errno::EINVAL).into()
}

fn schedule(wanted: &Scheduler) -> Result<Schedule, StepError> {
    // linux/sched.h
    let policy = match wanted.policy() {
        Policy::SchedOther => 0,
        Policy::SchedFifo => 1,
        Policy::SchedRr => 2,
        Policy::SchedBatch => 3,
        Policy::SchedIso => 4,
        Policy::SchedIdle => 5,
        Policy::SchedDeadline => 6,
    };
    let flags = wanted.flags().iter().flatten().fold(0, |all, flag| {
        all | match flag {
            Flag::SchedResetOnFork => 0x01,
            Flag::SchedFlagReclaim => 0x02,
            Flag::SchedFlagDLOverrun => 0x04,
            Flag::SchedFlagKeepPolicy => 0x08,
            Flag::SchedFlagKeepParams => 0x10,
            Flag::SchedFlagUtilClampMin => 0x20,
            Flag::SchedFlagUtilClampMax => 0x40,
        }
    });
    let priority = wanted.priority().unwrap_or(0);
    Ok(Schedule {
        policy,
        flags,
        nice: wanted.nice().unwrap_or(0),
        priority: u32::try_from(priority).map_err(|_| out_of("a priority", priority))?,
        runtime: wanted.runtime().unwrap_or(0),
        deadline: wanted.deadline().unwrap_or(0),
        period: wanted.period().unwrap_or(0),
    })
}

/// A mode with its flags (linux/mempolicy.h).
fn mode(wanted: &LinuxMemoryPolicy) -> i32 {
    let mode = match wanted.mode() {
        Mode::MpolDefault => 0,
        Mode::MpolPreferred => 1,
        Mode::MpolBind => 2,
        Mode::MpolInterleave => 3,
        Mode::MpolLocal => 4,
        Mode::MpolPreferredMany => 5,
        Mode::MpolWeightedInterleave => 6,
    };
    wanted.flags().iter().flatten().fold(mode, |all, flag| {
        all | match flag {
            MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
            MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
            MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
        }
    })
}

/// The numbers in a list such as `0-2,7` (cpuset(7), "List format").
fn numbers(list: &str) -> Result<Vec<usize>, StepError> {
    /// More than any machine has; a list is somebody else's text.
    const MOST: usize = 8192;
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|n| *n < MOST).ok_or_else(|| out_of("a list of numbers", list));
    let mut all = Vec::new();
    for part in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        all.extend(number(first)?..=number(last)?);
    }
    Ok(all)
}
