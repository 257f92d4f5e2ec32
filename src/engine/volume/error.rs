//! What can go wrong with a volume.

use crate::kernel::{Explain, SysError};
use std::path::PathBuf;
use thiserror::Error;

/// An error of a volume. The words are Docker's where it has good ones.
#[derive(Debug, Error)]
pub enum Error {
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SysError),
    /// No volume has this name.
    #[error("no such volume: {name}")]
    NotFound {
        /// What was asked for.
        name: String,
        /// A name much like it.
        nearest: Option<String>,
    },
    /// The name cannot be one.
    #[error("create {name}: {name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed")]
    BadName {
        /// The name.
        name: String,
    },
    /// A name of one letter.
    #[error("create {name}: volume name is too short, names should be at least two alphanumeric characters")]
    ShortName {
        /// The name.
        name: String,
    },
    /// Containers have it.
    #[error("remove {name}: volume is in use - [{}]", containers.join(", "))]
    InUse {
        /// The volume.
        name: String,
        /// The containers' ids.
        containers: Vec<String>,
    },
    /// `--volumes-from` names none.
    #[error("no such container: {name}")]
    NoContainer {
        /// What was asked for.
        name: String,
    },
    /// Two mounts at one place.
    #[error("duplicate mount point: {}", target.display())]
    Duplicate {
        /// The place inside.
        target: PathBuf,
    },
    /// An option that the driver does not have.
    #[error("create {name}: {problem}")]
    BadOption {
        /// The volume.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// What a volume's options name could not be mounted.
    #[error("failed to mount local volume {name}: {error}")]
    Mount {
        /// The volume.
        name: String,
        /// What failed.
        error: SysError,
    },
    /// A record that cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Explain for Error {
    fn why(&self) -> Option<String> {
        Some(match self {
            Self::System(e) => return e.why(),
            Self::NotFound { nearest, .. } => format!("did you mean {}?", nearest.as_ref()?),
            Self::BadName { .. } => "a volume's name becomes a folder's".into(),
            Self::InUse { .. } => "a container keeps its volumes until it is removed, running or not".into(),
            Self::Mount { .. } if !crate::kernel::userns::is_host_root() => "to mount a file system on the host is root's to do".into(),
            Self::BadOption { .. } => "the local driver takes type, device and o, as mount(8) does".into(),
            _ => return None,
        })
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::System(e) => return e.hint(),
            Self::NotFound { .. } => "skiff volume ls, or make it: skiff volume create NAME".into(),
            Self::BadName { .. } | Self::ShortName { .. } => "another name; for a folder of the host use its absolute path, or ./".into(),
            Self::InUse { containers, .. } => format!("skiff rm -f {}", containers.first()?.get(..12)?),
            Self::NoContainer { .. } => "skiff ps -a lists all".into(),
            Self::Duplicate { .. } => "one -v, --mount or --tmpfs for each place".into(),
            Self::BadOption { .. } => "skiff volume create -o type=tmpfs -o device=tmpfs -o o=size=64m NAME".into(),
            Self::Mount { name, .. } => format!("skiff volume inspect {name} shows its options"),
            Self::Damaged { path, .. } => format!("remove {}: its content stays", path.display()),
        })
    }

    fn exit_code(&self) -> u8 {
        125
    }
}
