//! What a person asks for with `skiff run`, after the command line is parsed: Docker's options as
//! plain values. `config` turns it into an OCI runtime config. Kept as request.json in the container's
//! folder, so that `start` can do the same again.

use super::error::Error;
use super::health::Check;
use super::network::Wish;
use super::restart::Policy;
use crate::kernel::cgroup::Limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One `-v` or `--mount type=bind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: PathBuf,
    /// Cannot be written from inside.
    pub read_only: bool,
    /// How mounts travel between here and the host (mount_namespaces(7)); `rprivate` where nothing is said.
    pub propagation: Option<String>,
}

/// One `--tmpfs` or `--mount type=tmpfs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    /// Absolute path inside.
    pub target: PathBuf,
    /// Options such as `size=64m`.
    pub options: Vec<String>,
}

/// The container's network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Network {
    /// A namespace with nothing but loopback.
    #[default]
    None,
    /// The host's own.
    Host,
    /// A namespace of its own, plugged into networks of skiff.
    Joined(Wish),
    /// The namespace at a path, such as another container's.
    At(PathBuf),
}

/// The system call filter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Seccomp {
    /// Equal in effect to Docker's.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// A profile in a file.
    Profile(PathBuf),
}

/// Everything that `skiff run` was asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// The image.
    pub image: String,
    /// What to run instead of the image's command.
    pub command: Vec<String>,
    /// What to run instead of the image's entrypoint; an empty string clears it.
    pub entrypoint: Option<String>,
    /// The container's name.
    pub name: Option<String>,
    /// Its hostname.
    pub hostname: Option<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Working directory.
    pub workdir: Option<PathBuf>,
    /// `user[:group]`, names or numbers.
    pub user: Option<String>,
    /// Paths of the host.
    pub binds: Vec<Bind>,
    /// Volumes.
    pub volumes: Vec<super::volume::Asked>,
    /// Containers whose volumes it gets too: a name or id, and maybe `:ro`.
    pub volumes_from: Vec<String>,
    /// Directories in memory.
    pub tmpfs: Vec<Tmpfs>,
    /// Root cannot be written.
    pub read_only: bool,
    /// Control group limits.
    pub limits: Limits,
    /// Network.
    pub network: Network,
    /// How it finds names.
    pub lookup: super::network::Lookup,
    /// Capabilities on top of the default.
    pub cap_add: Vec<String>,
    /// Capabilities to take from the default.
    pub cap_drop: Vec<String>,
    /// `--security-opt no-new-privileges`.
    pub no_new_privileges: bool,
    /// `--security-opt seccomp=…`.
    pub seccomp: Seccomp,
    /// `--security-opt systempaths=unconfined`: no masks.
    pub unmasked: bool,
    /// Nearly everything that the host's root may.
    pub privileged: bool,
    /// Put skiff's own init in front of the command.
    pub init: bool,
    /// A terminal.
    pub tty: bool,
    /// Standard input stays open.
    pub interactive: bool,
    /// Runs on in the background.
    pub detach: bool,
    /// Removed when it ends.
    pub remove: bool,
    /// `NAME=value`, the user's own.
    pub labels: BTreeMap<String, String>,
    /// What happens when its command ends.
    pub restart: Policy,
    /// Its health check, over the image's.
    pub health: Check,
    /// What is kept of what it writes.
    pub log: super::log::Options,
    /// The signal that stops it, instead of the image's.
    pub stop_signal: Option<String>,
    /// Seconds from that to SIGKILL.
    pub stop_timeout: Option<i64>,
    /// `type=soft[:hard]`.
    pub ulimits: Vec<String>,
    /// Shares the host's pid namespace.
    pub host_pid: bool,
    /// Shares the host's ipc namespace.
    pub host_ipc: bool,
    /// Shares the host's uts namespace.
    pub host_uts: bool,
    /// Called with each thing that had to be done otherwise than asked.
    #[serde(skip)]
    pub told: Option<fn(&str)>,
    /// Where skiff's own program lies on the host, for `init`.
    pub program: PathBuf,
}

impl Request {
    /// Heeds one `--security-opt`.
    pub fn secure(&mut self, text: &str) -> Result<(), Error> {
        match text.split_once(['=', ':']).unwrap_or((text, "true")) {
            ("no-new-privileges", "true") => self.no_new_privileges = true,
            ("no-new-privileges", "false") => self.no_new_privileges = false,
            ("seccomp", "unconfined") => self.seccomp = Seccomp::Unconfined,
            ("seccomp", "builtin") => self.seccomp = Seccomp::Default,
            ("seccomp", file) => self.seccomp = Seccomp::Profile(file.into()),
            ("systempaths", "unconfined") => self.unmasked = true,
            ("apparmor", "unconfined") | ("label", "disable") => {}
            _ => {
                return Err(Error::Option {
                    option: "--security-opt",
                    value: text.to_owned(),
                    reason: "it is none of no-new-privileges, seccomp=…, systempaths=unconfined".into(),
                    example: "--security-opt no-new-privileges",
                });
            }
        }
        Ok(())
    }
}
