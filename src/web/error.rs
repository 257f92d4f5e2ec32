//! What can go wrong before a page is served.

use crate::kernel::{Explain, SysError};
use std::net::SocketAddr;
use thiserror::Error;

/// Pages cannot be served.
#[derive(Debug, Error)]
pub enum WebError {
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SysError),
    /// Another program listens at this address.
    #[error("cannot listen on {addr}: EADDRINUSE")]
    PortTaken {
        /// The address.
        addr: SocketAddr,
        /// The command that was typed, without its address.
        command: &'static str,
    },
}

impl Explain for WebError {
    fn why(&self) -> Option<String> {
        match self {
            Self::PortTaken { .. } => Some("another program listens there; perhaps another one of these".into()),
            Self::System(_) => None,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::PortTaken { addr, command } => Some(format!("{command} --addr {}:0 takes any port that is free", addr.ip())),
            Self::System(_) => None,
        }
    }
}
