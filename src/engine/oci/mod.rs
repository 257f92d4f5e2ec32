//! skiff as an OCI runtime: what containerd, Docker and Podman call to have a container made (OCI
//! runtime spec, runtime.md; the command line is runc's, which all of them speak).
//!
//! Mechanism: the same plan and the same steps as `skiff run`, from a config that somebody else wrote.
//! What differs is the life around it. `create` carries out every step but the last, and ends; the
//! container's process waits at its door (`steps::await_start`), where `start` finds it. Nothing of ours
//! runs in between: who made the container may be killed, and conmon or a shim reaps its process.
//! See it live: `ls /run/skiff-oci`, `ps -e | grep skiff` between create and start.
//! Contract: one thread. A container is found by its folder alone, never by a name in the engine's
//! own store: `skiff ps` does not show these, and `skiff rm` cannot remove them.
//! Left out: checkpoints (criu), intelRdt, and systemd's scopes in place of cgroups.
//!
//! | file | what it holds |
//! |---|---|
//! | [`state`] | what is kept between two calls |
//! | [`create`] | from a bundle to a process that waits |
//! | [`life`] | start, kill, delete, pause, update |
//! | [`exec`] | another process inside |
//! | [`hooks`] | running the config's hooks |
//! | [`config`] | reading config.json, and what in it is refused |
//! | [`console`] | handing a terminal over a socket |
//! | [`usage`], [`features`], [`example`] | what is printed or written for others |

pub mod config;
pub mod console;
pub mod create;
pub mod error;
pub mod example;
pub mod exec;
pub mod features;
pub mod hooks;
pub mod life;
pub mod state;
pub mod usage;

pub use error::Error;
pub use state::{Folder, State, Status};

use std::path::PathBuf;

/// Where containers are kept unless `--root` says so: gone after a reboot, as their processes are.
pub fn default_root() -> PathBuf {
    if crate::kernel::userns::is_host_root() {
        return "/run/skiff-oci".into();
    }
    std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from).join("skiff-oci")
}

/// Every word that `mounts[].options` may have beside a file system's own.
pub fn mount_options() -> Vec<String> {
    crate::engine::steps::options::all()
}
