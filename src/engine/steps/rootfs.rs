//! The container's root: the image's layers, read-only, under one writable directory (overlay).
//!
//! The kernel's overlay file system shows several directories as one: names are looked up from the
//! top, a write copies the file up into `upperdir` first, a removal leaves a whiteout there. The
//! layers are never written, so that any number of containers share them. See it live:
//! `grep overlay /proc/PID/mountinfo`. Source: Documentation/filesystems/overlayfs.rst.
//!
//! Paths in the options are relative to the skiff root: the option string is limited to one page
//! (mount(2)), and a `:` in somebody's home directory must not split a layer's name.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::mount::propagation;
use crate::kernel::ns::Ns;
use crate::kernel::{OrSys, SysError, mount, mountinfo};
use nix::errno::Errno;
use nix::mount::MsFlags;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where the root comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Image layers, lowest first; paths below the skiff root.
    Layers(Vec<PathBuf>),
    /// A directory as it is; it is mounted onto itself.
    Directory(PathBuf),
}

/// The `rootfs` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// Layers, or a directory.
    pub source: Source,
}

impl Carry for Rootfs {
    fn about(&self) -> About {
        About {
            name: "rootfs",
            what: match &self.source {
                Source::Layers(layers) => format!("mount overlay: {} read-only layer(s) and one writable directory", layers.len()),
                Source::Directory(path) => format!("bind {} as the new root", path.display()),
            },
            why: "a file system of the container's own; the image's layers stay as they are, and every write lands in one directory. \
                  pivot_root takes a mount point, so it must be mounted first",
            man: &["mount(2)", "Documentation/filesystems/overlayfs.rst"],
            syscalls: &["mount(overlay)", "open(O_PATH)"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Mnt, "mount the container's root")?;
        if inside.pivoted {
            return Err(StepError::from(SysError::new("mount a second root", Errno::EBUSY))
                .because("pivot_root has already exchanged the root, and the layers lie outside the new one")
                .try_this("skiff step undo"));
        }
        let target = match &self.source {
            Source::Layers(_) => inside.folder().join("rootfs"),
            Source::Directory(path) => path.clone(),
        };
        match &self.source {
            Source::Layers(layers) => overlay(inside, layers)?,
            Source::Directory(path) => {
                if inside.root_travels == Some(propagation::SHARED) {
                    unshare_parent(path)?;
                }
                let tree = mount::clone_tree(None, path, true)?;
                let onto = std::fs::File::open(&target).or_sys_with(|| format!("open {}", target.display()))?;
                mount::attach(&tree, onto, &target.to_string_lossy())?;
            }
        }
        inside.set_root(&target)?;
        inside.mounted = true;
        // pivot_root refuses a root whose mount is shared (pivot_root(2), EINVAL).
        Ok(mount::set_attributes(inside.root()?, 0, propagation::PRIVATE, false, "the new root")?)
    }
}

/// pivot_root also refuses a root that is mounted on a shared mount: the one that `path` lies on becomes private.
fn unshare_parent(path: &Path) -> Result<(), SysError> {
    let all = mountinfo::of(std::process::id().cast_signed())?;
    let Some(above) = all.iter().map(|m| &m.target).filter(|at| path.starts_with(at)).max_by_key(|at| at.components().count()) else { return Ok(()) };
    let open = std::fs::File::open(above).or_sys_with(|| format!("open {}", above.display()))?;
    mount::set_attributes(open, 0, propagation::PRIVATE, false, &above.to_string_lossy())
}

// ANCHOR: overlay
fn overlay(inside: &Inside, layers: &[PathBuf]) -> Result<(), StepError> {
    // Overlay wants the top layer first; an image lists the lowest first.
    let lower: Vec<String> = layers.iter().rev().map(|l| l.display().to_string()).collect();
    let mine = format!("containers/{}", inside.id);
    let mut options = format!("lowerdir={},upperdir={mine}/upper,workdir={mine}/work", lower.join(":"));
    if inside.rootless {
        // Overlay's own marks live in trusted.* attributes, which only real root may write.
        options.push_str(",userxattr");
    }
    nix::unistd::chdir(&inside.store).or_sys_with(|| format!("enter {}", inside.store.display()))?;
    let target = format!("{mine}/rootfs");
    if options.len() >= PAGE {
        return one_by_one(lower, &options[options.find(",upperdir").unwrap_or(0) + 1..], &target);
    }
    let mounted = nix::mount::mount(Some("overlay"), target.as_str(), Some("overlay"), MsFlags::empty(), Some(options.as_str()));
    mounted.or_sys("mount overlay as the new root").map_err(explain)
}
// ANCHOR_END: overlay

/// What mount(2) copies of the options; the kernel drops the rest without a word.
const PAGE: usize = 4096;

/// The same for an image of more than some fifty layers: fsconfig(2) takes them one at a time, since
/// Linux 6.7 (overlayfs.rst, "lowerdir+").
fn one_by_one(lower: Vec<String>, others: &str, target: &str) -> Result<(), StepError> {
    let count = lower.len();
    let options: Vec<String> = lower.into_iter().map(|l| format!("lowerdir+={l}")).chain(others.split(',').map(String::from)).collect();
    let made = mount::detached("overlay", "overlay", &options, 0).map_err(|error| {
        let errno = error.errno;
        let step = explain(error);
        if errno != Errno::EINVAL {
            return step;
        }
        step.because(format!("{count} layers do not fit into mount(2)'s one page of options, and Linux takes them one by one since 6.7 only"))
            .try_this("an image of fewer layers, or a newer kernel")
    })?;
    let onto = std::fs::File::open(target).or_sys_with(|| format!("open {target}"))?;
    Ok(mount::attach(&made, onto, target)?)
}

fn explain(error: SysError) -> StepError {
    let (why, hint) = match error.errno {
        Errno::EPERM => (
            "needs CAP_SYS_ADMIN in the user namespace that owns this mount namespace, and Linux 5.11 where that is not the host's",
            "make the mount namespace after the user namespace; see user_namespaces(7)",
        ),
        Errno::ENODEV => ("this kernel has no overlay file system, or its module is not loaded", "sudo modprobe overlay"),
        Errno::EINVAL => (
            "the file system below cannot carry an upper directory: overlay on overlay (inside another container) is the usual case",
            "put the skiff root on a volume or a tmpfs: skiff --root DIR …",
        ),
        _ => return error.into(),
    };
    StepError::from(error).because(why).try_this(hint)
}
