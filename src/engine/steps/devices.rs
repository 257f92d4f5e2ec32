//! Fill /dev with the six devices and five links that every program may expect (OCI runtime spec,
//! "Default Devices" and "Default Filesystems").
//!
//! See it live: `skiff run base ls -l /dev`. Real root makes device nodes; in a user namespace
//! mknod is refused and the host's nodes are bound instead, which is as good.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::ns::Ns;
use crate::kernel::{OrSys, mount};
use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, makedev, mknodat};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The default devices: name, major, minor (Documentation/admin-guide/devices.txt).
const DEVICES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// The default links.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// The `devices` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {}

impl Carry for Devices {
    fn about(&self) -> About {
        About {
            name: "devices",
            what: "make null, zero, full, random, urandom, tty in /dev, and fd, stdin, stdout, stderr, ptmx as links".into(),
            why: "programs expect these; no disk and no memory device is among them",
            man: &["mknod(2)", "null(4)", "random(4)"],
            syscalls: &["mknodat", "open_tree + move_mount (in a user namespace)", "symlinkat"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Mnt, "make devices in /dev")?;
        if !inside.mounted {
            return Err(StepError::from(crate::kernel::SysError::new("make devices in the host's /dev", Errno::EEXIST))
                .because("there is no new root yet: /dev is still the host's")
                .try_this("first: skiff step rootfs"));
        }
        let dev = mount::make_dir_in_root(inside.root()?, Path::new("/dev"))?;
        // The mode below is what is meant, whatever the caller's umask.
        let umask = nix::sys::stat::umask(Mode::empty());
        let made = fill(&dev, inside);
        nix::sys::stat::umask(umask);
        made
    }
}

fn fill(dev: &OwnedFd, inside: &mut Inside) -> Result<(), StepError> {
    for (name, major, minor) in DEVICES {
        let mode = Mode::from_bits_truncate(0o666);
        match mknodat(dev.as_fd(), name, SFlag::S_IFCHR, mode, makedev(major, minor)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(Errno::EPERM) => bind_host_device(name, inside)?,
            Err(e) => return Err(crate::kernel::SysError::new(format!("make /dev/{name}"), e).into()),
        }
    }
    for (name, to) in LINKS {
        match nix::unistd::symlinkat(to, dev.as_fd(), name) {
            Ok(()) | Err(Errno::EEXIST) => {}
            other => other.or_sys_with(|| format!("link /dev/{name}"))?,
        }
    }
    Ok(())
}

fn bind_host_device(name: &str, inside: &mut Inside) -> Result<(), StepError> {
    let path = PathBuf::from("/dev").join(name);
    let node = mount::clone_tree(None, &path, false)?;
    let onto = mount::make_file_in_root(inside.root()?, &path)?;
    Ok(mount::attach(&node, onto, &path.to_string_lossy())?)
}
