//! A root file system that cannot be written (`--read-only`; mount_setattr(2)).
//!
//! It is the mount that becomes read-only, not the files: the volumes mounted on it stay as they
//! are. See it live: the `ro` in the first line of /proc/PID/mountinfo.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::mount::{self, attr};
use crate::kernel::ns::Ns;
use serde::{Deserialize, Serialize};

/// The `read-only` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadOnly {}

impl Carry for ReadOnly {
    fn about(&self) -> About {
        About {
            name: "read-only",
            what: "make the root mount read-only".into(),
            why: "what was broken into cannot change its own programs; last of the mounts, because their directories had to be made",
            man: &["mount_setattr(2)"],
            syscalls: &["mount_setattr(MOUNT_ATTR_RDONLY)"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Mnt, "make the root read-only")?;
        Ok(mount::set_attributes(inside.root()?, attr::RDONLY, 0, false, "/")?)
    }
}
