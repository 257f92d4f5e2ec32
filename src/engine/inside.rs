//! What the process that becomes the container carries from one step to the next.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// State of the process that becomes the container, from its first step to exec.
#[derive(Debug, Default)]
pub struct Inside {
    /// The container's id: names its cgroup and its folder.
    pub id: String,
    /// The container's new root, once the rootfs step made it; `None` before that step.
    pub root: Option<OwnedFd>,
    /// Where the new root is mounted on the host side, for pivot_root.
    pub root_path: Option<PathBuf>,
    /// True once pivot_root has made that root `/`.
    pub pivoted: bool,
    /// Capabilities that the user step must keep alive across setuid.
    pub capabilities: Option<crate::kernel::caps::Sets>,
    /// True once no_new_privs is set, so that seccomp needs no capability.
    pub no_new_privs: bool,
    /// What a step had to do otherwise than asked, in words for the person who asked.
    pub notes: Vec<String>,
}
