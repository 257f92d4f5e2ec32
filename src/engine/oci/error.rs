//! What can go wrong with a container that others drive, and what to do about it.
//!
//! Those others read the words: containerd takes `does not exist` and `container not running` in a
//! message for what they say, so these stay as they are.

use super::state::Status;
use crate::engine::step::StepError;
use crate::kernel::{Explain, SysError};
use std::path::PathBuf;
use thiserror::Error;

/// An error of the runtime.
#[derive(Debug, Error)]
pub enum Error {
    /// A system call failed outside the steps.
    #[error(transparent)]
    System(#[from] SysError),
    /// A step failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The cgroup could not be had.
    #[error(transparent)]
    Cgroup(#[from] crate::kernel::cgroup::Error),
    /// The system call filter cannot be used.
    #[error(transparent)]
    Seccomp(#[from] crate::engine::seccomp::Error),
    /// Something else of the engine.
    #[error(transparent)]
    Engine(#[from] crate::engine::Error),
    /// The id cannot be one.
    #[error("invalid container id {id:?}")]
    BadId {
        /// What was given.
        id: String,
    },
    /// No container has this id.
    #[error("container {id:?} does not exist")]
    NoContainer {
        /// What was asked for.
        id: String,
    },
    /// The id is in use.
    #[error("container {id:?} exists already")]
    Exists {
        /// The id.
        id: String,
    },
    /// Its process has ended, or never began.
    #[error("container not running")]
    NotRunning,
    /// Not in this state.
    #[error("cannot {what} a container in the {} state", state.name())]
    Status {
        /// What was to be done.
        what: &'static str,
        /// Its state.
        state: Status,
    },
    /// A document that cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Something in the config that this runtime, or this machine, does not do.
    #[error("cannot use {what}")]
    Refused {
        /// Where in config.json, or which option.
        what: String,
        /// Why not.
        why: String,
        /// What to try.
        hint: &'static str,
    },
}

impl Error {
    /// What the kernel answered, where it was asked.
    pub fn errno(&self) -> Option<nix::errno::Errno> {
        match self {
            Error::System(e) => Some(e.errno),
            Error::Step(e) => Some(e.errno()),
            _ => None,
        }
    }
}

/// Refuses a part of the config.
pub(super) fn refused(what: impl Into<String>, why: impl Into<String>, hint: &'static str) -> Error {
    Error::Refused { what: what.into(), why: why.into(), hint }
}

impl Explain for Error {
    fn why(&self) -> Option<String> {
        match self {
            Error::Step(e) => e.why(),
            Error::Cgroup(e) => e.why(),
            Error::Seccomp(e) => e.why(),
            Error::Engine(e) => e.why(),
            Error::BadId { .. } => Some("an id is the name of a folder: letters, digits, `_`, `+`, `-` and `.`, and not `.` or `..`".into()),
            Error::Refused { why, .. } => Some(why.clone()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Step(e) => return e.hint(),
            Error::Cgroup(e) => return e.hint(),
            Error::Seccomp(e) => return e.hint(),
            Error::Engine(e) => return e.hint(),
            Error::NoContainer { .. } => "skiff oci list shows all below this --root".into(),
            Error::Exists { id } => format!("skiff oci delete {id}, or another id"),
            Error::Status { state: Status::Created | Status::Running | Status::Paused, what } if *what == "delete" => {
                "skiff oci kill ID KILL first, or skiff oci delete --force ID".into()
            }
            Error::Refused { hint, .. } => (*hint).into(),
            Error::Document { .. } => "skiff oci spec writes a config.json to start from".into(),
            _ => return None,
        })
    }
}

/// An error with its cause, in one line: for a log.
pub fn in_full(error: &dyn Explain) -> String {
    match error.why() {
        Some(why) => format!("{error}: {why}"),
        None => error.to_string(),
    }
}
