//! Where the daemon listens: a unix socket that its group may use, or a port of this machine alone.
//!
//! Whoever may speak to this socket is root: he may start a container that mounts /. So it is made with
//! no rights for others (0660) before anybody can connect: bind(2) heeds the umask(2). A socket that a
//! killed daemon left is replaced; one at which somebody answers is not. On TCP, which asks nobody who he
//! is, only loopback is listened on.

use super::{Daemon, route};
use crate::kernel::{Explain, OrSys, SysError};
use axum::Router;
use nix::sys::stat::{Mode, umask};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};

/// One place to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A socket in a folder.
    Unix(PathBuf),
    /// A port.
    Tcp(SocketAddr),
}

/// Why it cannot listen.
#[derive(Debug, Error)]
pub enum Error {
    /// A failed system call.
    #[error(transparent)]
    System(#[from] SysError),
    /// Neither `unix://…` nor `tcp://…`.
    #[error("cannot listen on {text:?}: {problem}")]
    BadPlace {
        /// As it was given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Somebody answers there.
    #[error("{} is another daemon's socket: it answers", path.display())]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// What lies there is no socket.
    #[error("{} is there already, and is no socket", path.display())]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
}

impl Explain for Error {
    fn why(&self) -> Option<String> {
        match self {
            Self::BadPlace { problem, .. } if problem.contains("this machine") => Some("whoever may speak to the API is root here, and TCP asks nobody who he is".into()),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::BadPlace { .. } => "-H unix:///run/skiff.sock, or -H tcp://127.0.0.1:2375 behind `ssh -L`".into(),
            Self::Taken { .. } => "another path: -H unix://PATH".into(),
            Self::NoSocket { path } => format!("look at it; skiff removes no file: -H unix://PATH, or rm {}", path.display()),
            Self::System(_) => return None,
        })
    }
}

impl std::str::FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |problem| Error::BadPlace { text: text.to_owned(), problem };
        if let Some(path) = text.strip_prefix("unix://") {
            return match path {
                _ if !path.starts_with('/') => Err(bad("the socket's path is absolute")),
                _ if path.len() > LONGEST => Err(bad("the path of a socket has at most 107 bytes (unix(7))")),
                _ => Ok(Self::Unix(path.into())),
            };
        }
        let address = text.strip_prefix("tcp://").ok_or_else(|| bad("it is unix://PATH or tcp://ADDRESS:PORT"))?;
        let address: SocketAddr = address.replace("localhost", "127.0.0.1").parse().map_err(|_| bad("after tcp:// comes ADDRESS:PORT, such as 127.0.0.1:2375"))?;
        if address.ip().is_loopback() { Ok(Self::Tcp(address)) } else { Err(bad("without TLS and client certificates, which skiff has not, only this machine's own addresses are listened on")) }
    }
}

/// Bytes of `sun_path` but for the 0 at its end (unix(7)).
const LONGEST: usize = 107;

/// A unix socket that is taken away again.
struct Bound {
    path: PathBuf,
    /// Which one it was: another daemon may have put its own in that place.
    inode: u64,
}

impl Drop for Bound {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|m| m.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Listens at all places until SIGINT or SIGTERM.
pub(super) async fn listen(daemon: Arc<Daemon>) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).or_sys("wait for signals")?;
    let mut bound = Vec::new();
    for place in &daemon.settings.places {
        let router = Router::new().fallback(route::one).with_state(Arc::clone(&daemon));
        match place {
            Place::Unix(path) => {
                let listener = unix(path)?;
                bound.push(Bound { path: path.clone(), inode: std::fs::symlink_metadata(path).or_sys_with(|| format!("look at {}", path.display()))?.ino() });
                tokio::spawn(async move { axum::serve(listener, router).await });
                (daemon.settings.told)(&format!("listening on unix://{}", path.display()));
            }
            Place::Tcp(address) => {
                let listener = TcpListener::bind(address).await.or_sys_with(|| format!("listen on {address}"))?;
                let address = listener.local_addr().or_sys_with(|| format!("listen on {address}"))?;
                tokio::spawn(async move { axum::serve(listener, router).await });
                (daemon.settings.told)(&format!("listening on tcp://{address}"));
            }
        }
    }
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    drop(bound);
    Ok(())
}

fn unix(path: &Path) -> Result<UnixListener, Error> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(Error::NoSocket { path: path.to_owned() }),
        Ok(_) if UnixStream::connect(path).is_ok() => return Err(Error::Taken { path: path.to_owned() }),
        Ok(_) => std::fs::remove_file(path).or_sys_with(|| format!("remove {}", path.display()))?,
        Err(_) => {}
    }
    // One thread so far, so nobody else makes a file meanwhile.
    let before = umask(Mode::from_bits_truncate(0o117));
    let listener = UnixListener::bind(path).or_sys_with(|| format!("listen on {}", path.display()));
    umask(before);
    Ok(listener?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_listened_on() {
        assert_eq!("unix:///run/x.sock".parse::<Place>().ok(), Some(Place::Unix("/run/x.sock".into())));
        assert_eq!("tcp://localhost:2375".parse::<Place>().ok(), Some(Place::Tcp(([127, 0, 0, 1], 2375).into())));
        let long = format!("unix:///{}", "x".repeat(107));
        assert!(long.parse::<Place>().is_err_and(|e| e.to_string().ends_with("at most 107 bytes (unix(7))")) && long[..long.len() - 1].parse::<Place>().is_ok());
        for wrong in ["tcp://0.0.0.0:2375", "tcp://10.0.0.1:2375", "unix://x.sock", "fd://", "/run/x.sock", "tcp://:1"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
