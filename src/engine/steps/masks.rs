//! Hide and freeze the parts of /proc and /sys that speak for the whole machine.
//!
//! /proc is mounted fresh, but much of it is not about processes: /proc/kcore is the memory,
//! /proc/sysrq-trigger reboots. Docker's lists are in `defaults`. A masked file is covered by
//! /dev/null, a masked directory by an empty read-only tmpfs; a frozen path is bound onto itself,
//! read-only. See it live: `skiff run base mount | grep proc`.
//!
//! Why the check of /dev/null: if an image could put another file there, that file would be mounted
//! where the mask should be (CVE-2025-31133).

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::mount::{self, attr};
use crate::kernel::ns::Ns;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat, makedev};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The `masks` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masks {
    /// Paths that become unreadable.
    pub masked: Vec<PathBuf>,
    /// Paths that become read-only.
    pub read_only: Vec<PathBuf>,
}

impl Carry for Masks {
    fn about(&self) -> About {
        About {
            name: "masks",
            what: format!("hide {} and freeze {} paths of /proc and /sys", self.masked.len(), self.read_only.len()),
            why: "much of /proc and /sys is about the whole machine, and root inside could read or write it",
            man: &["proc(5)", "mount_setattr(2)"],
            syscalls: &["open_tree(OPEN_TREE_CLONE)", "move_mount", "mount_setattr(MOUNT_ATTR_RDONLY)"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Mnt, "mask paths in /proc")?;
        if !inside.mounted {
            return Err(StepError::from(SysError::new("mask paths of the host's root", Errno::EBUSY))
                .because("there is no new root yet")
                .try_this("first: skiff step rootfs, then proc"));
        }
        for path in &self.read_only {
            freeze(path, inside)?;
        }
        let mut empty = None;
        for path in &self.masked {
            hide(path, inside, &mut empty)?;
        }
        Ok(())
    }
}

/// Opens what is to be covered; `None` where this kernel does not have it.
fn present(path: &Path, inside: &mut Inside) -> Result<Option<OwnedFd>, SysError> {
    match mount::open_in_root(inside.root()?, path, libc::O_PATH, 0) {
        Err(e) if matches!(e.errno, Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => Ok(None),
        other => other.map(Some),
    }
}

// ANCHOR: freeze
fn freeze(path: &Path, inside: &mut Inside) -> Result<(), StepError> {
    let Some(found) = present(path, inside)? else { return Ok(()) };
    let shown = path.to_string_lossy();
    let copy = mount::clone_tree(Some(found.as_fd()), Path::new(""), true)?;
    mount::set_attributes(&copy, attr::RDONLY, 0, true, &shown)?;
    Ok(mount::attach(&copy, &found, &shown)?)
}
// ANCHOR_END: freeze

fn hide(path: &Path, inside: &mut Inside, empty: &mut Option<OwnedFd>) -> Result<(), StepError> {
    let Some(found) = present(path, inside)? else { return Ok(()) };
    let shown = path.to_string_lossy();
    let kind = fstat(&found).or_sys_with(|| format!("look at {shown}"))?.st_mode;
    let cover = if SFlag::from_bits_truncate(kind) & SFlag::S_IFMT == SFlag::S_IFDIR {
        // One empty directory serves all: only the first is a new file system.
        match empty {
            Some(first) => mount::clone_tree(Some(first.as_fd()), Path::new(""), false)?,
            None => mount::detached("tmpfs", "tmpfs", &["nr_inodes=2".to_owned()], attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC)?,
        }
    } else {
        null(inside)?
    };
    mount::attach(&cover, &found, &shown)?;
    if SFlag::from_bits_truncate(kind) & SFlag::S_IFMT == SFlag::S_IFDIR && empty.is_none() {
        *empty = Some(cover);
    }
    Ok(())
}

/// A detached copy of the container's /dev/null, after a look at whether it is the real one.
fn null(inside: &mut Inside) -> Result<OwnedFd, StepError> {
    let node = mount::open_in_root(inside.root()?, Path::new("/dev/null"), libc::O_PATH | libc::O_NOFOLLOW, 0)?;
    if fstat(&node).or_sys("look at /dev/null")?.st_rdev != makedev(1, 3) {
        return Err(StepError::from(SysError::new("mask a file with /dev/null", Errno::ENODEV))
            .because("what the container has at /dev/null is not the null device")
            .try_this("mount /dev and make its devices first: skiff step dev, skiff step devices"));
    }
    Ok(mount::clone_tree(Some(node.as_fd()), Path::new(""), false)?)
}
