//! Drop capabilities to the container's sets (capabilities(7)).
//!
//! Mechanism: prctl(2) PR_CAPBSET_DROP, capset(2), PR_CAP_AMBIENT, in that order.
//! See it live: `grep Cap /proc/PID/status`, or `capsh --print` inside.
//! Contract: after the change of user, which must have kept the permitted set (PR_SET_KEEPCAPS);
//! after seccomp unless no_new_privs is set, for that needs CAP_SYS_ADMIN.
//! Left out: file capabilities and the no-setuid-fixup securebits that some runtimes can lock.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::caps::{self, Sets};
use nix::errno::Errno;
use oci_spec::runtime::{Capabilities, LinuxCapabilities};
use serde::{Deserialize, Serialize};

/// The capability sets that the container's first program starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// All five, as exec finds them.
    pub sets: Sets,
}

impl Caps {
    /// The step for an OCI `process.capabilities`; a set that is not given is empty.
    pub fn from_oci(wanted: &LinuxCapabilities) -> Self {
        let mask = |set: &Option<Capabilities>| {
            set.iter().flatten().filter_map(|cap| caps::mask(&cap.to_string())).fold(0, |a, b| a | b)
        };
        Self {
            sets: Sets {
                effective: mask(wanted.effective()),
                permitted: mask(wanted.permitted()),
                inheritable: mask(wanted.inheritable()),
                bounding: mask(wanted.bounding()),
                ambient: mask(wanted.ambient()),
            },
        }
    }

    /// The target, without what this process has not got to give.
    fn reachable(&self, now: &Sets) -> Sets {
        let permitted = self.sets.permitted & now.permitted;
        let inheritable = self.sets.inheritable & (now.permitted | now.inheritable) & self.sets.bounding;
        Sets {
            permitted,
            effective: self.sets.effective & permitted,
            inheritable,
            bounding: self.sets.bounding & now.bounding,
            ambient: self.sets.ambient & permitted & inheritable,
        }
    }
}

impl Carry for Caps {
    fn about(&self) -> About {
        let count = self.sets.bounding.count_ones();
        About {
            name: "caps",
            what: match self.sets.bounding & caps::ALL {
                0 => "drop every capability".into(),
                caps::ALL => "keep every capability".into(),
                _ => format!("keep {count} of {} capabilities, drop the others", caps::NAMES.len()),
            },
            why: "root in a container must not be root of the machine. The bounding set goes first, \
                  because dropping from it needs CAP_SETPCAP, which the next call gives away; and all of \
                  it after the change of user, which needs CAP_SETUID and would empty the effective set.",
            man: &["capabilities(7)", "capset(2)", "prctl(2)"],
            syscalls: &["capget", "prctl", "capset"],
        }
    }

    // ANCHOR: caps
    fn carry_out(&self, _: &mut Inside) -> Result<(), StepError> {
        let now = Sets::of_self()?;
        let target = self.reachable(&now);
        // A change from uid 0 emptied the effective set and, with KEEPCAPS, kept the permitted one:
        // what is permitted may be made effective again for the calls below.
        if now.effective != now.permitted {
            caps::set(now.permitted, now.permitted, now.inheritable)?;
        }
        caps::limit_bounding(target.bounding).map_err(|e| explain_bounding(e.into(), &now))?;
        // Inheritable only grows while it is inside the old permitted set or the bounding set, so
        // one call sets all three; ambient needs both to hold its bits already.
        caps::set(target.effective, target.permitted, target.inheritable)?;
        caps::set_ambient(target.ambient)?;
        caps::keep_across_setuid(false)?;
        Ok(())
    }
    // ANCHOR_END: caps
}

/// EPERM on the bounding set has one cause: CAP_SETPCAP is gone already.
fn explain_bounding(error: StepError, now: &Sets) -> StepError {
    if error.errno() == Errno::EPERM && now.permitted & (1 << caps::SETPCAP) == 0 {
        return error
            .because("only a process with CAP_SETPCAP may drop from the bounding set, and this one no longer has it")
            .try_this("take this step once, and before the permitted set is emptied; a change of user must keep capabilities");
    }
    error
}
