//! What can go wrong with a build, and what to do about it.

use super::dockerfile::Fault;
use crate::kernel::{Explain, SysError};
use std::path::PathBuf;
use thiserror::Error;

/// A build that ended without an image.
#[derive(Debug, Error)]
pub enum Error {
    /// The Dockerfile, or one of its instructions, is wrong in itself.
    #[error("{shown}")]
    Dockerfile {
        /// `Dockerfile:3:1: problem`, with the line and a caret.
        shown: String,
        /// What would have been right.
        expected: Option<String>,
    },
    /// A command of RUN failed.
    #[error("failed to solve: process {command:?} did not complete successfully: exit code: {code}\n{place}")]
    Run {
        /// `Dockerfile:3:1`, with the line.
        place: String,
        /// The whole command.
        command: String,
        /// How it ended.
        code: i32,
        /// What it wrote last.
        tail: Vec<String>,
        /// The step as it was shown.
        step: String,
    },
    /// There is no Dockerfile.
    #[error("failed to read dockerfile: open {}: no such file or directory", path.display())]
    NoDockerfile {
        /// Where it was looked for.
        path: PathBuf,
        /// A file there whose name is much like it.
        near: Option<String>,
    },
    /// A Dockerfile or `.dockerignore` that is there and cannot be used.
    #[error("failed to read {}: {problem}", path.display())]
    Unfit {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// There is no context.
    #[error("unable to prepare context: {problem}")]
    Context {
        /// Why.
        problem: String,
    },
    /// No stage has this name.
    #[error("failed to solve: target stage {name:?} could not be found")]
    NoTarget {
        /// What was asked for.
        name: String,
        /// The names that there are.
        names: Vec<String>,
    },
    /// An option that cannot be understood.
    #[error("invalid value {value:?} for {option}: {problem}")]
    Option {
        /// The flag.
        option: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        problem: String,
        /// One that works.
        example: &'static str,
    },
    /// Ctrl-C, or somebody's kill.
    #[error("the build was interrupted")]
    Interrupted,
    /// Another stage failed first; that one's error is shown.
    #[error("another stage failed")]
    Elsewhere,
    /// ADD of a URL.
    #[error("failed to load {url}: {problem}")]
    Fetch {
        /// What was asked for.
        url: String,
        /// Why it did not come.
        problem: String,
    },
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SysError),
    /// The container of a RUN.
    #[error(transparent)]
    Engine(#[from] crate::engine::Error),
    /// The container of a RUN, as the process that made it tells.
    #[error("{what}\n{place}")]
    Container {
        /// What failed.
        what: String,
        /// `Dockerfile:3:1`, with the line.
        place: String,
        /// Why.
        why: Option<String>,
        /// What to try.
        hint: Option<String>,
    },
    /// An image.
    #[error(transparent)]
    Image(#[from] crate::image::Error),
    /// A base image went away between two looks.
    #[error("failed to solve: the image {image} was removed meanwhile")]
    Removed {
        /// Its name.
        image: String,
    },
    /// A base image could not be had.
    #[error(transparent)]
    Registry(#[from] crate::image::registry::Error),
}

impl Error {
    /// The same, where it is a container's: with the place of its instruction.
    pub(super) fn placed(self, at: &str) -> Self {
        match self {
            Self::Container { what, why, hint, .. } => Self::Container { what, why, hint, place: at.into() },
            other => other,
        }
    }

    /// A fault of the file called `name`.
    pub fn fault(fault: &Fault, name: &str, text: &str) -> Self {
        Self::Dockerfile { shown: fault.shown(name, text), expected: fault.expected.clone() }
    }
}

impl Explain for Error {
    fn why(&self) -> Option<String> {
        match self {
            Self::Dockerfile { .. } | Self::Interrupted | Self::Elsewhere => None,
            Self::Run { code: 126, .. } => Some("126 is the shell's code for a file that cannot be executed".into()),
            Self::Run { code: 127, .. } => Some("127 is the shell's code for a command that the image does not have".into()),
            Self::Run { code: 137, .. } => Some("137 is 128 and SIGKILL: it was killed, for want of memory or by hand".into()),
            Self::System(e) => e.why(),
            Self::Engine(e) => e.why(),
            Self::Image(e) => e.why(),
            Self::Registry(e) => e.why(),
            Self::Container { why, .. } => why.clone(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Dockerfile { expected, .. } => expected.clone(),
            Self::NoDockerfile { near: Some(near), .. } => Some(format!("there is {near}: -f {near}")),
            Self::NoDockerfile { near: None, .. } => Some("-f FILE, or another folder as the context".into()),
            Self::Unfit { problem, .. } if problem.starts_with("syntax error in pattern") => Some("close each [ with ], or write \\[ for the letter".into()),
            Self::Unfit { problem, .. } if problem.starts_with("illegal exclusion") => Some("! before a pattern takes back what it matches".into()),
            Self::Unfit { .. } => Some("a file of text in the context itself; skiff build -f FILE takes a Dockerfile from elsewhere".into()),
            Self::Context { .. } => Some("skiff build FOLDER, or - for an archive on standard input".into()),
            Self::Removed { image } => Some(format!("get it again: skiff pull {image}, then the build")),
            Self::NoTarget { names, .. } if names.is_empty() => Some("name a stage: FROM image AS name".into()),
            Self::NoTarget { names, .. } => Some(format!("one of {}", names.join(", "))),
            Self::Option { example, .. } => Some((*example).into()),
            Self::System(e) => e.hint(),
            Self::Engine(e) => e.hint(),
            Self::Image(e) => e.hint(),
            Self::Registry(e) => e.hint(),
            Self::Container { hint, .. } => hint.clone(),
            _ => None,
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted => 130,
            Self::Option { .. } => 125,
            _ => 1,
        }
    }
}
