//! A new user namespace: root inside, somebody ordinary outside (user_namespaces(7)).
//!
//! See it live: `cat /proc/PID/uid_map`. It comes before all other namespaces, because each of
//! those belongs to the user namespace it was made in, and only its owner may change it. Making one
//! needs no privilege; that is what rootless containers stand on.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::ns::{self, Ns};
use crate::kernel::pidfd::{self, Fork, Pidfd};
use crate::kernel::userns::{self, IdRange};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid};
use serde::{Deserialize, Serialize};

/// Who writes the maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Writer {
    /// The process itself: one id, its own, as root.
    Own,
    /// newuidmap and newgidmap, with what /etc/subuid and /etc/subgid grant.
    Granted,
    /// A child that stays outside, with root's privilege.
    Privileged,
}

/// The `userns` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserNs {
    /// Map of user ids.
    pub uids: Vec<IdRange>,
    /// Map of group ids.
    pub gids: Vec<IdRange>,
    /// Who writes them.
    pub writer: Writer,
}

impl Carry for UserNs {
    fn about(&self) -> About {
        let map: Vec<String> = self.uids.iter().map(|r| r.to_string()).collect();
        About {
            name: "userns",
            what: format!("make a user namespace; uid_map: {}", map.join(", ")),
            why: "inside it this process may be root with every capability, over things made inside only; \
                  it comes first because each namespace belongs to the user namespace it was made in",
            man: &["user_namespaces(7)", "newuidmap(1)"],
            syscalls: &["unshare(CLONE_NEWUSER)", "write(/proc/self/uid_map)", "setuid(0)"],
        }
    }

    // ANCHOR: userns
    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        match self.writer {
            Writer::Own => {
                ns::unshare(Ns::User).map_err(explain)?;
                let (Some(uid), Some(gid)) = (self.uids.first(), self.gids.first()) else {
                    return Err(SysError::new("map no ids at all", Errno::EINVAL).into());
                };
                userns::write_own_single_maps(*uid, *gid).map_err(explain_map)?;
            }
            Writer::Granted | Writer::Privileged => self.mapped_from_outside()?,
        }
        // Our ids are now those that the map says; take 0 where it exists.
        nix::unistd::setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0)).or_sys("become group 0 inside")?;
        nix::unistd::setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).or_sys("become user 0 inside")?;
        inside.own.insert(Ns::User);
        Ok(())
    }
    // ANCHOR_END: userns
}

impl UserNs {
    /// Leaves a child outside that writes the maps once we are inside: from inside, a process has
    /// no privilege over the ids of the parent namespace.
    fn mapped_from_outside(&self) -> Result<(), StepError> {
        let me = std::process::id() as i32;
        let (wait, ready) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).or_sys("make a pipe")?;
        match pidfd::fork()? {
            Fork::Child => {
                drop(ready);
                let _ = nix::unistd::read(&wait, &mut [0u8; 1]);
                let written = match self.writer {
                    Writer::Granted => userns::write_granted_maps(me, &self.uids, &self.gids),
                    _ => userns::write_maps(me, &self.uids, &self.gids),
                };
                pidfd::exit_now(written.map_or_else(|e| e.errno as i32, |()| 0))
            }
            Fork::Parent(child) => {
                let writer = Pidfd::open(child)?;
                let made = ns::unshare(Ns::User);
                drop(ready);
                let code = pidfd::exit_code(writer.wait()?);
                made.map_err(explain)?;
                if code != 0 {
                    return Err(explain_map(SysError::new(format!("write the id maps of process {me}"), Errno::from_raw(code))));
                }
                Ok(())
            }
        }
    }
}

/// Why a user namespace is refused on this machine.
fn explain(error: SysError) -> StepError {
    let read = |path: &str| std::fs::read_to_string(path).map(|t| t.trim().to_owned()).unwrap_or_default();
    let (why, hint) = match error.errno {
        Errno::EPERM if read("/proc/sys/kernel/unprivileged_userns_clone") == "0" => (
            "this kernel gives user namespaces to root only (kernel.unprivileged_userns_clone = 0)",
            "sudo sysctl kernel.unprivileged_userns_clone=1",
        ),
        Errno::EPERM if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" => (
            "AppArmor gives user namespaces only to programs that have a profile for it",
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        Errno::EPERM => (
            "the seccomp filter of a container that we run in, or being inside a chroot, forbids it",
            "run it outside that container, or give that container --security-opt seccomp=unconfined",
        ),
        Errno::ENOSPC | Errno::EUSERS => (
            "the number of user namespaces is used up (user.max_user_namespaces)",
            "sudo sysctl user.max_user_namespaces=15000",
        ),
        Errno::EINVAL => ("this process has more than one thread, or is already held in a way that forbids it", "begin again: skiff step undo"),
        _ => return error.into(),
    };
    StepError::from(error).because(why).try_this(hint)
}

fn explain_map(error: SysError) -> StepError {
    StepError::from(error)
        .because("an unprivileged process may map its own id only; more ids need newuidmap and a range in /etc/subuid and /etc/subgid")
        .try_this("install the package uidmap and look at your line in /etc/subuid; see user_namespaces(7)")
}
