//! What decides when and where a task runs, and how it sees the machine (sched(7), ioprio_set(2),
//! set_mempolicy(2), personality(2), sched_setaffinity(2)).
//!
//! See it live: `chrt -p PID`, `ionice -p PID`, `taskset -p PID`, /proc/PID/personality, and the second
//! column of /proc/PID/numa_maps.
//! Contract: each acts on the calling thread; what a child is born with, it has from its parent.
#![allow(unsafe_code)]

use super::{OrSys, SysError};
use nix::errno::Errno;

/// How a task is scheduled, in the kernel's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Schedule {
    /// SCHED_OTHER and its like (sched(7)).
    pub policy: u32,
    /// SCHED_FLAG_….
    pub flags: u64,
    /// -20 (much) to 19 (little), for the policies of everyday.
    pub nice: i32,
    /// 1 to 99, for the real-time policies.
    pub priority: u32,
    /// Nanoseconds, for SCHED_DEADLINE.
    pub runtime: u64,
    /// Nanoseconds, for SCHED_DEADLINE.
    pub deadline: u64,
    /// Nanoseconds, for SCHED_DEADLINE.
    pub period: u64,
}

/// struct sched_attr of linux/sched/types.h, as it was first.
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Has the calling thread scheduled like that (sched_setattr(2)).
pub fn schedule(wanted: Schedule) -> Result<(), SysError> {
    let Schedule { policy, flags, nice, priority, runtime, deadline, period } = wanted;
    let wanted = SchedAttr { size: size_of::<SchedAttr>() as u32, policy, flags, nice, priority, runtime, deadline, period };
    // SAFETY: the struct has the kernel's layout, says its own size, and outlives the call.
    let answer = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) };
    Errno::result(answer).map(drop).or_sys("set the scheduling policy")
}

/// The calling thread's place in the queue of a block device: class 1 (real time), 2 (best effort) or
/// 3 (idle), and 0 (first) to 7 in it (ioprio_set(2)).
pub fn io_priority(class: u16, priority: u16) -> Result<(), SysError> {
    const PROCESS: i32 = 1; // IOPRIO_WHO_PROCESS
    let value = i32::from(class) << 13 | i32::from(priority);
    // SAFETY: integers only.
    let answer = unsafe { libc::syscall(libc::SYS_ioprio_set, PROCESS, 0, value) };
    Errno::result(answer).map(drop).or_sys("set the I/O priority")
}

/// From which memory nodes the calling thread's pages come: a mode with its flags, and the nodes by number
/// (set_mempolicy(2)).
pub fn memory_policy(mode: i32, nodes: &[usize]) -> Result<(), SysError> {
    const BITS: usize = 64;
    let words = nodes.iter().max().map_or(0, |last| last / BITS + 1);
    let mut mask = vec![0u64; words];
    for node in nodes {
        mask[node / BITS] |= 1 << (node % BITS);
    }
    let pointer = if mask.is_empty() { std::ptr::null() } else { mask.as_ptr() };
    // The kernel takes one bit less than it is told.
    let bits = if mask.is_empty() { 0 } else { words * BITS + 1 };
    // SAFETY: a mask of as many bits as are told, rounded up to words, that outlives the call.
    let answer = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, pointer, bits) };
    Errno::result(answer).map(drop).or_sys("set the memory policy")
}

/// How the kernel presents itself: bits of linux/personality.h (personality(2)).
pub fn personality(domain: u32) -> Result<(), SysError> {
    // SAFETY: an integer only.
    let answer = unsafe { libc::personality(domain.into()) };
    Errno::result(answer).map(drop).or_sys("set the personality")
}

/// On which CPUs the calling thread may run (sched_setaffinity(2)).
pub fn run_on(cpus: &[usize]) -> Result<(), SysError> {
    let mut set = nix::sched::CpuSet::new();
    for cpu in cpus {
        set.set(*cpu).or_sys_with(|| format!("run on CPU {cpu}"))?;
    }
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set).or_sys("choose the CPUs to run on")
}
