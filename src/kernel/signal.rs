//! Signals by number (signal(7)).
//!
//! The real-time signals, 34 to 64, have no names, so a type that lists the named ones cannot hold
//! what a container may be sent or die of. See it live: the SigBlk and SigIgn lines of
//! /proc/PID/status. Contract: one thread; dispositions and the mask are its whole process's.
#![allow(unsafe_code)]

use super::{OrSys, SysError};
use nix::errno::Errno;
use nix::sys::signal::SigSet;

/// Gives every signal its default action again. exec(2) keeps what is ignored: nohup(1), or a shell
/// that starts us in the background, would be obeyed by a program that knows nothing of them.
pub fn default_all() {
    // The kernel's struct sigaction, all zero: SIG_DFL, no flags, an empty mask.
    let default = [0u64; 4];
    for number in 1..=libc::SIGRTMAX() {
        // SAFETY: an integer, a struct that outlives the call, and the size of the mask in it. The
        // raw call, for the C library keeps 32 and 33 to itself, and posix_spawn(3) ignores them.
        // Refused for KILL and STOP, which have it.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, &raw const default, std::ptr::null::<u8>(), 8) };
    }
}

/// Waits for a signal of `set`, which is blocked, and takes it (sigwait(3)).
pub fn next(set: &SigSet) -> Result<i32, SysError> {
    let mut number = 0;
    // SAFETY: a set and an integer, both of which outlive the call.
    match unsafe { libc::sigwait(set.as_ref(), &raw mut number) } {
        0 => Ok(number),
        errno => Err(Errno::from_raw(errno)).or_sys("wait for a signal"),
    }
}

/// Sends a signal to a process that cannot be mistaken: a child that we have not reaped (kill(2)).
pub fn send(pid: i32, number: i32) -> Result<(), SysError> {
    // SAFETY: two integers.
    let answer = unsafe { libc::kill(pid, number) };
    Errno::result(answer).map(drop).or_sys_with(|| format!("signal process {pid}"))
}
