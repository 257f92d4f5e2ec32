//! Wait at the door until somebody says start (OCI runtime spec, runtime.md, "Lifecycle").
//!
//! `create` makes the container and `start` runs its command, and between the two there is nobody
//! but this process: whoever made it has ended. So it holds a listening socket that lies in the
//! container's folder on the host, where no path from inside leads; the first that connects starts
//! it, and hears over the connection why the command could not be run, or nothing, when exec has
//! closed it. runc and crun wait on a FIFO and cannot say so much.
//! See it live: `ss -xlp | grep start.sock` between create and start.
//! Contract: the last step but the hooks of startContainer and exec. From here on the process
//! outlives its maker.

use super::exec::Exec;
use crate::engine::hold::{Reply, Upstream};
use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::{OrSys, SysError, pidfd};
use nix::errno::Errno;
use nix::sys::socket::{SockFlag, accept4};
use serde::{Deserialize, Serialize};
use std::os::fd::AsRawFd;

/// The `await-start` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitStart {
    /// What will be run, if anything: a command that is not there is said at `create` already.
    pub exec: Option<Exec>,
}

impl Carry for AwaitStart {
    fn about(&self) -> About {
        About {
            name: "await-start",
            what: "wait until somebody says start".into(),
            why: "between create and start others give the container its network; whoever made it need not stay for that",
            man: &["accept(2)", "unix(7)"],
            syscalls: &["prctl(PR_SET_DUMPABLE)", "prctl(PR_SET_PDEATHSIG)", "accept4"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        if let Some(exec) = &self.exec {
            exec.program(inside)?;
        }
        let door = inside.door.take().ok_or_else(|| SysError::new("wait to be started", Errno::ENOTSOCK))?;
        // A change of user made this process dumpable again, and whoever shares its pid namespace could
        // reach the host's files through its descriptors (CVE-2016-9962).
        pidfd::hide_from_debuggers()?;
        pidfd::outlive_parent()?;
        inside.upstream.tell(&Reply::Ready)?;
        let connection = loop {
            match accept4(door.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                other => break other.or_sys("wait to be started")?,
            }
        };
        // What goes wrong from here on is told to whoever says start.
        inside.upstream = Upstream::new(pidfd::own(connection));
        if self.exec.is_none() {
            return Err(StepError::from(SysError::new("start the container", Errno::EINVAL)).because("its config.json has no process"));
        }
        Ok(())
    }
}
