//! Namespaces: make them, enter them, tell them apart by inode (namespaces(7)).
//!
//! See them live: `ls -l /proc/self/ns`. Two processes share a namespace exactly when the links
//! show the same inode number. Caller's contract: the process has one thread, because the kernel
//! refuses several kinds to a process that has more (unshare(2), setns(2)).
#![allow(unsafe_code)]

use super::{OrSys, SysError};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

/// One of the eight kinds of namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ns {
    /// User and group ids, and the capabilities that go with them (user_namespaces(7)).
    User,
    /// Mount points (mount_namespaces(7)).
    Mnt,
    /// Host name and domain name (uts_namespaces(7)).
    Uts,
    /// System V IPC and POSIX message queues (ipc_namespaces(7)).
    Ipc,
    /// Network devices, addresses, ports (network_namespaces(7)).
    Net,
    /// Process ids (pid_namespaces(7)).
    Pid,
    /// The root of the cgroup paths that a process sees (cgroup_namespaces(7)).
    Cgroup,
    /// Boot-time and monotonic clocks (time_namespaces(7)).
    Time,
}

impl Ns {
    /// All kinds, in the order in which `skiff run` makes them.
    pub const ALL: [Ns; 8] = [Ns::User, Ns::Mnt, Ns::Uts, Ns::Ipc, Ns::Net, Ns::Pid, Ns::Cgroup, Ns::Time];

    /// The link's name in /proc/PID/ns.
    pub fn name(self) -> &'static str {
        match self {
            Ns::User => "user",
            Ns::Mnt => "mnt",
            Ns::Uts => "uts",
            Ns::Ipc => "ipc",
            Ns::Net => "net",
            Ns::Pid => "pid",
            Ns::Cgroup => "cgroup",
            Ns::Time => "time",
        }
    }

    /// The CLONE_NEW… flag (clone(2)).
    pub fn flag(self) -> libc::c_int {
        match self {
            Ns::User => libc::CLONE_NEWUSER,
            Ns::Mnt => libc::CLONE_NEWNS,
            Ns::Uts => libc::CLONE_NEWUTS,
            Ns::Ipc => libc::CLONE_NEWIPC,
            Ns::Net => libc::CLONE_NEWNET,
            Ns::Pid => libc::CLONE_NEWPID,
            Ns::Cgroup => libc::CLONE_NEWCGROUP,
            // linux/sched.h; shares a bit with CSIGNAL, so only unshare and clone3 take it.
            Ns::Time => 0x80,
        }
    }

    /// The flag's name, as the man pages spell it.
    pub fn flag_name(self) -> &'static str {
        match self {
            Ns::User => "CLONE_NEWUSER",
            Ns::Mnt => "CLONE_NEWNS",
            Ns::Uts => "CLONE_NEWUTS",
            Ns::Ipc => "CLONE_NEWIPC",
            Ns::Net => "CLONE_NEWNET",
            Ns::Pid => "CLONE_NEWPID",
            Ns::Cgroup => "CLONE_NEWCGROUP",
            Ns::Time => "CLONE_NEWTIME",
        }
    }

    /// Where the namespace of process `pid` shows itself.
    pub fn path(self, pid: i32) -> PathBuf {
        PathBuf::from(format!("/proc/{pid}/ns/{}", self.name()))
    }

    /// The inode number that identifies the namespace of process `pid`.
    /// Fails with ENOENT when the process is gone, EACCES when it may not be read (ptrace(2)).
    pub fn inode(self, pid: i32) -> Result<u64, SysError> {
        use std::os::unix::fs::MetadataExt;
        let path = self.path(pid);
        std::fs::metadata(&path).map(|m| m.ino()).or_sys_with(|| format!("read {}", path.display()))
    }
}

impl fmt::Display for Ns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Ns {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let name = if s == "mount" { "mnt" } else if s == "network" { "net" } else { s };
        Ns::ALL.into_iter().find(|ns| ns.name() == name).ok_or_else(|| {
            format!("unknown namespace {s:?}; one of user, mnt, uts, ipc, net, pid, cgroup, time")
        })
    }
}

/// Moves the calling process into a new namespace of this kind. For pid and time it is the next
/// child that is in it, not the caller (unshare(2)).
pub fn unshare(ns: Ns) -> Result<(), SysError> {
    // SAFETY: unshare takes an integer and touches no memory of ours.
    let answer = unsafe { libc::unshare(ns.flag()) };
    Errno::result(answer).map(drop).or_sys_with(|| format!("make a new {ns} namespace"))
}

/// Moves the calling process into the namespace behind `fd`: a /proc/PID/ns link, opened, or a
/// pidfd (setns(2)).
pub fn join(fd: impl AsFd, ns: Ns) -> Result<(), SysError> {
    // SAFETY: setns takes two integers; the descriptor is open for as long as the borrow lasts.
    let answer = unsafe { libc::setns(fd.as_fd().as_raw_fd(), ns.flag()) };
    Errno::result(answer).map(drop).or_sys_with(|| format!("enter the {ns} namespace"))
}
