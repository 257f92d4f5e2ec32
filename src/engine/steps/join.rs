//! Enter the namespaces of a running process, all but its pid (setns(2) with a pidfd).
//!
//! See it live: `ls -l /proc/PID/ns` of both. The pid namespace holds for the next child, so fork
//! follows, as it does after unshare.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::ns::{self, Ns};
use crate::kernel::pidfd::{self, Pidfd};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The `join` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Host pid of the container's process 1.
    pub pid: i32,
    /// Its user namespace too.
    pub user: bool,
}

impl Carry for Join {
    fn about(&self) -> About {
        About {
            name: "join",
            what: format!("enter the namespaces of process {}", self.pid),
            why: "a second process in a container is one that shares its namespaces; there is no other bond",
            man: &["setns(2)", "nsenter(1)"],
            syscalls: &["pidfd_open", "setns", "chdir"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        // Before anything of the container can see us: CVE-2019-5736.
        pidfd::hide_from_debuggers()?;
        let process = Pidfd::open(self.pid)?;
        let mut kinds: Vec<Ns> = Vec::new();
        for kind in Ns::ALL {
            // One that is shared with us already cannot, and need not, be entered.
            if kind.inode(self.pid)? != kind.inode(std::process::id() as i32)? {
                kinds.push(kind);
            }
        }
        // The mount namespace last: /proc and /dev of the host are needed until then. The user
        // namespace first without root, who has no right to the others until then; with root after
        // all of them, for one that belongs to the host could not be entered any more.
        kinds.sort_by_key(|kind| match kind {
            Ns::User => if self.user { 0 } else { 3 },
            Ns::Mnt => 2,
            _ => 1,
        });
        if kinds.contains(&Ns::User) && !self.user && !nix::unistd::geteuid().is_root() {
            return Err(SysError::new("enter somebody else's container", Errno::EPERM).into());
        }
        for kind in kinds {
            ns::join(&process, kind)?;
            inside.own.insert(kind);
            if kind == Ns::User {
                nix::unistd::setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0)).or_sys("become group 0 inside")?;
                nix::unistd::setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).or_sys("become user 0 inside")?;
            }
        }
        if inside.own.contains(&Ns::Mnt) {
            inside.set_root(Path::new("/"))?;
            inside.mounted = true;
            inside.pivoted = true;
            inside.joined = true;
        }
        Ok(())
    }
}
