//! One file a step, in the order in which `skiff run` takes them.

pub mod cgroup;
pub mod userns;
pub mod unshare;
pub mod enter_cgroup;
pub mod join;
pub mod private;
pub mod fork;
pub mod rootfs;
pub mod copy_up;
pub mod mount;
pub mod cgroupfs;
pub mod devices;
pub mod pivot_root;
pub mod plug;
pub mod masks;
pub mod hostname;
pub mod loopback;
pub mod rlimits;
pub mod terminal;
pub mod read_only;
pub mod cwd;
pub mod user;
pub mod caps;
pub mod no_new_privs;
pub mod seccomp;
pub mod exec;
