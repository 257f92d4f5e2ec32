//! One file a step, in the order in which `skiff run` takes them.

pub mod caps;
pub mod cgroup;
pub mod rlimits;
pub mod seccomp;
