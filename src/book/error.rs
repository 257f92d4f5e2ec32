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
    /// Another program listens at this address.
    #[error("cannot listen on {0}: EADDRINUSE")]
    PortTaken(std::net::SocketAddr),
    /// Nothing here opens a page.
    #[error("cannot open a browser on {}", page.display())]
    NoBrowser {
        /// The page that was to be opened.
        page: std::path::PathBuf,
        /// What was tried, and what came of it.
        tried: String,
    },
}

impl Explain for BookError {
    fn why(&self) -> Option<String> {
        match self {
            Self::PortTaken(_) => Some("another program listens there; perhaps another book".into()),
            Self::NoBrowser { tried, .. } => Some(tried.clone()),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Course(error) => error.hint(),
            Self::PortTaken(addr) => Some(format!("drydock book serve --addr {}:0 takes any port that is free", addr.ip())),
            Self::NoBrowser { page, .. } => Some(format!("open file://{} in a browser yourself; or set BROWSER to one", page.display())),
            _ => None,
        }
    }
}
