//! What can go wrong on the learner's side.

use crate::kernel::{Explain, SysError};
use std::path::PathBuf;
use thiserror::Error;

/// An error of the learner's side.
#[derive(Debug, Error)]
pub enum Error {
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SysError),
    /// The course's files.
    #[error(transparent)]
    Course(#[from] crate::course::Error),
    /// No exercise is in hand.
    #[error("no exercise is in hand")]
    NoExercise,
    /// A file to import is no progress.
    #[error("{} is no progress of drydock's: {reason}", path.display())]
    NotProgress {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No home could be found.
    #[error("cannot find a place for your progress")]
    NoHome,
}

impl Explain for Error {
    fn why(&self) -> Option<String> {
        match self {
            Error::Course(e) => e.why(),
            Error::NoExercise => Some("you have not begun one, or the step you are at has none".into()),
            Error::NoHome => Some("neither DRYDOCK_HOME nor XDG_STATE_HOME nor HOME is set".into()),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Error::Course(e) => e.hint(),
            Error::NoExercise => Some("drydock next goes on; drydock list shows the exercises".into()),
            Error::NoHome => Some("DRYDOCK_HOME=/some/folder drydock".into()),
            _ => None,
        }
    }
    fn exit_code(&self) -> u8 {
        2
    }
}
