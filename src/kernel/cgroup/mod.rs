//! Control groups on v2, v1 and hybrid hosts (cgroups(7)).
//!
//! Mechanism: a cgroup is a directory; making it, writing its files and writing a pid into its
//! `cgroup.procs` is all there is. v2 has one tree for all controllers; v1 has a tree for each;
//! a hybrid host has v1 trees and an empty-handed v2 tree beside them.
//! See it live: `cat /proc/PID/cgroup`, `ls /sys/fs/cgroup`.
//! Contract: [`Layout`] is read once and passed around; only cgroups made through [`Cgroup`] are
//! written to, and no hierarchy is ever mounted or remounted.
//! Left out: systemd's D-Bus interface (bigger runtimes can ask it for a scope), threaded v2
//! cgroups.
//!
//! | file | what it holds |
//! |---|---|
//! | [`layout`] | which hierarchies this host has, and where this process may make children |
//! | [`limit`] | every name and unit in which v1 and v2 differ |
//! | [`group`] | one cgroup: create, limit, join, kill, remove |
//! | `path` | the way to its directory |
//! | [`device`] | which device nodes may be used |
//! | [`notice`] | being told when a cgroup comes, goes, empties or runs out of memory |

pub mod device;
pub mod group;
pub mod layout;
pub mod limit;
pub mod notice;
mod path;

pub use group::Cgroup;
pub use layout::{Controller, Hierarchy, Layout, Version};
pub use limit::{Amount, Event, Limit, Limits, Quota, Value};

use crate::kernel::{Explain, SysError};
use nix::errno::Errno;
use std::path::PathBuf;
use thiserror::Error;

/// What goes wrong with a cgroup, and why.
#[derive(Debug, Error)]
pub enum Error {
    /// A file or directory of the cgroup filesystem refused.
    #[error(transparent)]
    Sys(#[from] SysError),
    /// The name would leave the tree it is meant for.
    #[error("cannot use `{0}` as a cgroup's name")]
    Name(String),
    /// No cgroup filesystem is mounted.
    #[error("cannot find a cgroup filesystem")]
    NotMounted,
    /// The kernel offers no such controller, or it is not handed down to this place.
    #[error("cannot limit {what}: no {controller} controller in {at}")]
    NoController {
        /// The limit that was asked for.
        what: &'static str,
        /// Its controller.
        controller: Controller,
        /// Where it was looked for.
        at: String,
    },
    /// The kernel counts memory but not swap.
    #[error("cannot limit swap: this kernel does not count it")]
    NoSwapAccounting,
    /// v2: a cgroup cannot hold processes and hand controllers down.
    #[error("cannot hand controllers down from {0}: EBUSY")]
    InternalProcesses(PathBuf),
    /// Not root, and no part of the tree was delegated to this user.
    #[error("cannot make a cgroup below {at}: EACCES")]
    NotDelegated {
        /// The own cgroup's directory.
        at: PathBuf,
        /// True where only v1 controllers could be used.
        v1: bool,
    },
    /// Processes did not leave in time.
    #[error("cannot empty the cgroup {name}: {left} processes are still in it")]
    StillPopulated {
        /// The cgroup's name.
        name: String,
        /// How many are left.
        left: usize,
    },
    /// bpf(2) is not permitted, so that v2 device rules cannot be set.
    #[error("cannot attach device rules to {0}: EPERM")]
    NoBpf(PathBuf),
}

impl Explain for Error {
    fn why(&self) -> Option<String> {
        Some(match self {
            Self::Sys(error) if error.errno == Errno::EROFS => {
                "the cgroup filesystem is mounted read-only here, as it is inside most containers".into()
            }
            Self::Sys(error) if matches!(error.errno, Errno::EACCES | Errno::EPERM) => {
                "this part of the cgroup tree belongs to another user".into()
            }
            Self::Name(_) => "a name is made of plain path components; `..`, an empty one or a leading `/` would leave the tree".into(),
            Self::NotMounted => "/proc/self/mountinfo names no mount of type cgroup or cgroup2".into(),
            Self::NoController { controller, .. } => {
                format!("the kernel was built or booted without `{controller}`, or a cgroup above does not hand it down in cgroup.subtree_control")
            }
            Self::NoSwapAccounting => "the kernel was booted without swap accounting".into(),
            Self::InternalProcesses(at) => format!(
                "in cgroup v2 a cgroup with processes of its own cannot give controllers to its children (\"no internal processes\"), and {} has some",
                at.display()
            ),
            Self::NotDelegated { v1: true, .. } => {
                "the controllers here are cgroup v1, which is never delegated to ordinary users".into()
            }
            Self::NotDelegated { at, v1: false } => format!(
                "this session's own cgroup, {}, belongs to root: it was not delegated to you",
                at.display()
            ),
            Self::StillPopulated { .. } => "a killed process leaves only when the kernel lets it go; one in uninterruptible sleep stays".into(),
            Self::NoBpf(_) => "cgroup v2 checks devices with a BPF program, and loading one needs CAP_BPF or CAP_SYS_ADMIN in the first user namespace".into(),
            Self::Sys(_) => return None,
        })
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotDelegated { v1: false, .. } => {
                "start it in a delegated scope: systemd-run --user --scope -p Delegate=yes COMMAND".into()
            }
            Self::NotDelegated { v1: true, .. } => "run it as root, or without limits".into(),
            Self::InternalProcesses(_) => {
                "move those processes into a child first, or start from a cgroup of your own: systemd-run --user --scope -p Delegate=yes COMMAND".into()
            }
            Self::NoSwapAccounting => "leave --memory-swap out, or boot with swapaccount=1".into(),
            Self::NoController { controller, .. } => format!("leave that limit out, or look for `{controller}` in /proc/cgroups"),
            Self::NotMounted => "mount -t cgroup2 none /sys/fs/cgroup".into(),
            Self::NoBpf(_) => "drop CAP_MKNOD instead: without it no device node can be made".into(),
            Self::Sys(error) if error.errno == Errno::EROFS => "run it outside that container, or start that one with --privileged".into(),
            _ => return None,
        })
    }
}

impl Error {
    /// The errno at the bottom of it, for those who report one.
    pub fn errno(&self) -> Errno {
        match self {
            Self::Sys(error) => error.errno,
            Self::Name(_) => Errno::EINVAL,
            Self::NotMounted | Self::NoController { .. } | Self::NoSwapAccounting => Errno::ENOENT,
            Self::InternalProcesses(_) | Self::StillPopulated { .. } => Errno::EBUSY,
            Self::NotDelegated { .. } => Errno::EACCES,
            Self::NoBpf(_) => Errno::EPERM,
        }
    }
}
