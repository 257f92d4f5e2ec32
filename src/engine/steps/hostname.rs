//! The host's name, for whoever shares this UTS namespace (sethostname(2), uts_namespaces(7)).
//!
//! See it live: `nsenter --target PID --uts hostname`.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::OrSys;
use crate::kernel::ns::Ns;
use serde::{Deserialize, Serialize};

/// The `hostname` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hostname {
    /// At most 64 bytes.
    pub name: String,
}

impl Carry for Hostname {
    fn about(&self) -> About {
        About {
            name: "hostname",
            what: format!("set the hostname to {}", self.name),
            why: "prompts, logs and cluster members show it; Docker takes the first twelve digits of the container's id",
            man: &["sethostname(2)", "uts_namespaces(7)"],
            syscalls: &["sethostname"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Uts, &format!("set the hostname to {}", self.name))?;
        Ok(nix::unistd::sethostname(&self.name).or_sys_with(|| format!("set the hostname to {}", self.name))?)
    }
}
