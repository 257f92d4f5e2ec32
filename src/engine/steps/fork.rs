//! A child that is process 1 of the new pid namespace (pid_namespaces(7)).
//!
//! unshare(CLONE_NEWPID) changes nothing for its caller: a process keeps its pid for life. The next
//! child is born inside, as process 1. See it live: `grep NSpid /proc/PID/status` shows both
//! numbers. The child is made with CLONE_PARENT, so that the caller can end here and whoever waited
//! for it now waits for the child.

use crate::engine::hold::Reply;
use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::{OrSys, SysError};
use crate::kernel::pidfd::{self, Fork as Side};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// The `fork` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {}

impl Carry for Fork {
    fn about(&self) -> About {
        About {
            name: "fork",
            what: "fork; the child takes over, as process 1 of the new pid namespace".into(),
            why: "nobody can change their own pid: only a child is born into the new pid namespace",
            man: &["clone(2)", "pid_namespaces(7)"],
            syscalls: &["clone(CLONE_PARENT)", "_exit (the old process)"],
        }
    }

    // ANCHOR: fork
    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        if inside.forked {
            return Err(StepError::from(SysError::new("fork a second time", Errno::EEXIST))
                .because("this process is process 1 of its pid namespace already; if it ended, the namespace would end with it")
                .try_this("go on with the next step: skiff step show"));
        }
        // Closed once the old process has told who took over: nothing that the child says may
        // overtake that.
        let (told, telling) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).or_sys("make a pipe")?;
        match pidfd::fork_sibling()? {
            Side::Child => {
                drop(telling);
                let _ = nix::unistd::read(&told, &mut [0u8; 1]);
                inside.forked = true;
                // A child does not inherit this; and if the one that waits died before we asked,
                // its end of the socket is closed.
                pidfd::die_with_parent(Signal::SIGKILL)?;
                if inside.upstream.is_gone() {
                    pidfd::exit_now(125);
                }
                Ok(())
            }
            Side::Parent(child) => {
                // The child lives on in our place. If nobody is left to be told, end it too: it
                // would be held for ever.
                if inside.upstream.tell(&Reply::Forked(child)).is_err() {
                    let _ = pidfd::Pidfd::open(child).and_then(|p| p.signal(Signal::SIGKILL));
                }
                drop(telling);
                pidfd::exit_now(0)
            }
        }
    }
    // ANCHOR_END: fork
}
