//! From here on no exec gives more privilege: set-user-ID bits and file capabilities are ignored
//! (PR_SET_NO_NEW_PRIVS, prctl(2)).
//!
//! See it live: the NoNewPrivs line of /proc/PID/status. It cannot be taken back, and children
//! inherit it.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::OrSys;
use serde::{Deserialize, Serialize};

/// The `no-new-privs` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoNewPrivs {}

impl Carry for NoNewPrivs {
    fn about(&self) -> About {
        About {
            name: "no-new-privs",
            what: "set no_new_privs".into(),
            why: "sudo and su in the container gain nothing; it also lets a process without privilege install a seccomp filter",
            man: &["prctl(2)"],
            syscalls: &["prctl(PR_SET_NO_NEW_PRIVS)"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        nix::sys::prctl::set_no_new_privs().or_sys("set no_new_privs")?;
        inside.no_new_privs = true;
        Ok(())
    }
}
