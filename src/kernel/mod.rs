//! Thin wrappers of system calls, and readers of live kernel state.
//!
//! Nothing here knows a container, an image or a lesson. This is the only module in which `unsafe`
//! is allowed; each use says why it is sound.

pub mod error;

// What a process does to itself.
pub mod caps;
pub mod mount;
pub mod net;
pub mod netlink;
pub mod nft;
pub mod ns;
pub mod pidfd;
pub mod pty;
pub mod rlimit;
pub mod seccomp;
pub mod sealed;
pub mod session;
pub mod signal;
pub mod userns;

// What can be read from outside.
pub mod cgroup;
pub mod kmsg;
pub mod address;
pub mod link;
pub mod connector;
pub mod mountinfo;
pub mod proc;
pub mod random;
pub mod readiness;
pub mod socket;
pub mod trial;
pub mod task;
pub mod units;
pub mod view;
pub mod visit;
pub mod watch;

pub use error::{Explain, OrSys, SysError};
