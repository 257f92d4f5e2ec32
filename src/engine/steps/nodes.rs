//! Further device nodes, as the config lists them (`linux.devices`; mknod(2)).
//!
//! See it live: `ls -l /proc/PID/root/dev`. A node is only a name for a driver: whether it may be
//! opened is the cgroup's matter. In a user namespace mknod is refused, and the host's node of the
//! same path is bound instead.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::ns::Ns;
use crate::kernel::{OrSys, SysError, mount};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{Mode, SFlag, fstat, makedev, mknodat};
use nix::unistd::{Gid, Uid, fchownat};
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use serde::{Deserialize, Serialize};
use std::os::fd::AsFd;
use std::path::Path;

/// The `nodes` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    /// What is made.
    pub list: Vec<LinuxDevice>,
}

impl Carry for Nodes {
    fn about(&self) -> About {
        let names: Vec<String> = self.list.iter().map(|d| d.path().display().to_string()).collect();
        About {
            name: "nodes",
            what: format!("make the device nodes {}", names.join(", ")),
            why: "a container reaches hardware by a node of its own; before the root is exchanged, for the host's may have to be bound",
            man: &["mknod(2)"],
            syscalls: &["openat2(RESOLVE_IN_ROOT)", "mknodat", "fchownat"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Mnt, "make devices")?;
        // The modes are what is meant, whatever the caller's umask.
        let umask = nix::sys::stat::umask(Mode::empty());
        let made = self.list.iter().try_for_each(|device| make(device, inside));
        nix::sys::stat::umask(umask);
        made
    }
}

fn make(device: &LinuxDevice, inside: &mut Inside) -> Result<(), StepError> {
    let path = device.path();
    let what = || format!("make the device {}", path.display());
    let kind = match device.typ() {
        LinuxDeviceType::B => SFlag::S_IFBLK,
        LinuxDeviceType::C | LinuxDeviceType::U => SFlag::S_IFCHR,
        LinuxDeviceType::P => SFlag::S_IFIFO,
        LinuxDeviceType::A => return Err(SysError::new(what(), Errno::EINVAL).into()),
    };
    let (Some(above), Some(name)) = (path.parent(), path.file_name().map(Path::new)) else {
        return Err(SysError::new(what(), Errno::EINVAL).into());
    };
    let folder = mount::make_dir_in_root(inside.root()?, above)?;
    let number = if kind == SFlag::S_IFIFO { 0 } else { makedev(device.major().cast_unsigned(), device.minor().cast_unsigned()) };
    let mode = Mode::from_bits_truncate(device.file_mode().unwrap_or(0o666));
    match mknodat(folder.as_fd(), name, kind, mode, number) {
        Ok(()) => {}
        Err(Errno::EPERM) => return bind(path, inside),
        // One of the default devices may be listed again: then it takes that entry's owner. Of what else
        // lies there (Docker lists all of the host's, ptmx too, which is a link here) nothing is changed.
        Err(Errno::EEXIST) => {
            let there = mount::open_in_root(&folder, name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
            if fstat(&there).or_sys_with(what)?.st_rdev != number {
                return Ok(());
            }
        }
        Err(errno) => return Err(SysError::new(what(), errno).into()),
    }
    let (uid, gid) = (device.uid().map(Uid::from_raw), device.gid().map(Gid::from_raw));
    Ok(fchownat(&folder, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW).or_sys_with(what)?)
}

fn bind(path: &Path, inside: &mut Inside) -> Result<(), StepError> {
    let node = mount::clone_tree(None, path, false)?;
    let onto = mount::make_file_in_root(inside.root()?, path)?;
    Ok(mount::attach(&node, onto, &path.to_string_lossy())?)
}
