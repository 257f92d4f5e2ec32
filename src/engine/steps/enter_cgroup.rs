//! Move into a running container's cgroup: its limits are then ours too (cgroups(7)).
//!
//! See it live: /proc/PID/cgroup. Before the namespaces are entered, because the host's directories
//! cannot be seen from inside.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::Explain;
use crate::engine::host::layout;
use crate::kernel::cgroup::{Cgroup, Error};
use serde::{Deserialize, Serialize};

/// The `enter-cgroup` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnterCgroup {}

impl Carry for EnterCgroup {
    fn about(&self) -> About {
        About {
            name: "enter-cgroup",
            what: "move into the container's cgroup".into(),
            why: "what is started in a container counts against its limits",
            man: &["cgroups(7)"],
            syscalls: &["write(cgroup.procs)"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        let join = || -> Result<(), Error> {
            match Cgroup::open(&layout()?, &inside.cgroup)? {
                Some(group) => group.join(),
                // A rootless container without limits has none.
                None => Ok(()),
            }
        };
        join().map_err(|e| StepError { what: e.to_string(), errno: e.errno() as i32, why: e.why(), hint: e.hint() })
    }
}
