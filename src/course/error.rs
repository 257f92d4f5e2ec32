//! What can be wrong with content: file, line, what was expected.

use crate::kernel::Explain;
use thiserror::Error;

/// An error in the course's own files, or in what was asked of them.
#[derive(Debug, Clone, Error)]
pub enum Error {
    /// A file cannot be understood.
    #[error("{file}:{line}: {problem}")]
    File {
        /// Path below the course's folder.
        file: String,
        /// Line, from 1; 0 where it is the whole file.
        line: usize,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// There is no such chapter or exercise.
    #[error("there is no {kind} {name:?}")]
    Unknown {
        /// `chapter` or `exercise`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// The name most like it.
        near: Option<String>,
        /// All that there are, in order.
        all: Vec<String>,
    },
    /// Something new would be written over what is there.
    #[error("{what} is there already")]
    Taken {
        /// What, with its name.
        what: String,
    },
    /// A new thing cannot be called that.
    #[error("{name:?} cannot be a name here: expected {expected}")]
    BadName {
        /// What was given.
        name: String,
        /// What can be.
        expected: &'static str,
    },
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::File { .. } => Some("drydock course lint lists all that is wrong".into()),
            Error::Unknown { near: Some(near), .. } => Some(format!("did you mean {near}? drydock list shows all")),
            Error::Taken { .. } => Some("choose another name; nothing was written".into()),
            Error::BadName { .. } => Some("such as own-proc, or namespaces/own-proc for an exercise".into()),
            Error::Unknown { all, .. } => Some(format!("drydock list shows them: {}", all.join(", "))),
        }
    }
    fn exit_code(&self) -> u8 {
        2
    }
}

/// The candidate most like `wanted`, if one is alike enough.
pub fn nearest<'a>(wanted: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let close = candidates.map(|c| (strsim::jaro_winkler(wanted, c), c)).filter(|(score, _)| *score > 0.75);
    close.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, c)| c.to_owned())
}
