//! One new namespace, or an existing one entered by its path (unshare(2), setns(2)).
//!
//! See it live: `ls -l /proc/PID/ns` before and after; one inode number has changed. Making them one
//! at a time costs a tenth of a millisecond more than one clone3 with all the flags, and lets each
//! be seen.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::{OrSys, pidfd};
use crate::kernel::netlink::Socket;
use crate::kernel::ns::{self, Ns};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The `unshare` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unshare {
    /// Which kind.
    pub ns: Ns,
    /// An existing namespace to enter instead of making one, such as /proc/PID/ns/net.
    pub path: Option<PathBuf>,
}

impl Unshare {
    /// A new namespace of this kind.
    pub fn new(ns: Ns) -> Self {
        Self { ns, path: None }
    }
}

impl Carry for Unshare {
    fn about(&self) -> About {
        let (why, man, syscalls) = reason(self.ns);
        About {
            name: "unshare",
            what: match &self.path {
                Some(path) => format!("enter the {} namespace at {}", self.ns, path.display()),
                None => format!("make a new {} namespace", self.ns),
            },
            why,
            man,
            syscalls: if self.path.is_some() { &["setns"] } else { syscalls },
        }
    }

    // ANCHOR: unshare
    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        match &self.path {
            Some(path) => {
                let target = std::fs::File::open(path).or_sys_with(|| format!("open {}", path.display()))?;
                if matches!(self.ns, Ns::Pid | Ns::User | Ns::Mnt) {
                    // Those who live there would see our descriptors, which lead to the host (CVE-2016-9962).
                    pidfd::hide_from_debuggers()?;
                }
                ns::join(target, self.ns)?;
                if self.ns == Ns::User {
                    nix::unistd::setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0)).or_sys("become group 0 inside")?;
                    nix::unistd::setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).or_sys("become user 0 inside")?;
                }
            }
            None => {
                if self.ns == Ns::Net && !inside.own.contains(&Ns::Net) {
                    // It stays behind in the host's network, for the step that plugs this one in.
                    inside.outside = Some(Socket::route()?);
                }
                ns::unshare(self.ns).map_err(|e| {
                let errno = e.errno;
                let error = StepError::from(e);
                if errno == Errno::EPERM {
                    error
                        .because("needs CAP_SYS_ADMIN in this process's user namespace, and an ordinary user has none")
                        .try_this("first: skiff step userns, in which you are root; or run it with sudo")
                } else {
                    error
                }
            })?;
            }
        }
        inside.own.insert(self.ns);
        Ok(())
    }
    // ANCHOR_END: unshare
}

/// Why a container has a namespace of each kind, where it is documented, and the call.
fn reason(ns: Ns) -> (&'static str, &'static [&'static str], &'static [&'static str]) {
    match ns {
        Ns::User => ("root inside, nobody special outside", &["user_namespaces(7)"], &["unshare(CLONE_NEWUSER)"]),
        Ns::Mnt => (
            "a private copy of the list of mounts: what is mounted from here on, the host does not get",
            &["mount_namespaces(7)"],
            &["unshare(CLONE_NEWNS)"],
        ),
        Ns::Uts => ("a hostname of its own; without it, hostname(1) in here renames the machine", &["uts_namespaces(7)"], &["unshare(CLONE_NEWUTS)"]),
        Ns::Ipc => (
            "shared memory segments and message queues of its own, so that two databases do not meet in one segment",
            &["ipc_namespaces(7)"],
            &["unshare(CLONE_NEWIPC)"],
        ),
        Ns::Net => (
            "links, addresses, routes and ports of its own: port 80 is free in each container",
            &["network_namespaces(7)"],
            &["unshare(CLONE_NEWNET)"],
        ),
        Ns::Pid => (
            "process ids of its own. A process cannot change its own pid: the next child is the one inside, so fork follows",
            &["pid_namespaces(7)"],
            &["unshare(CLONE_NEWPID)"],
        ),
        Ns::Cgroup => (
            "its own cgroup becomes `/` in /proc/self/cgroup; after the cgroup step, because the root is where we stand now",
            &["cgroup_namespaces(7)"],
            &["unshare(CLONE_NEWCGROUP)"],
        ),
        Ns::Time => ("clock offsets of its own, for a container that was moved from another machine", &["time_namespaces(7)"], &["unshare(CLONE_NEWTIME)"]),
    }
}
