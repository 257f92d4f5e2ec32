//! Processes held by descriptor, so that a reused pid is never mistaken for them (pidfd_open(2)).
//!
//! Also the two ways in which the engine forks. Caller's contract: one thread. A descriptor turns
//! readable when its process ends; the parent then learns how by [`Pidfd::wait`].
#![allow(unsafe_code)]

use super::{OrSys, SysError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
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
    pub fn wait(&self) -> Result<Ended, SysError> {
        self.look(libc::WEXITED).map(|(_, ended)| ended)
    }

    /// Waits until this child ends and leaves it a zombie: until we end, its pid is nobody else's.
    pub fn ended(&self) -> Result<Ended, SysError> {
        self.look(libc::WEXITED | libc::WNOWAIT).map(|(_, ended)| ended)
    }

    /// How this child ended, if it has; it is not reaped.
    pub fn has_ended(&self) -> Result<Option<Ended>, SysError> {
        let (pid, ended) = self.look(libc::WEXITED | libc::WNOWAIT | libc::WNOHANG)?;
        Ok((pid != 0).then_some(ended))
    }

    /// True when it has ended, whoever's child it is and whether or not it was reaped.
    pub fn is_over(&self) -> bool {
        poll(&mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// True once this child has executed a program since its fork; also when it has ended since.
    pub fn has_executed(&self) -> bool {
        const FORKED_NOT_EXECUTED: u64 = 0x40; // PF_FORKNOEXEC, linux/sched.h
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        // The flags are the seventh field after the name, which may have spaces in it (proc_pid_stat(5)).
        let flags = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(6)?.parse::<u64>().ok());
        flags.is_some_and(|flags| flags & FORKED_NOT_EXECUTED == 0)
    }

    fn look(&self, flags: libc::c_int) -> Result<(i32, Ended), SysError> {
        wait_for(libc::P_PIDFD, self.fd.as_raw_fd().cast_unsigned(), flags).or_sys_with(|| format!("wait for process {}", self.pid))
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// How a process ended (wait(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By exit(2), with this code.
    Exited(i32),
    /// By this signal; a number, because real-time signals have no name.
    Killed(i32),
}

/// Exit status as a shell and Docker report it: the code, or 128 + the signal's number.
pub fn exit_code(ended: Ended) -> i32 {
    match ended {
        Ended::Exited(code) => code,
        Ended::Killed(signal) => 128 + signal,
    }
}

/// Reaps one child that has ended, whichever: its pid, and how. `None` when none has.
pub fn reap_any() -> Result<Option<(i32, Ended)>, SysError> {
    let (pid, ended) = wait_for(libc::P_ALL, 0, libc::WEXITED | libc::WNOHANG).or_sys("wait for any child")?;
    Ok((pid != 0).then_some((pid, ended)))
}

/// waitid(2); pid 0 where WNOHANG found nobody.
fn wait_for(kind: libc::idtype_t, id: libc::id_t, flags: libc::c_int) -> nix::Result<(i32, Ended)> {
    loop {
        // SAFETY: siginfo_t is plain old data; all zero is a valid value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one siginfo_t, which outlives the call.
        match Errno::result(unsafe { libc::waitid(kind, id, &raw mut info, flags) }) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) => {
                // SAFETY: waitid filled in the fields of SIGCHLD, or left all of them zero.
                let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
                return Ok((pid, if info.si_code == libc::CLD_EXITED { Ended::Exited(status) } else { Ended::Killed(status) }));
            }
        }
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

/// Asks for nothing any more when the parent ends: this process is to outlive it.
pub fn outlive_parent() -> Result<(), SysError> {
    nix::sys::prctl::set_pdeathsig(None).or_sys("ask to outlive the parent")
}

/// Marks every descriptor from `first` on to be closed by exec (close_range(2)): nothing of ours
/// leaks into a container (CVE-2024-21626 is what such a leak can do).
pub fn close_on_exec_from(first: u32) -> Result<(), SysError> {
    // SAFETY: integers only; marks descriptors, closes none.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(answer).map(drop).or_sys("mark descriptors close-on-exec")
}

/// Lets descriptor `fd` stay open through exec. EBADF where there is none.
pub fn pass_through_exec(fd: std::os::fd::RawFd) -> nix::Result<()> {
    // SAFETY: an integer and a flag; a number that is no descriptor is answered with EBADF.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }).map(drop)
}

/// True where `fd` is an open descriptor.
pub fn is_open(fd: std::os::fd::RawFd) -> bool {
    // SAFETY: an integer; a number that is no descriptor is answered with EBADF.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
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

/// The opposite, for as long as a file of its own in /proc must be this process's.
pub fn show_to_debuggers() -> Result<(), SysError> {
    nix::sys::prctl::set_dumpable(true).or_sys("own the files of this process in /proc")
}
