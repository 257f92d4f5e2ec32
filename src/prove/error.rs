//! What can go wrong while the course is being proven, apart from a case that fails.

use crate::kernel::{Explain, SysError};
use std::time::Duration;
use thiserror::Error;

/// The typist, or what surrounds a case, could not go on.
#[derive(Debug, Error)]
pub enum ProveError {
    /// The kernel refused.
    #[error(transparent)]
    System(#[from] SysError),
    /// Nothing came back in time.
    #[error("waited {} s for {what}", .within.as_secs())]
    Silent {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
        /// The terminal so far.
        screen: String,
    },
    /// The shell ended while something was still to be typed.
    #[error("the shell ended before {what}")]
    Ended {
        /// What was waited for.
        what: String,
        /// The terminal so far.
        screen: String,
    },
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
    /// A command that a case needs has failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// As typed.
        command: String,
        /// What it printed.
        output: String,
    },
    /// A text of the course could not be read or filled in.
    #[error("{0}")]
    Text(String),
}

impl ProveError {
    /// The terminal as it stood, where one was involved.
    pub fn screen(&self) -> Option<&str> {
        match self {
            Self::Silent { screen, .. } | Self::Ended { screen, .. } => Some(screen),
            _ => None,
        }
    }
}

impl Explain for ProveError {
    fn why(&self) -> Option<String> {
        self.screen().map(|s| format!("the terminal shows\n{s}"))
    }
    fn exit_code(&self) -> u8 {
        if matches!(self, Self::Interrupted) { 130 } else { 1 }
    }
}
