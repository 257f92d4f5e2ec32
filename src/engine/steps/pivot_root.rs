//! Make the container's root `/` and let go of the host's (pivot_root(2)).
//!
//! chroot(2) only changes where one process begins its walks, and root can walk out of it;
//! pivot_root exchanges the root *mount* of the namespace, and once the old one is detached there
//! is nothing left to walk to. See it live: `ls -l /proc/PID/root` and the first lines of
//! /proc/PID/mountinfo.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::ns::Ns;
use crate::kernel::{OrSys, SysError, mount};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The `pivot-root` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PivotRoot {
    /// Move the new root over `/` instead (mount(2), MS_MOVE), where pivot_root(2) is refused: on an initramfs.
    #[serde(default)]
    pub moved: bool,
}

impl Carry for PivotRoot {
    fn about(&self) -> About {
        About {
            name: "pivot-root",
            what: "make the new root `/`, and detach the host's".into(),
            why: "after it no path leads to the host's files; the mounts that need the host as a source come before it",
            man: &["pivot_root(2)"],
            syscalls: &["fchdir(new root)", "pivot_root(\".\", \".\")", "umount2(\".\", MNT_DETACH)", "chdir(\"/\")"],
        }
    }

    // ANCHOR: pivot_root
    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Mnt, "pivot_root")?;
        if !inside.mounted {
            return Err(StepError::from(SysError::new("pivot_root to the host's own root", Errno::EBUSY))
                .because("the new root must be a mount point other than the current root (pivot_root(2)), and none is mounted yet")
                .try_this("first: skiff step rootfs"));
        }
        if self.moved {
            mount::move_root(inside.root()?)?;
        } else {
            mount::pivot_root(inside.root()?)?;
            // The old root now lies on top of the new one, at ".": take it off.
            mount::detach_here()?;
        }
        nix::unistd::chdir("/").or_sys("enter /")?;
        inside.set_root(Path::new("/"))?;
        if let Some(travels) = inside.root_travels {
            // Only now: pivot_root takes no root whose mount is shared.
            mount::set_attributes(inside.root()?, 0, travels, false, "/")?;
        }
        inside.pivoted = true;
        Ok(())
    }
    // ANCHOR_END: pivot_root
}
