//! The container sees its own cgroup at /sys/fs/cgroup, read-only (cgroup_namespaces(7)).
//!
//! See it live: `skiff run -m 64m base cat /sys/fs/cgroup/memory.max` (v2), or
//! `…/memory/memory.limit_in_bytes` (v1). In the cgroup namespace the mount's root is the
//! container's own cgroup, so that neither its siblings nor the host's tree can be seen. On v2 it is
//! one mount; v1 has one a hierarchy, under a tmpfs.

use super::mount::Mount;
use super::options::Options;
use crate::engine::host::layout;
use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::SysError;
use crate::kernel::cgroup::Layout;
use crate::kernel::mount::{self, attr};
use crate::kernel::ns::Ns;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// The `cgroupfs` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupFs {
    /// Where, inside the root.
    pub target: PathBuf,
    /// Mount options; `ro` as a rule.
    pub options: Vec<String>,
    /// Names of the v1 hierarchies, such as `memory` or `cpu,cpuacct`; none on v2.
    pub v1: Vec<String>,
}

impl CgroupFs {
    /// What the `cgroup` entry of an OCI config means on a host with this layout.
    pub fn new(entry: &Mount, layout: &Layout) -> Self {
        let name = |h: &crate::kernel::cgroup::layout::Hierarchy| h.mount.file_name().map(|n| n.to_string_lossy().into_owned());
        Self { target: entry.target.clone(), options: entry.options.clone(), v1: layout.v1.iter().filter_map(name).collect() }
    }
}

impl Carry for CgroupFs {
    fn about(&self) -> About {
        let what = match self.v1.as_slice() {
            [] => format!("mount cgroup2 at {}", self.target.display()),
            list => format!("mount cgroup at {}: {}", self.target.display(), list.join(" ")),
        };
        About {
            name: "cgroupfs",
            what: format!("{what} ({})", self.options.join(",")),
            why: "programs read their own limits there; read-only, or root inside would raise them",
            man: &["cgroups(7)", "cgroup_namespaces(7)"],
            syscalls: &["fsopen", "fsconfig", "fsmount", "openat2(RESOLVE_IN_ROOT)", "move_mount"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Mnt, "mount the cgroup file system")?;
        let attributes = Options::of(&self.options).here.set;
        let shown = self.target.to_string_lossy();
        // Without a cgroup namespace a new mount would show the host's whole tree: then the container's own
        // directories are bound.
        let own = if inside.own.contains(&Ns::Cgroup) { None } else { Some(layout().map_err(|e| StepError::from(SysError::new("find the cgroup", e.errno())))?) };
        if self.v1.is_empty() {
            if let Some(at) = own.as_ref().and_then(|l| l.unified.as_ref()).map(|h| h.mount.join(&inside.cgroup)) {
                return bind(&at, inside.root()?, &self.target, attributes);
            }
            let made = mount::detached("cgroup2", "cgroup", &[], attributes)?;
            let onto = mount::make_dir_in_root(inside.root()?, &self.target)?;
            return Ok(mount::attach(&made, onto, &shown)?);
        }
        let base = mount::detached("tmpfs", "tmpfs", &["mode=755".to_owned()], attributes & !attr::RDONLY)?;
        let onto = mount::make_dir_in_root(inside.root()?, &self.target)?;
        mount::attach(&base, onto, &shown)?;
        for hierarchy in &self.v1 {
            if let Some(layout) = &own {
                let found = layout.v1.iter().find(|h| h.mount.file_name().is_some_and(|name| name.to_string_lossy() == *hierarchy));
                // One that the container has no directory in has nothing to show.
                if let Some(at) = found.map(|h| h.mount.join(&inside.cgroup)).filter(|at| at.is_dir()) {
                    bind(&at, base.as_fd(), Path::new(hierarchy), attributes)?;
                }
                continue;
            }
            let controllers: Vec<String> = hierarchy.split(',').map(String::from).collect();
            match mount::detached("cgroup", "cgroup", &controllers, attributes) {
                Ok(made) => {
                    let onto = mount::make_dir_in_root(base.as_fd(), Path::new(hierarchy))?;
                    mount::attach(&made, onto, &self.target.join(hierarchy).to_string_lossy())?;
                }
                // A hierarchy whose folder is not named after its controllers: leave it out.
                Err(e) if matches!(e.errno, Errno::EBUSY | Errno::EINVAL | Errno::ENOENT | Errno::EPERM) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(mount::set_attributes(&base, attributes, 0, false, &shown)?)
    }
}

fn bind(from: &Path, root: BorrowedFd<'_>, target: &Path, attributes: u64) -> Result<(), StepError> {
    let tree = mount::clone_tree(None, from, false)?;
    let shown = target.to_string_lossy();
    mount::set_attributes(&tree, attributes, mount::propagation::PRIVATE, false, &shown)?;
    let onto = mount::make_dir_in_root(root, target)?;
    Ok(mount::attach(&tree, onto, &shown)?)
}
