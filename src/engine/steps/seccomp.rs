//! Install the seccomp filter (seccomp(2)).
//!
//! Mechanism: a BPF program that the kernel runs at each system call of this process and its children.
//! See it live: `grep Seccomp /proc/PID/status` (2 is filter), `docker run` against the same call.
//! Contract: it holds at once, for the steps that follow as well. Without no_new_privs it needs
//! CAP_SYS_ADMIN, so it comes before the caps step and after everything that the profile forbids;
//! with no_new_privs it can be the last before exec.
//! Left out: handing the listener of SCMP_ACT_NOTIFY to an agent.

use crate::engine::inside::Inside;
use crate::engine::seccomp::Filter;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::{SysError, pidfd};
use crate::kernel::caps::{self, Sets};
use crate::kernel::seccomp as kernel;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// The `seccomp` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seccomp {
    /// What is installed.
    pub filter: Filter,
}

impl Carry for Seccomp {
    fn about(&self) -> About {
        About {
            name: "seccomp",
            what: format!("install a seccomp filter of {} instructions", self.filter.code.len()),
            why: "a container needs few of the kernel's calls, and each of the others is a way to attack it. Without \
                  no_new_privs the kernel asks for CAP_SYS_ADMIN, so the filter goes on before the capabilities go: \
                  or else a set-user-ID program could be run under a filter that lies to it.",
            man: &["seccomp(2)"],
            syscalls: &["seccomp"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        if self.filter.flags & kernel::FLAG_NEW_LISTENER != 0 {
            return Err(StepError::from(SysError::new("install the seccomp filter", Errno::EOPNOTSUPP))
                .because("the profile has SCMP_ACT_NOTIFY, and there is no agent here to answer")
                .try_this("give those calls SCMP_ACT_ERRNO or SCMP_ACT_LOG"));
        }
        let now = Sets::of_self()?;
        if !inside.no_new_privs && now.permitted & !now.effective & (1 << caps::SYS_ADMIN) != 0 {
            // A change of user emptied the effective set and kept the permitted one.
            caps::set(now.permitted, now.permitted, now.inheritable)?;
        }
        // A profile may forbid what marks descriptors; those opened from here on are marked as they are opened.
        pidfd::close_on_exec_from(3 + inside.preserved)?;
        inside.filtered = true;
        kernel::install(&self.filter.code, self.filter.flags).map(drop).map_err(|error| explain(error, inside))
    }
}

fn explain(error: SysError, inside: &Inside) -> StepError {
    let errno = error.errno;
    let step = StepError::from(error);
    match errno {
        Errno::EACCES if !inside.no_new_privs => step
            .because("a filter needs CAP_SYS_ADMIN, or no_new_privs: else a set-user-ID program could be started under a filter that deceives it")
            .try_this("install it before the caps step, or run with --security-opt no-new-privileges; see seccomp(2)"),
        Errno::EINVAL => step.because("the kernel finds the program wrong, or was built without CONFIG_SECCOMP_FILTER"),
        _ => step,
    }
}
