//! Of a container's config.json, what a process that enters it later needs.
//!
//! The file is an OCI runtime config ("Process" and "Linux-specific configuration" of the runtime
//! specification). It is read by a shape of our own, and not as oci-spec's `Spec`: that one checks
//! `execCPUAffinity` by a regular expression, and the machine for those would be a tenth of what each
//! monitor keeps in memory. Where the whole config is needed, [`super::enter::config_of`] reads it.
//! Contract: a field that is not there is none, never a default of somebody's library.

use super::container::Container;
use super::error::Error;
use super::record::document;
use oci_spec::runtime::{LinuxCapabilities, LinuxSeccomp, PosixRlimit, Process, User};
use serde::Deserialize;
use std::path::PathBuf;

/// What is taken of it.
#[derive(Debug, Deserialize)]
pub(super) struct Kept {
    process: Asked,
    linux: Option<Linux>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    user: User,
    env: Option<Vec<String>>,
    cwd: PathBuf,
    capabilities: Option<LinuxCapabilities>,
    rlimits: Option<Vec<PosixRlimit>>,
    no_new_privileges: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Linux {
    seccomp: Option<LinuxSeccomp>,
}

impl Kept {
    /// Reads it; [`Error::Damaged`] where it is not what was written.
    pub(super) fn of(container: &Container) -> Result<Self, Error> {
        document(&container.folder(), "config.json")
    }

    /// The container's process, without a command.
    pub(super) fn process(&self) -> Process {
        let mut process = Process::default();
        let Asked { user, env, cwd, capabilities, rlimits, no_new_privileges } = &self.process;
        process
            .set_args(None)
            .set_user(user.clone())
            .set_env(env.clone())
            .set_cwd(cwd.clone())
            .set_capabilities(capabilities.clone())
            .set_rlimits(rlimits.clone())
            .set_no_new_privileges(*no_new_privileges);
        process
    }

    /// Its filter of system calls.
    pub(super) fn seccomp(&self) -> Option<&LinuxSeccomp> {
        self.linux.as_ref()?.seccomp.as_ref()
    }
}
