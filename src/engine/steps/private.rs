//! Cut the ties between our mounts and the host's (mount_namespaces(7), "shared subtrees").
//!
//! A new mount namespace is a copy, but where the host's mounts are *shared* (systemd makes them so)
//! the copies stay peers: what is mounted on one appears on the other. See it live: the field
//! `shared:N` in /proc/self/mountinfo is there before this step and gone after it.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::mount::{self, propagation};
use crate::kernel::ns::Ns;
use serde::{Deserialize, Serialize};

/// How mounts of the host reach the container's namespace afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    /// Not at all.
    Private,
    /// They arrive, ours do not leave.
    Slave,
    /// Both ways.
    Shared,
    /// Not at all, and what is made the root cannot be bound elsewhere.
    Unbindable,
}

/// The `private` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Private {
    /// What the whole tree of mounts becomes.
    pub propagation: Propagation,
}

impl Carry for Private {
    fn about(&self) -> About {
        About {
            name: "private",
            what: format!("make every mount below / {:?}", self.propagation).to_lowercase(),
            why: "the mount namespace is a copy whose mounts are still peers of the host's where those are shared; \
                  without this, the container's mounts would appear on the host",
            man: &["mount_namespaces(7)", "mount_setattr(2)"],
            syscalls: &["mount_setattr(/, AT_RECURSIVE)"],
        }
    }

    // ANCHOR: private
    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Mnt, "change how mounts travel")?;
        let travels = match self.propagation {
            Propagation::Private | Propagation::Unbindable => propagation::PRIVATE,
            Propagation::Slave => propagation::SLAVE,
            Propagation::Shared => propagation::SHARED,
        };
        inside.root_travels = self.of_the_root();
        Ok(mount::set_attributes(inside.root()?, 0, travels, true, "/")?)
    }
    // ANCHOR_END: private
}

impl Private {
    /// What the root's own mount becomes once it is the root.
    fn of_the_root(&self) -> Option<u64> {
        match self.propagation {
            Propagation::Shared => Some(propagation::SHARED),
            Propagation::Unbindable => Some(propagation::UNBINDABLE),
            Propagation::Private | Propagation::Slave => None,
        }
    }
}
