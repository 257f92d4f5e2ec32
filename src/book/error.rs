//! What can go wrong while the book is made.

use crate::kernel::{Explain, SysError};
use thiserror::Error;

/// The book cannot be made.
#[derive(Debug, Error)]
pub enum BookError {
    /// A file cannot be written.
    #[error(transparent)]
    System(#[from] SysError),
    /// A lesson, an exercise or a quiz cannot be read.
    #[error(transparent)]
    Course(#[from] crate::course::Error),
    /// mdBook says no.
    #[error("cannot build the book: {0}")]
    Mdbook(String),
}

impl Explain for BookError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Course(error) => error.hint(),
            _ => None,
        }
    }
}
