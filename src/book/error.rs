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
    /// A live book is one learner's own.
    #[error("a live book is not served at {0}")]
    NotAlone(std::net::SocketAddr),
    /// It cannot be served.
    #[error(transparent)]
    Web(#[from] crate::web::WebError),
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
            Self::NotAlone(_) => Some("it has a shell of yours in it, and the way to other machines is not encrypted".into()),
            Self::Web(error) => error.why(),
            Self::NoBrowser { tried, .. } => Some(tried.clone()),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Course(error) => error.hint(),
            Self::NotAlone(addr) => Some(format!("drydock book serve --live --addr 127.0.0.1:{0}; from another machine: ssh -L {0}:127.0.0.1:{0} THIS-ONE", if addr.port() == 0 { 3000 } else { addr.port() })),
            Self::Web(error) => error.hint(),
            Self::NoBrowser { page, .. } => Some(format!("open file://{} in a browser yourself; or set BROWSER to one", page.display())),
            _ => None,
        }
    }
}
