//! Processes held by descriptor, so that a reused pid is never mistaken for them (pidfd_open(2)).
//!
//! Also the two ways in which the engine forks. Caller's contract: one thread. A descriptor turns
//! readable when its process ends; the parent then learns how by [`Pidfd::wait`].
#![allow(unsafe_code)]

use super::{OrSys, SysError};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A process, by descriptor.
#[derive(Debug)]
pub struct Pidfd {
    fd: OwnedFd,
    pid: i32,
}

impl Pidfd {
    /// Opens process `pid`. ESRCH when there is none.
    pub fn open(pid: i32) -> Result<Self, SysError> {
        // SAFETY: two integers in, a descriptor or an errno out.
        let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let raw = Errno::result(raw).or_sys_with(|| format!("open process {pid}"))?;
        // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw as i32) };
        Ok(Self { fd, pid })
    }

    /// The process's id, in the pid namespace of whoever opened it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal. ESRCH when it has ended and been reaped.
    pub fn signal(&self, signal: Signal) -> Result<(), SysError> {
        self.signal_number(signal as i32)
    }

    /// Sends a signal by number: real-time signals have no name in `Signal`.
    pub fn signal_number(&self, signal: i32) -> Result<(), SysError> {
        // SAFETY: integers and a null siginfo, which means "as kill(2) would".
        let answer = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.fd.as_raw_fd(), signal, std::ptr::null::<u8>(), 0)
        };
        Errno::result(answer).map(drop).or_sys_with(|| format!("signal process {}", self.pid))
    }

    /// Waits until this child ends, and reaps it. ECHILD when it is not the caller's child.
    pub fn wait(&self) -> Result<WaitStatus, SysError> {
        loop {
            match waitid(Id::PIDFd(self.fd.as_fd()), WaitPidFlag::WEXITED) {
                Err(Errno::EINTR) => {}
                other => return other.or_sys_with(|| format!("wait for process {}", self.pid)),
            }
        }
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Exit status as a shell and Docker report it: the code, or 128 + the signal's number.
pub fn exit_code(status: WaitStatus) -> i32 {
    match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        _ => 255,
    }
}

/// Which side of a fork this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// The new process.
    Child,
    /// The old one, with the child's pid.
    Parent(i32),
}

/// fork(2): the child is the caller's.
pub fn fork() -> Result<Fork, SysError> {
    clone(0)
}

/// Forks a child that belongs to the caller's own parent (CLONE_PARENT): the caller can end at
/// once, and whoever waited for it now waits for the child.
pub fn fork_sibling() -> Result<Fork, SysError> {
    clone(libc::CLONE_PARENT)
}

/// The raw call, without a new stack: behaves as fork(2) does.
fn clone(flags: libc::c_int) -> Result<Fork, SysError> {
    // SAFETY: with a null stack the child runs on a copy of ours, as after fork(2). We have one
    // thread (this module's contract), so no lock of the allocator can be left held in the child.
    let answer = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) };
    let pid = Errno::result(answer).or_sys("fork")?;
    Ok(if pid == 0 { Fork::Child } else { Fork::Parent(pid as i32) })
}

/// Ends the calling process at once, running nothing on the way out (_exit(2)).
pub fn exit_now(code: i32) -> ! {
    // SAFETY: never returns.
    unsafe { libc::_exit(code) }
}

/// Asks for `signal` when the parent ends (PR_SET_PDEATHSIG). The kernel forgets this when the
/// process changes its user or its capabilities, so it is asked for after those.
pub fn die_with_parent(signal: Signal) -> Result<(), SysError> {
    nix::sys::prctl::set_pdeathsig(Some(signal)).or_sys("ask to end with the parent")
}

/// Marks every descriptor from `first` on to be closed by exec (close_range(2)): nothing of ours
/// leaks into a container (CVE-2024-21626 is what such a leak can do).
pub fn close_on_exec_from(first: u32) -> Result<(), SysError> {
    // SAFETY: integers only; marks descriptors, closes none.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(answer).map(drop).or_sys("mark descriptors close-on-exec")
}

/// Takes over a descriptor that arrived beside a message (SCM_RIGHTS, unix(7)): the receiver owns it.
pub fn own(raw: std::os::fd::RawFd) -> OwnedFd {
    // SAFETY: recvmsg has just installed this descriptor in our table; nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

/// Gives `signal` its default action again; the Rust runtime ignores SIGPIPE, and exec keeps that.
pub fn default_signal(signal: Signal) -> nix::Result<()> {
    // SAFETY: installs SIG_DFL, not a handler of ours.
    unsafe { nix::sys::signal::signal(signal, nix::sys::signal::SigHandler::SigDfl) }.map(drop)
}

/// Makes this process not dumpable until its next exec: its /proc/PID/exe, fd and mem are then
/// closed to everybody without CAP_SYS_PTRACE in the host's user namespace (PR_SET_DUMPABLE).
pub fn hide_from_debuggers() -> Result<(), SysError> {
    nix::sys::prctl::set_dumpable(false).or_sys("hide this process from debuggers")
}
