//! How readily the kernel kills this process when memory runs out (proc_pid_oom_score_adj(5)).
//!
//! See it live: `cat /proc/PID/oom_score_adj`. Lowering it needs CAP_SYS_RESOURCE in the host's user
//! namespace: so it comes first, and without root a refusal is told and not an error, as runc has it.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::OrSys;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// The `oom-score` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OomScore {
    /// -1000 (never) to 1000 (first).
    pub adjust: i32,
}

impl Carry for OomScore {
    fn about(&self) -> About {
        About {
            name: "oom-score",
            what: format!("set oom_score_adj to {}", self.adjust),
            why: "when the machine runs out of memory this decides who is killed first; every process inside inherits it",
            man: &["proc_pid_oom_score_adj(5)"],
            syscalls: &["write(/proc/self/oom_score_adj)"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        let file = "/proc/self/oom_score_adj";
        match std::fs::write(file, self.adjust.to_string()).or_sys_with(|| format!("set oom_score_adj to {}", self.adjust)) {
            Err(e) if matches!(e.errno, Errno::EACCES | Errno::EPERM) && inside.rootless => {
                inside.notes.push(format!("oom_score_adj stays as it is: to lower it to {} needs root", self.adjust));
                Ok(())
            }
            other => Ok(other?),
        }
    }
}
