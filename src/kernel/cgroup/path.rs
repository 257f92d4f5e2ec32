//! The way to a cgroup's directory: mkdir(2), and what each level needs before the next (cgroups(7)).
//!
//! Mechanism: a v2 cgroup hands its controllers to its children in `cgroup.subtree_control`; a new v1
//! cpuset is empty, and takes no process until it has CPUs and memory nodes.
//! See it live: `cat /sys/fs/cgroup/skiff/cgroup.subtree_control`.
//! Contract: what is there already is taken as it is.

use super::Error;
use super::group::write_file;
use super::layout::{Controller, Hierarchy};
use super::limit::Limit;
use crate::kernel::error::errno_of;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The v2 controllers that are handed down without being asked for, where they are on offer.
const WISHED_V2: [Controller; 3] = [Controller::Memory, Controller::Cpu, Controller::Pids];

/// mkdir -p with what each level needs before the next: v2's subtree_control, v1's cpuset.
pub(super) fn make_path(hierarchy: &Hierarchy, base: &Path, name: &Path, needed: &BTreeSet<Controller>) -> Result<(), Error> {
    let mut directory = base.to_path_buf();
    for part in name.components() {
        if !hierarchy.v1 {
            hand_down(&directory, hierarchy, needed)?;
        }
        let child = directory.join(part);
        match fs::create_dir(&child).map_err(|e| errno_of(&e)) {
            Ok(()) => {}
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(SysError::new(format!("make the cgroup {}", child.display()), errno).into()),
        }
        if hierarchy.v1 && hierarchy.controllers.contains(&Controller::Cpuset) {
            inherit_cpuset(&directory, &child)?;
        }
        directory = child;
    }
    Ok(())
}

/// Lets the children of a v2 cgroup use its controllers.
fn hand_down(parent: &Path, hierarchy: &Hierarchy, needed: &BTreeSet<Controller>) -> Result<(), Error> {
    let control = parent.join("cgroup.subtree_control");
    let read = |file: &str| fs::read_to_string(parent.join(file)).unwrap_or_default();
    let (offered, given) = (read("cgroup.controllers"), read("cgroup.subtree_control"));
    let has = |list: &str, c: Controller| list.split_whitespace().any(|word| word == c.name(false));
    for controller in Controller::ALL.into_iter().filter(|c| hierarchy.controllers.contains(c)) {
        let required = needed.contains(&controller);
        if has(&given, controller) || !(required || WISHED_V2.contains(&controller)) {
            continue;
        }
        if !has(&offered, controller) {
            if required {
                return Err(Error::NoController { what: "that", controller, at: parent.display().to_string() });
            }
            continue;
        }
        match write_file(&control, &format!("+{controller}")) {
            Ok(()) => {}
            Err(_) if !required => {}
            // Had `cpu` or `pids` been handed down before, `memory` is refused with the second of these.
            Err(error) if matches!(error.errno, Errno::EBUSY | Errno::EOPNOTSUPP) => {
                return Err(Error::InternalProcesses(parent.into()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A new v1 cpuset allows nothing, and nothing can join it, until it is told what its parent has.
fn inherit_cpuset(parent: &Path, child: &Path) -> Result<(), SysError> {
    for limit in [Limit::Cpuset, Limit::CpusetMems] {
        let file = limit.file_name(true);
        let read = |path: PathBuf| fs::read_to_string(&path).or_sys_with(|| format!("read {}", path.display()));
        if read(child.join(file))?.trim().is_empty() {
            write_file(&child.join(file), read(parent.join(file))?.trim())?;
        }
    }
    Ok(())
}
