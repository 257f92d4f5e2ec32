//! Become the container's user and groups (setresuid(2), setgroups(2)).
//!
//! See it live: the Uid, Gid and Groups lines of /proc/PID/status. Groups first, then gid, then
//! uid: each call needs a capability that the next one may take away. Leaving uid 0 would also empty
//! the capability sets; PR_SET_KEEPCAPS keeps them for the caps step (capabilities(7)).

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::sys::stat::{fstat, makedev};
use nix::unistd::{Gid, Uid};
use serde::{Deserialize, Serialize};
use std::os::fd::AsFd;

/// The `user` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id inside.
    pub uid: u32,
    /// Group id inside.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
    /// Which mode bits new files do not get (umask(2)).
    #[serde(default)]
    pub umask: Option<u32>,
}

impl Carry for User {
    fn about(&self) -> About {
        About {
            name: "user",
            what: format!("become user {}, group {}", self.uid, self.gid),
            why: "groups, then gid, then uid: each needs a privilege that the next one gives up",
            man: &["setresuid(2)", "setgroups(2)", "credentials(7)"],
            syscalls: &["setgroups", "setresgid", "prctl(PR_SET_KEEPCAPS)", "setresuid"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        if let Some(bits) = self.umask {
            nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(bits));
        }
        if inside.outlives {
            own_streams(Uid::from_raw(self.uid));
        }
        let groups: Vec<Gid> = self.groups.iter().map(|g| Gid::from_raw(*g)).collect();
        match nix::unistd::setgroups(&groups) {
            // With a map of one id setgroups was denied for good, and there is nothing to drop
            // that the process could not reach anyway (user_namespaces(7)).
            // The same where skiff itself was started as root of such a namespace.
            Err(Errno::EPERM) if inside.rootless || denied() => {}
            other => other.or_sys("set the groups").map_err(explain)?,
        }
        let gid = Gid::from_raw(self.gid);
        nix::unistd::setresgid(gid, gid, gid).or_sys_with(|| format!("become group {}", self.gid)).map_err(explain)?;
        nix::sys::prctl::set_keepcaps(true).or_sys("keep capabilities across setuid")?;
        let uid = Uid::from_raw(self.uid);
        nix::unistd::setresuid(uid, uid, uid).or_sys_with(|| format!("become user {}", self.uid)).map_err(explain)
    }
}

/// The pipes or the terminal that came with the container become its user's, who may then open them by
/// /dev/stdout as well. Not the null device, which is everybody's, nor what cannot be changed.
fn own_streams(uid: Uid) {
    let streams = [std::io::stdin().as_fd().try_clone_to_owned(), std::io::stdout().as_fd().try_clone_to_owned(), std::io::stderr().as_fd().try_clone_to_owned()];
    for stream in streams.into_iter().flatten() {
        let Ok(found) = fstat(&stream) else { continue };
        if found.st_uid != uid.as_raw() && found.st_rdev != makedev(1, 3) {
            let _ = nix::unistd::fchown(&stream, Some(uid), None);
        }
    }
}

/// True where the user namespace may never change groups.
fn denied() -> bool {
    std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny")
}

fn explain(error: SysError) -> StepError {
    let errno = error.errno;
    let step = StepError::from(error);
    match errno {
        Errno::EINVAL => step
            .because("this id has no line in the user namespace's map, so it does not exist in here")
            .try_this("use an id that /proc/self/uid_map covers; with uidmap installed and a range in /etc/subuid there are 65536 of them"),
        _ => step,
    }
}
