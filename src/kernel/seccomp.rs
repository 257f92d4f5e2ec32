//! Install a compiled filter (seccomp(2)).
//!
//! Mechanism: seccomp(2) with SECCOMP_SET_MODE_FILTER hands the kernel a program of the classic BPF
//! machine; from then on it is run at each system call of this thread and all its children.
//! See it live: the `Seccomp:` (2 is filter) and `Seccomp_filters:` lines of /proc/PID/status.
//! Contract: needs no_new_privs, or CAP_SYS_ADMIN in the own user namespace. Never undone.
//! Left out: answering SECCOMP_RET_USER_NOTIF; the listener's descriptor is returned to the caller.

#![allow(unsafe_code)]

use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::os::fd::{FromRawFd, OwnedFd};

/// One instruction of the classic BPF machine, as `struct sock_filter` lays it out.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u16, u8, u8, u32)", into = "(u16, u8, u8, u32)")]
pub struct Insn {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip if a comparison holds.
    pub jump_true: u8,
    /// How many if it does not.
    pub jump_false: u8,
    /// The operand.
    pub value: u32,
}

impl From<(u16, u8, u8, u32)> for Insn {
    fn from((code, jump_true, jump_false, value): (u16, u8, u8, u32)) -> Self {
        Self { code, jump_true, jump_false, value }
    }
}

impl From<Insn> for (u16, u8, u8, u32) {
    fn from(insn: Insn) -> Self {
        (insn.code, insn.jump_true, insn.jump_false, insn.value)
    }
}

/// Load a word of `struct seccomp_data` at a fixed offset.
pub const LOAD: u16 = 0x20;
/// Keep only these bits of the accumulator.
pub const AND: u16 = 0x54;
/// Skip forward.
pub const JUMP: u16 = 0x05;
/// Compare for equality.
pub const JUMP_EQUAL: u16 = 0x15;
/// Compare for greater, unsigned.
pub const JUMP_GREATER: u16 = 0x25;
/// Compare for greater or equal, unsigned.
pub const JUMP_GREATER_EQUAL: u16 = 0x35;
/// End with a verdict.
pub const RETURN: u16 = 0x06;

/// End the whole process with SIGSYS.
pub const KILL_PROCESS: u32 = 0x8000_0000;
/// End the calling thread.
pub const KILL_THREAD: u32 = 0;
/// Raise SIGSYS.
pub const TRAP: u32 = 0x0003_0000;
/// Fail with the errno in the low 16 bits.
pub const ERRNO: u32 = 0x0005_0000;
/// Ask whoever holds the listener.
pub const USER_NOTIF: u32 = 0x7fc0_0000;
/// Tell the tracer, with a number in the low 16 bits.
pub const TRACE: u32 = 0x7ff0_0000;
/// Allow, and write it to the audit log.
pub const LOG: u32 = 0x7ffc_0000;
/// Allow.
pub const ALLOW: u32 = 0x7fff_0000;

/// SECCOMP_FILTER_FLAG_TSYNC: all threads of the process.
pub const FLAG_TSYNC: u32 = 1;
/// SECCOMP_FILTER_FLAG_LOG: log every verdict but ALLOW.
pub const FLAG_LOG: u32 = 2;
/// SECCOMP_FILTER_FLAG_SPEC_ALLOW: leave the speculation mitigation off.
pub const FLAG_SPEC_ALLOW: u32 = 4;
/// SECCOMP_FILTER_FLAG_NEW_LISTENER: return a descriptor for USER_NOTIF.
pub const FLAG_NEW_LISTENER: u32 = 8;
/// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: a notified caller waits killably.
pub const FLAG_WAIT_KILLABLE: u32 = 32;

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: u16,
    insns: *const Insn,
}

/// Puts the calling thread, and all that it starts, under `program`. The listener's descriptor is
/// returned when `flags` asks for one.
///
/// # Errors
/// EACCES without no_new_privs and CAP_SYS_ADMIN; EINVAL for a program that the kernel finds wrong,
/// or one of more than 4096 instructions.
pub fn install(program: &[Insn], flags: u32) -> Result<Option<OwnedFd>, SysError> {
    let what = "install the seccomp filter";
    let length = u16::try_from(program.len()).map_err(|_| SysError::new(what, Errno::EINVAL))?;
    let program = Program { length, insns: program.as_ptr() };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the program outlives the call, which copies it, and its length is the slice's.
    let answer = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    let answer = Errno::result(answer).or_sys(what)?;
    if flags & FLAG_NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with this flag the answer is a descriptor that the kernel has just made for us.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(answer as i32) }))
}
