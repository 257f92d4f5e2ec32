//! Seccomp profiles compiled to BPF (seccomp(2), OCI runtime spec "seccomp").
//!
//! Mechanism: a profile in Docker's format is decided for one container ([`profile`]), which leaves
//! an OCI `linux.seccomp`; that is compiled ([`compile`]) into a program that the kernel runs at each
//! system call. No libseccomp: a container's program is some 300 instructions, made in less time
//! than loading a library takes.
//! See it live: `grep Seccomp /proc/PID/status`.
//! Contract: everything but [`cached`] is pure.
//! Left out: user notification's other end (the agent that answers), and ABIs without a table.

pub mod cache;
mod compare;
pub mod compile;
#[cfg(test)]
mod machine;
pub mod profile;
pub mod syscalls;

pub use cache::cached;
pub use compile::compile;
pub use profile::{For, Profile};
pub use syscalls::Abi;

use super::request;
use crate::kernel::{Explain, OrSys};
use crate::kernel::seccomp::Insn;
use oci_spec::runtime::{LinuxSeccomp, Spec};
use serde::{Deserialize, Serialize};
use std::path::Path;
use thiserror::Error;

/// A compiled profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// The program.
    pub code: Vec<Insn>,
    /// Flags for seccomp(2), as in [`crate::kernel::seccomp`].
    pub flags: u32,
}

/// A profile that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// It is not what a profile looks like.
    #[error("cannot read the seccomp profile: {0}")]
    Profile(String),
    /// It is longer than the kernel takes.
    #[error("cannot compile the seccomp profile: {0} instructions")]
    TooLong(usize),
}

impl Explain for Error {
    fn why(&self) -> Option<String> {
        Some(match self {
            Self::Profile(_) => "a profile is JSON in Docker's or the OCI's form: defaultAction, and syscalls with names and an action".into(),
            Self::TooLong(_) => "the kernel takes at most 4096 instructions (BPF_MAXINSNS)".into(),
        })
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Profile(_) => "start from Docker's: https://docs.docker.com/engine/security/seccomp/".into(),
            Self::TooLong(_) => "give neighbouring calls the same action, and fewer of them conditions".into(),
        })
    }
    fn exit_code(&self) -> u8 {
        125
    }
}

/// The filter of a container's config: compiled, or taken from below `store` where that is given.
pub fn of(spec: &Spec, store: Option<&Path>) -> Result<Option<Filter>, Error> {
    filter(spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref()), store)
}

/// The same of the profile alone.
pub fn filter(profile: Option<&LinuxSeccomp>, store: Option<&Path>) -> Result<Option<Filter>, Error> {
    let made = |profile| match store {
        Some(store) => cached(&store.join("filters"), profile),
        None => compile(profile),
    };
    profile.map(made).transpose()
}

/// The profile that a container was asked to have, decided for its capabilities and this kernel.
pub fn asked(which: &request::Seccomp, capabilities: u64) -> Result<Option<LinuxSeccomp>, super::error::Error> {
    let release = nix::sys::utsname::uname().or_sys("read the kernel's version")?;
    let kernel = release.release().to_string_lossy();
    Ok(match which {
        request::Seccomp::Unconfined => None,
        request::Seccomp::Default => Some(default_for(capabilities, &kernel)?),
        request::Seccomp::Profile(path) => {
            let text = std::fs::read_to_string(path).or_sys_with(|| format!("read the seccomp profile {}", path.display()))?;
            Some(Profile::parse(&text)?.decide(For { capabilities, kernel: &kernel, abi: Abi::NATIVE })?)
        }
    })
}

/// The default profile, decided for a container with these capabilities on this kernel.
pub fn default_for(capabilities: u64, kernel: &str) -> Result<LinuxSeccomp, Error> {
    Profile::parse(profile::DEFAULT)?.decide(For { capabilities, kernel, abi: Abi::NATIVE })
}
